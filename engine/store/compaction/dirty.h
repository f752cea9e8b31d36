/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a partition's log compaction may clean, and whether it is to: Kafka's LogCleanerManager.
 */
#ifndef STORE_DIRTY_H
#define STORE_DIRTY_H

#include "config.h"
#include "partition.h"

/*
 *     offsets    log start        first_dirty           round_end        the tail
 *                    | clean segments |  dirty segments     |  not to be cleaned yet
 */
struct dirty_log {
    struct beck_partition *partition; /* opened */
    struct config_resolved config;
    struct segment_record *segments; /* that may take part, clean and dirty, rising */
    size_t segment_count;
    int64_t first_dirty;
    int64_t round_end;
    double ratio; /* of the bytes that are dirty */
    bool is_due;
};

/* Look at a partition at a time (ms since the epoch). Done with dirty_log_done(), whatever is
 * returned. Nothing in it is dirty: 0 too. -ESTALE, -ENOENT: it was deleted. */
int dirty_log_look(struct dirty_log *log, struct beck_store *store, const char *topic,
                   int32_t partition, const struct config_resolved *config, int64_t now_ms,
                   struct beck_error *error);
/* Look at the same again. */
int dirty_log_refresh(struct dirty_log *log, int64_t now_ms, struct beck_error *error);
void dirty_log_done(struct dirty_log *log);

/* Has a topic the policy, and with which configuration? Returns 1 or 0. -ENOENT: it is gone. */
int dirty_topic(struct beck_store *store, const char *topic, struct config_resolved *ret_config,
                struct beck_error *error);

#endif
