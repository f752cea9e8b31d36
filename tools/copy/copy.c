/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying batches out. The one that the log's start lies in is built anew, without the records
 * before it: these were deleted.
 */
#include "copy.h"

#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int copy_begin(struct copy *copy, struct source_partition *partition, const char *topic,
               bool skip_damaged)
{
    struct beck_error error;

    *copy = (struct copy){.partition = partition, .topic = topic, .skip_damaged = skip_damaged};
    if (source_bounds(partition, &copy->bounds, &error) < 0 ||
        source_seek(partition, copy->bounds.start, &error) < 0)
        return tool_failed_error(&error);
    copy->passed = copy->bounds.start;
    return TOOL_OK;
}

void copy_done(struct copy *copy)
{
    source_records_done(&copy->records);
    free(copy->buffer);
    copy->buffer = NULL;
}

static int keep_bytes(struct copy *copy, const uint8_t *bytes, size_t size)
{
    if (size > copy->capacity) {
        uint8_t *larger = realloc(copy->buffer, size);
        if (larger == NULL)
            return -tool_failed("not enough memory for a batch of %zu bytes", size);
        copy->buffer = larger;
        copy->capacity = size;
    }
    memcpy(copy->buffer, bytes, size);
    return 1;
}

/* Add the records from the log's start on. */
static int add_kept(struct copy *copy, const struct source_batch *batch, struct log_batch *built)
{
    struct beck_record record;
    int result = source_records_begin(&copy->records, &batch->header, batch->bytes);

    while (result >= 0 && (result = record_next(&copy->records.iterator, &record)) > 0) {
        if (record.offset < copy->bounds.start)
            continue;
        result = log_batch_add(built, &record);
    }
    return result;
}

/* Build the batch that the log's start lies in anew. 1; 0: nothing of it is left. */
static int cut_batch(struct copy *copy, const struct source_batch *batch,
                     struct batch_header *ret_header)
{
    struct log_batch built;
    const uint8_t *bytes;
    size_t size = 0;
    int codec = batch->header.attributes & BATCH_CODEC_MASK;

    int result = log_batch_init(&built, (enum beck_compression)codec);
    if (result == 0)
        result = add_kept(copy, batch, &built);
    bool left = !log_batch_is_empty(&built);
    if (result == 0 && left)
        result = log_batch_finish(&built, &bytes, &size);
    if (result == 0 && left) {
        result = keep_bytes(copy, bytes, size);
        *ret_header = built.header;
        (void)batch_header_read(copy->buffer, size, ret_header, NULL);
    } else if (result < 0) {
        result = -tool_failed("%s-%d offset %lld: %s", copy->topic, (int)copy->partition->number,
                              (long long)batch->header.base_offset, strerror(-result));
    }
    log_batch_done(&built);
    return result;
}

static bool is_copied(const struct copy *copy, const struct source_batch *batch)
{
    return (batch->header.attributes & BATCH_CONTROL) == 0 && !batch->aborted &&
           batch->header.record_count > 0 && batch_next_offset(&batch->header) > copy->bounds.start;
}

/* All that is there was read: is it all that there should be? 0, or a negative exit code. */
static int check_end(struct copy *copy)
{
    if (copy->bounds.promised <= copy->bounds.end)
        return 0;
    copy->damaged = true;
    int code = tool_failed("%s-%d ends with offset %lld, but its checkpoint says that there was "
                           "more, up to %lld",
                           copy->topic, (int)copy->partition->number,
                           (long long)copy->bounds.end - 1, (long long)copy->bounds.promised - 1);
    return copy->skip_damaged ? 0 : -code;
}

/* The next stored batch that is copied: 1; 0: the end. */
static int next_copied(struct copy *copy, struct source_batch *batch)
{
    struct source_damage damage;
    struct beck_error error;

    for (;;) {
        if (signals_caught())
            return -tool_failed("stopped before the end");
        if (copy->passed >= copy->bounds.stable)
            return check_end(copy);
        int result = source_next_batch(copy->partition, batch, &damage, &error);
        if (result == -EBADMSG && copy->skip_damaged) {
            copy->damaged = true;
            (void)tool_failed_error(&error);
            continue;
        }
        if (result < 0)
            return -tool_failed_error(&error);
        if (result == 0)
            return check_end(copy);
        copy->passed = batch_next_offset(&batch->header);
        if (batch->header.base_offset >= copy->bounds.stable)
            return 0;
        if (is_copied(copy, batch))
            return 1;
    }
}

int copy_next(struct copy *copy, struct batch_header *ret_header, uint8_t **ret_batch)
{
    struct source_batch batch;
    int result;

    do {
        result = next_copied(copy, &batch);
        if (result <= 0)
            return result;
        *ret_header = batch.header;
        result = batch.header.base_offset < copy->bounds.start
                     ? cut_batch(copy, &batch, ret_header)
                     : keep_bytes(copy, batch.bytes, batch_bytes(&batch.header));
    } while (result == 0);
    if (result > 0) {
        log_batch_make_plain(copy->buffer, ret_header, ret_header->base_offset, 0);
        *ret_batch = copy->buffer;
    }
    return result;
}
