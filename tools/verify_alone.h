/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking a store's segments without its databases, where these are lost: each topic's folder by
 * what its file `topic` says, each segment's batches by themselves, and the segments of a partition
 * against each other. What only index.mdb knows (digests, entries, checkpoints) is not checked.
 */
#ifndef TOOLS_VERIFY_ALONE_H
#define TOOLS_VERIFY_ALONE_H

#include "beck.h"

struct verify_alone {
    const char *store;
    const char *topic; /* only this one; NULL: all */
    int64_t partition; /* only this one; below 0: all */
    /* As beck_verify_options has it. */
    int (*damage)(void *context, const struct beck_damage *found);
    void *context;
};

/* Returns the number of damages, or a negative errno; -EINTR: a signal came. */
int verify_alone(const struct verify_alone *what, struct beck_verify_totals *ret_totals,
                 struct beck_error *error);

#endif
