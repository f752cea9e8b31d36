/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many offset commits a second are durable, from 1, 4 and 16 threads that each wait for their
 * own, and with arrays of 100. Beside it, in turn, the limit: as many threads that each put a value
 * of the same size into a bare LMDB file and commit, on the same disk. Prints the medians of five
 * and their ratio; the time of one bare commit says how fast the disk is.
 *
 *     commit [DIRECTORY]     a folder for the stores, on the disk to be measured; default "."
 */
#include "beck.h"

#include <err.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS      5
#define SECONDS     1.0
#define THREADS_MAX 16
#define PARTITIONS  100
#define VALUE_BYTES 100 /* about what a committed offset takes */
#define MAP_BYTES   ((size_t)1 << 30)

struct work {
    struct beck_store *store; /* NULL: bare LMDB */
    MDB_env *env;
    MDB_dbi dbi;
    int array; /* commits in one call */
    _Atomic int number;
    _Atomic uint64_t commits;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void commit_offsets(struct work *work, int number, int64_t offset)
{
    struct beck_offset_commit commits[PARTITIONS];
    struct beck_error error;
    char group[32];
    int size = snprintf(group, sizeof(group), "group-%d", number);
    for (int i = 0; i < work->array; i++)
        commits[i] = (struct beck_offset_commit){
            .group = group,
            .group_size = (size_t)size,
            .topic = "t",
            .partition = (number * work->array + i) % PARTITIONS,
            .offset = offset,
            .leader_epoch = -1,
            .expire_ms = -1,
            .flags = BECK_OFFSET_BEYOND_END,
        };
    if (beck_offsets_commit(work->store, commits, (size_t)work->array, &error) != work->array)
        errx(1, "%s", error.message);
}

static void put_values(struct work *work, int number)
{
    char bytes[VALUE_BYTES] = {0};
    MDB_txn *txn;
    if (mdb_txn_begin(work->env, NULL, 0, &txn) != 0)
        errx(1, "mdb_txn_begin");
    for (int i = 0; i < work->array; i++) {
        char text[25];
        MDB_val key = {.mv_size = 24, .mv_data = text};
        MDB_val value = {.mv_size = sizeof(bytes), .mv_data = bytes};
        snprintf(text, sizeof(text), "%012d%012d", number, i);
        if (mdb_put(txn, work->dbi, &key, &value, 0) != 0)
            errx(1, "mdb_put");
    }
    if (mdb_txn_commit(txn) != 0)
        errx(1, "mdb_txn_commit");
}

static void *run_thread(void *context)
{
    struct work *work = context;
    int number = atomic_fetch_add(&work->number, 1);
    uint64_t count = 0;
    for (double end = now() + SECONDS; now() < end; count++) {
        if (work->store)
            commit_offsets(work, number, (int64_t)count);
        else
            put_values(work, number);
    }
    atomic_fetch_add(&work->commits, count * (uint64_t)work->array);
    return NULL;
}

/* Commits a second. */
static double run(struct work *work, int threads)
{
    pthread_t ids[THREADS_MAX];
    double begin = now();
    work->number = 0;
    work->commits = 0;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, run_thread, work) != 0)
            errx(1, "pthread_create");
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return (double)work->commits / (now() - begin);
}

static void open_store(struct work *work, const char *path)
{
    struct beck_error error;
    struct beck_topic_options options = {.partition_count = PARTITIONS};
    if (beck_store_open(path, BECK_OPEN_CREATE, NULL, &work->store, &error) < 0 ||
        beck_topic_create(work->store, "t", &options, NULL, &error) < 0)
        errx(1, "%s", error.message);
    /* As a broker has them. */
    for (int i = 0; i < PARTITIONS; i++) {
        struct beck_partition *partition;
        if (beck_partition_open(work->store, "t", i, &partition, &error) < 0)
            errx(1, "%s", error.message);
    }
}

static void open_bare(struct work *work, const char *path)
{
    MDB_txn *txn;
    if (mkdir(path, 0755) < 0)
        err(1, "%s", path);
    if (mdb_env_create(&work->env) != 0 || mdb_env_set_mapsize(work->env, MAP_BYTES) != 0 ||
        mdb_env_set_maxdbs(work->env, 1) != 0 || mdb_env_open(work->env, path, 0, 0644) != 0 ||
        mdb_txn_begin(work->env, NULL, 0, &txn) != 0 ||
        mdb_dbi_open(txn, "offsets", MDB_CREATE, &work->dbi) != 0 || mdb_txn_commit(txn) != 0)
        errx(1, "%s: LMDB", path);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct work *offsets, struct work *bare, int threads, int array)
{
    double commits[ROUNDS];
    double puts[ROUNDS];
    offsets->array = bare->array = array;
    for (int i = 0; i < ROUNDS; i++) {
        commits[i] = run(offsets, threads);
        puts[i] = run(bare, threads);
    }
    qsort(commits, ROUNDS, sizeof(double), compare);
    qsort(puts, ROUNDS, sizeof(double), compare);
    printf("%2d threads, %3d offsets a call %10.0f/s   bare LMDB %10.0f/s   ratio %.2f\n", threads,
           array, commits[ROUNDS / 2], puts[ROUNDS / 2], commits[ROUNDS / 2] / puts[ROUNDS / 2]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    char folder[4000];
    char path[4096];
    struct work offsets = {0};
    struct work bare = {0};
    snprintf(folder, sizeof(folder), "%s/commit-bench.%d", directory, (int)getpid());
    if (mkdir(folder, 0755) < 0)
        err(1, "%s", folder);
    snprintf(path, sizeof(path), "%s/store", folder);
    open_store(&offsets, path);
    snprintf(path, sizeof(path), "%s/bare", folder);
    open_bare(&bare, path);
    static const int threads[] = {1, 4, 16};
    for (int i = 0; i < 3; i++)
        measure(&offsets, &bare, threads[i], 1);
    measure(&offsets, &bare, 1, 100);
    measure(&offsets, &bare, 16, 100);
    snprintf(path, sizeof(path), "rm -rf '%s'", folder);
    return system(path) != 0;
}
