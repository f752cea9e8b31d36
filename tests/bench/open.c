/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long opening a store takes, in a new process that is alone with it, what that reads and how
 * much memory the process then has:
 *
 *   - of many partitions with a record each, closed as it should be;
 *   - the same where the last process was killed after it had appended to some of them;
 *   - after power loss, with much data and as much of it behind the checkpoints as maintenance lets
 *     there be. Power loss is played by killing the process and removing `live`, without which
 *     recovery knows no more than the checkpoints; the files are in the page cache still. Beside
 *     it, in turn, the limit: read(2) of as many bytes of the same files.
 *
 * Prints the medians, and what they are of their aims.
 *
 *     open [-r ROUNDS] [-p PARTITIONS] [-t TOPICS] [-d DIRTY] [-m MEBIBYTES] [-u MEBIBYTES]
 *          [DIRECTORY]
 *
 * -p 10,000 partitions in -t 100 topics, of which -d 1,000 are appended to before the kill; -m
 * 1,024 MiB of data in 32 partitions, -u 512 MiB of it not covered by checkpoints. -p 0, or -m 0,
 * leaves that part out.
 */
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SMALL_BYTES      200
#define LARGE_BYTES      ((size_t)64 * 1024)
#define RECORD_BYTES     1024
#define POWER_PARTITIONS 32
#define OPEN_SECONDS     1.0  /* the aims: a store that was closed, or whose process was killed */
#define POWER_SECONDS    10.0 /* after power loss */
#define RSS_MIB          64.0
#define READ_BYTES       ((size_t)256 * 1024)

struct work {
    struct bench_options options;
    int partitions;
    int topics;
    int dirty;
    uint64_t power_bytes;
    uint64_t unchecked_bytes;
    char store[4096];
};

/* What an opening came to. */
struct opening {
    double seconds;
    double rss_mib;
    double read_mib;
    double reads;
    double all_seconds; /* where it was not closed: for opening all of the partitions, after that */
    double all_rss_mib;
};

/* ---- the process that opens ---------------------------------------------------------------- */

/* A number that stands behind `name` in a file of lines. */
static double find_number(const char *path, const char *name)
{
    char line[256];
    double value = -1;
    FILE *file = fopen(path, "r");
    if (!file)
        err(1, "%s", path);
    while (value < 0 && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atof(line + strlen(name));
    fclose(file);
    return value;
}

static double rss_mib(void)
{
    return find_number("/proc/self/status", "VmRSS:") / 1024;
}

static void open_all(struct beck_store *store)
{
    struct beck_topic topic;
    struct beck_partition *partition;
    struct beck_error error;
    for (const char *after = NULL;
         bench_must(beck_topic_next(store, after, &topic, &error), &error) == 1; after = topic.name)
        for (uint32_t i = 0; i < topic.partition_count; i++)
            bench_must(beck_partition_open(store, topic.name, (int32_t)i, &partition, &error),
                       &error);
}

/* Open, tell, and go without a close where `close` is not asked for. */
static void open_and_tell(const char *path, bool close)
{
    struct beck_store *store;
    struct beck_error error;
    struct opening opening;
    double reads = find_number("/proc/self/io", "syscr:");
    double bytes = find_number("/proc/self/io", "rchar:");
    double begin = bench_now();
    bench_must(beck_store_open(path, 0, NULL, &store, &error), &error);
    opening.seconds = bench_now() - begin;
    opening.read_mib = (find_number("/proc/self/io", "rchar:") - bytes) / (1 << 20);
    opening.reads = find_number("/proc/self/io", "syscr:") - reads;
    opening.rss_mib = rss_mib();
    if (close) {
        beck_store_close(store);
    } else {
        begin = bench_now();
        open_all(store);
        opening.all_seconds = bench_now() - begin;
        opening.all_rss_mib = rss_mib();
    }
    if (write(STDOUT_FILENO, &opening, sizeof(opening)) != sizeof(opening))
        err(1, "write");
    _exit(0);
}

/* In a process that is new in all. */
static struct opening run_open(const char *path, bool close_after)
{
    struct opening opening;
    int ends[2];
    if (pipe(ends) < 0)
        err(1, "pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "open", close_after ? "--close" : "--stay", path, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    if (read(ends[0], &opening, sizeof(opening)) != sizeof(opening))
        errx(1, "the process that opens %s failed", path);
    close(ends[0]);
    bench_wait(child);
    return opening;
}

/* ---- processes that write ------------------------------------------------------------------ */

static void append(struct beck_store *store, const char *topic, int number, const void *batch,
                   size_t size, int count)
{
    struct beck_partition *partition;
    struct beck_append_result result;
    struct beck_error error;
    bench_must(beck_partition_open(store, topic, number, &partition, &error), &error);
    for (int i = 0; i < count; i++)
        bench_must(beck_append(partition, batch, size, BECK_ACKS_LEADER, &result, &error), &error);
    beck_partition_close(partition);
}

/* Append a record to the first partition of each topic, then the second, `count` in all. */
static void append_small(const struct work *work, struct beck_store *store, int count)
{
    const void *batch = bench_batch(SMALL_BYTES, SMALL_BYTES);
    for (int i = 0; i < count; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "t%d", i % work->topics);
        append(store, topic, i / work->topics, batch, SMALL_BYTES, 1);
    }
}

/* As many bytes in all partitions; with checkpoints when they are due, as the daemon does. */
static void append_large(struct beck_store *store, uint64_t bytes, bool maintain)
{
    enum { AT_ONCE = 16 };
    const void *batch = bench_batch(LARGE_BYTES, RECORD_BYTES);
    struct beck_error error;
    uint32_t next_ms;
    for (uint64_t done = 0; done < bytes;)
        for (int i = 0; i < POWER_PARTITIONS; i++, done += AT_ONCE * LARGE_BYTES) {
            append(store, "power", i, batch, LARGE_BYTES, AT_ONCE);
            if (maintain)
                bench_must(beck_store_maintain(store, false, &next_ms, &error), &error);
        }
}

static void make_many(const struct work *work)
{
    struct beck_store *store;
    struct beck_error error;
    struct beck_topic_options options = {.partition_count =
                                             (uint32_t)(work->partitions / work->topics)};
    bench_must(beck_store_open(work->store, BECK_OPEN_CREATE, NULL, &store, &error), &error);
    double begin = bench_now();
    for (int i = 0; i < work->topics; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "t%d", i);
        bench_must(beck_topic_create(store, topic, &options, NULL, &error), &error);
    }
    printf("%d partitions in %d topics were made in %.1f s", work->partitions, work->topics,
           bench_now() - begin);
    append_small(work, store, work->partitions);
    begin = bench_now();
    beck_store_close(store);
    printf("; a close after a record in each took %.2f s\n", bench_now() - begin);
    fflush(stdout);
}

