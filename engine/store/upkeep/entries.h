/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sparse index's entries for what was appended since the last checkpoint. They are in the
 * slot's ring, as far as it has room: where it grew coarse, the batches between are read again,
 * from the page cache most often, so that index.mdb has an entry for every INDEX_INTERVAL_BYTES or
 * two, however much was appended at once and however large the batches are.
 */
#ifndef STORE_ENTRIES_H
#define STORE_ENTRIES_H

#include "partition.h"

struct entry_list {
    struct entry_place {
        int64_t segment; /* base offset */
        struct index_entry entry;
    } * places; /* by offset */
    size_t count;
    size_t room;
};

void entry_list_done(struct entry_list *list);

/* Add the entries from the last checkpoint to `tail`, which is synced. What cannot be read, or
 * finds no memory, is left out: entries only make things faster. */
void entries_collect(struct beck_partition *partition, const struct live_tail *tail,
                     struct entry_list *list);

#endif
