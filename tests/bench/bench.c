/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_options_init(struct bench_options *options)
{
    *options = (struct bench_options){.directory = ".", .rounds = 5, .seconds = 1};
}

bool bench_option(struct bench_options *options, int letter)
{
    if (letter == 'r')
        options->rounds = atoi(optarg);
    else if (letter == 's')
        options->seconds = atof(optarg);
    else
        return false;
    if (options->rounds < 1 || options->rounds > BENCH_ROUNDS_MAX || options->seconds <= 0)
        errx(2, "1 to %d rounds, of more than 0 seconds", BENCH_ROUNDS_MAX);
    return true;
}

double bench_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(values[0]), compare);
    return values[count / 2];
}

int bench_must(int result, const struct beck_error *error)
{
    if (result < 0)
        errx(1, "%s", error->message);
    return result;
}

/* Fill the builder with records of `record_bytes`, and one of `last_bytes`. Bytes of the batch. */
static size_t build(struct beck_batch_builder *builder, const void *value, size_t count,
                    size_t record_bytes, size_t last_bytes, const void **ret_batch)
{
    struct beck_record record = {.key_size = -1, .value = value};
    struct beck_error error;
    size_t size = 0;
    beck_batch_builder_reset(builder);
    for (size_t i = 0; i <= count; i++) {
        record.value_size = (int32_t)(i < count ? record_bytes : last_bytes);
        bench_must(beck_batch_builder_add(builder, &record), &error);
    }
    bench_must(beck_batch_builder_finish(builder, ret_batch, &size, &error), &error);
    return size;
}

const void *bench_batch(size_t bytes, size_t record_bytes)
{
    enum { OVERHEAD = 16 }; /* the most that a record takes beside its value */
    struct beck_batch_builder *builder = NULL;
    struct beck_error error;
    const void *batch = NULL;
    void *value = calloc(1, bytes);
    size_t count = (bytes - BECK_BATCH_HEADER_BYTES) / (record_bytes + OVERHEAD);
    bench_must(beck_batch_builder_new(BECK_COMPRESSION_NONE, (uint32_t)bytes * 2, &builder, &error),
               &error);
    if (!value)
        errx(1, "out of memory");
    count -= count > 0;
    size_t least = build(builder, value, count, record_bytes, 0, &batch);
    for (size_t last = bytes - least; least < bytes && last > 0; last--)
        if (build(builder, value, count, record_bytes, last, &batch) == bytes) {
            free(value);
            return batch;
        }
    errx(1, "no records make a batch of %zu bytes", bytes);
}

const char *bench_folder(const char *directory, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s-bench.XXXXXX", directory, name) < 0)
        errx(1, "out of memory");
    if (!mkdtemp(path))
        err(1, "%s", path);
    return path;
}

void bench_remove(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(1);
    }
    bench_wait(child);
}

void bench_wait(int child)
{
    int status;
    if (child < 0)
        err(1, "fork");
    if (waitpid(child, &status, 0) < 0 || status != 0)
        errx(1, "a process failed");
}

void *bench_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        err(1, "mmap");
    return memory;
}
