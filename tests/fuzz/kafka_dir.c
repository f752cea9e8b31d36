/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reading of a Kafka log directory's small files. The first byte says which one the rest
 * is; beside it there is a log of two batches, which the other files may speak of. In a .snapshot
 * the CRC is put right. All of it is in memory (memory_files.h), and only what reads the one file
 * is called: so some hundred times as many inputs fit into an hour. From 240 on, what follows the
 * first byte is records of the cluster's metadata.
 */
#include "kafka_dir.h"
#include "kafka_metadata.h"
#include "kafka_txn.h"
#include "memory_files.h"

#include "batch.h"
#include "bytes.h"
#include "crc32c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER  MEMORY_FOLDER "log"
#define SEGMENT FOLDER "/t-0/00000000000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    META,
    LOG_START,
    CLEANER,
    PARTITION_METADATA,
    EPOCHS,
    INDEX,
    TXNINDEX,
    SNAPSHOT,
    LOG,
    NAMES,
};

static const char *const names[NAMES] = {
    [META] = FOLDER "/meta.properties",
    [LOG_START] = FOLDER "/" KAFKA_CHECKPOINT_LOG_START,
    [CLEANER] = FOLDER "/" KAFKA_CHECKPOINT_CLEANER,
    [PARTITION_METADATA] = FOLDER "/t-0/partition.metadata",
    [EPOCHS] = FOLDER "/t-0/leader-epoch-checkpoint",
    [INDEX] = SEGMENT ".index",
    [TXNINDEX] = SEGMENT ".txnindex",
    [SNAPSHOT] = FOLDER "/t-0/00000000000000000009.snapshot", /* the log ends there */
    [LOG] = SEGMENT ".log",
};

static struct memory_file files[NAMES];

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Two headers, without records: a batch of a transaction, and one of no producer. */
static void put_log(void)
{
    static uint8_t bytes[2 * BATCH_HEADER_BYTES];
    files[LOG] = (struct memory_file){.path = names[LOG], .bytes = bytes, .size = sizeof(bytes)};
    if (bytes[16] == BATCH_MAGIC)
        return;
    struct batch_header first = {.length = BATCH_HEADER_BYTES - BATCH_LENGTH_END,
                                 .magic = BATCH_MAGIC,
                                 .attributes = BATCH_TRANSACTIONAL,
                                 .last_offset_delta = 4,
                                 .producer_id = 7};
    struct batch_header second = {.base_offset = 5,
                                  .length = BATCH_HEADER_BYTES - BATCH_LENGTH_END,
                                  .magic = BATCH_MAGIC,
                                  .last_offset_delta = 3,
                                  .producer_id = -1,
                                  .producer_epoch = -1,
                                  .base_sequence = -1};
    uint8_t *at[] = {bytes, bytes + BATCH_HEADER_BYTES};
    struct batch_header *headers[] = {&first, &second};
    for (int i = 0; i < 2; i++) {
        batch_header_write(at[i], headers[i]);
        headers[i]->crc = batch_crc(at[i], BATCH_HEADER_BYTES);
        batch_header_write(at[i], headers[i]);
    }
}

static void put(unsigned which, uint8_t *bytes, size_t size)
{
    memset(files, 0, sizeof(files));
    put_log();
    if (which == SNAPSHOT && size >= 6)
        store_be32(bytes + 2, crc32c(0, bytes + 6, size - 6));
    files[which] = (struct memory_file){.path = names[which], .bytes = bytes, .size = size};
    memory_files(files, NAMES);
}

/* ---- reading ------------------------------------------------------------------------------- */

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

static void read_properties(void)
{
    struct kafka_dir dir = {0};
    struct beck_error error;
    must(kafka_dir_open(FOLDER, &dir, &error) == 0);
    must(dir.count == 1);
    kafka_dir_done(&dir);
}

static bool is_number(int r, int64_t number)
{
    return r == 0 || r == -EBADMSG || r == -EMSGSIZE || (r == 1 && number >= 0);
}

static void read_one(unsigned which)
{
    struct kafka_partition partition = {.topic = "t"};
    static char folder[] = FOLDER;
    const struct kafka_dir dir = {.path = folder, .partitions = &partition, .count = 1};
    struct beck_error error;
    uint8_t id[BECK_ID_BYTES];
    int64_t offset = -1;
    int32_t epoch = -1;
    int r;
    switch (which) {
    case META:
        read_properties();
        break;
    case LOG_START:
    case CLEANER:
        r = kafka_dir_checkpoint(
            &dir, which == LOG_START ? KAFKA_CHECKPOINT_LOG_START : KAFKA_CHECKPOINT_CLEANER,
            &partition, &offset, &error);
        must(is_number(r, offset));
        break;
    case PARTITION_METADATA:
        r = kafka_dir_topic_id(&dir, &partition, id, &error);
        must(is_number(r, 0));
        break;
    case EPOCHS:
        r = kafka_dir_epoch(&dir, &partition, &epoch, &offset, &error);
        must(is_number(r, offset) && is_number(r, epoch));
        break;
    default:
        read_log(&dir, &partition);
        break;
    }
}

/* Records of the cluster's metadata, each behind its length, two bytes. */
static void read_metadata(const uint8_t *data, size_t size)
{
    struct kafka_metadata metadata = {.in_transaction = SIZE_MAX};
    struct beck_error error;
    const char *name;
    const char *value;
    size_t at = 0;
    int r = 0;
    while (r == 0 && size >= 2 && load_be16(data) <= size - 2) {
        size_t length = load_be16(data);
        r = kafka_metadata_take(&metadata, data + 2, length, &error);
        must(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
        data += 2 + length;
        size -= 2 + length;
    }
    while (kafka_metadata_next(&metadata, "t", &at, &name, &value) == 1)
        must(strlen(name) + strlen(value) <= 65536);
    kafka_metadata_done(&metadata);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    if (data[0] >= 0xf0) {
        uint8_t *records = malloc(size);
        must(records != NULL);
        memcpy(records, data + 1, size - 1);
        read_metadata(records, size - 1);
        free(records);
        return 0;
    }
    unsigned which = data[0] % NAMES;
    uint8_t *bytes = malloc(size);
    must(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    put(which, bytes, size - 1);
    read_one(which);
    free(bytes);
    return 0;
}