static void make_large(const struct work *work)
{
    struct beck_store *store;
    struct beck_error error;
    struct beck_topic_options options = {.partition_count = POWER_PARTITIONS};
    bench_must(beck_store_open(work->store, BECK_OPEN_CREATE, NULL, &store, &error), &error);
    bench_must(beck_topic_create(store, "power", &options, NULL, &error), &error);
    append_large(store, work->power_bytes, true);
    beck_store_close(store);
}

static void append_and_die(const struct work *work, bool large)
{
    struct beck_store *store;
    struct beck_error error;
    pid_t child = fork();
    if (child == 0) {
        bench_must(beck_store_open(work->store, 0, NULL, &store, &error), &error);
        if (large)
            append_large(store, work->unchecked_bytes, false);
        else
            append_small(work, store, work->dirty);
        raise(SIGKILL);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFSIGNALED(status))
        errx(1, "a process failed");
}

/* In a process of its own, so that this one has nothing of the store. */
static void make(const struct work *work, void (*what)(const struct work *work))
{
    pid_t child = fork();
    if (child == 0) {
        what(work);
        _exit(0);
    }
    bench_wait(child);
}

/* ---- the limit ----------------------------------------------------------------------------- */

/* Read the ends of the segments, in all as many bytes as were read to recover them. */
static double read_bare(const struct work *work, double mib)
{
    char pattern[4200];
    glob_t found;
    off_t each = (off_t)(mib * (1 << 20) / POWER_PARTITIONS);
    char *buffer = malloc(READ_BYTES);
    snprintf(pattern, sizeof(pattern), "%s/topics/*/*/*.log", work->store);
    if (!buffer || glob(pattern, 0, NULL, &found) != 0)
        errx(1, "%s: no segments", pattern);
    double begin = bench_now();
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDONLY);
        off_t end = lseek(fd, 0, SEEK_END);
        (void)lseek(fd, end > each ? end - each : 0, SEEK_SET);
        while (read(fd, buffer, READ_BYTES) > 0)
            ;
        close(fd);
    }
    double seconds = bench_now() - begin;
    globfree(&found);
    free(buffer);
    return seconds;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* The medians, of each figure for itself. */
