/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending into a store. A partition ("lane") is opened, and its batch builder made, when the first
 * record goes there. All lanes together hold a bounded number of bytes: above it, all are appended;
 * so a topic of a thousand partitions costs no more memory than one of sixty-four.
 *
 * Syncs every so many bytes: readers see an acks=all record only when it was synced, and would
 * otherwise wait for the whole of a large input.
 */
#include "sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES_BYTES = 64 << 20,      /* in all builders together */
    SYNC_BYTES = 64 << 20,       /* between syncs */
    RECORD_OVERHEAD_BYTES = 128, /* about what a record costs besides key and value */
};

struct store_lane {
    struct beck_partition *partition;
    struct beck_batch_builder *builder;
    int64_t sync_to; /* -1: nothing to sync */
};

struct store_sender {
    struct sender base;
    struct beck_store *store;
    struct beck_topic topic;
    struct sender_options options;
    uint32_t batch_bytes_max;
    size_t held_bytes;
    size_t unsynced_bytes;
    int64_t waiting_since_usec; /* the oldest record that is not acknowledged; and how many */
    uint64_t waiting;
    bool promises_sync; /* acks=all, and no flush.policy=os */
    struct store_lane lanes[];
};

/* What the topic's configuration says of batches and syncs. */
static void read_config(struct store_sender *sender)
{
    struct beck_config_entry entry;
    struct beck_store_info info;
    struct beck_error error;

    sender->batch_bytes_max = BECK_BATCH_BYTES_DEFAULT;
    sender->promises_sync = sender->options.acks == BECK_ACKS_ALL;
    if (beck_store_info(sender->store, &info, &error) == 0 && info.flush_os)
        sender->promises_sync = false;
    for (uint32_t i = 0;
         beck_topic_config(sender->store, sender->topic.name, i, &entry, &error) > 0; i++) {
        if (strcmp(entry.name, "max.message.bytes") == 0)
            sender->batch_bytes_max = (uint32_t)strtoul(entry.value, NULL, 10);
        if (strcmp(entry.name, "flush.policy") == 0 && strcmp(entry.value, "os") == 0)
            sender->promises_sync = false;
    }
}

static void store_sender_free(struct sender *base)
{
    struct store_sender *sender = (struct store_sender *)base;

    for (uint32_t i = 0; i < sender->topic.partition_count; i++) {
        (void)beck_batch_builder_free(sender->lanes[i].builder);
        (void)beck_partition_close(sender->lanes[i].partition);
    }
    free(sender);
}

static int open_lane(struct store_sender *sender, int32_t number, struct store_lane **ret_lane)
{
    struct beck_error error;

    if (number < 0 || (uint32_t)number >= sender->topic.partition_count)
        return tool_failed("topic %s has no partition %d: it has 0 to %u", sender->topic.name,
                           (int)number, sender->topic.partition_count - 1);
    struct store_lane *lane = &sender->lanes[number];
    if (lane->partition == NULL) {
        int code = tool_open_partition(sender->store, &sender->topic, number, &lane->partition);
        if (code != TOOL_OK)
            return code;
    }
    if (lane->builder == NULL &&
        beck_batch_builder_new(sender->options.compression, sender->batch_bytes_max, &lane->builder,
                               &error) < 0)
        return tool_failed_error(&error);
    *ret_lane = lane;
    return TOOL_OK;
}

static int flush_lane(struct store_sender *sender, struct store_lane *lane)
{
    struct sender_lane *counts = &sender->base.lanes[lane - sender->lanes];
    struct beck_append_result result;
    struct beck_error error;
    const void *batch;
    size_t size;

    if (lane->builder == NULL || beck_batch_builder_count(lane->builder) == 0)
        return TOOL_OK;
    if (beck_batch_builder_finish(lane->builder, &batch, &size, &error) < 0 ||
        beck_append(lane->partition, batch, size, sender->options.acks, &result, &error) < 0)
        return tool_failed_error(&error);
    if (counts->first_offset < 0)
        counts->first_offset = result.base_offset;
    counts->last_offset = result.next_offset - 1;
    counts->records += beck_batch_builder_count(lane->builder);
    counts->batches++;
    lane->sync_to = result.next_offset;
    sender->unsynced_bytes += size;
    sender->base.synced = false;
    beck_batch_builder_reset(lane->builder);
    return TOOL_OK;
}

static int store_sender_flush(struct sender *base)
{
    struct store_sender *sender = (struct store_sender *)base;

    for (uint32_t i = 0; i < sender->topic.partition_count; i++) {
        int code = flush_lane(sender, &sender->lanes[i]);
        if (code != TOOL_OK)
            return code;
    }
    sender->held_bytes = 0;
    return TOOL_OK;
}

