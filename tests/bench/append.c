/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast batches are appended, without a sync: of 200 bytes by one process, by four on one
 * partition, by four on a partition each; of 64 KiB by one process. Beside it, in turn, the limit:
 * the same processes writing as many bytes with a bare pwrite(2) at the end of a file each. Prints
 * the medians and their ratio.
 *
 *     append [-r ROUNDS] [-s SECONDS] [DIRECTORY]
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

#define SMALL_BYTES  200
#define LARGE_BYTES  ((size_t)64 * 1024)
#define RECORD_BYTES 1024 /* of which batches are made, where they are that large */
#define PROCESSES    4
#define AT_ONCE      100
#define ROUND_BYTES  ((uint64_t)512 << 20) /* that a process writes in a round at most */

/* Shared by the processes of one round. */
struct round {
    _Atomic int ready;
    _Atomic int go;
    uint64_t counts[PROCESSES];
    double seconds[PROCESSES];
};

struct work {
    const struct bench_options *options;
    const char *folder;
    const char *store; /* NULL: bare pwrite */
    int processes;
    int partitions;
    size_t batch_bytes;
    const void *batch;
};

static void wait_for_go(struct round *round)
{
    round->ready++;
    while (!round->go)
        usleep(100);
}

/* One process's share: `once` until the time is over, or there is enough. */
static void repeat(const struct work *work, struct round *round, int index,
                   void (*once)(const struct work *work, void *context, uint64_t number),
                   void *context)
{
    wait_for_go(round);
    double begin = bench_now();
    uint64_t count = 0;
    do {
        for (int i = 0; i < AT_ONCE; i++)
            once(work, context, count++);
    } while (bench_now() - begin < work->options->seconds &&
             count * work->batch_bytes < ROUND_BYTES);
    round->counts[index] = count;
    round->seconds[index] = bench_now() - begin;
}

static void append_once(const struct work *work, void *context, uint64_t number)
{
    struct beck_append_result result;
    struct beck_error error;
    (void)number;
    bench_must(
        beck_append(context, work->batch, work->batch_bytes, BECK_ACKS_LEADER, &result, &error),
        &error);
}

static void append_to_store(const struct work *work, struct round *round, int index)
{
    struct beck_store *store;
    struct beck_partition *partition;
    struct beck_error error;
    bench_must(beck_store_open(work->store, 0, NULL, &store, &error), &error);
    bench_must(beck_partition_open(store, "t", index % work->partitions, &partition, &error),
               &error);
    repeat(work, round, index, append_once, partition);
    _exit(0); /* closing would checkpoint: not what is measured */
}

static void write_once(const struct work *work, void *context, uint64_t number)
{
    const int *fd = context;
    if (pwrite(*fd, work->batch, work->batch_bytes, (off_t)(number * work->batch_bytes)) < 0)
        err(1, "pwrite");
}

static void write_to_file(const struct work *work, struct round *round, int index)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/bare.%d", work->folder, index);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        err(1, "%s", path);
    repeat(work, round, index, write_once, &fd);
    unlink(path);
    _exit(0);
}

/* Run one round; appends, or writes, per second in all. */
static double run(const struct work *work)
{
    struct round *round = bench_shared(sizeof(*round));
    pid_t children[PROCESSES];
    for (int i = 0; i < work->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            if (work->store)
                append_to_store(work, round, i);
            else
                write_to_file(work, round, i);
        }
    }
    while (round->ready < work->processes)
        usleep(1000);
    round->go = 1;
    double rate = 0;
    for (int i = 0; i < work->processes; i++) {
        bench_wait(children[i]);
        rate += (double)round->counts[i] / round->seconds[i];
    }
    return rate;
}

static void make_store(const char *path)
{
    struct beck_store *store;
    struct beck_error error;
    struct beck_topic_options options = {.partition_count = PROCESSES};
    pid_t child = fork();
    if (child == 0) {
        bench_must(beck_store_open(path, BECK_OPEN_CREATE, NULL, &store, &error), &error);
        bench_must(beck_topic_create(store, "t", &options, NULL, &error), &error);
        beck_store_close(store);
        _exit(0);
    }
    bench_wait(child);
}

static void measure(struct work work, const char *title)
{
    double appends[BENCH_ROUNDS_MAX];
    double writes[BENCH_ROUNDS_MAX];
    int rounds = work.options->rounds;
    char store[4096];
    snprintf(store, sizeof(store), "%s/store", work.folder);
    work.batch = bench_batch(work.batch_bytes, RECORD_BYTES);
    for (int i = 0; i < rounds; i++) {
        make_store(store);
        work.store = store;
        appends[i] = run(&work);
        work.store = NULL;
        writes[i] = run(&work);
        bench_remove(store);
    }
    double append = bench_median(appends, rounds);
    double write = bench_median(writes, rounds);
    printf("%-40s %10.0f/s %6.0f MB/s   bare pwrite %10.0f/s   ratio %.2f\n", title, append,
           append * (double)work.batch_bytes / 1e6, write, append / write);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct bench_options options;
    int letter;
    bench_options_init(&options);
    while ((letter = getopt(argc, argv, BENCH_LETTERS)) != -1)
        if (!bench_option(&options, letter))
            errx(2, "usage: append [-r ROUNDS] [-s SECONDS] [DIRECTORY]");
    if (optind < argc)
        options.directory = argv[optind];
    struct work work = {
        &options, bench_folder(options.directory, "append"), NULL, 1, 1, SMALL_BYTES, NULL};
    measure(work, "200 B, 1 process");
    work.processes = PROCESSES;
    measure(work, "200 B, 4 processes on 1 partition");
    work.partitions = PROCESSES;
    measure(work, "200 B, 4 processes on 4 partitions");
    work.processes = work.partitions = 1;
    work.batch_bytes = LARGE_BYTES;
    measure(work, "64 KiB, 1 process");
    bench_remove(work.folder);
    return 0;
}
