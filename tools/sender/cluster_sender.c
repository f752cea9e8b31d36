/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending to a broker or cluster, by librdkafka's idempotent producer: it gathers batches, sends
 * them again where answers are lost, and says of each record where it went. Records without a
 * partition go where Java's producer would put them.
 */
#include "sender.h"

#include "cluster.h"
#include "parse.h"
#include "signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_LIMIT = 64 << 20, /* what a broker takes, it says itself */
    POLL_MS = 100,
    STOP_MS = 3000,
};

struct cluster_sender {
    struct sender base;
    enum beck_acks acks;
    rd_kafka_t *client;
    int64_t gone_ms;
    rd_kafka_resp_err_t wrong; /* of the first record that could not be sent */
    bool has_said;             /* what is wrong */
    uint32_t turn;             /* for records without a key */
};

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct cluster_sender *sender = opaque;

    (void)client;
    if (message->err) {
        if (!sender->wrong)
            sender->wrong = message->err;
        return;
    }
    if (sender->base.latency != NULL)
        latency_add(sender->base.latency, rd_kafka_message_latency(message), 1);
    if ((uint32_t)message->partition >= sender->base.partition_count)
        return; /* partitions were added meanwhile */
    struct sender_lane *lane = &sender->base.lanes[message->partition];
    if (lane->first_offset < 0)
        lane->first_offset = message->offset;
    lane->last_offset = message->offset;
    lane->records++;
}

static void cluster_sender_free(struct sender *base)
{
    struct cluster_sender *sender = (struct cluster_sender *)base;

    if (sender->client != NULL)
        rd_kafka_destroy(sender->client);
    free(sender);
}

