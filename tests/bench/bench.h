/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share. Whatever goes wrong ends the program with a sentence. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

#include "beck.h"

/* What `-r ROUNDS -s SECONDS [DIRECTORY]` say; other letters are the program's own. */
struct bench_options {
    const char *directory; /* on the disk to be measured; "." */
    int rounds;            /* of which the median counts; 5 */
    double seconds;        /* that a round takes; 1 */
};

#define BENCH_LETTERS    "r:s:"
#define BENCH_ROUNDS_MAX 100

void bench_options_init(struct bench_options *options);
/* Take what getopt(3) returned; false: it is not one of ours. */
bool bench_option(struct bench_options *options, int letter);

/* Seconds of a clock that never goes back. */
double bench_now(void);

/* Sorts them. */
double bench_median(double *values, int count);

/* End the program where `result` is a negative errno. */
int bench_must(int result, const struct beck_error *error);

/* A batch of exactly `bytes`, of as many records of about `record_bytes` as fit. For ever. */
const void *bench_batch(size_t bytes, size_t record_bytes);

/* A new folder in `directory`; both last until the program ends. */
const char *bench_folder(const char *directory, const char *name);
/* Remove a folder and all in it. */
void bench_remove(const char *path);

/* Wait for a child process, which has to end well. */
void bench_wait(int child);

/* Memory that children share with us, zeroed. */
void *bench_shared(size_t bytes);

#endif
