/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The large buffer in front of standard output. What does not fit is written at once together with
 * what was there before, so that a large record is copied no more than needed.
 */
#include "output.h"

#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    OUTPUT_BYTES = 1 << 20,
    OUTPUT_AGE_MS = 100,
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int output_init(struct output *output, int fd)
{
    *output = (struct output){.fd = fd, .buffer = malloc(OUTPUT_BYTES), .capacity = OUTPUT_BYTES};
    return output->buffer != NULL ? 0 : -ENOMEM;
}

void output_done(struct output *output)
{
    free(output->buffer);
    output->buffer = NULL;
}

static void write_all(struct output *output, const char *data, size_t size)
{
    while (size > 0 && output->failure == 0) {
        ssize_t written = write(output->fd, data, size);
        if (written >= 0) {
            data += written;
            size -= (size_t)written;
        } else if (errno != EINTR || signals_caught()) {
            output->failure = errno;
        }
    }
}

void output_flush(struct output *output)
{
    write_all(output, output->buffer, output->used);
    output->used = 0;
}

void output_flush_aged(struct output *output)
{
    int64_t now = now_ms();

    if (now - output->flushed_ms < OUTPUT_AGE_MS)
        return;
    output_flush(output);
    output->flushed_ms = now;
}

void output_write_large(struct output *output, const void *data, size_t size)
{
    output_flush(output);
    if (size >= output->capacity) {
        write_all(output, data, size);
        return;
    }
    memcpy(output->buffer, data, size);
    output->used = size;
}

char *output_room(struct output *output, size_t size)
{
    if (output->capacity - output->used < size)
        output_flush(output);
    if (output->capacity < size) {
        char *larger = realloc(output->buffer, size);
        if (larger == NULL)
            return NULL;
        output->buffer = larger;
        output->capacity = size;
    }
    return output->buffer + output->used;
}

void output_number(struct output *output, int64_t number)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%lld", (long long)number);

    output_write(output, digits, (size_t)length);
}

void output_format(struct output *output, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0)
        output_write(output, text,
                     (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

int output_finish(struct output *output, int code)
{
    output_flush(output);
    if (output->failure == 0 || output->failure == EPIPE || signals_caught())
        return code;
    return tool_failed("cannot write to standard output: %s", strerror(output->failure));
}
