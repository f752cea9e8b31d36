/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast batches are read from the page cache, 1 MiB at a time, each by a process that has just
 * opened the store: by beck_read(), and by beck_read_range() with pread(2), first when every CRC is
 * still to be checked, then again. Beside it, in turn, the limit: pread(2) of the same file. Prints
 * the medians and their ratios.
 *
 *     read [-r ROUNDS] [-m MEBIBYTES] [-b BATCH_BYTES] [DIRECTORY]
 */
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define READ_BYTES   ((size_t)1 << 20)
#define RECORD_BYTES 1024

enum way {
    BARE,
    COPY_FIRST, /* beck_read() */
    COPY_AGAIN,
    RANGE_FIRST, /* beck_read_range() and pread(2) */
    RANGE_AGAIN,
    WAYS,
};

static const char *const titles[WAYS] = {
    [COPY_FIRST] = "beck_read, first time",
    [COPY_AGAIN] = "beck_read, again",
    [RANGE_FIRST] = "beck_read_range and pread, first time",
    [RANGE_AGAIN] = "beck_read_range and pread, again",
};

struct work {
    struct bench_options options;
    const char *folder;
    char store[4096];
    char segment[4096];
    uint64_t bytes;
    size_t batch_bytes;
    char *buffer;
};

/* ---- writing ------------------------------------------------------------------------------- */

