/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the log start of a partition again, of which meta.mdb has the offset: its place, and what
 * is below it, which a trim that was cut short may have left.
 */
#ifndef STORE_RECOVER_START_H
#define STORE_RECOVER_START_H

#include "partition.h"
#include "recover_partition.h"

/*
 * Fill in tail.log_start of what recover_partition() found. Where the log ends below the log start,
 * which power loss can do, it goes on there. Where the disk cannot be read `is_failed` is set.
 * -ENOMEM.
 */
int recover_start(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                  int64_t log_start_offset, struct scan *scan, struct recovered *found,
                  struct beck_error *error);

/* Find the log start of an open partition again, among other segments than before, and the size of
 * the file that it is in; 0 where that is not complete. */
int recover_start_again(struct beck_partition *partition, struct log_point *ret_log_start,
                        uint64_t *ret_bytes, struct beck_error *error);

#endif
