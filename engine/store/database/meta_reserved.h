/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far index.mdb may set offsets of a partition aside: what is left of that where index.mdb is
 * lost, which can be made anew but for it. meta.mdb says it in large steps, so that a checkpoint
 * hardly ever has to write there; and before index.mdb does, so that no offset is given out which
 * meta.mdb does not know of.
 */
#ifndef STORE_META_RESERVED_H
#define STORE_META_RESERVED_H

#include "meta.h"

#define META_RESERVED_STEP ((int64_t)1 << 28) /* offsets; where there is no record, up to here */

/* The offset from which on index.mdb sets none aside. -EBADMSG, -EPROTONOSUPPORT. */
int meta_reserved_get(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t *ret_offset);
int meta_reserved_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t offset);

/* Let index.mdb set aside what is below `offset`. Returns 1 where a step had to be put, or 0. */
int meta_reserved_raise(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                        int64_t offset);

#endif
