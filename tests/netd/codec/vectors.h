/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads files of test vectors: lines of words, the last of them bytes in hexadecimal; '#' begins a
 * comment line. It leaves to others what the words mean.
 */
#ifndef BECK_TESTS_NETD_VECTORS_H
#define BECK_TESTS_NETD_VECTORS_H

#include <stddef.h>
#include <stdint.h>

struct vector {
    char *name;
    int16_t version; /* of three words, the second; else 0 */
    uint8_t *bytes;  /* exactly `size` long, so that a sanitizer sees a read beyond it */
    size_t size;
};

struct vectors {
    struct vector *list;
    size_t count;
};

/* Reads the file; ends the program with a message if it can't. */
struct vectors vectors_load(const char *path);
void vectors_free(struct vectors *vectors);

#endif
