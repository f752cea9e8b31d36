/* SPDX-License-Identifier: Apache-2.0
 *
 * The input buffer; see input.h. A large request is read exactly to its end, so that the next one
 * begins at the buffer's start and nothing large is ever moved.
 */
#include "input.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void input_done(struct input *input)
{
    free(input->data);
    *input = (struct input){.data = NULL};
}

static int32_t announced(const struct input *input)
{
    uint32_t size;
    memcpy(&size, input->data + input->start, sizeof(size));
    return (int32_t)be32toh(size);
}

int input_next(struct input *input, size_t limit, const uint8_t **ret_data, int32_t *ret_size)
{
    if (input_size(input) < INPUT_LENGTH_BYTES)
        return 0;
    int32_t size = announced(input);
    if (size < 0 || (size_t)size > limit) {
        *ret_size = size;
        return -EMSGSIZE;
    }
    if (input_size(input) - INPUT_LENGTH_BYTES < (size_t)size)
        return 0;
    *ret_data = input->data + input->start + INPUT_LENGTH_BYTES;
    *ret_size = size;
    input->start += INPUT_LENGTH_BYTES + (size_t)size;
    return 1;
}

/* How far from the start to read: to the end of the request that is under way, or a little. Its
 * length was checked by input_next(). */
static size_t wanted(const struct input *input)
{
    size_t size = 0;
    if (input_size(input) >= INPUT_LENGTH_BYTES)
        size = INPUT_LENGTH_BYTES + (size_t)announced(input);
    return size > INPUT_LEAST_BYTES ? size : INPUT_LEAST_BYTES;
}

static int make_room(struct input *input, size_t want, size_t room)
{
    if (input->start > 0) {
        memmove(input->data, input->data + input->start, input_size(input));
        input->end -= input->start;
        input->start = 0;
    }
    if (input->end < input->capacity)
        return 0;
    size_t capacity =
        2 * input->capacity > INPUT_LEAST_BYTES ? 2 * input->capacity : INPUT_LEAST_BYTES;
    if (capacity > want)
        capacity = want;
    if (capacity > INPUT_LEAST_BYTES && capacity - input->capacity > room)
        return -ENOBUFS;
    uint8_t *data = realloc(input->data, capacity);
    if (!data)
        return -ENOBUFS;
    input->data = data;
    input->capacity = capacity;
    return 0;
}

long input_read(struct input *input, int fd, size_t room, bool *ret_full)
{
    if (input->start == input->end)
        input->start = input->end = 0;
    size_t want = wanted(input);
    int result = make_room(input, want, room);
    if (result < 0)
        return result;
    size_t limit = want < input->capacity ? want : input->capacity;
    ssize_t size = recv(fd, input->data + input->end, limit - input->end, 0);
    if (size < 0)
        return -errno;
    *ret_full = (size_t)size == limit - input->end;
    input->end += (size_t)size;
    return size;
}
