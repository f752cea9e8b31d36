/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Kafka broker or cluster as a source, by librdkafka. A partition is read through a queue of its
 * own; its end is where the broker says that it is, so reading waits until a record or the end has
 * come. There are no batches to be had: librdkafka has taken them apart.
 */
#include "cluster_source.h"

#include "cluster.h"
#include "cluster_record.h"
#include "parse.h"
#include "report.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_WAIT_MS 1000
#define FETCH_WAIT_MS                                                                              \
    "100" /* of a broker for more; until then it does not hear of other partitions */

struct cluster_source {
    struct source base;
    const struct tool *tool;
    rd_kafka_t *clients[2]; /* by isolation; made when first needed */
    const struct rd_kafka_metadata *metadata;
    int64_t gone_ms;
    int wake[2]; /* a pipe that librdkafka writes to when something came; -1: none */
};

struct cluster_partition {
    struct source_partition base;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *message; /* that was handed out last */
    struct headers headers;      /* of it, as a record has them */
    bool is_started;
    bool at_end;
};

/* ---- the cluster -------------------------------------------------------------------------- */

static int client_of(struct cluster_source *source, enum beck_isolation isolation,
                     rd_kafka_t **ret_client, struct beck_error *error)
{
    const struct cluster_setting settings[] = {
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},
        {"isolation.level",
         isolation == BECK_READ_COMMITTED ? "read_committed" : "read_uncommitted"},
        {"fetch.wait.max.ms", FETCH_WAIT_MS},
        {"topic.metadata.refresh.interval.ms", "-1"},
        {NULL, NULL},
    };
    rd_kafka_t **client = &source->clients[isolation == BECK_READ_COMMITTED];
    int result = *client ? 0
                         : cluster_client_new(source->tool, RD_KAFKA_CONSUMER, settings, NULL,
                                              client, error);
    if (result == 0)
        *ret_client = *client;
    return result;
}

static int read_metadata(struct cluster_source *source, struct beck_error *error)
{
    rd_kafka_t *client = NULL;
    if (source->metadata != NULL)
        return 0;
    int result = client_of(source, BECK_READ_COMMITTED, &client, error);
    if (result < 0)
        return result;
    rd_kafka_resp_err_t wrong =
        rd_kafka_metadata(client, 1, NULL, &source->metadata, CLUSTER_PATIENCE_MS);
    return wrong ? cluster_error(error, wrong, "%s: cannot list the topics", source->tool->brokers)
                 : 0;
}

static void cluster_close(struct source *base)
{
    struct cluster_source *source = (struct cluster_source *)base;

    if (source->metadata != NULL)
        rd_kafka_metadata_destroy(source->metadata);
    for (int i = 0; i < 2; i++) {
        if (source->clients[i] != NULL)
            rd_kafka_destroy(source->clients[i]);
        if (source->wake[i] >= 0)
            (void)close(source->wake[i]);
    }
    free(source);
}

/* ---- topics ------------------------------------------------------------------------------- */

static int fill_topic(const struct rd_kafka_metadata_topic *topic, struct source_topic *ret_topic)
{
    if (!beck_topic_name_valid(topic->topic))
        return -EINVAL;
    *ret_topic = (struct source_topic){.partition_count = (uint32_t)topic->partition_cnt};
    strcpy(ret_topic->name, topic->topic);
    return 0;
}

static int cluster_topic_next(struct source *base, const char *after,
                              struct source_topic *ret_topic, struct beck_error *error)
{
    struct cluster_source *source = (struct cluster_source *)base;
    const struct rd_kafka_metadata_topic *next = NULL;

    int result = read_metadata(source, error);
    for (int i = 0; result == 0 && i < source->metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &source->metadata->topics[i];
        if (strcmp(topic->topic, after) > 0 && (!next || strcmp(topic->topic, next->topic) < 0))
            next = topic;
    }
    if (result < 0 || next == NULL)
        return result;
    return fill_topic(next, ret_topic) < 0
               ? report(error, -EINVAL, "the broker has a topic of no possible name")
               : 1;
}

static int cluster_topic_find(struct source *base, const char *name, struct source_topic *ret_topic,
                              struct beck_error *error)
{
    struct cluster_source *source = (struct cluster_source *)base;

    int result = read_metadata(source, error);
    for (int i = 0; result == 0 && i < source->metadata->topic_cnt; i++)
        if (strcmp(source->metadata->topics[i].topic, name) == 0)
            return fill_topic(&source->metadata->topics[i], ret_topic);
    return result < 0
               ? result
               : report(error, -ENOENT, "there is no topic %s (make it with: beck topic create %s)",
                        name, name);
}

static int32_t cluster_partition_next(struct source *base, const struct source_topic *topic,
                                      int32_t after)
{
    (void)base;
    return (uint32_t)(after + 1) < topic->partition_count ? after + 1 : -1;
}

