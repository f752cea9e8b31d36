/* SPDX-License-Identifier: Apache-2.0
 *
 * From a producer through a daemon to a consumer that waits, by librdkafka:
 *
 *     latency ADDRESS TOPIC RATE SECONDS BYTES ACKS
 *
 * One thread produces RATE records a second, one at a time, without lingering; another consumes
 * them. Prints percentiles of the time from the call that produces a record to the call that
 * returns it, in milliseconds. What is produced in the first second warms up and is not counted.
 * The topic has to be there, with one partition.
 */
#include <err.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NSEC            1000000000ULL
#define PATIENCE_MS     10000
#define WARM_UP_SECONDS 1

struct consumer {
    rd_kafka_t *kafka;
    uint64_t expected;     /* records in all */
    uint64_t counted_from; /* those produced before are not counted */
    uint64_t *latencies;   /* nsec */
    uint64_t count;
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NSEC + (uint64_t)time.tv_nsec;
}

static void sleep_until(uint64_t when)
{
    struct timespec time = {.tv_sec = (time_t)(when / NSEC), .tv_nsec = (long)(when % NSEC)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL))
        continue;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const *settings)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *settings; settings += 2) {
        if (rd_kafka_conf_set(conf, settings[0], settings[1], text, sizeof(text)))
            errx(1, "%s", text);
    }
    rd_kafka_t *kafka = rd_kafka_new(type, conf, text, sizeof(text));
    if (!kafka)
        errx(1, "%s", text);
    return kafka;
}

static void *consume(void *context)
{
    struct consumer *consumer = context;
    for (uint64_t seen = 0; seen < consumer->expected; seen++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->kafka, PATIENCE_MS);
        uint64_t sent;
        if (!message || message->err || message->len < sizeof(sent))
            errx(1, "not consumed: %s",
                 message ? rd_kafka_message_errstr(message) : "nothing comes");
        uint64_t arrived = now();
        memcpy(&sent, message->payload, sizeof(sent));
        if (sent >= consumer->counted_from)
            consumer->latencies[consumer->count++] = arrived - sent;
        rd_kafka_message_destroy(message);
    }
    return NULL;
}

/* A consumer that has everything of the topic so far, and waits. */
static rd_kafka_t *attach(const char *address, const char *topic)
{
    const char *settings[] = {"bootstrap.servers",
                              address,
                              "group.id",
                              "latency",
                              "enable.auto.commit",
                              "false",
                              "socket.nagle.disable",
                              "true",
                              "check.crcs",
                              "false",
                              NULL};
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, settings);
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(partitions, topic, 0)->offset = 0;
    if (rd_kafka_poll_set_consumer(kafka) || rd_kafka_assign(kafka, partitions))
        errx(1, "cannot consume");
    rd_kafka_topic_partition_list_destroy(partitions);
    return kafka;
}

static void produce(rd_kafka_t *kafka, const char *topic, uint64_t begin, uint64_t count,
                    uint64_t rate, size_t size)
{
    char *value = malloc(size);
    if (!value)
        errx(1, "no memory");
    memset(value, 'x', size);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t due = begin + i * NSEC / rate;
        if (now() < due)
            sleep_until(due);
        uint64_t sent = now();
        memcpy(value, &sent, sizeof(sent));
        rd_kafka_resp_err_t error = rd_kafka_producev(
            kafka, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(value, size),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (error)
            errx(1, "not produced: %s", rd_kafka_err2str(error));
        rd_kafka_poll(kafka, 0);
    }
    free(value);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static double at(const struct consumer *consumer, uint64_t permille)
{
    uint64_t index = consumer->count * permille / 1000;
    return (double)consumer->latencies[index < consumer->count ? index : consumer->count - 1] / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        errx(2, "usage: latency ADDRESS TOPIC RATE SECONDS BYTES ACKS");
    uint64_t rate = strtoull(argv[3], NULL, 10);
    uint64_t count = rate * (strtoull(argv[4], NULL, 10) + WARM_UP_SECONDS);
    size_t size = strtoull(argv[5], NULL, 10);
    const char *settings[] = {"bootstrap.servers",
                              argv[1],
                              "acks",
                              argv[6],
                              "linger.ms",
                              "0",
                              "socket.nagle.disable",
                              "true",
                              "queue.buffering.max.messages",
                              "1000000",
                              NULL};
    if (rate == 0 || count == 0 || size < sizeof(uint64_t))
        errx(2, "nothing to measure");
    struct consumer consumer = {.kafka = attach(argv[1], argv[2]), .expected = count};
    consumer.latencies = calloc(count, sizeof(*consumer.latencies));
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, settings);
    pthread_t thread;
    uint64_t begin = now();
    consumer.counted_from = begin + WARM_UP_SECONDS * NSEC;
    if (!consumer.latencies || pthread_create(&thread, NULL, consume, &consumer))
        errx(1, "no memory");
    produce(kafka, argv[2], begin, count, rate, size);
    pthread_join(thread, NULL);
    qsort(consumer.latencies, consumer.count, sizeof(*consumer.latencies), compare);
    printf("p50 %.3f p99 %.3f p99.9 %.3f worst %.3f ms\n", at(&consumer, 500), at(&consumer, 990),
           at(&consumer, 999), at(&consumer, 1000));
    rd_kafka_destroy(kafka);
    rd_kafka_consumer_close(consumer.kafka);
    rd_kafka_destroy(consumer.kafka);
    free(consumer.latencies);
    return 0;
}
