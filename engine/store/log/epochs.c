/* SPDX-License-Identifier: Apache-2.0 */
/* The records of leader epochs, and the question that they are kept for: where did one end? */
#include "epochs.h"

#include "bytes.h"
#include "cleanup.h"
#include "partition.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

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

/* ---- a history ----------------------------------------------------------------------------- */

static int note_begin(void *context, uint32_t epoch, int64_t start_offset)
{
    struct epoch_history *history = context;
    const struct epoch_begin *last =
        history->count > 0 ? &history->begins[history->count - 1] : NULL;
    if (epoch == 0 || epoch > history->newest || (last && start_offset < last->start_offset))
        return -EBADMSG;
    struct epoch_begin *grown =
        reallocarray(history->begins, history->count + 1, sizeof(*history->begins));
    if (!grown)
        return -ENOMEM;
    history->begins = grown;
    history->begins[history->count++] = (struct epoch_begin){epoch, start_offset};
    return 0;
}

int epoch_history_load(struct epoch_history *history, struct db *meta, MDB_txn *txn,
                       uint32_t topic_number, uint32_t partition)
{
    struct meta_partition record;
    *history = (struct epoch_history){0};
    int r = meta_partition_get(meta, txn, topic_number, partition, &record);
    history->newest = r == 0 ? record.leader_epoch : 0;
    if (r == 0)
        r = epochs_walk(meta, txn, topic_number, partition, note_begin, history);
    if (r < 0)
        epoch_history_done(history);
    return r;
}

void epoch_history_done(struct epoch_history *history)
{
    free(history->begins);
    *history = (struct epoch_history){0};
}

/* How many epochs of which the begin is known begin at an offset, or below. */
static size_t begun_at(const struct epoch_history *history, int64_t offset)
{
    size_t low = 0;
    size_t high = history->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (history->begins[middle].start_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t epoch_history_at(const struct epoch_history *history, int64_t offset)
{
    size_t begun = begun_at(history, offset);
    uint32_t next = begun < history->count ? history->begins[begun].epoch : history->newest + 1;
    if (begun > 0)
        return history->begins[begun - 1].epoch;
    return next == 1 ? 0 : -1;
}

bool epoch_history_allows(const struct epoch_history *history, int64_t offset, int32_t epoch)
{
    int64_t known = epoch_history_at(history, offset);
    uint32_t above = history->count > 0 ? history->begins[0].epoch : history->newest + 1;
    return known >= 0 ? epoch == known : epoch >= 0 && (uint32_t)epoch < above;
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