/* ---- a partition -------------------------------------------------------------------------- */

static void stop(struct cluster_partition *partition)
{
    if (partition->message != NULL)
        rd_kafka_message_destroy(partition->message);
    partition->message = NULL;
    if (partition->is_started)
        (void)rd_kafka_consume_stop(partition->topic, partition->base.number);
    partition->is_started = false;
    partition->at_end = false;
}

static void cluster_partition_close(struct source_partition *base)
{
    struct cluster_partition *partition = (struct cluster_partition *)base;

    stop(partition);
    if (partition->queue != NULL)
        rd_kafka_queue_destroy(partition->queue);
    if (partition->topic != NULL)
        rd_kafka_topic_destroy(partition->topic);
    headers_done(&partition->headers);
    free(partition);
}

static int cluster_partition_open(struct source *base, const struct source_topic *topic,
                                  int32_t number, enum beck_isolation isolation,
                                  struct source_partition **ret_partition, struct beck_error *error)
{
    struct cluster_source *source = (struct cluster_source *)base;

    if (number < 0 || (uint32_t)number >= topic->partition_count)
        return report(error, -ENOENT, "topic %s has no partition %d: it has 0 to %u", topic->name,
                      (int)number, topic->partition_count - 1);
    struct cluster_partition *partition = calloc(1, sizeof(*partition));
    if (partition == NULL)
        return report(error, -ENOMEM, "not enough memory");
    partition->base = (struct source_partition){base->ops, base, isolation, number};
    int result = client_of(source, isolation, &partition->client, error);
    if (result == 0) {
        partition->topic = rd_kafka_topic_new(partition->client, topic->name, NULL);
        partition->queue = rd_kafka_queue_get_partition(partition->client, topic->name, number);
        if (partition->topic == NULL || partition->queue == NULL)
            result = report(error, -ENOMEM, "not enough memory");
    }
    if (result < 0) {
        cluster_partition_close(&partition->base);
        return result;
    }
    if (source->wake[1] >= 0)
        rd_kafka_queue_io_event_enable(partition->queue, source->wake[1], "!", 1);
    *ret_partition = &partition->base;
    return 0;
}

/* Ask where it begins and ends. A leader that is on its way to another broker is waited for. */
static rd_kafka_resp_err_t query(const struct cluster_partition *partition, int64_t *ret_low,
                                 int64_t *ret_high)
{
    const char *topic = rd_kafka_topic_name(partition->topic);
    int64_t since_ms = parse_now_ms();
    rd_kafka_resp_err_t wrong;

    do {
        wrong = rd_kafka_query_watermark_offsets(partition->client, topic, partition->base.number,
                                                 ret_low, ret_high, CLUSTER_PATIENCE_MS);
        if (wrong == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) /* the topic has it, so it said */
            wrong = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    } while ((wrong == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
              wrong == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION) &&
             cluster_again(since_ms));
    return wrong;
}

static int cluster_bounds(struct source_partition *base, struct source_bounds *ret_bounds,
                          struct beck_error *error)
{
    struct cluster_partition *partition = (struct cluster_partition *)base;
    int64_t low;
    int64_t high;

    rd_kafka_resp_err_t wrong = query(partition, &low, &high);
    if (wrong)
        return cluster_error(error, wrong, "topic %s partition %d: cannot ask where it ends",
                             rd_kafka_topic_name(partition->topic), (int)base->number);
    *ret_bounds =
        (struct source_bounds){.start = low, .stable = high, .end = high, .promised = low};
    return 0;
}

static int cluster_offset_for_time(struct source_partition *base, int64_t timestamp_ms,
                                   int64_t *ret_offset, struct beck_error *error)
{
    struct cluster_partition *partition = (struct cluster_partition *)base;
    const char *topic = rd_kafka_topic_name(partition->topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, base->number)->offset = timestamp_ms;
    rd_kafka_resp_err_t wrong =
        rd_kafka_offsets_for_times(partition->client, list, CLUSTER_PATIENCE_MS);
    if (!wrong)
        wrong = list->elems[0].err;
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (wrong)
        return cluster_error(error, wrong, "topic %s partition %d: cannot look up a time", topic,
                             (int)base->number);
    if (offset >= 0)
        *ret_offset = offset;
    return offset >= 0;
}

static int cluster_seek(struct source_partition *base, int64_t offset, struct beck_error *error)
{
    struct cluster_partition *partition = (struct cluster_partition *)base;

    stop(partition);
    if (rd_kafka_consume_start(partition->topic, base->number, offset) < 0)
        return cluster_error(error, rd_kafka_last_error(), "topic %s partition %d",
                             rd_kafka_topic_name(partition->topic), (int)base->number);
    partition->is_started = true;
    return 0;
}

