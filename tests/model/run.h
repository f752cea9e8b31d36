/* SPDX-License-Identifier: Apache-2.0 */
/* A run of random operations: the store, the model, and what else they must agree on. */
#ifndef TESTS_MODEL_RUN_H
#define TESTS_MODEL_RUN_H

#include "model.h"
#include "store_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)
#define PRODUCERS    5
#define BATCHES      5 /* that are known of each */
#define KEYS         120
#define GROUPS       3
#define RECORDS_MOST 20 /* of a batch */

struct key {
    const char *bytes;
    int32_t size;
    int32_t number; /* of the first key that is the same */
};

/* A batch that a producer sent. */
struct sent {
    struct sender sender;
    uint32_t count;
    int64_t offset;
};

struct run {
    struct fixture fixture;
    struct model model;
    /* How the topic is configured, and what is written to it. */
    bool is_compacted;
    bool is_retained;
    bool drops_tombstones;
    uint32_t codecs; /* one, or 5: any */
    uint32_t value_most;

    struct beck_reader *reader;           /* one that stays where it was */
    struct beck_reader *follower;         /* one that only goes on */
    int64_t follow_offset;                /* behind what it read last */
    struct sent sent[PRODUCERS][BATCHES]; /* what each producer sent last, the newest first */
    int64_t committed[GROUPS];            /* -1: nothing */
    size_t head; /* of the model's view: where the reader's positions begin */
    uint64_t random;
    uint64_t removed; /* records, by compaction */
    uint32_t operation;
    const char *doing;
    char *buffer; /* of twice BUFFER_BYTES: bytes for records, and room to read to */
    const struct key *keys;
};

uint32_t below(struct run *run, uint32_t bound);
__attribute__((noreturn, format(printf, 2, 3))) void differs(struct run *run, const char *format,
                                                             ...);
/* A result of the engine's that may not be an error. */
void check(struct run *run, ssize_t result);

/* Count positions of the view from the present head. */
void take_head(struct run *run);
/* It is the record of the model at the offset. */
void compare_record(struct run *run, const struct beck_record *record, int64_t offset);
/* The bytes that were read are those of the model's view. */
void compare_view(struct run *run, ssize_t n, size_t at);

/* Append (appends.c). */
const struct key *make_keys(const char *buffer);
void append(struct run *run);
void append_at(struct run *run);
void append_for_producer(struct run *run);

/* Compact the log, and take over what is gone (clean.c). */
void clean(struct run *run);

/* Commit, delete, look at offsets of groups (commits.c). */
void commit_offsets(struct run *run);
/* The topic is gone, and they with it. */
void forget_commits(struct run *run);

#endif
