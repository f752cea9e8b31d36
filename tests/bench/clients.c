/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client gets out of a daemon, by librdkafka:
 *
 *     clients produce ADDRESS TOPIC PID COUNT BYTES ACKS
 *     clients consume ADDRESS TOPIC PID COUNT
 *
 * ADDRESS may be "mock": the client's own mock of a broker, which shows how fast the client can be.
 * Prints one line: records/s, MB/s, and the CPU seconds that the daemon (process PID) and this
 * client used per GB. Records of one partition, linger.ms 5, batch.size 1 MB.
 */
#include <err.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct run {
    const char *what;
    int pid;
    double begin;
    double daemon_cpu;
    uint64_t records;
    uint64_t bytes;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* User and system time of another process, in seconds. */
static double process_cpu(int pid)
{
    char path[64];
    char text[1024];
    unsigned long user;
    unsigned long system;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(text, sizeof(text), file))
        err(1, "%s", path);
    fclose(file);
    const char *end = strrchr(text, ')');
    if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                       &system) != 2)
        errx(1, "%s cannot be read", path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(const struct run *run)
{
    double seconds = now() - run->begin;
    double gigabytes = (double)run->bytes / 1e9;
    printf("%-24s %9.0f records/s %8.1f MB/s   CPU s/GB: daemon %.2f, client %.2f\n", run->what,
           (double)run->records / seconds, (double)run->bytes / 1e6 / seconds,
           (process_cpu(run->pid) - run->daemon_cpu) / gigabytes, own_cpu() / gigabytes);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        errx(1, "%s", text);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[256];
    rd_kafka_t *kafka = rd_kafka_new(type, conf, text, sizeof(text));
    if (!kafka)
        errx(1, "%s", text);
    return kafka;
}

/* So that the first connection is not measured. */
static void connect_to(rd_kafka_t *kafka, rd_kafka_topic_t *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(kafka, 0, topic, &metadata, 20000);
    if (error)
        errx(1, "no metadata: %s", rd_kafka_err2str(error));
    rd_kafka_metadata_destroy(metadata);
}

static void delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    (void)kafka;
    struct run *run = context;
    if (message->err)
        errx(1, "not delivered: %s", rd_kafka_err2str(message->err));
    run->records++;
    run->bytes += message->len;
}

static void produce(char **arguments, struct run *run)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool mock = strcmp(arguments[0], "mock") == 0;
    set(conf, mock ? "test.mock.num.brokers" : "bootstrap.servers", mock ? "1" : arguments[0]);
    set(conf, "linger.ms", "5");
    set(conf, "batch.size", "1000000");
    set(conf, "batch.num.messages", "100000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    set(conf, "queue.buffering.max.messages", "2000000");
    set(conf, "acks", arguments[5]);
    rd_kafka_conf_set_opaque(conf, run);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, arguments[1], NULL);
    long count = atol(arguments[3]);
    size_t size = (size_t)atol(arguments[4]);
    char *value = calloc(1, size);
    if (!value || !topic)
        errx(1, "no memory");
    for (size_t i = 0; i < size; i++)
        value[i] = (char)(' ' + rand() % 90);
    connect_to(kafka, topic);
    run->daemon_cpu = process_cpu(run->pid);
    run->begin = now();
    for (long i = 0; i < count; i++) {
        while (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, value, size, NULL, 0, NULL) < 0)
            rd_kafka_poll(kafka, 10);
        if (i % 1000 == 0)
            rd_kafka_poll(kafka, 0);
    }
    rd_kafka_flush(kafka, 120000);
    report(run);
    free(value);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(kafka);
}

static void consumed(rd_kafka_message_t *message, void *context)
{
    struct run *run = context;
    if (message->err)
        return;
    run->records++;
    run->bytes += message->len;
}

static void consume(char **arguments, struct run *run)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", arguments[0]);
    set(conf, "fetch.message.max.bytes", "4194304");
    set(conf, "queued.max.messages.kbytes", "262144");
    set(conf, "queued.min.messages", "1000000");
    set(conf, "check.crcs", "false");
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, arguments[1], NULL);
    uint64_t count = (uint64_t)atoll(arguments[3]);
    connect_to(kafka, topic);
    run->daemon_cpu = process_cpu(run->pid);
    run->begin = now();
    if (!topic || rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_BEGINNING) < 0)
        errx(1, "cannot consume");
    while (run->records < count)
        rd_kafka_consume_callback(topic, 0, 1000, consumed, run);
    report(run);
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(kafka);
}

int main(int argc, char **argv)
{
    bool producing = argc == 8 && strcmp(argv[1], "produce") == 0;
    char what[64];
    if (!producing && (argc != 6 || strcmp(argv[1], "consume") != 0))
        errx(2, "usage: clients produce|consume ADDRESS TOPIC PID COUNT [BYTES ACKS]");
    if (producing)
        snprintf(what, sizeof(what), "produce %s B, acks=%s", argv[6], argv[7]);
    else
        snprintf(what, sizeof(what), "consume");
    struct run run = {.what = what, .pid = atoi(argv[4])};
    if (producing)
        produce(argv + 2, &run);
    else
        consume(argv + 2, &run);
    return 0;
}