/* All that was added is acknowledged now; as long as the oldest of it took is counted for all. */
static void count_latency(struct store_sender *sender)
{
    if (sender->base.latency != NULL)
        latency_add(sender->base.latency, latency_now_usec() - sender->waiting_since_usec,
                    sender->waiting);
    sender->waiting = 0;
}

static int store_sender_sync(struct sender *base)
{
    struct store_sender *sender = (struct store_sender *)base;
    struct beck_error error;

    int code = store_sender_flush(base);
    if (code != TOOL_OK)
        return code;
    sender->unsynced_bytes = 0;
    /* Where no daemon does it: or a long run would leave all of it to be scanned after a crash.
     * That it could not be done is for whoever does it next to say. */
    uint32_t next_ms;
    (void)beck_store_maintain(sender->store, false, &next_ms, NULL);
    if (sender->options.acks != BECK_ACKS_ALL) {
        count_latency(sender);
        return TOOL_OK;
    }
    for (uint32_t i = 0; i < sender->topic.partition_count; i++) {
        struct store_lane *lane = &sender->lanes[i];
        if (lane->sync_to < 0)
            continue;
        if (beck_sync(lane->partition, lane->sync_to, &error) < 0)
            return tool_failed_error(&error);
        lane->sync_to = -1;
    }
    sender->base.synced = sender->promises_sync;
    count_latency(sender);
    return TOOL_OK;
}

static int refused(const struct store_sender *sender, const struct beck_record *record,
                   const struct sender_origin *origin, int result)
{
    char number[24] = "";

    if (origin->number > 0)
        (void)snprintf(number, sizeof(number), " %llu", (unsigned long long)origin->number);
    if (result == -EMSGSIZE)
        return tool_failed("%s%s: a record of %d bytes is more than topic %s takes "
                           "(max.message.bytes is %u)",
                           origin->what, number, (int)record->value_size, sender->topic.name,
                           sender->batch_bytes_max);
    return tool_failed("%s%s: %s", origin->what, number, strerror(-result));
}

/* Add to a lane's batch; where that is full, append it and begin the next one. */
static int add_to_lane(struct store_sender *sender, struct store_lane *lane,
                       const struct beck_record *record, const struct sender_origin *origin)
{
    int result = beck_batch_builder_add(lane->builder, record);
    if (result == -EMSGSIZE && beck_batch_builder_count(lane->builder) > 0) {
        int code = flush_lane(sender, lane);
        if (code != TOOL_OK)
            return code;
        result = beck_batch_builder_add(lane->builder, record);
    }
    return result < 0 ? refused(sender, record, origin, result) : TOOL_OK;
}

static int store_sender_add(struct sender *base, int32_t partition,
                            const struct beck_record *record, const struct sender_origin *origin,
                            int32_t *ret_partition)
{
    struct store_sender *sender = (struct store_sender *)base;
    struct store_lane *lane;

    if (partition < 0)
        partition = (int32_t)beck_partition_for_key(
            sender->store, record->key_size < 0 ? NULL : record->key, record->key_size,
            sender->topic.partition_count);
    if (base->latency != NULL && sender->waiting++ == 0)
        sender->waiting_since_usec = latency_now_usec();
    int code = open_lane(sender, partition, &lane);
    if (code == TOOL_OK)
        code = add_to_lane(sender, lane, record, origin);
    if (code != TOOL_OK)
        return code;
    sender->held_bytes += (size_t)(record->value_size > 0 ? record->value_size : 0) +
                          (size_t)(record->key_size > 0 ? record->key_size : 0) +
                          RECORD_OVERHEAD_BYTES;
    if (sender->held_bytes > LANES_BYTES)
        code = store_sender_flush(base);
    if (code == TOOL_OK && sender->unsynced_bytes > SYNC_BYTES)
        code = store_sender_sync(base);
    if (ret_partition != NULL)
        *ret_partition = partition;
    return code;
}

static const struct sender_ops store_sender_ops = {
    .free = store_sender_free,
    .add = store_sender_add,
    .flush = store_sender_flush,
    .sync = store_sender_sync,
};

int sender_of_store(struct beck_store *store, const struct beck_topic *topic,
                    const struct sender_options *options, struct sender **ret_sender)
{
    struct store_sender *sender =
        calloc(1, sizeof(*sender) + topic->partition_count * sizeof(struct store_lane));
    if (sender == NULL ||
        sender_init(&sender->base, &store_sender_ops, topic->name, topic->partition_count) < 0) {
        free(sender);
        return tool_failed("not enough memory for %u partitions", topic->partition_count);
    }
    sender->store = store;
    sender->topic = *topic;
    sender->options = *options;
    read_config(sender);
    sender->base.value_limit = sender->batch_bytes_max;
    for (uint32_t i = 0; i < topic->partition_count; i++)
        sender->lanes[i].sync_to = -1;
    *ret_sender = &sender->base;
    return TOOL_OK;
}