static void find_segment(struct work *work)
{
    char pattern[4200];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/topics/*/0/*.log", work->store);
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc != 1)
        errx(1, "%s: not one segment", pattern);
    snprintf(work->segment, sizeof(work->segment), "%s", found.gl_pathv[0]);
    globfree(&found);
}

static void make_store(const struct work *work)
{
    struct beck_store *store;
    struct beck_partition *partition;
    struct beck_append_result result;
    struct beck_error error;
    pid_t child = fork();
    if (child == 0) {
        const void *batch = bench_batch(work->batch_bytes, RECORD_BYTES);
        bench_must(beck_store_open(work->store, BECK_OPEN_CREATE, NULL, &store, &error), &error);
        bench_must(beck_topic_create(store, "t", NULL, NULL, &error), &error);
        bench_must(beck_partition_open(store, "t", 0, &partition, &error), &error);
        for (uint64_t done = 0; done < work->bytes; done += work->batch_bytes)
            bench_must(
                beck_append(partition, batch, work->batch_bytes, BECK_ACKS_LEADER, &result, &error),
                &error);
        beck_partition_close(partition);
        beck_store_close(store);
        _exit(0);
    }
    bench_wait(child);
}

/* ---- reading ------------------------------------------------------------------------------- */

static uint64_t read_bare(const struct work *work)
{
    int fd = open(work->segment, O_RDONLY);
    if (fd < 0)
        err(1, "%s", work->segment);
    uint64_t done = 0;
    for (ssize_t n; (n = pread(fd, work->buffer, READ_BYTES, (off_t)done)) > 0;)
        done += (uint64_t)n;
    close(fd);
    return done;
}

/* The offset after the last of some whole batches. */
static int64_t next_offset(const char *bytes, size_t size)
{
    int64_t next = -1;
    for (size_t at = 0; at + BECK_BATCH_HEADER_BYTES <= size;) {
        uint64_t base;
        uint32_t length;
        uint32_t last_delta;
        memcpy(&base, bytes + at, sizeof(base));
        memcpy(&length, bytes + at + 8, sizeof(length));
        memcpy(&last_delta, bytes + at + 23, sizeof(last_delta));
        next = (int64_t)__builtin_bswap64(base) + __builtin_bswap32(last_delta) + 1;
        at += 12 + __builtin_bswap32(length);
    }
    return next;
}

static uint64_t read_copies(const struct work *work, struct beck_partition *partition)
{
    struct beck_error error;
    uint64_t done = 0;
    ssize_t n = 0;
    for (int64_t offset = 0;; offset = next_offset(work->buffer, (size_t)n)) {
        n = beck_read(partition, offset, work->buffer, READ_BYTES, BECK_READ_UNCOMMITTED, &error);
        if (n < 0)
            errx(1, "%s", error.message);
        if (n == 0)
            return done;
        done += (uint64_t)n;
    }
}

static uint64_t read_ranges(const struct work *work, struct beck_partition *partition)
{
    struct beck_error error;
    struct beck_range range;
    uint64_t done = 0;
    for (int64_t offset = 0;;) {
        bench_must(
            beck_read_range(partition, offset, READ_BYTES, BECK_READ_UNCOMMITTED, &range, &error),
            &error);
        if (range.size == 0)
            return done;
        if (pread(range.fd, work->buffer, range.size, (off_t)range.position) != (ssize_t)range.size)
            err(1, "pread");
        done += range.size;
        offset = range.next_offset;
        beck_range_release(&range);
    }
}

/* Read all by one way; bytes per second. */
static double time_way(const struct work *work, enum way way, struct beck_partition *partition)
{
    double begin = bench_now();
    uint64_t bytes = way == BARE         ? read_bare(work)
                     : way <= COPY_AGAIN ? read_copies(work, partition)
                                         : read_ranges(work, partition);
    double seconds = bench_now() - begin;
    if (bytes < work->bytes)
        errx(1, "read %zu bytes of %zu", (size_t)bytes, (size_t)work->bytes);
    return (double)bytes / seconds;
}

/* `first`, and what comes after it, in a process of its own. */
static void run(const struct work *work, enum way first, double *rates)
{
    pid_t child = fork();
    if (child == 0) {
        struct beck_store *store;
        struct beck_partition *partition;
        struct beck_error error;
        bench_must(beck_store_open(work->store, 0, NULL, &store, &error), &error);
        bench_must(beck_partition_open(store, "t", 0, &partition, &error), &error);
        (void)read_bare(work); /* so that the buffer's pages are there */
        rates[first] = time_way(work, first, partition);
        rates[first + 1] = time_way(work, first + 1, partition);
        beck_partition_close(partition);
        beck_store_close(store);
        _exit(0);
    }
    bench_wait(child);
}

static void measure(const struct work *work)
{
    double(*rates)[WAYS] = bench_shared(sizeof(*rates) * BENCH_ROUNDS_MAX);
    double medians[WAYS];
    int rounds = work->options.rounds;
    (void)read_bare(work);
    for (int i = 0; i < rounds; i++) {
        rates[i][BARE] = time_way(work, BARE, NULL);
        run(work, COPY_FIRST, rates[i]);
        run(work, RANGE_FIRST, rates[i]);
    }
    for (int way = 0; way < WAYS; way++) {
        double values[BENCH_ROUNDS_MAX];
        for (int i = 0; i < rounds; i++)
            values[i] = rates[i][way];
        medians[way] = bench_median(values, rounds);
    }
    for (int way = BARE + 1; way < WAYS; way++)
        printf("%-40s %6.2f GB/s   bare pread %6.2f GB/s   ratio %.2f\n", titles[way],
               medians[way] / 1e9, medians[BARE] / 1e9, medians[way] / medians[BARE]);
}

int main(int argc, char **argv)
{
    struct work work = {.bytes = (uint64_t)256 << 20, .batch_bytes = 64 * 1024};
    int letter;
    bench_options_init(&work.options);
    while ((letter = getopt(argc, argv, BENCH_LETTERS "m:b:")) != -1) {
        if (letter == 'm')
            work.bytes = (uint64_t)atol(optarg) << 20;
        else if (letter == 'b')
            work.batch_bytes = (size_t)atol(optarg);
        else if (!bench_option(&work.options, letter))
            errx(2, "usage: read [-r ROUNDS] [-m MEBIBYTES] [-b BATCH_BYTES] [DIRECTORY]");
    }
    if (work.bytes == 0 || work.bytes > (uint64_t)1000 << 20 || work.batch_bytes > READ_BYTES)
        errx(2, "1 to 1000 MiB, which are one segment, of batches up to %zu bytes", READ_BYTES);
    if (optind < argc)
        work.options.directory = argv[optind];
    work.buffer = malloc(READ_BYTES);
    if (!work.buffer)
        errx(1, "out of memory");
    work.folder = bench_folder(work.options.directory, "read");
    snprintf(work.store, sizeof(work.store), "%s/store", work.folder);
    make_store(&work);
    find_segment(&work);
    measure(&work);
    bench_remove(work.folder);
    return 0;
}
