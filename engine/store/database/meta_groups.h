/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of meta.mdb that consumer groups have: their committed offsets, and a record for each
 * group that has a coordinator. Names are longer than a key may be, so keys have a hash of the
 * name, and values the name itself: who reads compares it. Functions work inside a transaction of
 * the caller's; what they hand out points into it.
 */
#ifndef STORE_META_GROUPS_H
#define STORE_META_GROUPS_H

#include "meta.h"

#define GROUP_HASH_BYTES 16

/* A group's name with its hash, XXH3-128, canonical (big-endian). */
struct group_name {
    const void *bytes;
    size_t size;
    uint8_t hash[GROUP_HASH_BYTES];
};

struct group_name group_name_of(const void *bytes, size_t size);
bool group_name_equal(const struct group_name *a, const struct group_name *b);

/* Which offset of a group: the rest of its key. */
struct offset_place {
    uint32_t topic_number;
    uint32_t partition;
};

struct meta_offset {
    struct group_name group;
    uint8_t topic_id[BECK_ID_BYTES];
    int64_t offset;
    int32_t leader_epoch; /* -1: unknown */
    int64_t commit_ms;
    int64_t expire_ms; /* -1: as configured */
    const void *metadata;
    size_t metadata_size;
};

struct meta_group {
    struct group_name name;
    const char *protocol_type; /* not terminated */
    size_t protocol_type_size;
    int64_t empty_since_ms; /* -1: it has members */
    const void *state;
    size_t state_size;
};

/* -ENOENT; -EBADMSG. Whether it is of a group with this name the caller finds out. */
int meta_offset_get(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES],
                    struct offset_place place, struct meta_offset *ret_offset);
int meta_offset_put(struct db *meta, MDB_txn *txn, struct offset_place place,
                    const struct meta_offset *offset);
int meta_offset_delete(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES],
                       struct offset_place place);
/*
 * Go to the first offset behind `hash` and `place`, of whatever group. Returns 1 and all three; 0
 * where there is none; -EBADMSG and the first two where that one is damaged. Where a key is no key
 * it is passed over.
 */
int meta_offset_next(struct db *meta, MDB_txn *txn, uint8_t hash[GROUP_HASH_BYTES],
                     struct offset_place *place, struct meta_offset *ret_offset);

int meta_group_get(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES],
                   struct meta_group *ret_group);
int meta_group_put(struct db *meta, MDB_txn *txn, const struct meta_group *group);
int meta_group_delete(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES]);
/* As meta_offset_next(). */
int meta_group_next(struct db *meta, MDB_txn *txn, uint8_t hash[GROUP_HASH_BYTES],
                    struct meta_group *ret_group);

/* Call `tell` with what each damaged or senseless record is, until it returns non-zero. */
int meta_groups_check(struct db *meta, MDB_txn *txn, int (*tell)(void *context, const char *what),
                      void *context);

#endif
