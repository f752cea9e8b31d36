/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection's bytes on the way in, and where one request ends and the next begins. The buffer
 * doubles when it is full of bytes that have arrived, up to the request's announced length; so a
 * length that lies costs its sender as many bytes as it costs us.
 */
#ifndef BECK_NETD_INPUT_H
#define BECK_NETD_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The least that a buffer has, and what is read beyond the end of a request at most. */
#define INPUT_LEAST_BYTES  ((size_t)16 << 10)
#define INPUT_LENGTH_BYTES 4

struct input {
    uint8_t *data;
    size_t capacity;
    size_t start; /* of what is not taken yet */
    size_t end;
};

void input_done(struct input *input);

static inline size_t input_size(const struct input *input)
{
    return input->end - input->start;
}

/* The request at the front: 1 and its bytes, valid until input_read(); 0: it is not all there.
 * -EMSGSIZE: the length is negative or above `limit`; *ret_size is what was announced. Takes it
 * off. */
int input_next(struct input *input, size_t limit, const uint8_t **ret_data, int32_t *ret_size);

/* Reads once. Returns the bytes; 0 at the end; a negative errno; -ENOBUFS: `room` more bytes of
 * memory, which is what the buffer may grow by, do not suffice (the least that a buffer has is
 * there for everybody). *ret_full: there is likely more to read. */
long input_read(struct input *input, int fd, size_t room, bool *ret_full);

#endif
