/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a file descriptor, read in blocks of a mebibyte. A last line without a newline is a
 * line; an empty one is one too. Bytes are bytes: NUL is nothing special. A line above the limit is
 * an error, not memory.
 */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    int fd;
    char *buffer;
    size_t begin; /* of what was not handed out */
    size_t end;
    size_t capacity;
    size_t limit;    /* the longest line, without its newline */
    uint64_t number; /* of the line handed out last, from 1 */
    uint64_t bytes;  /* read so far */
    bool at_end;
};

/* -ENOMEM. */
int lines_init(struct lines *lines, int fd, size_t limit);
void lines_done(struct lines *lines);

/*
 * The next line, without its newline: 1. It is the caller's to change, until the next call. 0: the
 * end. -EMSGSIZE: line lines->number + 1 is above the limit. -EINTR: a signal asks to stop. Else
 * the errno of read(2).
 */
int lines_next(struct lines *lines, char **ret_line, size_t *ret_size);

/* Is a line, or more input, there within so many milliseconds? Asked between lines, so that what
 * was read can be sent on before a longer wait. */
bool lines_ready(const struct lines *lines, int timeout_ms);

#endif
