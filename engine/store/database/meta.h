/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.mdb: the durable truth about the store, its topics and its partitions. Functions work inside
 * a transaction of the caller's. What a value holds, byte for byte, is in FORMAT.md.
 */
#ifndef STORE_META_H
#define STORE_META_H

#include "config.h"
#include "db.h"

#define STORE_FORMAT_VERSION 1

enum meta_database {
    META_STORE,      /* "store" -> meta_store; "features" -> meta_features; "format" -> the format's
                        version, for ever readable */
    META_TOPICS,     /* name -> meta_topic */
    META_TOPIC_IDS,  /* id -> name */
    META_PARTITIONS, /* topic number, partition -> meta_partition */
    META_SLOTS,      /* slot -> topic number, partition */
    META_RECOVERIES, /* number -> what recovery had to cut */
    META_DELETED,    /* id -> topic whose files are still to be removed */
    META_GROUPS,     /* hash of a group's name -> meta_group; with META_OFFSETS: meta_groups.h */
    META_OFFSETS,    /* hash of a group's name, topic number, partition -> meta_offset */
    META_EPOCHS,     /* topic number, partition, leader epoch -> where it began */
    META_QUOTAS,     /* hash of whom it is for -> a client quota; meta_quotas.h */
    META_RESERVED,   /* topic number, partition -> how far offsets are set aside; meta_reserved.h */
    META_DATABASES,
    META_REQUIRED = META_DELETED + 1, /* a store may lack the ones from here on */
};

extern const struct db_layout meta_layout;

struct meta_store {
    uint8_t id[BECK_ID_BYTES];
    int64_t created_ms;
    uint32_t next_topic_number;
    int64_t next_producer_id;
    struct config_set configs; /* of its own, and defaults for its topics */
};

/* What the store makes use of that came after the first version of its format, a bit each; see
 * FORMAT.md. A bit that is not known here was set by a later beck. */
struct meta_features {
    uint64_t to_read;  /* who does not know one of these understands what he reads wrongly */
    uint64_t to_write; /* who does not know one of these leaves something undone as he writes */
};
#define META_FEATURES_TO_READ  0ULL /* those that this version knows */
#define META_FEATURES_TO_WRITE 0ULL

struct meta_topic {
    struct beck_topic topic;
    struct config_set configs;
};

struct meta_partition {
    uint32_t slot;
    uint32_t leader_epoch;
    int64_t log_start_offset;
};

/* Check the format's version. -ENOENT: not a store (yet). -EPROTONOSUPPORT: newer than this. */
int meta_format_check(struct db *meta, MDB_txn *txn, struct beck_error *error);
int meta_format_put(struct db *meta, MDB_txn *txn);

/* A store that says nothing has none. */
int meta_features_get(struct db *meta, MDB_txn *txn, struct meta_features *ret_features);
int meta_features_put(struct db *meta, MDB_txn *txn, const struct meta_features *features);
/* Do we know what the store makes use of? -EPROTONOSUPPORT. */
int meta_features_check(struct db *meta, MDB_txn *txn, bool read_only, struct beck_error *error);

int meta_store_get(struct db *meta, MDB_txn *txn, struct meta_store *ret_store);
int meta_store_put(struct db *meta, MDB_txn *txn, const struct meta_store *store);

int meta_topic_get(struct db *meta, MDB_txn *txn, const char *name, struct meta_topic *ret_topic);
int meta_topic_put(struct db *meta, MDB_txn *txn, const struct meta_topic *topic);
int meta_topic_delete(struct db *meta, MDB_txn *txn, const struct beck_topic *topic);
int meta_topic_name_of_id(struct db *meta, MDB_txn *txn, const uint8_t id[BECK_ID_BYTES],
                          char ret_name[BECK_TOPIC_NAME_BYTES + 1]);
/* The first good topic after a name; 1 or 0. Damaged ones are passed over. */
int meta_topic_next(struct db *meta, MDB_txn *txn, const char *after, struct meta_topic *ret_topic);

int meta_partition_get(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       struct meta_partition *ret_partition);
int meta_partition_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       const struct meta_partition *record);
int meta_partition_delete(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition);

/* The lowest slot from `from` on that nobody has; 1 is the first. */
int meta_slot_free(struct db *meta, MDB_txn *txn, uint32_t from, uint32_t *ret_slot);
/* One more than the highest slot in use. */
int meta_slots_end(struct db *meta, MDB_txn *txn, uint32_t *ret_end);

int meta_recovery_add(struct db *meta, MDB_txn *txn, const struct beck_recovery *recovery);
/* The `index`th; 1 or 0. */
int meta_recovery_get(struct db *meta, MDB_txn *txn, uint32_t index,
                      struct beck_recovery *ret_recovery);
int meta_recovery_clear(struct db *meta, MDB_txn *txn);

int meta_deleted_put(struct db *meta, MDB_txn *txn, const struct beck_topic *topic);
int meta_deleted_remove(struct db *meta, MDB_txn *txn, const uint8_t id[BECK_ID_BYTES]);
/* Any one of them; 1 or 0. */
int meta_deleted_first(struct db *meta, MDB_txn *txn, struct beck_topic *ret_topic);

#endif
