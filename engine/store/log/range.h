/* SPDX-License-Identifier: Apache-2.0 */
/* Whole, verified batches as a range of a segment file. See beck_read_range(). */
#ifndef STORE_RANGE_H
#define STORE_RANGE_H

#include "partition.h"

int range_read(struct beck_partition *partition, int64_t offset, size_t max_bytes,
               enum beck_isolation isolation, struct beck_range *ret_range,
               struct beck_error *error);
/* See beck_segment_at(). */
int range_segment(struct beck_partition *partition, int64_t offset,
                  struct beck_segment *ret_segment, struct beck_error *error);
void range_release(struct beck_range *range);

#endif
