/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the power test knows of its store: what was promised, and at which call of the disk. "When"
 * is a number of calls: it is so in all cuts from that call on.
 */
#ifndef TESTS_POWER_H
#define TESTS_POWER_H

#include "disk.h"
#include "store_fixture.h"

#define POWER_TOPICS     12
#define POWER_PARTITIONS 2
#define POWER_KEYS       8 /* of records in topics that are compacted */
#define NEVER            UINT32_MAX

/* A record that was acknowledged. */
struct offer {
    int64_t offset;
    uint64_t number; /* which record it is */
    uint32_t key;    /* below POWER_KEYS */
    uint32_t when;
    uint32_t sent; /* records in the batch that it is the first of, where a producer sent that */
    int32_t producer;
    int32_t sequence;
};

#define POWER_PRODUCERS                                                                            \
    3 /* that send to each log; with ids that no store gives out, from here on */
#define POWER_PRODUCER_ID ((int64_t)1 << 40)

struct log_promise {
    int64_t offset; /* below it all is durable */
    uint32_t when;
};

/* An offset that a group committed for the log. */
struct committed {
    int64_t offset;
    uint32_t begin;
    uint32_t end;
};

#define COMMITS 64

/* The last batch of a producer with an id. */
struct idempotent {
    uint8_t bytes[256];
    size_t size; /* 0: it sent nothing yet */
    int64_t producer_id;
    int32_t sequence; /* of the next batch */
    int64_t base_offset;
    uint32_t when;
};

struct log {
    struct offer *offers;
    uint32_t offer_count;
    uint32_t offer_room;
    struct log_promise *promises;
    uint32_t promise_count;
    uint32_t promise_room;
    int64_t
        used_before; /* the highest offset that earlier runs gave out, lost ones too; -1: none */
    int32_t epoch;   /* of the leader, of this run or the one before it; -1: not seen */
    uint32_t found;  /* offers that the last check found, or that were trimmed */
    struct committed commits[COMMITS];
    uint32_t commit_count;
    struct committed trims[COMMITS]; /* offsets that the log was trimmed to, rising */
    uint32_t trim_count;
    struct idempotent idempotent;
};

struct topic {
    char name[32]; /* empty: free */
    bool is_compacted;
    bool is_retained; /* retention may remove segments of it */
    uint32_t create_begin;
    uint32_t create_end;
    uint32_t delete_begin;
    uint32_t delete_end;
    struct log logs[POWER_PARTITIONS];
};

struct power {
    struct fixture fixture;
    char cut_path[PATH_MAX]; /* where a cut's disk is put */
    struct disk *disk;
    struct topic topics[POWER_TOPICS];
    uint64_t random;
    uint64_t next_number;
    uint32_t topics_made;
    uint32_t made_when;  /* the store is there */
    uint32_t open_begin; /* of the last opening in this run */
    uint32_t open_end;
    uint32_t close_begin;     /* NEVER: it was not */
    int64_t producer_ids[64]; /* the newest that were given out, and when */
    uint32_t producer_when[64];
    uint32_t producer_count;
    uint32_t boot;
    uint32_t runs;
    bool index_is_lost; /* in this cut */
    uint64_t lost;
    uint64_t offered;
    uint64_t hits[CALL_POINTS];
    const char *replay;
};

__attribute__((noreturn, format(printf, 2, 3))) void power_fail(const struct power *power,
                                                                const char *format, ...);

/* The last of the first `count` offers that begins a producer's batch, NULL: there is none. */
static inline const struct offer *power_sent(const struct log *log, uint32_t count,
                                             int32_t producer)
{
    while (count-- > 0)
        if (log->offers[count].sent > 0 && log->offers[count].producer == producer)
            return &log->offers[count];
    return NULL;
}

/* Open the store on the disk, work, close it: all of it noted. */
void power_work(struct power *power);

/* Hold the store in `path`, which is what a cut in the call `at` left, against the promises. Tells
 * in logs what it found. */
void power_check(struct power *power, const char *path, uint32_t at);

/* A new producer id, noted. Ids rise for ever. */
int64_t power_producer_id(struct power *power);
void power_check_producer_id(const struct power *power, int64_t id, uint32_t at);

#endif
