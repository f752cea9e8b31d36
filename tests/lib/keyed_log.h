/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log of keyed records beside a plain array of what was appended to it, for tests of compaction.
 * What a record's value is follows from its offset, so that a reader in another process can tell,
 * too, whether what it reads is what was appended.
 */
#ifndef TESTS_KEYED_LOG_H
#define TESTS_KEYED_LOG_H

#include "store_fixture.h"

#include <stdbool.h>
#include <stdint.h>

#define KEYED_RECORDS_MAX 200000
#define KEYED_VALUE_BYTES 4000 /* at most */

struct keyed_record {
    uint32_t key;
    bool is_there; /* this offset was given out */
    bool is_tombstone;
};

struct keyed_log {
    struct keyed_record records[KEYED_RECORDS_MAX]; /* by offset */
    int64_t next_offset;
    uint64_t random;
    uint32_t keys;
    uint32_t value_bytes; /* at most */
};

/* One log, for tests that need no other. */
extern struct keyed_log keyed_log;

/* Begin anew, with values of up to so many bytes, for so many keys. */
void keyed_log_begin(struct keyed_log *log, uint32_t keys, uint32_t value_bytes, uint64_t seed);
/* Append a batch of `count` records of random keys, one in `tombstones` of them a tombstone (0:
 * none). */
void keyed_log_append(struct keyed_log *log, struct beck_partition *partition,
                      enum beck_compression codec, uint32_t count, uint32_t tombstones);
/* A record of this key. */
int64_t keyed_log_put(struct keyed_log *log, struct beck_partition *partition, uint32_t key,
                      bool is_tombstone);
/* One batch of records of these keys. */
void keyed_log_put_all(struct keyed_log *log, struct beck_partition *partition,
                       const struct keyed_record *records, uint32_t count);
/* Append about so many bytes, in batches of all kinds. */
void keyed_log_fill(struct keyed_log *log, struct beck_partition *partition, uint64_t bytes,
                    uint32_t tombstones);

/* What was read back. */
struct keyed_found {
    int64_t records;
    int64_t obsolete;   /* with a later one of the same key below `clean_to` */
    int64_t tombstones; /* below `clean_to` */
};

/*
 * Read all of the log: offsets rise, each record is the one that was appended there, and the last
 * one of each key is there unless it is a tombstone. Fails the test where that is not so.
 */
struct keyed_found keyed_log_check(const struct keyed_log *log, struct beck_partition *partition,
                                   int64_t clean_to);
/* Is the record the one that was appended at its offset, as far as key and value go by themselves?
 * For readers in other processes, who do not have the log. */
bool keyed_record_is_right(const struct beck_record *record);

#endif
