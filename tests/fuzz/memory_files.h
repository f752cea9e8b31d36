/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are in memory only, so that a fuzzer need not write its input to a disk: what opens,
 * reads and lists files gets these, where the path is one of theirs. The linker wraps the calls
 * (meson.build); what is made of files that are not here goes to the system.
 */
#ifndef TESTS_FUZZ_MEMORY_FILES_H
#define TESTS_FUZZ_MEMORY_FILES_H

#include <stddef.h>

#define MEMORY_FOLDER "/in-memory/" /* what the paths begin with */

struct memory_file {
    const char *path; /* NULL: not there */
    const void *bytes;
    size_t size;
    size_t position; /* of who reads it, one at a time */
};

/* The files, until the next call. Folders are not among them: those on the paths are there. */
void memory_files(struct memory_file *files, size_t count);

#endif
