/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker or cluster, by librdkafka: from nothing to the first answer (connecting, and all that
 * the client asks before its first request), a request and its answer on that connection, and a
 * record from its producer, acks=all, to a consumer that waits for it.
 */
#include "ping.h"

#include "cluster.h"
#include "latency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cluster_ping {
    struct ping base;
    rd_kafka_t *client;   /* of the last connect */
    rd_kafka_t *producer; /* these two stay */
    rd_kafka_t *consumer;
    rd_kafka_topic_t *topic; /* of the consumer; and of the producer, so that it knows its leader */
    rd_kafka_topic_t *target;
    rd_kafka_resp_err_t wrong;
};

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    ((struct cluster_ping *)opaque)->wrong = message->err;
}

static int ask(const struct cluster_ping *ping, rd_kafka_t *client)
{
    const struct rd_kafka_metadata *metadata = NULL;

    rd_kafka_resp_err_t wrong = rd_kafka_metadata(client, 0, NULL, &metadata, CLUSTER_PATIENCE_MS);
    if (wrong)
        return tool_failed("%s: %s", cluster_name(ping->base.tool), cluster_why(wrong));
    rd_kafka_metadata_destroy(metadata);
    return TOOL_OK;
}

static int cluster_connect(struct ping *base)
{
    static const struct cluster_setting settings[] = {{NULL, NULL}};
    struct cluster_ping *ping = (struct cluster_ping *)base;

    if (ping->client != NULL)
        rd_kafka_destroy(ping->client);
    ping->client = NULL;
    int code = cluster_client(base->tool, RD_KAFKA_PRODUCER, settings, &ping->client);
    return code == TOOL_OK ? ask(ping, ping->client) : code;
}

static int cluster_metadata(struct ping *base)
{
    struct cluster_ping *ping = (struct cluster_ping *)base;
    return ask(ping, ping->client);
}

/* ---- a record ----------------------------------------------------------------------------- */

static int make_clients(struct cluster_ping *ping)
{
    static const struct cluster_setting producing[] = {
        {"acks", "all"}, {"linger.ms", "0"}, {NULL, NULL}};
    static const struct cluster_setting consuming[] = {
        {"fetch.wait.max.ms", "100"}, {"enable.partition.eof", "true"}, {NULL, NULL}};
    const struct cluster_calls calls = {.delivered = delivered, .opaque = ping};
    struct beck_error error;
    uint32_t count = 0;

    if (cluster_client_new(ping->base.tool, RD_KAFKA_PRODUCER, producing, &calls, &ping->producer,
                           &error) < 0)
        return tool_failed_error(&error);
    int code = cluster_client(ping->base.tool, RD_KAFKA_CONSUMER, consuming, &ping->consumer);
    if (code == TOOL_OK)
        code = cluster_find_topic(ping->base.tool, ping->consumer, ping->base.topic, &count);
    if (code == TOOL_OK && (uint32_t)ping->base.partition >= count)
        code = tool_failed("topic %s has no partition %d: it has 0 to %u", ping->base.topic,
                           (int)ping->base.partition, count - 1);
    if (code != TOOL_OK)
        return code;
    ping->topic = rd_kafka_topic_new(ping->consumer, ping->base.topic, NULL);
    ping->target = rd_kafka_topic_new(ping->producer, ping->base.topic, NULL);
    if (ping->topic == NULL || ping->target == NULL)
        return tool_failed("not enough memory");
    code = ask(ping, ping->consumer);
    return code == TOOL_OK ? ask(ping, ping->producer) : code;
}

/* Let the consumer wait at the end. */
static int start(struct cluster_ping *ping)
{
    int code = ping->consumer == NULL ? make_clients(ping) : TOOL_OK;
    if (code != TOOL_OK)
        return code;
    if (rd_kafka_consume_start(ping->topic, ping->base.partition, RD_KAFKA_OFFSET_END) < 0)
        return tool_failed("topic %s: %s", ping->base.topic, cluster_why(rd_kafka_last_error()));
    rd_kafka_message_t *message =
        rd_kafka_consume(ping->topic, ping->base.partition, CLUSTER_PATIENCE_MS);
    rd_kafka_resp_err_t wrong = message != NULL ? message->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (message != NULL)
        rd_kafka_message_destroy(message);
    if (!wrong || wrong == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return TOOL_OK;
    return tool_failed("topic %s partition %d: %s", ping->base.topic, (int)ping->base.partition,
                       cluster_why(wrong));
}

static int produce(struct cluster_ping *ping, const char *text)
{
    rd_kafka_resp_err_t wrong = rd_kafka_producev(
        ping->producer, RD_KAFKA_V_TOPIC(ping->base.topic),
        RD_KAFKA_V_PARTITION(ping->base.partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)text, strlen(text)), RD_KAFKA_V_END);
    return wrong ? tool_failed("topic %s: %s", ping->base.topic, cluster_why(wrong)) : TOOL_OK;
}

/* Wait for the very record; others may write to the topic too. */
static int await(struct cluster_ping *ping, const char *text)
{
    int64_t until_usec = latency_now_usec() + (int64_t)CLUSTER_PATIENCE_MS * 1000;

    while (latency_now_usec() < until_usec) {
        rd_kafka_message_t *message = rd_kafka_consume(ping->topic, ping->base.partition, 100);
        bool found = message != NULL && !message->err && message->len == strlen(text) &&
                     memcmp(message->payload, text, message->len) == 0;
        if (message != NULL)
            rd_kafka_message_destroy(message);
        (void)rd_kafka_poll(ping->producer, 0);
        if (ping->wrong)
            return tool_failed("topic %s partition %d: %s", ping->base.topic,
                               (int)ping->base.partition, cluster_why(ping->wrong));
        if (found)
            return TOOL_OK;
    }
    return tool_failed("topic %s partition %d: the record did not come back", ping->base.topic,
                       (int)ping->base.partition);
}

static int cluster_record_round(struct ping *base)
{
    struct cluster_ping *ping = (struct cluster_ping *)base;
    char text[64];

    (void)snprintf(text, sizeof(text), "beck ping %d %lld", (int)getpid(),
                   (long long)latency_now_usec());
    int code = produce(ping, text);
    return code == TOOL_OK ? await(ping, text) : code;
}

static void cluster_close(struct ping *base)
{
    struct cluster_ping *ping = (struct cluster_ping *)base;

    if (ping->topic != NULL) {
        (void)rd_kafka_consume_stop(ping->topic, base->partition);
        rd_kafka_topic_destroy(ping->topic);
    }
    if (ping->target != NULL)
        rd_kafka_topic_destroy(ping->target);
    if (ping->consumer != NULL)
        rd_kafka_destroy(ping->consumer);
    if (ping->producer != NULL)
        rd_kafka_destroy(ping->producer);
    if (ping->client != NULL)
        rd_kafka_destroy(ping->client);
    free(ping);
}

static const struct ping_ops cluster_ops = {
    .connect = cluster_connect,
    .metadata = cluster_metadata,
    .record = cluster_record_round,
    .close = cluster_close,
};

int ping_of_cluster(const struct tool *tool, const char *topic, int32_t partition,
                    struct ping **ret_ping)
{
    struct cluster_ping *ping = calloc(1, sizeof(*ping));

    if (ping == NULL)
        return tool_failed("not enough memory");
    ping->base = (struct ping){&cluster_ops, tool, topic, partition};
    int code = topic != NULL ? start(ping) : TOOL_OK;
    if (code != TOOL_OK) {
        cluster_close(&ping->base);
        return code;
    }
    *ret_ping = &ping->base;
    return TOOL_OK;
}