static struct opening median(const struct opening *openings, int rounds)
{
    struct opening result;
    for (size_t i = 0; i < sizeof(result) / sizeof(double); i++) {
        double values[BENCH_ROUNDS_MAX];
        for (int j = 0; j < rounds; j++)
            memcpy(&values[j], (const double *)&openings[j] + i, sizeof(double));
        double value = bench_median(values, rounds);
        memcpy((double *)&result + i, &value, sizeof(double));
    }
    return result;
}

static void print(const char *title, const struct opening *opening, double aim)
{
    printf("%-32s %7.3f s (%.2f of the aim), %6.1f MiB RSS (%.2f), read %.1f MiB in %.0f reads\n",
           title, opening->seconds, opening->seconds / aim, opening->rss_mib,
           opening->rss_mib / RSS_MIB, opening->read_mib, opening->reads);
    fflush(stdout);
}

static void measure_many(const struct work *work)
{
    struct opening openings[BENCH_ROUNDS_MAX] = {0};
    struct opening all;
    char title[64];
    int rounds = work->options.rounds;
    make(work, make_many);
    for (int i = 0; i < rounds; i++)
        openings[i] = run_open(work->store, true);
    all = median(openings, rounds);
    snprintf(title, sizeof(title), "%d partitions, closed", work->partitions);
    print(title, &all, OPEN_SECONDS);
    for (int i = 0; i < rounds; i++) {
        append_and_die(work, false);
        openings[i] = run_open(work->store, false);
    }
    all = median(openings, rounds);
    snprintf(title, sizeof(title), "killed, %d dirty", work->dirty);
    print(title, &all, OPEN_SECONDS);
    printf("%-32s %7.3f s, %16.1f MiB RSS\n", "then opening all partitions", all.all_seconds,
           all.all_rss_mib);
    bench_remove(work->store);
}

static void measure_power(const struct work *work)
{
    struct opening openings[BENCH_ROUNDS_MAX] = {0};
    struct opening all;
    double bare[BENCH_ROUNDS_MAX];
    char live[4200];
    char title[64];
    int rounds = work->options.rounds;
    snprintf(live, sizeof(live), "%s/live", work->store);
    make(work, make_large);
    for (int i = 0; i < rounds; i++) {
        append_and_die(work, true);
        if (unlink(live) < 0)
            err(1, "%s", live);
        openings[i] = run_open(work->store, true);
        bare[i] = read_bare(work, openings[i].read_mib);
    }
    all = median(openings, rounds);
    snprintf(title, sizeof(title), "power loss, %.1f GiB", (double)work->power_bytes / (1 << 30));
    print(title, &all, POWER_SECONDS);
    double limit = bench_median(bare, rounds);
    printf("%-32s %7.3f s, ratio %.2f\n", "bare read of as many bytes", limit, limit / all.seconds);
}

static void parse(struct work *work, int argc, char **argv)
{
    int letter;
    bench_options_init(&work->options);
    while ((letter = getopt(argc, argv, BENCH_LETTERS "p:t:d:m:u:")) != -1) {
        long value = letter != 'r' && letter != 's' && optarg ? atol(optarg) : 1;
        if (value < 0)
            errx(2, "-%c is below 0", letter);
        if (letter == 'p')
            work->partitions = (int)value;
        else if (letter == 't')
            work->topics = (int)value;
        else if (letter == 'd')
            work->dirty = (int)value;
        else if (letter == 'm')
            work->power_bytes = (uint64_t)value << 20;
        else if (letter == 'u')
            work->unchecked_bytes = (uint64_t)value << 20;
        else if (!bench_option(&work->options, letter))
            errx(2, "usage: see the beginning of open.c");
    }
    if (work->topics < 1 || work->partitions % work->topics != 0 ||
        (work->partitions > 0 && work->dirty > work->partitions))
        errx(2, "each topic has to have as many partitions, and no more be dirty than there are");
    if (optind < argc)
        work->options.directory = argv[optind];
}

int main(int argc, char **argv)
{
    struct work work = {.partitions = 10000,
                        .topics = 100,
                        .dirty = 1000,
                        .power_bytes = (uint64_t)1 << 30,
                        .unchecked_bytes = (uint64_t)512 << 20};
    if (argc == 3 && strcmp(argv[1], "--close") == 0)
        open_and_tell(argv[2], true);
    if (argc == 3 && strcmp(argv[1], "--stay") == 0)
        open_and_tell(argv[2], false);
    parse(&work, argc, argv);
    const char *folder = bench_folder(work.options.directory, "open");
    snprintf(work.store, sizeof(work.store), "%s/store", folder);
    if (work.partitions > 0)
        measure_many(&work);
    if (work.power_bytes > 0)
        measure_power(&work);
    bench_remove(folder);
    return 0;
}
