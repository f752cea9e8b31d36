/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving partitions what they need before anybody may know of them: a folder, a slot, a record, a
 * checkpoint. All of it inside a write transaction of meta.mdb, whose commit is what makes them
 * exist; what a crash leaves before it is empty folders, and slots that no record names.
 */
#ifndef STORE_TOPIC_PLACE_H
#define STORE_TOPIC_PLACE_H

#include "store.h"

/* Make room for the partitions from `first` to the topic's last, and write the topic's file; where
 * `first` is 0 the topic's own folder is made too. -EEXIST: there is something in such a folder. */
int topic_place(struct beck_store *store, MDB_txn *txn, const struct meta_topic *topic,
                uint32_t first, struct beck_error *error);

#endif
