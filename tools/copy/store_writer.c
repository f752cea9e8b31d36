/* SPDX-License-Identifier: Apache-2.0 */
/* Appending copies. */
#include "store_writer.h"

#include "bytes.h"
#include "log_batch.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SYNC_BYTES = 64 << 20,
    FILLS_MAX = 4096, /* each stands for 2^31 offsets: beyond it, the offset is a mistake */
};

int store_writer_init(struct store_writer *writer, struct beck_store *store,
                      const struct beck_topic *topic, bool keep_offsets)
{
    struct beck_store_info info;
    struct beck_error error;

    if (beck_store_info(store, &info, &error) < 0)
        return tool_failed_error(&error);
    *writer = (struct store_writer){
        .store = store, .topic = *topic, .keep_offsets = keep_offsets, .flush_os = info.flush_os};
    writer->lanes = calloc(topic->partition_count, sizeof(*writer->lanes));
    if (writer->lanes == NULL)
        return tool_failed("not enough memory for %u partitions", topic->partition_count);
    return TOOL_OK;
}

void store_writer_done(struct store_writer *writer)
{
    for (uint32_t i = 0; writer->lanes != NULL && i < writer->topic.partition_count; i++)
        (void)beck_partition_close(writer->lanes[i].partition);
    free(writer->lanes);
    writer->lanes = NULL;
}

static int open_lane(struct store_writer *writer, int32_t partition,
                     struct store_writer_lane **ret_lane)
{
    struct beck_partition_state state;
    struct beck_error error;
    struct beck_partition *opened = NULL;

    if (partition >= 0 && (uint32_t)partition < writer->topic.partition_count &&
        writer->lanes[partition].partition != NULL) {
        *ret_lane = &writer->lanes[partition];
        return TOOL_OK;
    }
    int code = tool_open_partition(writer->store, &writer->topic, partition, &opened);
    if (code != TOOL_OK)
        return code;
    struct store_writer_lane *lane = &writer->lanes[partition];
    *lane = (struct store_writer_lane){.partition = opened, .first_offset = -1};
    if (beck_partition_state(opened, &state, &error) < 0)
        return tool_failed_error(&error);
    lane->next_offset = state.next_offset;
    *ret_lane = lane;
    return TOOL_OK;
}

int store_writer_next_offset(struct store_writer *writer, int32_t partition, int64_t *ret_offset)
{
    struct store_writer_lane *lane;

    int code = open_lane(writer, partition, &lane);
    if (code == TOOL_OK)
        *ret_offset = lane->next_offset;
    return code;
}

static int append(struct store_writer *writer, struct store_writer_lane *lane, const void *batch,
                  size_t size)
{
    struct beck_append_result result;
    struct beck_error error;

    int failed = beck_append_at(lane->partition, batch, size, BECK_ACKS_ALL, &result, &error);
    if (failed == -ERANGE)
        return tool_failed("%s (does somebody else append to it?)", error.message);
    if (failed < 0)
        return tool_failed_error(&error);
    lane->next_offset = result.next_offset;
    lane->unsynced_bytes += size;
    if (lane->unsynced_bytes < SYNC_BYTES)
        return TOOL_OK;
    lane->unsynced_bytes = 0;
    if (beck_sync(lane->partition, lane->next_offset, &error) < 0)
        return tool_failed_error(&error);
    (void)writer;
    return TOOL_OK;
}

/* Take up the offsets below `offset`. */
static int fill(struct store_writer *writer, struct store_writer_lane *lane, int64_t offset)
{
    uint8_t batch[BATCH_HEADER_BYTES];
    int code = TOOL_OK;

    for (int fills = 0; code == TOOL_OK && lane->next_offset < offset; fills++) {
        if (fills == FILLS_MAX)
            return tool_failed("offset %lld is too far behind the ones before it: use "
                               "--new-offsets",
                               (long long)offset);
        (void)log_batch_fill(batch, lane->next_offset, offset);
        code = append(writer, lane, batch, sizeof(batch));
    }
    return code;
}

int store_writer_put(struct store_writer *writer, int32_t partition, struct batch_header *header,
                     uint8_t *batch)
{
    struct store_writer_lane *lane;

    int code = open_lane(writer, partition, &lane);
    if (code != TOOL_OK)
        return code;
    if (!writer->keep_offsets) {
        header->base_offset = lane->next_offset;
        store_be64(batch, (uint64_t)lane->next_offset);
    }
    if (header->base_offset < lane->next_offset)
        return tool_failed("topic %s partition %d goes on at %lld and cannot take offset %lld: "
                           "import into an empty one, or with --new-offsets",
                           writer->topic.name, (int)partition, (long long)lane->next_offset,
                           (long long)header->base_offset);
    code = fill(writer, lane, header->base_offset);
    if (code == TOOL_OK)
        code = append(writer, lane, batch, batch_bytes(header));
    if (code != TOOL_OK)
        return code;
    if (lane->first_offset < 0)
        lane->first_offset = header->base_offset;
    lane->last_offset = batch_next_offset(header) - 1;
    lane->records += (uint64_t)header->record_count;
    lane->batches++;
    return TOOL_OK;
}

int store_writer_start_at(struct store_writer *writer, int32_t partition, int64_t offset)
{
    struct store_writer_lane *lane;

    int code = open_lane(writer, partition, &lane);
    if (code == TOOL_OK && writer->keep_offsets && lane->next_offset == 0)
        lane->start_offset = offset;
    return code;
}

int store_writer_end_at(struct store_writer *writer, int32_t partition, int64_t offset)
{
    struct store_writer_lane *lane;

    if (!writer->keep_offsets)
        return TOOL_OK;
    int code = open_lane(writer, partition, &lane);
    return code == TOOL_OK ? fill(writer, lane, offset) : code;
}

int store_writer_sync(struct store_writer *writer)
{
    struct beck_error error;
    uint32_t next_ms;

    for (uint32_t i = 0; i < writer->topic.partition_count; i++) {
        struct store_writer_lane *lane = &writer->lanes[i];
        if (lane->partition == NULL)
            continue;
        if (beck_sync(lane->partition, lane->next_offset, &error) < 0)
            return tool_failed_error(&error);
        int64_t start =
            lane->start_offset < lane->next_offset ? lane->start_offset : lane->next_offset;
        if (start > 0 && beck_trim(lane->partition, start, &start, &error) < 0)
            return tool_failed_error(&error);
    }
    /* So many offsets may have been given out that recovery should know of them. */
    if (beck_store_maintain(writer->store, true, &next_ms, &error) < 0)
        return tool_failed_error(&error);
    return TOOL_OK;
}

void store_writer_print(const struct store_writer *writer, bool synced)
{
    bool any = false;

    for (uint32_t i = 0; i < writer->topic.partition_count; i++) {
        const struct store_writer_lane *lane = &writer->lanes[i];
        if (lane->batches == 0)
            continue;
        any = true;
        (void)printf("%llu record%s in %llu batch%s to %s, partition %u offsets %lld..%lld%s\n",
                     (unsigned long long)lane->records, lane->records == 1 ? "" : "s",
                     (unsigned long long)lane->batches, lane->batches == 1 ? "" : "es",
                     writer->topic.name, i, (long long)lane->first_offset,
                     (long long)lane->last_offset, synced && !writer->flush_os ? ", synced" : "");
    }
    if (!any)
        (void)printf("no records to %s\n", writer->topic.name);
}
