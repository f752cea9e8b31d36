/* SPDX-License-Identifier: Apache-2.0 */
/* Client quotas; see quotas.h. All is looked at before anything is put, so that one that is refused
 * leaves the others as they were, too. */
#include "quotas.h"

#include "combine.h"
#include "report.h"

#include <errno.h>
#include <string.h>

struct put {
    struct db *meta;
    const struct beck_quota *quotas;
    size_t count;
    int refused; /* what the commit does not fail for: -EEXIST, -EMSGSIZE */
};

/* Counts what would come, and finds those that have another's hash. */
static int look(struct put *put, MDB_txn *txn)
{
    size_t count;
    size_t come = 0;
    int r = meta_quota_count(put->meta, txn, &count);
    for (size_t i = 0; r == 0 && i < put->count; i++) {
        struct beck_quota before;
        uint8_t hash[QUOTA_HASH_BYTES];
        meta_quota_hash(&put->quotas[i], hash);
        int found = meta_quota_get(put->meta, txn, hash, &before);
        if (found == 0 && !meta_quota_same(&before, &put->quotas[i]))
            put->refused = -EEXIST;
        come += found == -ENOENT && put->quotas[i].set != 0;
    }
    if (r == 0 && come > 0 && count + come > BECK_QUOTAS_MAX)
        put->refused = -EMSGSIZE;
    return r;
}

static int apply_put(void *context, MDB_txn *txn)
{
    struct put *put = context;
    put->refused = 0;
    int r = look(put, txn);
    for (size_t i = 0; r == 0 && put->refused == 0 && i < put->count; i++) {
        uint8_t hash[QUOTA_HASH_BYTES];
        meta_quota_hash(&put->quotas[i], hash);
        r = put->quotas[i].set == 0 ? meta_quota_delete(put->meta, txn, hash)
                                    : meta_quota_put(put->meta, txn, &put->quotas[i]);
    }
    return r;
}

int quotas_put(struct beck_store *store, const struct beck_quota *quotas, size_t count,
               struct beck_error *error)
{
    struct put put = {.meta = &store->meta, .quotas = quotas, .count = count};
    struct combine_job job = {.apply = apply_put, .context = &put};
    int r = combine_commit(&store->combine, &store->meta, &job, error);
    if (r == 0 && put.refused == -EEXIST)
        return report(error, -EEXIST, "another client quota has the same hash");
    if (r == 0 && put.refused == -EMSGSIZE)
        return report(error, -EMSGSIZE, "a store has at most %d client quotas", BECK_QUOTAS_MAX);
    return r;
}

int quotas_next(struct beck_store *store, struct beck_quota *quota, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    uint8_t hash[QUOTA_HASH_BYTES];
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    memcpy(hash, quota->hash, sizeof(hash));
    r = meta_quota_next(&store->meta, txn, hash, quota);
    if (r >= 0)
        return r;
    memcpy(quota->hash, hash, sizeof(hash));
    return report_errno(error, r, "meta.mdb: the record of a client quota");
}
