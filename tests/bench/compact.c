/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a topic is compacted: bytes of its segments a second, beside a plain copy (read, write
 * and sync) of the same bytes, and the memory that it takes. Each part is a process of its own, so
 * that the memory is that of compaction alone.
 *
 *     compact [-d DIRECTORY] [-g MIB] [-k KEYS] [-v VALUE_BYTES] [-c none|gzip|snappy|lz4|zstd]
 *             [-s SEGMENT_MIB] [-m MAP_MIB]
 *
 * Keys are chosen at random, so that each has as many records as there are for one, about. Of a
 * value one half is random and the other compresses well.
 */
#include "beck.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_RECORDS 500
#define VALUE_MOST    65536
#define COPY_BYTES    (1 << 20)
#define MIB           (1024.0 * 1024.0)

static const char *directory = ".";
static uint64_t topic_bytes = 256 << 20;
static uint64_t keys = 100000;
static size_t value_bytes = 400;
static enum beck_compression codec = BECK_COMPRESSION_ZSTD;
static unsigned segment_mib = 64;
static uint64_t map_bytes;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Run in a child, and return what it used. */
static struct rusage in_child(void (*work)(const char *path), const char *path)
{
    struct rusage usage;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        work(path);
        _exit(0);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0)
        errx(1, "a part has failed");
    return usage;
}

static struct beck_store *open_store(const char *path)
{
    struct beck_store_options options = {.compaction_bytes = map_bytes};
    struct beck_store *store = NULL;
    struct beck_error error;
    if (beck_store_open(path, 0, &options, &store, &error) < 0)
        errx(1, "%s", error.message);
    return store;
}

static struct beck_partition *open_partition(struct beck_store *store)
{
    struct beck_partition *partition = NULL;
    struct beck_error error;
    if (beck_partition_open(store, "t", 0, &partition, &error) < 0)
        errx(1, "%s", error.message);
    return partition;
}

/* ---- the topic ----------------------------------------------------------------------------- */

static void create(struct beck_store *store)
{
    char bytes[32];
    struct beck_config configs[] = {{"cleanup.policy", "compact"},
                                    {"segment.bytes", bytes},
                                    {"min.cleanable.dirty.ratio", "0"},
                                    {"flush.policy", "os"}};
    struct beck_topic_options options = {.configs = configs, .config_count = 4};
    struct beck_topic topic;
    struct beck_error error;
    (void)snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)segment_mib << 20);
    if (beck_topic_create(store, "t", &options, &topic, &error) < 0)
        errx(1, "%s", error.message);
}

static uint64_t append_batch(struct beck_partition *partition, struct beck_batch_builder *builder)
{
    static uint64_t value[VALUE_MOST / 8];
    struct beck_append_result result;
    struct beck_error error;
    const void *batch;
    size_t size;
    beck_batch_builder_reset(builder);
    for (int i = 0; i < BATCH_RECORDS; i++) {
        char key[32];
        struct beck_record record = {
            .key = key, .value = value, .value_size = (int32_t)value_bytes};
        record.key_size =
            snprintf(key, sizeof(key), "key-%012llu", (unsigned long long)(next_random() % keys));
        for (size_t at = 0; at < value_bytes / 16; at++)
            value[at] = next_random();
        if (beck_batch_builder_add(builder, &record) < 0)
            errx(1, "a record cannot be added");
    }
    if (beck_batch_builder_finish(builder, &batch, &size, &error) < 0 ||
        beck_append(partition, batch, size, BECK_ACKS_LEADER, &result, &error) < 0)
        errx(1, "%s", error.message);
    return size;
}

static void make_topic(const char *path)
{
    struct beck_store *store;
    struct beck_batch_builder *builder = NULL;
    struct beck_error error;
    uint64_t bytes = 0;
    uint64_t maintained = 0;
    if (beck_store_create(path, NULL, &error) < 0 ||
        beck_batch_builder_new(codec, BECK_BATCH_BYTES_LIMIT, &builder, &error) < 0)
        errx(1, "%s", error.message);
    store = open_store(path);
    create(store);
    struct beck_partition *partition = open_partition(store);
    while (bytes < topic_bytes) {
        uint32_t next_ms;
        bytes += append_batch(partition, builder);
        if (bytes - maintained < (32 << 20))
            continue;
        maintained = bytes;
        if (beck_store_maintain(store, true, &next_ms, &error) < 0)
            errx(1, "%s", error.message);
    }
    beck_batch_builder_free(builder);
    beck_partition_close(partition);
    beck_store_close(store);
}

/* ---- a plain copy -------------------------------------------------------------------------- */

