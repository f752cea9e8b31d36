/* SPDX-License-Identifier: Apache-2.0 */
/* A record as beck consume prints it: fields as text, or the lossless JSON form. */
#include "consume.h"

#include <errno.h>

static void print_bytes(struct consume *consume, const void *data, int32_t size)
{
    if (size >= 0)
        output_write(&consume->output, data, (size_t)size);
    else
        output_write(&consume->output, consume->null_text, consume->null_size);
}

/* name=value,name=value; a null value without the "=". */
static int print_headers(struct consume *consume, const struct beck_record *record)
{
    struct beck_header header;
    size_t position = 0;
    int result;

    for (int i = 0; (result = beck_header_next(record, &position, &header)) > 0; i++) {
        if (i > 0)
            output_byte(&consume->output, ',');
        output_write(&consume->output, header.name, (size_t)header.name_size);
        if (header.value_size < 0)
            continue;
        output_byte(&consume->output, '=');
        output_write(&consume->output, header.value, (size_t)header.value_size);
    }
    return result;
}

static int print_field(struct consume *consume, enum field field, const struct beck_record *record,
                       int32_t partition)
{
    switch (field) {
    case FIELD_PARTITION:
        output_number(&consume->output, partition);
        return 0;
    case FIELD_OFFSET:
        output_number(&consume->output, record->offset);
        return 0;
    case FIELD_TIMESTAMP:
        output_number(&consume->output, record->timestamp_ms);
        return 0;
    case FIELD_KEY:
        print_bytes(consume, record->key, record->key_size);
        return 0;
    case FIELD_HEADERS:
        return print_headers(consume, record);
    case FIELD_VALUE:
        print_bytes(consume, record->value, record->value_size);
        return 0;
    }
    return 0;
}

static int print_json(struct consume *consume, const struct beck_record *record, int32_t partition)
{
    struct output *output = &consume->output;
    const char *topic = consume->several ? consume->topic : NULL;
    size_t free_bytes = output->capacity - output->used;

    ssize_t size =
        beck_record_json(record, topic, partition, output->buffer + output->used, free_bytes);
    if (size > 0 && (size_t)size > free_bytes) {
        char *room = output_room(output, (size_t)size);
        if (room == NULL)
            return -ENOMEM;
        size = beck_record_json(record, topic, partition, room, (size_t)size);
    }
    if (size > 0)
        output_used(output, (size_t)size);
    return size < 0 ? (int)size : 0;
}

static int print_record(struct consume *consume, const struct beck_record *record,
                        int32_t partition)
{
    int result = 0;

    if (consume->json)
        return print_json(consume, record, partition);
    if (consume->value_only) {
        print_bytes(consume, record->value, record->value_size);
    } else {
        for (unsigned i = 0; i < consume->field_count && result >= 0; i++) {
            if (i > 0)
                output_byte(&consume->output, '\t');
            result = print_field(consume, consume->fields[i], record, partition);
        }
    }
    if (consume->newline)
        output_byte(&consume->output, '\n');
    return result;
}

int consume_print(struct consume *consume, const struct beck_record *record, int32_t partition)
{
    output_flush_aged(&consume->output); /* also while nothing passes the filter */
    if (!filter_is_empty(&consume->filter) && !filter_passes(&consume->filter, record))
        return 0;
    int result = print_record(consume, record, partition);
    return result < 0 ? result : 1;
}
