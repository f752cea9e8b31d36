/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of meta.mdb that client quotas have. Whom one is for may be longer than a key, so keys
 * have a hash of that, and values all of it: who reads compares it. Functions work inside a
 * transaction of the caller's.
 */
#ifndef STORE_META_QUOTAS_H
#define STORE_META_QUOTAS_H

#include "meta.h"

#define QUOTA_HASH_BYTES 16

/* Of whom a quota is for: XXH3-128, canonical (big-endian). It must be a right one. */
void meta_quota_hash(const struct beck_quota *quota, uint8_t ret_hash[QUOTA_HASH_BYTES]);
/* Are both for the same clients? */
bool meta_quota_same(const struct beck_quota *a, const struct beck_quota *b);
/* What is wrong with it, as beck_quotas_put() says; NULL: nothing. */
const char *meta_quota_wrong(const struct beck_quota *quota);

/* -ENOENT; -EBADMSG. Whether it is for the clients that were meant the caller finds out. */
int meta_quota_get(struct db *meta, MDB_txn *txn, const uint8_t hash[QUOTA_HASH_BYTES],
                   struct beck_quota *ret_quota);
int meta_quota_put(struct db *meta, MDB_txn *txn, const struct beck_quota *quota);
int meta_quota_delete(struct db *meta, MDB_txn *txn, const uint8_t hash[QUOTA_HASH_BYTES]);
/* Go to the first one behind `hash`. Returns 1 and both; 0 where there is none; -EBADMSG and the
 * hash where that one is damaged. */
int meta_quota_next(struct db *meta, MDB_txn *txn, uint8_t hash[QUOTA_HASH_BYTES],
                    struct beck_quota *ret_quota);
/* How many there are, damaged ones too. */
int meta_quota_count(struct db *meta, MDB_txn *txn, size_t *ret_count);

/* Call `tell` with what each damaged record is, until it returns non-zero. */
int meta_quotas_check(struct db *meta, MDB_txn *txn, int (*tell)(void *context, const char *what),
                      void *context);

#endif
