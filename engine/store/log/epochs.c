/* SPDX-License-Identifier: Apache-2.0 */
/* The records of leader epochs, and the question that they are kept for: where did one end? */
#include "epochs.h"

#include "bytes.h"
#include "cleanup.h"
#include "partition.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>

static struct db_key epoch_key(uint32_t topic_number, uint32_t partition, uint32_t epoch)
{
    struct db_key key = db_key_partition(topic_number, partition);
    store_be32(key.bytes + key.size, epoch);
    key.size += 4;
    return key;
}

struct epochs_visit {
    int (*visit)(void *context, uint32_t epoch, int64_t start_offset);
    void *context;
};

static int visit_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct epochs_visit *each = context;
    struct unpacker u;
    if (key->mv_size != 12)
        return -EBADMSG;
    int r =
        unpack_begin(&u, value->mv_data, value->mv_size, VALUE_EPOCH, key->mv_data, key->mv_size);
    if (r < 0)
        return r;
    int64_t start_offset = (int64_t)unpack_u64(&u);
    if (unpack_end(&u) < 0 || start_offset < 0)
        return -EBADMSG;
    return each->visit(each->context, load_be32((const uint8_t *)key->mv_data + 8), start_offset);
}

int epochs_walk(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                int (*visit)(void *context, uint32_t epoch, int64_t start_offset), void *context)
{
    struct db_key prefix = db_key_partition(topic_number, partition);
    struct epochs_visit each = {.visit = visit, .context = context};
    return db_walk(txn, meta->dbis[META_EPOCHS], &prefix, visit_pair, &each);
}

/* ---- putting ------------------------------------------------------------------------------- */

/* The two oldest epochs, and how many there are. */
struct oldest {
    uint32_t count;
    uint32_t first;
    int64_t second_start;
};

static int visit_oldest(void *context, uint32_t epoch, int64_t start_offset)
{
    struct oldest *oldest = context;
    if (oldest->count == 0)
        oldest->first = epoch;
    if (oldest->count == 1)
        oldest->second_start = start_offset;
    oldest->count++;
    return 0;
}

int epochs_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
               uint32_t epoch, int64_t start_offset, int64_t log_start_offset)
{
    struct db_key key = epoch_key(topic_number, partition, epoch);
    uint8_t buffer[32];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_EPOCH);
    pack_u64(&p, (uint64_t)start_offset);
    int r = db_put_value(txn, meta->dbis[META_EPOCHS], key.bytes, key.size, &p);
    for (;;) {
        struct oldest oldest = {0};
        if (r == 0)
            r = epochs_walk(meta, txn, topic_number, partition, visit_oldest, &oldest);
        if (r == -EBADMSG || r == -EPROTONOSUPPORT)
            return 0; /* verification tells of it; this epoch has its record */
        if (r < 0 || oldest.count < 2 ||
            (oldest.second_start > log_start_offset && oldest.count <= EPOCHS_MAX))
            return r;
        key = epoch_key(topic_number, partition, oldest.first);
        r = db_delete(txn, meta->dbis[META_EPOCHS], key.bytes, key.size);
    }
}

/* ---- asking -------------------------------------------------------------------------------- */

struct search {
    int64_t wanted;
    int64_t floor; /* the largest epoch at or below; -1: none is known */
    int64_t end;   /* where the first above began; -1: none is known */
};

static int visit_search(void *context, uint32_t epoch, int64_t start_offset)
{
    struct search *search = context;
    if (epoch == 1 && search->floor < 0)
        search->floor = 0; /* the one without a record */
    if (epoch <= search->wanted) {
        search->floor = epoch;
        return 0;
    }
    search->end = start_offset;
    return 1;
}

int partition_epoch_end(struct beck_partition *partition, int32_t epoch, int32_t *ret_epoch,
                        int64_t *ret_end_offset, struct beck_error *error)
{
    struct db *meta = &partition->store->meta;
    struct search search = {.wanted = epoch, .floor = -1, .end = -1};
    struct live_tail tail;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = partition_tail(partition, &tail, error);
    if (r < 0)
        return r;
    if (epoch < 0 || (uint32_t)epoch > tail.leader_epoch) {
        *ret_epoch = -1;
        *ret_end_offset = -1;
        return 0;
    }
    if ((uint32_t)epoch < tail.leader_epoch) {
        r = db_begin(meta, false, &txn, error);
        if (r < 0)
            return partition_failed(partition, r, -1, error);
        r = epochs_walk(meta, txn, partition->topic.number, (uint32_t)partition->number,
                        visit_search, &search);
        if (r < 0) {
            (void)report_errno(error, r, "meta.mdb: the history of leader epochs cannot be read");
            return partition_failed(partition, r, -1, error);
        }
    }
    *ret_epoch = search.floor < 0 ? epoch : (int32_t)search.floor;
    *ret_end_offset = search.end < 0 ? tail.end.offset : search.end;
    return 0;
}
