/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one or all partitions of a topic as one stream of records: each partition in its own
 * order, several in the order of their timestamps, as far as the records are there already. Ends
 * where the partitions ended when it began, or follows them.
 *
 * The merge does not own the input, which must outlive it. Belongs to one thread.
 */
#ifndef TOOLS_MERGE_H
#define TOOLS_MERGE_H

#include "input.h"

#include <stdbool.h>

struct merge;

/* Where to begin, in each partition. */
struct merge_start {
    enum {
        MERGE_BEGINNING,
        MERGE_END,
        MERGE_OFFSET,    /* at `number`; it has to be within the partition */
        MERGE_LAST,      /* `number` records before the end, whatever holes there are */
        MERGE_TIMESTAMP, /* at the first record of `number` ms since the epoch or later */
        MERGE_CALLER,    /* where `offset_of` says; -1: at the beginning, -2: at the end */
    } from;
    int64_t number;
    int64_t (*offset_of)(void *context, int32_t partition);
    void *context;
};

/* Where to end: before this offset, or the first record of this time or later, and never behind
 * what is the end when it begins. */
struct merge_end {
    enum {
        MERGE_TO_END,
        MERGE_TO_OFFSET,
        MERGE_TO_TIMESTAMP,
    } to;
    int64_t number;
};

/*
 * Open partition `number` of the topic, or all of them where it is -1. Like everything here that
 * fails: says so and returns an exit code.
 */
int merge_new(const struct input *input, const struct source_topic *topic, int32_t number,
              enum beck_isolation isolation, struct merge **ret_merge);
struct merge *merge_free(struct merge *merge);

/* Go to the start, and remember where to end; `end` NULL: do not end, but follow the partitions. */
int merge_seek(struct merge *merge, const struct merge_start *start, const struct merge_end *end);

/* How many records merge_next() has up to the end, after merge_seek() to MERGE_LAST; without the
 * ones that came since. */
uint64_t merge_counted(const struct merge *merge);

/*
 * The next record and its partition: 1. 0: there is none, for now where it follows. A negative exit
 * code: said. The record's pointers are valid until the next call.
 */
int merge_next(struct merge *merge, struct beck_record *ret_record, int32_t *ret_partition);

/* Wait until merge_next() has something, or a signal came. 0, or a negative exit code. */
int merge_wait(struct merge *merge);

#endif