/* ---- records ------------------------------------------------------------------------------ */

/* Nothing comes, and not even that there is nothing. Who follows goes on with other partitions. */
static int gone(struct cluster_partition *partition, int64_t after_ms, struct beck_error *error)
{
    partition->at_end = true;
    return report(error, -ETIMEDOUT, "topic %s partition %d: no broker gave anything for %d s",
                  rd_kafka_topic_name(partition->topic), (int)partition->base.number,
                  (int)(after_ms / 1000));
}

/* The partition's next event, or NULL after a while. At its end nothing more is waited for. */
static rd_kafka_message_t *take_event(const struct cluster_partition *partition)
{
    const struct source *source = partition->base.source;
    int32_t number = partition->base.number;

    rd_kafka_message_t *message = rd_kafka_consume(partition->topic, number, 0);
    if (message != NULL || partition->at_end)
        return message;
    if (source->before_wait != NULL)
        source->before_wait(source->before_wait_context);
    return rd_kafka_consume(partition->topic, number, MESSAGE_WAIT_MS);
}

static int cluster_next(struct source_partition *base, struct beck_record *ret_record,
                        struct beck_error *error)
{
    struct cluster_partition *partition = (struct cluster_partition *)base;
    const struct cluster_source *source = (const struct cluster_source *)base->source;
    struct source_bounds bounds = {0};
    int64_t since_ms = 0;

    if (!partition->is_started) {
        int result = cluster_bounds(base, &bounds, error);
        if (result == 0)
            result = cluster_seek(base, bounds.start, error);
        if (result < 0)
            return result;
    }
    if (partition->message != NULL)
        rd_kafka_message_destroy(partition->message);
    for (;;) {
        partition->message = take_event(partition);
        if (partition->message == NULL && (partition->at_end || signals_caught()))
            return 0;
        if (partition->message == NULL) { /* the broker is slow, or gone for a while */
            since_ms = since_ms > 0 ? since_ms : parse_now_ms() - MESSAGE_WAIT_MS;
            if (parse_now_ms() - since_ms >= source->gone_ms)
                return gone(partition, source->gone_ms, error);
            continue;
        }
        partition->at_end = partition->message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (partition->at_end)
            return 0;
        if (partition->message->err)
            return cluster_error(error, partition->message->err, "topic %s partition %d",
                                 rd_kafka_topic_name(partition->topic), (int)base->number);
        return cluster_record(partition->message, &partition->headers, ret_record) < 0
                   ? report(error, -ENOMEM, "not enough memory for a record's headers")
                   : 1;
    }
}

static int cluster_next_batch(struct source_partition *base, struct source_batch *ret_batch,
                              struct source_damage *ret_damage, struct beck_error *error)
{
    (void)base, (void)ret_batch, (void)ret_damage;
    return report(error, -ENOTSUP, "a broker shows records, not batches: use a store or --log-dir");
}

/* ---- waiting ------------------------------------------------------------------------------ */

static int cluster_wake_fd(struct source *base, struct beck_error *error)
{
    const struct cluster_source *source = (const struct cluster_source *)base;
    return source->wake[0] >= 0 ? source->wake[0] : report(error, -EUSERS, "there is no pipe");
}

static void cluster_wake_clear(struct source *base)
{
    const struct cluster_source *source = (const struct cluster_source *)base;
    char rings[256];
    while (read(source->wake[0], rings, sizeof(rings)) > 0) {
    }
}

static void cluster_arm(struct source_partition *base)
{
    (void)base; /* librdkafka rings whenever something comes */
}

static const struct source_ops cluster_ops = {
    .close = cluster_close,
    .topic_next = cluster_topic_next,
    .topic_find = cluster_topic_find,
    .partition_next = cluster_partition_next,
    .partition_open = cluster_partition_open,
    .partition_close = cluster_partition_close,
    .bounds = cluster_bounds,
    .offset_for_time = cluster_offset_for_time,
    .seek = cluster_seek,
    .next = cluster_next,
    .next_batch = cluster_next_batch,
    .wake_fd = cluster_wake_fd,
    .wake_clear = cluster_wake_clear,
    .arm = cluster_arm,
};

int source_of_cluster(const struct tool *tool, struct source **ret_source, struct beck_error *error)
{
    struct cluster_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return report(error, -ENOMEM, "not enough memory");
    source->base = (struct source){.ops = &cluster_ops, .grows = true};
    source->tool = tool;
    source->gone_ms = cluster_gone_ms(tool, "socket.timeout.ms");
    if (pipe2(source->wake, O_NONBLOCK | O_CLOEXEC) < 0)
        source->wake[0] = source->wake[1] = -1;
    int result = read_metadata(source, error);
    if (result < 0) {
        cluster_close(&source->base);
        return result;
    }
    *ret_source = &source->base;
    return 0;
}
