/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out what was found of one partition: on the files, and in index.mdb. */
#ifndef STORE_RECOVER_APPLY_H
#define STORE_RECOVER_APPLY_H

#include "recover_partition.h"
#include "sync_many.h"

/* Cut the log where it ends: what has to go of the files. */
int recovered_cut(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                  const struct recovered *found, struct beck_error *error);
/* Make durable what was read: it is in the page cache, and may be nowhere else. `many` began after
 * the last change to the files, or is NULL. */
int recovered_sync(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                   const struct recovered *found, struct sync_many *many, struct beck_error *error);
/* Below which offset all are set aside from now on. */
int64_t recovered_reserved(const struct recovered *found);
/* Put what was found, and a checkpoint at its end, into index.mdb. */
int recovered_put(struct db *index, MDB_txn *txn, const struct beck_topic *topic, int32_t partition,
                  const struct recovered *found);
/* Remove the files of these segments, which index.mdb has not any more, for good; what cannot be
 * removed only takes room. */
void recovered_remove(struct beck_store *store, const uint8_t topic_id[BECK_ID_BYTES],
                      int32_t partition, const int64_t *segments, size_t count);

#endif
