/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each byte of an LMDB file is for, found by walking over its trees as lmdb.h and mdb.c of
 * LMDB 0.9 lay them out. So that a test can say of a byte whose change nothing told of whether it
 * is one that nothing reads. The file has to be sound.
 */
#ifndef TESTS_PAGE_BYTES_H
#define TESTS_PAGE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* As FORMAT.md lists them. */
enum page_byte {
    PAGE_READ,   /* all others: LMDB, or who asks it, reads the byte */
    PAGE_FREE,   /* a page that no tree has */
    PAGE_OLD,    /* the older of the two pages that say where the trees begin */
    PAGE_ROOM,   /* between the pairs of a page, or behind what it has */
    PAGE_FIELD,  /* filled in, and read only by who changes the page, or by nobody */
    PAGE_BRANCH, /* a key of a branch: it tells pairs apart, and another one may do so as well */
    PAGE_BYTES,  /* how many there are */
};

/* Say of each byte of a file what it is. Returns 0, or -1 where the file is not understood. */
int page_bytes_classify(const char *bytes, size_t size, uint8_t *ret_class);

#endif
