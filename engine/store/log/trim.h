/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving a log start: what is below it is not there any more for anybody from then on, and segments
 * that are wholly below it are removed. See beck_trim().
 */
#ifndef STORE_TRIM_H
#define STORE_TRIM_H

#include "partition.h"

/* beck_trim(). */
int trim_partition(struct beck_partition *partition, int64_t offset, int64_t *ret_log_start_offset,
                   struct beck_error *error);

/* Let the log begin with the segment of this base offset. Under the maintenance lock. */
int trim_to_segment(struct beck_partition *partition, int64_t base_offset,
                    struct beck_error *error);

#endif
