/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offsets that are set aside: index.mdb says, with each checkpoint, below which offset power loss
 * may have taken something that somebody has seen. No append goes beyond it, so none of them is
 * ever given out for another record. How far index.mdb may go is in meta.mdb, which is what there
 * is to go by where index.mdb is lost: meta_reserved.h.
 */
#ifndef STORE_RESERVE_H
#define STORE_RESERVE_H

#include "partition.h"

/* What is set aside for a log that ends there, where nothing else is known. */
int64_t reserve_behind(int64_t end);
/* What a checkpoint at `end` is to set aside: never less than what is set aside already. */
int64_t reserve_at(struct beck_partition *partition, MDB_txn *txn, int64_t end);
/* Have meta.mdb allow what checkpoints at these ends will set aside: before a transaction of
 * index.mdb begins. */
struct reserve_end {
    const struct beck_partition *partition;
    int64_t end;
};
int reserve_allow(struct beck_store *store, const struct reserve_end *ends, size_t count,
                  struct beck_error *error);
/* index.mdb has it: let appends go so far. Under append_mutex. */
void reserve_publish(struct live_slot *slot, int64_t reserved_offset);

/* Set aside what an append needs whose offsets are all below `end`, and more. Takes no maintenance
 * lock, but LMDB's write lock, and waits for the disk: who may need that (not in 2^25 records,
 * while maintenance goes on) has no lock of the slot. */
int reserve_extend(struct beck_partition *partition, int64_t end, struct beck_error *error);

#endif
