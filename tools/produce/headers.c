/* SPDX-License-Identifier: Apache-2.0 */
/* Headers for records to be produced. */
#include "headers.h"

#include "varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *put_string(uint8_t *to, const void *data, int32_t size)
{
    to = varint32_write(to, size);
    if (size <= 0)
        return to;
    memcpy(to, data, (size_t)size);
    return to + size;
}

int headers_add(struct headers *headers, const void *name, int32_t name_size, const void *value,
                int32_t value_size)
{
    size_t need = headers->size + 2 * VARINT32_BYTES_MAX + (size_t)name_size +
                  (size_t)(value_size > 0 ? value_size : 0);

    if (need > headers->capacity) {
        uint8_t *larger = realloc(headers->bytes, need * 2);
        if (larger == NULL)
            return -ENOMEM;
        headers->bytes = larger;
        headers->capacity = need * 2;
    }
    uint8_t *end = put_string(headers->bytes + headers->size, name, name_size);
    end = put_string(end, value, value_size);
    headers->size = (size_t)(end - headers->bytes);
    headers->count++;
    return 0;
}

void headers_reset(struct headers *headers)
{
    headers->size = 0;
    headers->count = 0;
}

void headers_done(struct headers *headers)
{
    free(headers->bytes);
    *headers = (struct headers){0};
}

void headers_give(const struct headers *headers, struct beck_record *record)
{
    record->headers = headers->bytes;
    record->headers_size = (uint32_t)headers->size;
    record->header_count = headers->count;
}
