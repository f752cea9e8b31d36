/* SPDX-License-Identifier: Apache-2.0 */
/* The values of client quotas, and the keys that they stand under. */
#include "meta_quotas.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#define WHOM_BYTES  (BECK_QUOTA_PARTS * (3 + BECK_QUOTA_NAME_BYTES))
#define VALUE_BYTES (WHOM_BYTES + 4 + BECK_QUOTA_KINDS * 8 + 64)
#define ALL_KINDS   ((1U << BECK_QUOTA_KINDS) - 1)

/* ---- whom it is for ------------------------------------------------------------------------- */

static void pack_whom(struct packer *p, const struct beck_quota *quota)
{
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++) {
        pack_u8(p, (uint8_t)quota->parts[i].match);
        pack_string(p, quota->parts[i].bytes, quota->parts[i].size);
    }
}

void meta_quota_hash(const struct beck_quota *quota, uint8_t ret_hash[QUOTA_HASH_BYTES])
{
    uint8_t whom[WHOM_BYTES];
    struct packer p = {.begin = whom, .at = whom, .end = whom + sizeof(whom)};
    pack_whom(&p, quota);
    XXH128_canonicalFromHash((XXH128_canonical_t *)ret_hash,
                             XXH3_128bits(whom, (size_t)(p.at - p.begin)));
}

bool meta_quota_same(const struct beck_quota *a, const struct beck_quota *b)
{
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++)
        if (a->parts[i].match != b->parts[i].match || a->parts[i].size != b->parts[i].size ||
            memcmp(a->parts[i].bytes, b->parts[i].bytes, a->parts[i].size) != 0)
            return false;
    return true;
}

static const char *whom_wrong(const struct beck_quota *quota)
{
    unsigned given = 0;
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++) {
        const struct beck_quota_name *name = &quota->parts[i];
        if (name->match > BECK_QUOTA_NAMED)
            return "a quota's part matches in a way that there is not";
        if (name->match == BECK_QUOTA_NAMED ? name->size == 0 || name->size > BECK_QUOTA_NAME_BYTES
                                            : name->size != 0)
            return "a quota's name is empty, or too long";
        given += name->match != BECK_QUOTA_NOT_GIVEN;
    }
    if (given == 0)
        return "a quota is for nobody";
    if (quota->parts[BECK_QUOTA_IP].match != BECK_QUOTA_NOT_GIVEN && given > 1)
        return "a quota is for an address and something else";
    return NULL;
}

const char *meta_quota_wrong(const struct beck_quota *quota)
{
    const char *why = whom_wrong(quota);
    if (why)
        return why;
    if (quota->set & ~ALL_KINDS)
        return "a quota sets a kind that there is not";
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++)
        if (quota->set & 1U << i && !isgreater(quota->values[i], 0.0))
            return "a quota's value is not above 0";
    return NULL;
}

/* ---- values --------------------------------------------------------------------------------- */

static void unpack_name(struct unpacker *u, struct beck_quota_name *name)
{
    size_t size;
    name->match = (enum beck_quota_match)unpack_u8(u);
    const uint8_t *bytes = unpack_string_in_place(u, &size);
    if (!bytes || size > BECK_QUOTA_NAME_BYTES) {
        u->failed = true;
        return;
    }
    memcpy(name->bytes, bytes, size);
    name->bytes[size] = '\0';
    name->size = size;
}

static int quota_unpack(struct unpacker *u, const uint8_t hash[QUOTA_HASH_BYTES],
                        struct beck_quota *ret_quota)
{
    struct beck_quota quota = {.set = 0};
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++)
        unpack_name(u, &quota.parts[i]);
    quota.set = unpack_u32(u);
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++) {
        uint64_t bits = quota.set & 1U << i ? unpack_u64(u) : 0;
        memcpy(&quota.values[i], &bits, sizeof(bits));
    }
    int r = unpack_end(u);
    if (r == 0 && (quota.set == 0 || meta_quota_wrong(&quota)))
        r = -EBADMSG;
    if (r < 0)
        return r;
    meta_quota_hash(&quota, quota.hash);
    if (memcmp(quota.hash, hash, QUOTA_HASH_BYTES) != 0)
        return -EBADMSG;
    *ret_quota = quota;
    return 0;
}

int meta_quota_get(struct db *meta, MDB_txn *txn, const uint8_t hash[QUOTA_HASH_BYTES],
                   struct beck_quota *ret_quota)
{
    struct unpacker u;
    int r = db_get_value(txn, meta->dbis[META_QUOTAS], hash, QUOTA_HASH_BYTES, VALUE_QUOTA, &u);
    return r < 0 ? r : quota_unpack(&u, hash, ret_quota);
}

int meta_quota_put(struct db *meta, MDB_txn *txn, const struct beck_quota *quota)
{
    uint8_t buffer[VALUE_BYTES];
    uint8_t hash[QUOTA_HASH_BYTES];
    struct packer p;
    meta_quota_hash(quota, hash);
    pack_begin(&p, buffer, sizeof(buffer), VALUE_QUOTA);
    pack_whom(&p, quota);
    pack_u32(&p, quota->set);
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++) {
        uint64_t bits;
        memcpy(&bits, &quota->values[i], sizeof(bits));
        if (quota->set & 1U << i)
            pack_u64(&p, bits);
    }
    return db_put_value(txn, meta->dbis[META_QUOTAS], hash, sizeof(hash), &p);
}

int meta_quota_delete(struct db *meta, MDB_txn *txn, const uint8_t hash[QUOTA_HASH_BYTES])
{
    return db_delete(txn, meta->dbis[META_QUOTAS], hash, QUOTA_HASH_BYTES);
}

int meta_quota_next(struct db *meta, MDB_txn *txn, uint8_t hash[QUOTA_HASH_BYTES],
                    struct beck_quota *ret_quota)
{
    struct db_key after = db_key_bytes(hash, QUOTA_HASH_BYTES);
    MDB_val key;
    MDB_val value;
    struct unpacker u;
    int r = db_next_of_size(txn, meta->dbis[META_QUOTAS], &after, &key, &value);
    if (r != 1)
        return r;
    memcpy(hash, key.mv_data, QUOTA_HASH_BYTES);
    r = unpack_begin(&u, value.mv_data, value.mv_size, VALUE_QUOTA, key.mv_data, key.mv_size);
    if (r == 0)
        r = quota_unpack(&u, hash, ret_quota);
    return r == 0 ? 1 : r;
}

int meta_quota_count(struct db *meta, MDB_txn *txn, size_t *ret_count)
{
    MDB_stat stat = {.ms_entries = 0};
    MDB_dbi dbi = meta->dbis[META_QUOTAS];
    int r = dbi == DB_ABSENT ? 0 : db_errno(mdb_stat(txn, dbi, &stat));
    if (r == 0)
        *ret_count = stat.ms_entries;
    return r;
}

int meta_quotas_check(struct db *meta, MDB_txn *txn, int (*tell)(void *context, const char *what),
                      void *context)
{
    uint8_t hash[QUOTA_HASH_BYTES] = {0};
    struct beck_quota quota;
    int r = db_check_keys(txn, meta->dbis[META_QUOTAS], QUOTA_HASH_BYTES,
                          "the key of a client quota is damaged", tell, context);
    while (r == 0) {
        int next = meta_quota_next(meta, txn, hash, &quota);
        if (next == 0)
            return 0;
        if (next == -EBADMSG || next == -EPROTONOSUPPORT)
            r = tell(context, "the record of a client quota is damaged");
        else if (next < 0)
            r = next;
    }
    return r;
}
