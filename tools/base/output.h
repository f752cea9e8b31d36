/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard output for what is large: one buffer, written in pieces of a mebibyte, or sooner where
 * the caller says so. The first failure sticks: what comes after it is dropped, and the loop that
 * produces it asks output_failed() when it likes. Belongs to one thread. Do not mix with stdio
 * without output_flush().
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct output {
    int fd;
    int failure; /* errno of the first write that failed */
    char *buffer;
    size_t used;
    size_t capacity;
    int64_t flushed_ms; /* when it was written out last, on the coarse monotonic clock */
};

/* -ENOMEM. */
int output_init(struct output *output, int fd);
void output_done(struct output *output);

/*
 * Room for at least `size` bytes more, contiguous; NULL where there is no memory for it. The caller
 * fills some of it and says so with output_used().
 */
char *output_room(struct output *output, size_t size);

static inline void output_used(struct output *output, size_t size)
{
    output->used += size;
}

void output_write_large(struct output *output, const void *data, size_t size);

static inline void output_write(struct output *output, const void *data, size_t size)
{
    if (output->capacity - output->used < size) {
        output_write_large(output, data, size);
        return;
    }
    if (size > 0)
        memcpy(output->buffer + output->used, data, size);
    output->used += size;
}

static inline void output_byte(struct output *output, char byte)
{
    output_write(output, &byte, 1);
}

void output_number(struct output *output, int64_t number);

void output_format(struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Write out what is buffered. */
void output_flush(struct output *output);

/* The same, where the last time is a tenth of a second ago: who watches is not to wait for a buffer
 * to fill. Costs a look at the clock. */
void output_flush_aged(struct output *output);

static inline bool output_failed(const struct output *output)
{
    return output->failure != 0;
}

/*
 * Flush, and say so where anything could not be written; a reader that went away is no error to
 * speak of. Returns `code`, or TOOL_FAILED.
 */
int output_finish(struct output *output, int code);

#endif
