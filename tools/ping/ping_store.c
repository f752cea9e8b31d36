/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store: opening it, reading its list of topics, and a record from its append, which waits for
 * the disk, to a reader that was woken.
 */
#include "ping.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 10000 };

struct store_ping {
    struct ping base;
    struct beck_store *store;
    struct beck_partition *partition;
    struct beck_reader *reader;
    struct beck_batch_builder *builder;
};

static void done(struct store_ping *ping)
{
    ping->reader = beck_reader_free(ping->reader);
    ping->partition = beck_partition_close(ping->partition);
    ping->store = beck_store_close(ping->store);
}

/* Open it anew. */
static int store_connect(struct ping *base)
{
    struct store_ping *ping = (struct store_ping *)base;

    done(ping);
    return tool_open(base->tool, base->topic != NULL ? TOOL_WRITE : TOOL_READ, &ping->store);
}

static int store_metadata(struct ping *base)
{
    struct store_ping *ping = (struct store_ping *)base;
    struct beck_topic topic = {.name = ""};
    struct beck_error error;
    int result;

    while ((result = beck_topic_next(ping->store, topic.name, &topic, &error)) > 0) {
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int open_partition(struct store_ping *ping)
{
    struct beck_topic topic;
    struct beck_error error;

    if (ping->partition != NULL)
        return TOOL_OK;
    int code = tool_find_topic(ping->store, ping->base.topic, &topic);
    if (code == TOOL_OK)
        code = tool_open_partition(ping->store, &topic, ping->base.partition, &ping->partition);
    if (code == TOOL_OK &&
        beck_reader_new(ping->partition, BECK_READ_COMMITTED, &ping->reader, &error) < 0)
        code = tool_failed_error(&error);
    if (code == TOOL_OK && ping->builder == NULL &&
        beck_batch_builder_new(BECK_COMPRESSION_NONE, 65536, &ping->builder, &error) < 0)
        code = tool_failed_error(&error);
    return code;
}

static int append(struct store_ping *ping, int64_t *ret_offset)
{
    static const char value[] = "beck ping";
    const struct beck_record record = {
        .key_size = -1, .value = value, .value_size = sizeof(value) - 1};
    struct beck_append_result result;
    struct beck_error error;
    const void *batch;
    size_t size;

    beck_batch_builder_reset(ping->builder);
    if (beck_batch_builder_add(ping->builder, &record) < 0)
        return tool_failed("a record could not be made");
    if (beck_batch_builder_finish(ping->builder, &batch, &size, &error) < 0 ||
        beck_append(ping->partition, batch, size, BECK_ACKS_ALL, &result, &error) < 0 ||
        beck_sync(ping->partition, result.next_offset, &error) < 0)
        return tool_failed_error(&error);
    *ret_offset = result.base_offset;
    return TOOL_OK;
}

static int store_record(struct ping *base)
{
    struct store_ping *ping = (struct store_ping *)base;
    struct beck_record record;
    struct beck_error error;
    int64_t offset = 0;

    int code = open_partition(ping);
    if (code == TOOL_OK)
        code = append(ping, &offset);
    if (code != TOOL_OK)
        return code;
    int result = beck_partition_wait(ping->partition, offset, BECK_READ_COMMITTED, WAIT_MS, &error);
    if (result == 1)
        result = beck_reader_seek(ping->reader, offset, &error) < 0
                     ? -1
                     : beck_reader_next(ping->reader, &record, &error);
    if (result < 0)
        return tool_failed_error(&error);
    return result == 1 ? TOOL_OK
                       : tool_failed("offset %lld cannot be read within %d s", (long long)offset,
                                     WAIT_MS / 1000);
}

static void store_close(struct ping *base)
{
    struct store_ping *ping = (struct store_ping *)base;

    done(ping);
    (void)beck_batch_builder_free(ping->builder);
    free(ping);
}

static const struct ping_ops store_ops = {
    .connect = store_connect,
    .metadata = store_metadata,
    .record = store_record,
    .close = store_close,
};

int ping_of_store(const struct tool *tool, const char *topic, int32_t partition,
                  struct ping **ret_ping)
{
    struct store_ping *ping = calloc(1, sizeof(*ping));

    if (ping == NULL)
        return tool_failed("not enough memory");
    ping->base = (struct ping){&store_ops, tool, topic, partition};
    *ret_ping = &ping->base;
    return TOOL_OK;
}