static void copy_file(int folder, const char *name, int to)
{
    static char buffer[COPY_BYTES];
    int from = openat(folder, name, O_RDONLY);
    ssize_t n = -1;
    while (from >= 0 && (n = read(from, buffer, sizeof(buffer))) > 0)
        if (write(to, buffer, (size_t)n) != n)
            err(1, "write");
    if (n < 0)
        err(1, "%s", name);
    (void)close(from);
}

/* The partition's folder: there is one topic. */
static int open_folder(const char *path)
{
    char topics[4096];
    (void)snprintf(topics, sizeof(topics), "%s/topics", path);
    DIR *all = opendir(topics);
    const struct dirent *entry = NULL;
    while (all && (entry = readdir(all)) != NULL && entry->d_name[0] == '.')
        ;
    if (!entry)
        errx(1, "%s has no topic", topics);
    char folder[8192];
    (void)snprintf(folder, sizeof(folder), "%s/%s/0", topics, entry->d_name);
    (void)closedir(all);
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        err(1, "%s", folder);
    return fd;
}

/* Returns the bytes in it; copies them where there is a file to copy them to. */
static uint64_t walk_folder(const char *path, int to)
{
    int folder = open_folder(path);
    DIR *files = fdopendir(folder);
    const struct dirent *entry;
    struct stat info;
    uint64_t bytes = 0;
    if (!files)
        err(1, "fdopendir");
    while ((entry = readdir(files)) != NULL) {
        if (entry->d_name[0] == '.' || fstatat(folder, entry->d_name, &info, 0) < 0)
            continue;
        bytes += (uint64_t)info.st_size;
        if (to >= 0)
            copy_file(folder, entry->d_name, to);
    }
    (void)closedir(files);
    return bytes;
}

static void copy_plainly(const char *path)
{
    char name[4096];
    (void)snprintf(name, sizeof(name), "%s.copy", path);
    int to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (to < 0)
        err(1, "%s", name);
    (void)walk_folder(path, to);
    if (fdatasync(to) < 0)
        err(1, "%s", name);
    (void)close(to);
    (void)unlink(name);
}

/* ---- compaction ---------------------------------------------------------------------------- */

static void compact(const char *path)
{
    struct beck_store *store = open_store(path);
    struct beck_error error;
    uint32_t next_ms;
    if (beck_store_clean(store, NULL, NULL, &next_ms, &error) < 0)
        errx(1, "%s", error.message);
    beck_store_close(store);
}

static int remove_all(const char *path)
{
    char command[4200];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command);
}

static void measure(const char *path)
{
    (void)in_child(make_topic, path);
    uint64_t before = walk_folder(path, -1);
    double begin = now();
    (void)in_child(copy_plainly, path);
    double copied = now() - begin;
    begin = now();
    struct rusage usage = in_child(compact, path);
    double compacted = now() - begin;
    uint64_t after = walk_folder(path, -1);
    printf("%.0f MiB, %llu keys, values of %zu bytes: %.0f MiB are left\n", (double)before / MIB,
           (unsigned long long)keys, value_bytes, (double)after / MIB);
    printf("plain copy   %7.1f s  %7.1f MiB/s\n", copied, (double)before / MIB / copied);
    printf("compaction   %7.1f s  %7.1f MiB/s  (%.2f of a copy), %.1f s of processor\n", compacted,
           (double)before / MIB / compacted, copied / compacted,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    printf("peak memory  %7.1f MiB\n", (double)usage.ru_maxrss / 1024);
}

static void parse_codec(const char *name)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0) {
            codec = (enum beck_compression)i;
            return;
        }
    errx(2, "there is no codec \"%s\"", name);
}

int main(int argc, char **argv)
{
    char path[4000];
    int option;
    while ((option = getopt(argc, argv, "d:g:k:v:c:s:m:")) != -1) {
        switch (option) {
        case 'd':
            directory = optarg;
            break;
        case 'g':
            topic_bytes = strtoull(optarg, NULL, 10) << 20;
            break;
        case 'k':
            keys = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            value_bytes = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            parse_codec(optarg);
            break;
        case 's':
            segment_mib = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            map_bytes = strtoull(optarg, NULL, 10) << 20;
            break;
        default:
            errx(2, "see the head of tests/bench/compact.c for the options");
        }
    }
    if (keys == 0 || value_bytes < 16 || value_bytes > VALUE_MOST || segment_mib < 1)
        errx(2, "keys, value or segment size cannot be");
    (void)snprintf(path, sizeof(path), "%s/beck-bench-%d", directory, (int)getpid());
    measure(path);
    return remove_all(path) == 0 ? 0 : 1;
}
