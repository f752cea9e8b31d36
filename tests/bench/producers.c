/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What idempotent producers cost on one partition, by their number, each sending in turn: an append
 * beside one without a producer id, the memory of what a process knows of them, a checkpoint after
 * all have sent beside one after as many batches without producer ids, and the first append of a
 * process that has to load them. Checkpoints without their fdatasync: flush.policy does not matter
 * to it, the folder should be in memory.
 *
 *     producers [DIRECTORY]     a folder for the store; default "."
 */
#include "batch.h"
#include "beck.h"

#include <err.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 20

struct bench {
    char path[4096];
    struct beck_store *store;
    struct beck_partition *partition;
    struct batch_header header;
    unsigned char batch[512];
    size_t size;
    int32_t sequence;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(int result, const struct beck_error *error)
{
    if (result < 0)
        errx(1, "%s", error->message);
}

static void make_batch(struct bench *bench)
{
    static char value[120];
    struct beck_batch_builder *builder;
    struct beck_error error;
    const void *batch;
    struct beck_record record = {.key_size = -1, .value = value, .value_size = sizeof(value)};
    must(beck_batch_builder_new(BECK_COMPRESSION_NONE, 1 << 20, &builder, &error), &error);
    if (beck_batch_builder_add(builder, &record) < 0)
        errx(1, "cannot make a batch");
    must(beck_batch_builder_finish(builder, &batch, &bench->size, &error), &error);
    memcpy(bench->batch, batch, bench->size);
    must(batch_header_read(batch, bench->size, &bench->header, &error), &error);
    beck_batch_builder_free(builder);
}

/* Append for a producer; for none with an id below 0. */
static void append(struct bench *bench, int64_t id)
{
    struct beck_append_result result;
    struct beck_error error;
    struct batch_header *header = &bench->header;
    header->producer_id = id;
    header->producer_epoch = id < 0 ? -1 : 0;
    header->base_sequence = id < 0 ? -1 : bench->sequence;
    batch_header_write(bench->batch, header);
    header->crc = batch_crc(bench->batch, bench->size);
    batch_header_write(bench->batch, header);
    must(
        beck_append(bench->partition, bench->batch, bench->size, BECK_ACKS_LEADER, &result, &error),
        &error);
}

/* All send once. Returns seconds an append. */
static double send_all(struct bench *bench, int64_t count, bool plain)
{
    double begin = now();
    for (int64_t i = 0; i < count; i++)
        append(bench, plain ? -1 : i);
    bench->sequence += !plain;
    return (now() - begin) / (double)count;
}

static double checkpoint(struct bench *bench)
{
    struct beck_error error;
    uint32_t next_ms;
    double begin = now();
    must(beck_store_maintain(bench->store, true, &next_ms, &error), &error);
    return now() - begin;
}

static void open_store(struct bench *bench)
{
    struct beck_error error;
    must(beck_store_open(bench->path, 0, NULL, &bench->store, &error), &error);
    must(beck_partition_open(bench->store, "t", 0, &bench->partition, &error), &error);
}

static void close_store(struct bench *bench)
{
    beck_partition_close(bench->partition);
    beck_store_close(bench->store);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(values[0]), compare);
    return values[ROUNDS / 2];
}

static void run(const char *directory, int64_t count)
{
    struct bench bench = {0};
    struct beck_topic topic;
    struct beck_error error;
    double appends[2][ROUNDS];
    double checkpoints[2][ROUNDS];
    snprintf(bench.path, sizeof(bench.path), "%s/producers-bench.%ld.%ld", directory,
             (long)time(NULL), (long)count);
    must(beck_store_create(bench.path, NULL, &error), &error);
    must(beck_store_open(bench.path, 0, NULL, &bench.store, &error), &error);
    must(beck_topic_create(bench.store, "t", NULL, &topic, &error), &error);
    beck_store_close(bench.store);
    open_store(&bench);
    make_batch(&bench);
    append(&bench, -1);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    send_all(&bench, count, false);
    size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    for (int round = 0; round < ROUNDS; round++)
        for (int plain = 0; plain < 2; plain++) {
            appends[plain][round] = send_all(&bench, count, plain);
            checkpoints[plain][round] = checkpoint(&bench);
        }
    close_store(&bench);
    open_store(&bench);
    double begin = now();
    append(&bench, 0);
    double load = now() - begin;
    close_store(&bench);
    printf("%6ld producers: append %5.0f ns (without id %5.0f), %7.1f KiB, checkpoint %6.2f ms "
           "(without %6.2f), loading %5.2f ms\n",
           (long)count, median(appends[0]) * 1e9, median(appends[1]) * 1e9, (double)bytes / 1024,
           median(checkpoints[0]) * 1e3, median(checkpoints[1]) * 1e3, load * 1e3);
}

int main(int argc, char **argv)
{
    static const int64_t counts[] = {1, 100, 1000, 10000, BECK_PARTITION_PRODUCERS_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        run(argc > 1 ? argv[1] : ".", counts[i]);
    return 0;
}
