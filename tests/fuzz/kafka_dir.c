/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reading of a Kafka log directory's small files. The first byte says which one the rest
 * is; beside it there is an empty segment, so that each file is read. In a .snapshot the CRC is put
 * right.
 */
#include "kafka_dir.h"
#include "kafka_txn.h"

#include "bytes.h"
#include "crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "t-0/00000000000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A log of two headers, without records: a batch of a transaction, and one of no producer. */
static const char *const names[] = {
    "meta.properties",        KAFKA_CHECKPOINT_LOG_START,          KAFKA_CHECKPOINT_CLEANER,
    "t-0/partition.metadata", "t-0/leader-epoch-checkpoint",       SEGMENT ".index",
    SEGMENT ".txnindex",      "t-0/00000000000000000009.snapshot", SEGMENT ".log",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static char folder[64];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static char *path_of(const char *name)
{
    static char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    for (size_t i = 0; i < NAMES; i++)
        (void)unlink(path_of(names[i]));
    (void)rmdir(path_of("t-0"));
    (void)rmdir(folder);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0);
    must(write(fd, bytes, size) == (ssize_t)size);
    (void)close(fd);
}

static void begin(void)
{
    (void)snprintf(folder, sizeof(folder), "%s/beck-test-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(folder) != NULL);
    must(mkdir(path_of("t-0"), 0700) == 0);
    must(atexit(remove_folder) == 0);
}

static void put(unsigned which, uint8_t *bytes, size_t size)
{
    if (which == 7 && size >= 6)
        store_be32(bytes + 2, crc32c(0, bytes + 6, size - 6));
    write_file(names[which], bytes, size);
    if (which != 8)
        write_file(SEGMENT ".log", "", 0);
}

static void read_log(const struct kafka_dir *dir, const struct kafka_partition *partition)
{
    struct segments segments = {0};
    struct transactions transactions = {0};
    struct segment_step step;
    const struct segment_entry *entry;
    struct beck_error error;
    int64_t end = 0;
    if (kafka_dir_segments(dir, partition, &segments, &error) == 0 && segments.count > 0) {
        (void)segments_end_offset(&segments, 0, &end, &error);
        if (transactions_load(&segments, end, &transactions, &error) == 0)
            must(transactions.stable_offset <= end || end == 0);
        transactions_done(&transactions);
        for (int64_t offset = 0; offset < 100000; offset = offset * 8 + 1)
            if (segments_seek(&segments, offset, &error) == 0)
                (void)segments_next(&segments, &step, &entry, &error);
    }
    segments_done(&segments);
}

static void read_all(const struct kafka_dir *dir)
{
    static const char *const checkpoints[] = {KAFKA_CHECKPOINT_LOG_START, KAFKA_CHECKPOINT_CLEANER};
    struct beck_error error;
    uint8_t id[BECK_ID_BYTES];
    int64_t offset;
    int32_t epoch;
    must(dir->count == 1);
    const struct kafka_partition *partition = &dir->partitions[0];
    for (size_t i = 0; i < 2; i++) {
        int r = kafka_dir_checkpoint(dir, checkpoints[i], partition, &offset, &error);
        must(r == 0 || r == -EBADMSG || r == -EMSGSIZE || (r == 1 && offset >= 0));
    }
    int r = kafka_dir_epoch(dir, partition, &epoch, &offset, &error);
    must(r == 0 || r == -EBADMSG || r == -EMSGSIZE || (r == 1 && epoch >= 0 && offset >= 0));
    r = kafka_dir_topic_id(dir, partition, id, &error);
    must(r == 0 || r == 1 || r == -EBADMSG || r == -EMSGSIZE);
    read_log(dir, partition);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kafka_dir dir = {0};
    struct beck_error error;
    if (size == 0 || size > 65536)
        return 0;
    if (folder[0] == '\0')
        begin();
    unsigned which = data[0] % NAMES;
    uint8_t *bytes = malloc(size);
    must(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    put(which, bytes, size - 1);
    free(bytes);
    if (kafka_dir_open(folder, &dir, &error) == 0)
        read_all(&dir);
    kafka_dir_done(&dir);
    (void)unlink(path_of(names[which]));
    return 0;
}
