/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking the log directory of a Kafka broker that is stopped: every batch and record of each
 * partition, the order of offsets, the small files beside the segments, and what the transaction
 * indexes say against the markers in the log.
 *
 * As beck_verify_new() and its neighbours have it: verify_log_dir_new() lists what there is, any
 * number of threads share verify_log_dir_run(), a partition each, and when all have returned,
 * verify_log_dir_result() has the number of damages. Callbacks come one at a time.
 */
#ifndef TOOLS_VERIFY_LOG_DIR_H
#define TOOLS_VERIFY_LOG_DIR_H

#include "beck.h"

struct verify_log_dir_work;

struct verify_log_dir {
    const char *path;
    const char *topic; /* NULL: all */
    int64_t partition; /* below 0: all */
    /* Both may return non-zero to stop. */
    int (*damage)(void *context, const struct beck_damage *found);
    int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes);
    void *context;
};

/* `what` is copied; its texts live until verify_log_dir_free(). A negative errno with a sentence in
 * `error`; -ENOENT: no partitions, or not those. */
int verify_log_dir_new(const struct verify_log_dir *what, struct verify_log_dir_work **ret_work,
                       struct beck_error *error);
/* A negative errno ends what the other threads do, too. */
int verify_log_dir_run(struct verify_log_dir_work *work, struct beck_error *error);
/* Returns the number of damages. */
int verify_log_dir_result(const struct verify_log_dir_work *work,
                          struct beck_verify_totals *ret_totals);
/* Takes NULL; returns NULL. */
struct verify_log_dir_work *verify_log_dir_free(struct verify_log_dir_work *work);

#endif
