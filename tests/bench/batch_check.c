/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the format layer takes: checking, building, rendering and converting batches of 1 MiB at
 * most, in one thread, with warm caches. Each line: what, records of which size, nanoseconds a
 * record and MB (10^6 bytes of batch) a second, the best of several rounds. memcpy stands beside
 * it, as the measure of the machine.
 */
#include "batch.h"
#include "compression.h"
#include "crc32c.h"
#include "record.h"
#include "report.h"
#include "view.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS          7
#define ROUND_NS        30e6
#define BATCH_BYTES_MAX (1u << 20)
#define RECORDS_MAX     32768

struct bench {
    enum beck_compression compression;
    int32_t value_size;
    uint32_t count;
    bool text; /* values are printable; else JSON has to make base64 of them */
    char *values;
    const void *batch;
    size_t size;
    struct beck_batch_builder *builder;
    struct decompressor *decompressor;
    const void *records;
    size_t records_size;
    struct batch_header header;
    uint8_t *output; /* of whatever renders */
};

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void build(struct bench *bench)
{
    struct beck_record record = {.key_size = -1, .value_size = bench->value_size};
    beck_batch_builder_reset(bench->builder);
    for (uint32_t i = 0; i < bench->count; i++) {
        record.value = bench->values + i % 64;
        if (beck_batch_builder_add(bench->builder, &record) < 0)
            break;
    }
    struct beck_error error;
    if (beck_batch_builder_finish(bench->builder, &bench->batch, &bench->size, &error) < 0)
        errx(1, "%s", error.message);
}

static void check(struct bench *bench)
{
    struct batch_summary summary;
    struct beck_error error;
    if (batch_check(bench->batch, bench->size, BATCH_FROM_PRODUCER, bench->decompressor,
                    BECK_BATCH_BYTES_LIMIT, &summary, &error) < 0)
        errx(1, "%s", error.message);
}

static void crc(struct bench *bench)
{
    volatile uint32_t sink = batch_crc(bench->batch, bench->size);
    (void)sink;
}

static void copy(struct bench *bench)
{
    memcpy(bench->output, bench->batch, bench->size);
    __asm__ volatile("" ::: "memory");
}

static void iterate(struct bench *bench)
{
    struct record_iterator iterator;
    struct beck_record record;
    int64_t sum = 0;
    record_iterator_init(&iterator, &bench->header, bench->records, bench->records_size);
    while (record_next(&iterator, &record) > 0)
        sum += record.value_size;
    if (sum != (int64_t)bench->count * bench->value_size)
        errx(1, "records are missing");
}

static void render(struct bench *bench)
{
    struct record_iterator iterator;
    uint64_t skip = 0;
    record_iterator_init(&iterator, &bench->header, bench->records, bench->records_size);
    if (view_render(&iterator, &skip, bench->output, 2 * BATCH_BYTES_MAX) <= 0)
        errx(1, "nothing was rendered");
}

static void skip_view(struct bench *bench)
{
    struct record_iterator iterator;
    uint64_t skip = 0;
    record_iterator_init(&iterator, &bench->header, bench->records, bench->records_size);
    if (view_skip(&iterator, UINT64_MAX, &skip) < 0)
        errx(1, "records are damaged");
}

static void json(struct bench *bench)
{
    struct record_iterator iterator;
    struct beck_record record;
    record_iterator_init(&iterator, &bench->header, bench->records, bench->records_size);
    while (record_next(&iterator, &record) > 0)
        if (beck_record_json(&record, NULL, 0, bench->output, 2 * BATCH_BYTES_MAX) <= 0)
            errx(1, "nothing was written");
}

static void measure(struct bench *bench, const char *what, void (*run)(struct bench *bench))
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned runs = 0;
        double begin = now_ns();
        double spent;
        do {
            for (int i = 0; i < 8; i++)
                run(bench);
            runs += 8;
        } while ((spent = now_ns() - begin) < ROUND_NS);
        if (spent / runs < best)
            best = spent / runs;
    }
    size_t bytes = (size_t)bench->count * (size_t)bench->value_size;
    printf("%-8s %-6s %-6s %7d B x %-6u %10.1f ns/batch %8.2f ns/record %9.0f MB/s\n", what,
           codec_name((int)bench->compression), bench->text ? "text" : "binary", bench->value_size,
           bench->count, best, best / bench->count, (double)bytes / best * 1e3);
    (void)fflush(stdout);
}

static void fill(struct bench *bench)
{
    size_t size = (size_t)bench->value_size + 64;
    uint32_t seed = 1;
    bench->values = malloc(size);
    if (bench->values == NULL)
        errx(1, "no memory");
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        bench->values[i] =
            bench->text ? "etaoin shrdlu {},"[(seed >> 24) % 17] : (char)(seed >> 24);
    }
}

static void run(enum beck_compression compression, int32_t value_size, uint32_t count, bool text)
{
    struct bench bench = {
        .compression = compression, .value_size = value_size, .count = count, .text = text};
    struct beck_error error;
    bench.output = malloc(2 * BATCH_BYTES_MAX);
    if (bench.output == NULL || decompressor_new(&bench.decompressor) < 0)
        errx(1, "no memory");
    if (beck_batch_builder_new(compression, BATCH_BYTES_MAX, &bench.builder, &error) < 0)
        errx(1, "%s", error.message);
    fill(&bench);
    build(&bench);
    bench.count = beck_batch_builder_count(bench.builder);
    if (batch_header_read(bench.batch, bench.size, &bench.header, &error) < 0 ||
        decompress(bench.decompressor, bench.header.attributes & BATCH_CODEC_MASK,
                   (const char *)bench.batch + BATCH_HEADER_BYTES, bench.size - BATCH_HEADER_BYTES,
                   BECK_BATCH_BYTES_LIMIT, &bench.records, &bench.records_size) < 0)
        errx(1, "the batch that was built is damaged");

    measure(&bench, "check", check);
    if (compression == BECK_COMPRESSION_NONE) {
        measure(&bench, "crc", crc);
        measure(&bench, "memcpy", copy);
        measure(&bench, "iterate", iterate);
        measure(&bench, "render", render);
        measure(&bench, "skip", skip_view);
        measure(&bench, "json", json);
    }
    measure(&bench, "build", build);
    (void)beck_batch_builder_free(bench.builder);
    (void)decompressor_free(bench.decompressor);
    free(bench.values);
    free(bench.output);
}

int main(void)
{
    run(BECK_COMPRESSION_NONE, 20, 1, true);
    run(BECK_COMPRESSION_NONE, 200, 1, true);
    run(BECK_COMPRESSION_NONE, 20, RECORDS_MAX, true);
    run(BECK_COMPRESSION_NONE, 100, RECORDS_MAX, true);
    run(BECK_COMPRESSION_NONE, 100, RECORDS_MAX, false);
    run(BECK_COMPRESSION_NONE, 1024, RECORDS_MAX, true);
    for (int codec = BECK_COMPRESSION_GZIP; codec <= BECK_COMPRESSION_ZSTD; codec++)
        run((enum beck_compression)codec, 100, RECORDS_MAX, true);
    return 0;
}
