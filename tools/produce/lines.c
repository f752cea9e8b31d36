/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a file descriptor. */
#include "lines.h"

#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINES_BLOCK_BYTES = 1 << 20 };

int lines_init(struct lines *lines, int fd, size_t limit)
{
    *lines = (struct lines){
        .fd = fd,
        .buffer = malloc(LINES_BLOCK_BYTES),
        .capacity = LINES_BLOCK_BYTES,
        .limit = limit,
    };
    (void)fcntl(fd, F_SETPIPE_SZ, LINES_BLOCK_BYTES); /* where it is a pipe, and that is allowed */
    return lines->buffer != NULL ? 0 : -ENOMEM;
}

void lines_done(struct lines *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
}

/* Make room behind a line's beginning that fills the buffer. */
static int make_room(struct lines *lines)
{
    if (lines->begin > 0) {
        memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
    }
    if (lines->capacity - lines->end >= LINES_BLOCK_BYTES / 2)
        return 0;
    char *larger = realloc(lines->buffer, lines->capacity * 2);
    if (larger == NULL)
        return -ENOMEM;
    lines->buffer = larger;
    lines->capacity *= 2;
    return 0;
}

/* Read a block behind what is there. 1; 0: the end; a negative errno. */
static int fill(struct lines *lines)
{
    int result = make_room(lines);
    if (result < 0)
        return result;
    for (;;) {
        ssize_t got = read(lines->fd, lines->buffer + lines->end, lines->capacity - lines->end);
        if (got >= 0) {
            lines->end += (size_t)got;
            lines->bytes += (uint64_t)got;
            lines->at_end = got == 0;
            return got > 0 ? 1 : 0;
        }
        if (errno != EINTR || signals_caught())
            return -errno;
    }
}

int lines_next(struct lines *lines, char **ret_line, size_t *ret_size)
{
    size_t searched = 0;

    for (;;) {
        char *line = lines->buffer + lines->begin;
        size_t there = lines->end - lines->begin;
        const char *newline = NULL;
        if (there > searched)
            newline = memchr(line + searched, '\n', there - searched);
        size_t size = newline != NULL ? (size_t)(newline - line) : there;
        if (size > lines->limit)
            return -EMSGSIZE;
        if (newline != NULL || (lines->at_end && size > 0)) {
            *ret_line = line;
            *ret_size = size;
            lines->begin += size + (newline != NULL);
            lines->number++;
            return 1;
        }
        if (lines->at_end)
            return 0;
        searched = there;
        int result = fill(lines);
        if (result < 0)
            return result;
    }
}

bool lines_ready(const struct lines *lines, int timeout_ms)
{
    size_t there = lines->end - lines->begin;

    if (lines->at_end)
        return true;
    if (there > 0 && memchr(lines->buffer + lines->begin, '\n', there) != NULL)
        return true;
    return signals_poll(lines->fd, POLLIN, timeout_ms) > 0;
}
