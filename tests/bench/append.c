/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast batches of 200 bytes are appended, without a sync: by one process, by four on one
 * partition, by four on a partition each. Beside it, in turn, the limit: the same processes writing
 * as many bytes with a bare pwrite(2) at the end of a file each. Prints the medians of five and
 * their ratio.
 *
 *     append [DIRECTORY]     a folder for the stores, on the disk to be measured; default "."
 */
#include "beck.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_BYTES 200
#define ROUNDS      5
#define PROCESSES   4
#define SECONDS     1.0

/* Shared by the processes of one round. */
struct round {
    _Atomic int ready;
    _Atomic int go;
    uint64_t counts[PROCESSES];
    double seconds[PROCESSES];
};

struct work {
    const char *store;     /* NULL: bare pwrite */
    const char *directory; /* for bare files */
    int processes;
    int partitions;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* One record that makes a batch of BATCH_BYTES. */
static const void *make_batch(struct beck_batch_builder **ret_builder, size_t *ret_size)
{
    static char value[BATCH_BYTES];
    const void *batch = NULL;
    struct beck_error error;
    if (beck_batch_builder_new(BECK_COMPRESSION_NONE, 1 << 20, ret_builder, &error) < 0)
        errx(1, "%s", error.message);
    for (int32_t size = 120; size < BATCH_BYTES; size++) {
        struct beck_record record = {.key_size = -1, .value = value, .value_size = size};
        beck_batch_builder_reset(*ret_builder);
        if (beck_batch_builder_add(*ret_builder, &record) < 0 ||
            beck_batch_builder_finish(*ret_builder, &batch, ret_size, &error) < 0)
            errx(1, "cannot make a batch");
        if (*ret_size == BATCH_BYTES)
            return batch;
    }
    errx(1, "no record makes a batch of %d bytes", BATCH_BYTES);
}

static void wait_for_go(struct round *round)
{
    round->ready++;
    while (!round->go)
        usleep(100);
}

static void append_to_store(const struct work *work, struct round *round, int index)
{
    struct beck_store *store;
    struct beck_partition *partition;
    struct beck_append_result result;
    struct beck_batch_builder *builder;
    struct beck_error error;
    size_t size;
    const void *batch = make_batch(&builder, &size);
    if (beck_store_open(work->store, 0, NULL, &store, &error) < 0 ||
        beck_partition_open(store, "t", index % work->partitions, &partition, &error) < 0)
        errx(1, "%s", error.message);
    wait_for_go(round);
    double begin = now();
    uint64_t count = 0;
    do {
        for (int i = 0; i < 100; i++, count++)
            if (beck_append(partition, batch, size, BECK_ACKS_LEADER, &result, &error) < 0)
                errx(1, "%s", error.message);
    } while (now() - begin < SECONDS);
    round->counts[index] = count;
    round->seconds[index] = now() - begin;
    _exit(0); /* closing would checkpoint: not what is measured */
}

static void write_to_file(const struct work *work, struct round *round, int index)
{
    char path[4096];
    char bytes[BATCH_BYTES] = {0};
    snprintf(path, sizeof(path), "%s/bare.%d", work->directory, index);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        err(1, "%s", path);
    wait_for_go(round);
    double begin = now();
    uint64_t count = 0;
    do {
        for (int i = 0; i < 100; i++, count++)
            if (pwrite(fd, bytes, sizeof(bytes), (off_t)(count * sizeof(bytes))) < 0)
                err(1, "%s", path);
    } while (now() - begin < SECONDS);
    round->counts[index] = count;
    round->seconds[index] = now() - begin;
    unlink(path);
    _exit(0);
}

/* Run one round; appends, or writes, per second in all. */
static double run(const struct work *work)
{
    struct round *round =
        mmap(NULL, sizeof(*round), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (round == MAP_FAILED)
        err(1, "mmap");
    memset(round, 0, sizeof(*round));
    for (int i = 0; i < work->processes; i++) {
        pid_t child = fork();
        if (child < 0)
            err(1, "fork");
        if (child == 0) {
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
        int status;
        if (wait(&status) < 0 || status != 0)
            errx(1, "a process failed");
    }
    for (int i = 0; i < work->processes; i++)
        rate += (double)round->counts[i] / round->seconds[i];
    munmap(round, sizeof(*round));
    return rate;
}

static void make_store(const char *path)
{
    struct beck_store *store;
    struct beck_error error;
    struct beck_topic_options options = {.partition_count = PROCESSES};
    pid_t child = fork();
    if (child == 0) {
        if (beck_store_open(path, BECK_OPEN_CREATE, NULL, &store, &error) < 0 ||
            beck_topic_create(store, "t", &options, NULL, &error) < 0)
            errx(1, "%s", error.message);
        beck_store_close(store);
        _exit(0);
    }
    int status;
    if (wait(&status) < 0 || status != 0)
        errx(1, "no store could be made");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *directory, const char *title, int processes, int partitions)
{
    double appends[ROUNDS];
    double writes[ROUNDS];
    char store[4000];
    char command[4096];
    snprintf(store, sizeof(store), "%s/append-bench.%d", directory, (int)getpid());
    for (int i = 0; i < ROUNDS; i++) {
        struct work work = {store, directory, processes, partitions};
        make_store(store);
        appends[i] = run(&work);
        work.store = NULL;
        writes[i] = run(&work);
        snprintf(command, sizeof(command), "rm -rf '%s'", store);
        if (system(command) != 0)
            errx(1, "%s", command);
    }
    qsort(appends, ROUNDS, sizeof(double), compare);
    qsort(writes, ROUNDS, sizeof(double), compare);
    printf("%-40s %10.0f/s   bare pwrite %10.0f/s   ratio %.2f\n", title, appends[ROUNDS / 2],
           writes[ROUNDS / 2], appends[ROUNDS / 2] / writes[ROUNDS / 2]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    measure(directory, "1 process", 1, 1);
    measure(directory, "4 processes on 1 partition", PROCESSES, 1);
    measure(directory, "4 processes on 4 partitions", PROCESSES, PROCESSES);
    return 0;
}