/* Say what is wrong, once. */
static int check(struct cluster_sender *sender)
{
    if (!sender->wrong && !sender->has_said)
        return TOOL_OK;
    if (!sender->has_said && sender->wrong == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        (void)tool_failed("topic %s: no broker took the records within %d s", sender->base.topic,
                          (int)(sender->gone_ms / 1000));
    else if (!sender->has_said)
        (void)tool_failed("topic %s: %s", sender->base.topic, cluster_why(sender->wrong));
    sender->has_said = true;
    return TOOL_FAILED;
}

/* Who is stopped waits for the brokers a little, but not as long as for one that is gone. */
static bool is_stopped(int64_t *since_ms)
{
    if (*since_ms == 0 && signals_caught())
        *since_ms = parse_now_ms();
    return *since_ms > 0 && parse_now_ms() - *since_ms >= STOP_MS;
}

static int stop(struct cluster_sender *sender)
{
    if (!sender->has_said)
        (void)tool_failed("topic %s: stopped; of %d records it is not known whether they are there",
                          sender->base.topic, rd_kafka_outq_len(sender->client));
    sender->has_said = true;
    return TOOL_FAILED;
}

/* The record's headers for librdkafka; NULL: there are none. */
static int take_headers(const struct beck_record *record, rd_kafka_headers_t **ret_headers)
{
    struct beck_header header;
    size_t position = 0;
    int result;

    *ret_headers = record->header_count > 0 ? rd_kafka_headers_new(record->header_count) : NULL;
    while ((result = beck_header_next(record, &position, &header)) > 0)
        rd_kafka_header_add(*ret_headers, header.name, header.name_size, header.value,
                            header.value_size < 0 ? -1 : header.value_size);
    return result;
}

static rd_kafka_resp_err_t send_record(struct cluster_sender *sender, int32_t partition,
                                       const struct beck_record *record,
                                       rd_kafka_headers_t *headers)
{
    void *key = record->key_size < 0 ? NULL : (void *)(uintptr_t)record->key;
    void *value = record->value_size < 0 ? NULL : (void *)(uintptr_t)record->value;
    size_t key_size = key != NULL ? (size_t)record->key_size : 0;
    size_t value_size = value != NULL ? (size_t)record->value_size : 0;
    int64_t timestamp_ms = record->timestamp_ms > 0 ? record->timestamp_ms : 0;

    return rd_kafka_producev(
        sender->client, RD_KAFKA_V_TOPIC(sender->base.topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
        RD_KAFKA_V_VALUE(value, value_size), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
}

static int cluster_sender_add(struct sender *base, int32_t partition,
                              const struct beck_record *record, const struct sender_origin *origin,
                              int32_t *ret_partition)
{
    struct cluster_sender *sender = (struct cluster_sender *)base;
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t wrong;
    int64_t stopped_ms = 0;

    if (take_headers(record, &headers) < 0) {
        rd_kafka_headers_destroy(headers);
        return tool_failed("%s: its headers are malformed", origin->what);
    }
    if (partition < 0 && ret_partition != NULL) /* the caller wants to know where it goes */
        partition = record->key_size < 0
                        ? (int32_t)(sender->turn++ % base->partition_count)
                        : (int32_t)beck_partition_for_key(NULL, record->key, record->key_size,
                                                          base->partition_count);
    while ((wrong = send_record(sender, partition < 0 ? RD_KAFKA_PARTITION_UA : partition, record,
                                headers)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           !is_stopped(&stopped_ms))
        (void)rd_kafka_poll(sender->client, POLL_MS);
    if (wrong) {
        if (headers != NULL)
            rd_kafka_headers_destroy(headers);
        return tool_failed("%s %llu: %s", origin->what, (unsigned long long)origin->number,
                           cluster_why(wrong));
    }
    (void)rd_kafka_poll(sender->client, 0);
    if (ret_partition != NULL)
        *ret_partition = partition;
    return check(sender);
}

static int cluster_sender_flush(struct sender *base)
{
    struct cluster_sender *sender = (struct cluster_sender *)base;
    rd_kafka_resp_err_t wrong = RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t stopped_ms = 0;

    while (!sender->has_said &&
           (wrong = rd_kafka_flush(sender->client, POLL_MS)) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        if (is_stopped(&stopped_ms))
            return stop(sender);
    }
    if (!sender->has_said && wrong)
        return tool_failed("topic %s: %s", base->topic, cluster_why(wrong));
    return check(sender);
}

static const struct sender_ops cluster_sender_ops = {
    .free = cluster_sender_free,
    .add = cluster_sender_add,
    .flush = cluster_sender_flush,
    .sync = cluster_sender_flush,
};

int sender_of_cluster(const struct tool *tool, const char *topic,
                      const struct sender_options *options, struct sender **ret_sender)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    bool all = options->acks == BECK_ACKS_ALL;
    const struct cluster_setting settings[] = {
        {"acks", all                               ? "all"
                 : options->acks == BECK_ACKS_NONE ? "0"
                                                   : "1"},
        {"enable.idempotence", all ? "true" : "false"},
        {"compression.codec", codecs[options->compression]},
        {"partitioner", "murmur2_random"},
        {"sticky.partitioning.linger.ms", "0"}, /* without a key to all, not to one for a while */
        {"linger.ms", "5"},
        {"message.max.bytes", "100000000"},
        {"message.timeout.ms", CLUSTER_GONE_TEXT},
        {NULL, NULL},
    };
    struct cluster_sender *sender = calloc(1, sizeof(*sender));
    const struct cluster_calls calls = {.delivered = delivered, .opaque = sender};
    struct beck_error error;
    uint32_t count = 0;

    if (sender == NULL)
        return tool_failed("not enough memory");
    sender->acks = options->acks;
    sender->turn = (uint32_t)parse_now_ms(); /* each run begins elsewhere */
    sender->gone_ms = cluster_gone_ms(tool, "message.timeout.ms");
    if (cluster_client_new(tool, RD_KAFKA_PRODUCER, settings, &calls, &sender->client, &error) <
        0) {
        free(sender);
        return tool_failed_error(&error);
    }
    int code = cluster_find_topic(tool, sender->client, topic, &count);
    if (code == TOOL_OK && sender_init(&sender->base, &cluster_sender_ops, topic, count) < 0)
        code = tool_failed("not enough memory");
    if (code != TOOL_OK) {
        cluster_sender_free(&sender->base);
        return code;
    }
    sender->base.value_limit = VALUE_LIMIT;
    *ret_sender = &sender->base;
    return TOOL_OK;
}
