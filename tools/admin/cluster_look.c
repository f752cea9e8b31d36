/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where partitions of a cluster begin and end, and how old the records are that a group would read
 * next. All partitions are fetched from at once, as little as a broker gives: an answer has one
 * batch in all. A partition is stopped as soon as its first record is there.
 */
#include "cluster_admin.h"

#include "parse.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>

struct look {
    struct admin_offsets *offsets;
    rd_kafka_topic_t **topics; /* one for each offset that is being read; else NULL */
    size_t running;
};

static int64_t unread(const struct admin_offset *offset)
{
    return offset->offset > offset->start ? offset->offset : offset->start;
}

static void stop(struct look *look, size_t at)
{
    if (look->topics[at] == NULL)
        return;
    (void)rd_kafka_consume_stop(look->topics[at], look->offsets->items[at].partition);
    rd_kafka_topic_destroy(look->topics[at]);
    look->topics[at] = NULL;
    look->running--;
}

/* The topics that have something unread. Their leaders are looked up at once; else librdkafka would
 * do so when its timer comes round, a second later. */
static int name_topics(struct look *look, rd_kafka_t *reader, struct beck_error *error)
{
    const struct rd_kafka_metadata *metadata = NULL;

    for (size_t i = 0; i < look->offsets->count; i++) {
        const struct admin_offset *offset = &look->offsets->items[i];
        if (unread(offset) >= offset->end)
            continue;
        look->topics[i] = rd_kafka_topic_new(reader, offset->topic, NULL);
        if (look->topics[i] == NULL)
            return cluster_error(error, rd_kafka_last_error(), "topic %s", offset->topic);
        look->running++;
    }
    if (look->running == 0)
        return 0;
    rd_kafka_resp_err_t wrong = rd_kafka_metadata(reader, 0, NULL, &metadata, CLUSTER_PATIENCE_MS);
    if (wrong)
        return cluster_error(error, wrong, "cannot list the topics");
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

static int start_all(struct look *look, rd_kafka_t *reader, struct beck_error *error)
{
    int result = name_topics(look, reader, error);
    for (size_t i = 0; result == 0 && i < look->offsets->count; i++) {
        const struct admin_offset *offset = &look->offsets->items[i];
        if (look->topics[i] != NULL &&
            rd_kafka_consume_start(look->topics[i], offset->partition, unread(offset)) < 0)
            result = cluster_error(error, rd_kafka_last_error(), "topic %s partition %d",
                                   offset->topic, (int)offset->partition);
    }
    return result;
}

/* A record, the end, or what is wrong with a partition. */
static int take_message(struct admin_offset *offset, const rd_kafka_message_t *message,
                        struct beck_error *error)
{
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return cluster_error(error, message->err, "topic %s partition %d", offset->topic,
                             (int)offset->partition);
    if (!message->err) {
        int64_t time_ms = rd_kafka_message_timestamp(message, NULL);
        offset->record_ms = time_ms > 0 ? time_ms : 0;
    }
    return 0;
}

static int read_all(struct look *look, struct beck_error *error)
{
    int64_t until_ms = parse_now_ms() + CLUSTER_PATIENCE_MS;
    int result = 0;

    for (size_t i = 0; result == 0 && i < look->offsets->count; i++) {
        struct admin_offset *offset = &look->offsets->items[i];
        int64_t left_ms = until_ms - parse_now_ms();
        if (look->topics[i] == NULL)
            continue;
        rd_kafka_message_t *message =
            rd_kafka_consume(look->topics[i], offset->partition, left_ms > 0 ? (int)left_ms : 0);
        if (message == NULL)
            return report(error, -ETIMEDOUT, "topic %s partition %d cannot be read within %d s",
                          offset->topic, (int)offset->partition, CLUSTER_PATIENCE_MS / 1000);
        result = take_message(offset, message, error);
        rd_kafka_message_destroy(message);
        stop(look, i);
    }
    return result;
}

static int read_ages(struct cluster_admin *admin, struct admin_offsets *offsets,
                     struct beck_error *error)
{
    struct look look = {.offsets = offsets};
    rd_kafka_t *reader = NULL;

    int result = cluster_reader(admin, &reader, error);
    if (result < 0)
        return result;
    look.topics = calloc(offsets->count + 1, sizeof(rd_kafka_topic_t *));
    if (look.topics == NULL)
        return report(error, -ENOMEM, "not enough memory");
    result = start_all(&look, reader, error);
    if (result == 0)
        result = read_all(&look, error);
    for (size_t i = 0; i < offsets->count; i++)
        stop(&look, i);
    free(look.topics);
    return result;
}

int cluster_look(struct admin *base, struct admin_offsets *offsets, bool ages,
                 struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    struct beck_error later;

    int result = cluster_offsets_at(admin, admin->client, offsets, CLUSTER_AT_START, error);
    for (size_t i = 0; i < offsets->count; i++)
        offsets->items[i].start = offsets->items[i].target;
    int ended = cluster_offsets_at(admin, admin->client, offsets, CLUSTER_AT_END,
                                   result < 0 ? &later : error);
    for (size_t i = 0; i < offsets->count; i++) {
        offsets->items[i].end = offsets->items[i].start < 0 ? -1 : offsets->items[i].target;
        offsets->items[i].target = -1;
    }
    result = result < 0 ? result : ended;
    ended = ages ? read_ages(admin, offsets, result < 0 ? &later : error) : 0;
    return result < 0 ? result : ended;
}
