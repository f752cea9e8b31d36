/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many batches of 200 bytes a second are acknowledged as durable on one partition, by 1 to 64
 * producers that each wait for their own, threads of one process or a process each; and how many
 * fdatasync(2) that takes. Beside it, in turn, the limit: a bare loop that writes as many bytes as
 * the producers have under way at once, and syncs. Prints the medians, and the ratio of acks to
 * what the bare loop makes durable; below one it is what waking and being woken costs, and that not
 * all producers are ready when a sync begins.
 *
 *     sync [-r ROUNDS] [-s SECONDS] [-n PRODUCERS] [DIRECTORY]
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define BATCH_BYTES   200
#define PRODUCERS_MAX 1024

/* Shared by all producers. */
struct shared {
    _Atomic int ready;
    _Atomic int go;
    _Atomic uint64_t acks;
    _Atomic uint64_t syncs;
};

static struct shared *shared;

struct work {
    struct bench_options options;
    const char *folder;
    char store[4096];
    int producers;
    const void *batch;
    struct beck_partition *partition; /* of a process with threads */
};

/* What one round came to, a second. */
struct rates {
    double acks;
    double syncs;
};

/* In the place of the C library's, for the engine, too. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    atomic_fetch_add(&shared->syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- producers ----------------------------------------------------------------------------- */

static struct beck_partition *open_partition(const struct work *work)
{
    struct beck_store *store;
    struct beck_partition *partition;
    struct beck_error error;
    bench_must(beck_store_open(work->store, 0, NULL, &store, &error), &error);
    bench_must(beck_partition_open(store, "t", 0, &partition, &error), &error);
    return partition;
}

static void produce(const struct work *work, struct beck_partition *partition)
{
    struct beck_append_result result;
    struct beck_error error;
    uint64_t count = 0;
    shared->ready++;
    while (!shared->go)
        usleep(100);
    for (double end = bench_now() + work->options.seconds; bench_now() < end; count++) {
        bench_must(beck_append(partition, work->batch, BATCH_BYTES, BECK_ACKS_ALL, &result, &error),
                   &error);
        bench_must(beck_sync(partition, result.next_offset, &error), &error);
    }
    atomic_fetch_add(&shared->acks, count);
}

static void *run_thread(void *context)
{
    const struct work *work = context;
    produce(work, work->partition);
    return NULL;
}

static void run_threads(struct work *work)
{
    pthread_t threads[PRODUCERS_MAX];
    work->partition = open_partition(work);
    for (int i = 0; i < work->producers; i++)
        if (pthread_create(&threads[i], NULL, run_thread, work) != 0)
            errx(1, "pthread_create");
    for (int i = 0; i < work->producers; i++)
        pthread_join(threads[i], NULL);
}

/* Wait until all are there, and let them go. */
static double start(const struct work *work)
{
    while (shared->ready < work->producers)
        usleep(1000);
    shared->syncs = 0;
    shared->go = 1;
    return bench_now();
}

static struct rates run_producers(struct work *work, bool threads)
{
    pid_t children[PRODUCERS_MAX];
    int count = threads ? 1 : work->producers;
    memset(shared, 0, sizeof(*shared));
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            if (threads)
                run_threads(work);
            else
                produce(work, open_partition(work));
            _exit(0); /* closing would checkpoint: not what is measured */
        }
    }
    double begin = start(work);
    for (int i = 0; i < count; i++)
        bench_wait(children[i]);
    double seconds = bench_now() - begin;
    return (struct rates){(double)shared->acks / seconds, (double)shared->syncs / seconds};
}

/* ---- the limit ----------------------------------------------------------------------------- */

static double run_bare(const struct work *work)
{
    char path[4200];
    size_t bytes = (size_t)work->producers * BATCH_BYTES;
    char *buffer = calloc(1, bytes);
    snprintf(path, sizeof(path), "%s/bare", work->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || !buffer)
        err(1, "%s", path);
    uint64_t count = 0;
    double begin = bench_now();
    for (; bench_now() - begin < work->options.seconds; count++)
        if (pwrite(fd, buffer, bytes, (off_t)(count * bytes)) < 0 || fdatasync(fd) < 0)
            err(1, "%s", path);
    double seconds = bench_now() - begin;
    close(fd);
    free(buffer);
    return (double)count / seconds;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void make_store(const char *path)
{
    struct beck_store *store;
    struct beck_error error;
    pid_t child = fork();
    if (child == 0) {
        bench_must(beck_store_open(path, BECK_OPEN_CREATE, NULL, &store, &error), &error);
        bench_must(beck_topic_create(store, "t", NULL, NULL, &error), &error);
        beck_store_close(store);
        _exit(0);
    }
    bench_wait(child);
}

static void measure(struct work *work, int producers, bool threads)
{
    double acks[BENCH_ROUNDS_MAX];
    double syncs[BENCH_ROUNDS_MAX];
    double bare[BENCH_ROUNDS_MAX];
    int rounds = work->options.rounds;
    work->producers = producers;
    for (int i = 0; i < rounds; i++) {
        struct rates rates = run_producers(work, threads);
        acks[i] = rates.acks;
        syncs[i] = rates.syncs;
        bare[i] = run_bare(work);
    }
    double ack = bench_median(acks, rounds);
    double sync = bench_median(syncs, rounds);
    double limit = bench_median(bare, rounds);
    printf("%3d %-9s %8.0f acks/s, %6.0f syncs/s, %5.1f records a sync   bare %6.0f syncs/s   "
           "ratio %.2f\n",
           producers, threads ? "threads" : "processes", ack, sync, ack / sync, limit,
           ack / (limit * producers));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct work work = {.batch = NULL};
    int producers = 0;
    int letter;
    bench_options_init(&work.options);
    while ((letter = getopt(argc, argv, BENCH_LETTERS "n:")) != -1) {
        if (letter == 'n')
            producers = atoi(optarg);
        else if (!bench_option(&work.options, letter))
            errx(2, "usage: sync [-r ROUNDS] [-s SECONDS] [-n PRODUCERS] [DIRECTORY]");
    }
    if (producers < 0 || producers > PRODUCERS_MAX)
        errx(2, "1 to %d producers", PRODUCERS_MAX);
    if (optind < argc)
        work.options.directory = argv[optind];
    shared = bench_shared(sizeof(*shared));
    work.batch = bench_batch(BATCH_BYTES, BATCH_BYTES);
    work.folder = bench_folder(work.options.directory, "sync");
    snprintf(work.store, sizeof(work.store), "%s/store", work.folder);
    make_store(work.store);
    static const int counts[] = {1, 4, 16, 64};
    for (int i = 0; i < 4 && !producers; i++)
        measure(&work, counts[i], true);
    if (producers)
        measure(&work, producers, true);
    measure(&work, producers ? producers : 64, false);
    bench_remove(work.folder);
    return 0;
}
