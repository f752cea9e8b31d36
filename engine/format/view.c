/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rendering the file view. Both functions look at values only; the other fields of a record are
 * checked for their lengths on the way, as the walk needs them, and then passed over.
 *
 * The happy path copies whole records. The first and last record of a read may be cut anywhere,
 * also between value and newline; these two go the slow way.
 */
#include "view.h"

#include "record_parse.h"

#include <errno.h>
#include <string.h>

/* Take the record that the iterator stands before. Returns what follows it; NULL: malformed. */
static inline __attribute__((always_inline)) const uint8_t *peek(
    const struct record_iterator *iterator, const uint8_t **ret_value, size_t *ret_size)
{
    struct record_fields fields;
    const uint8_t *next = record_parse(iterator->at, iterator->end, &fields);
    if (UNLIKELY(next == NULL))
        return NULL;
    *ret_value = fields.value;
    *ret_size = fields.value_size > 0 ? (size_t)fields.value_size : 0;
    return next;
}

static inline void consume(struct record_iterator *iterator, const uint8_t *next)
{
    iterator->at = next;
    iterator->remaining--;
}

static int at_end(const struct record_iterator *iterator)
{
    return iterator->at == iterator->end ? 0 : -EBADMSG;
}

int view_skip(struct record_iterator *iterator, uint64_t bytes, uint64_t *ret_skip)
{
    while (iterator->remaining > 0 && bytes > 0) {
        const uint8_t *value;
        size_t value_size;
        const uint8_t *next = peek(iterator, &value, &value_size);
        if (next == NULL)
            return -EBADMSG;
        if (bytes <= value_size) {
            *ret_skip = bytes;
            return 0;
        }
        bytes -= value_size + 1;
        consume(iterator, next);
    }
    if (iterator->remaining <= 0 && at_end(iterator) < 0)
        return -EBADMSG;
    *ret_skip = bytes;
    return 0;
}

/* Bytes of one record's line from `from` on, as many as fit. */
static size_t render_part(const uint8_t *value, size_t value_size, size_t from, uint8_t *to,
                          size_t room)
{
    size_t copied = value_size - from < room ? value_size - from : room;
    if (copied > 0)
        memcpy(to, value + from, copied);
    if (copied < room && from + copied == value_size)
        to[copied++] = '\n';
    return copied;
}

ssize_t view_render(struct record_iterator *iterator, uint64_t *skip, void *to, size_t size)
{
    uint64_t from = *skip;
    int result = view_skip(iterator, from, &from);
    if (result < 0)
        return result;
    uint8_t *out = to;
    size_t room = size;
    while (iterator->remaining > 0 && room > 0) {
        const uint8_t *value;
        size_t value_size;
        const uint8_t *next = peek(iterator, &value, &value_size);
        if (UNLIKELY(next == NULL))
            return -EBADMSG;
        if (LIKELY(from == 0 && value_size < room)) {
            if (value_size > 0)
                memcpy(out, value, value_size);
            out[value_size] = '\n';
            out += value_size + 1;
            room -= value_size + 1;
            consume(iterator, next);
            continue;
        }
        size_t part = render_part(value, value_size, (size_t)from, out, room);
        out += part;
        room -= part;
        from += part;
        if (from == value_size + 1) {
            from = 0;
            consume(iterator, next);
        }
    }
    if (iterator->remaining <= 0 && at_end(iterator) < 0)
        return -EBADMSG;
    *skip = from;
    return (ssize_t)(size - room);
}
