/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking the log directory of a Kafka broker that is stopped: every batch and record of each
 * partition, the order of offsets, the small files beside the segments, and what the transaction
 * indexes say against the markers in the log.
 */
#ifndef TOOLS_VERIFY_LOG_DIR_H
#define TOOLS_VERIFY_LOG_DIR_H

#include "beck.h"

struct verify_log_dir {
    const char *path;
    const char *topic; /* NULL: all */
    int64_t partition; /* below 0: all */
    /* Both may return non-zero to stop. */
    int (*damage)(void *context, const struct beck_damage *found);
    int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes);
    void *context;
};

/* Returns the number of damages, or a negative errno with a sentence in `error`. */
int verify_log_dir(const struct verify_log_dir *verify, struct beck_verify_totals *ret_totals,
                   struct beck_error *error);

#endif
