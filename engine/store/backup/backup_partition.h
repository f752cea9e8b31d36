/* SPDX-License-Identifier: Apache-2.0 */
/* One partition's part of a backup: its segment files, and what index.mdb has of it. */
#ifndef STORE_BACKUP_PARTITION_H
#define STORE_BACKUP_PARTITION_H

#include "store.h"

/* A backup under way. */
struct backup {
    struct beck_store *store;
    const struct beck_backup_options *options;
    int directory; /* that it is made in */
    struct db meta;
    struct db index;
    MDB_txn *meta_txn; /* for writing, both */
    MDB_txn *index_txn;
    bool cannot_clone; /* found out by trying */
    bool cannot_link;
    uint8_t *buffer;      /* BACKUP_BUFFER_BYTES */
    uint32_t uncommitted; /* partitions */
    uint64_t done_bytes;
    uint64_t all_bytes;
};

#define BACKUP_BUFFER_BYTES ((size_t)1 << 20)

/* Copy a partition of a topic whose record and folder the backup has. -ESTALE: the topic was
 * deleted since. -ECANCELED: progress() wants no more. */
int backup_partition(struct backup *backup, const struct beck_topic *topic, uint32_t number,
                     struct beck_error *error);

#endif
