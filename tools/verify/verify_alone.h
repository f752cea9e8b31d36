/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking a store's segments without its databases, where these are lost: each topic's folder by
 * what its file `topic` says, each segment's batches by themselves, and the segments of a partition
 * against each other: offsets rise, and leader epochs never fall. What only index.mdb knows
 * (digests, entries, checkpoints) is not checked.
 *
 * As beck_verify_new() and its neighbours have it: verify_alone_new() lists what there is, any
 * number of threads share verify_alone_run(), and when all have returned, verify_alone_result()
 * holds the segments against each other. Callbacks come one at a time.
 */
#ifndef TOOLS_VERIFY_ALONE_H
#define TOOLS_VERIFY_ALONE_H

#include "beck.h"

struct verify_alone_work;

struct verify_alone {
    const char *store;
    const char *topic; /* only this one; NULL: all */
    int64_t partition; /* only this one; below 0: all */
    /* As beck_verify_options has them. */
    int (*damage)(void *context, const struct beck_damage *found);
    int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes);
    void *context;
};

/* `what` is copied; its texts live until verify_alone_free(). -ENOENT: no folder says that it is of
 * the topic, or the topic has no such partition. Another negative errno: a folder cannot be read.
 */
int verify_alone_new(const struct verify_alone *what, struct verify_alone_work **ret_work,
                     struct beck_error *error);
/* A negative errno: a segment may not be read. It ends what the other threads do, too. */
int verify_alone_run(struct verify_alone_work *work, struct beck_error *error);
/* Returns the number of damages. */
int verify_alone_result(struct verify_alone_work *work, struct beck_verify_totals *ret_totals);
/* Takes NULL; returns NULL. */
struct verify_alone_work *verify_alone_free(struct verify_alone_work *work);

#endif
