/* SPDX-License-Identifier: Apache-2.0 */
/* The transactions of a part of the log that were aborted, found by reading it. */
#ifndef STORE_ABORTED_H
#define STORE_ABORTED_H

#include "clean.h"
#include "cleaned_transactions.h"
#include "partition.h"

/* By first offset. Zero it; done with aborted_list_done(). */
struct aborted_list {
    struct aborted_transaction *all;
    size_t count;
    size_t room;
};

void aborted_list_done(struct aborted_list *list);

/*
 * Read the segments, and list what was aborted in them. `*ret_first_open`: where the first begins
 * that did not end in them, or INT64_MAX. -ECANCELED: the run is to stop. -EBADMSG. -ENOMEM.
 */
int aborted_list_make(struct aborted_list *list, struct clean *clean,
                      struct beck_partition *partition, const struct segment_record *segments,
                      size_t count, int64_t *ret_first_open, struct beck_error *error);

#endif
