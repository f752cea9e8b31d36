/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the producers' state, following the log with it, and keeping it in index.mdb.
 *
 * Happy path: the slot's tail says where the last batch of any producer ends. Where this process
 * knows all up to there, nothing is read. Else headers are read from where it stopped: outside of
 * the slot's lock, and once more under it, if somebody was quicker; that is a few of the segment
 * that is being appended to, which the system has in memory.
 *
 * Headers that are damaged are passed over with the rest of their segment: a producer whose batches
 * are missed so is told that its sequence is out of order, or may repeat what cannot be read.
 */
#include "producers.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "lookup.h"
#include "report.h"
#include "segments.h"

#include <errno.h>
#include <stdlib.h>

#define LOCKED_BYTES   (256 * 1024)        /* to be read under the slot's lock, at most, */
#define LOCKED_TRIES   8                   /* unless others were quicker so many times */
#define SURPLUS_MAX    (PRODUCERS_MAX / 8) /* in index.mdb, before they are removed */
#define PRODUCER_BYTES 160

void producers_init(struct producers *producers)
{
    CHECK(pthread_mutex_init(&producers->mutex, NULL) == 0);
    producers->scan.fd = -1;
}

void producers_done(struct producers *producers)
{
    producer_table_done(&producers->table);
    scan_done(&producers->scan);
    (void)pthread_mutex_destroy(&producers->mutex);
}

/* ---- index.mdb ----------------------------------------------------------------------------- */

/* What index.mdb says of all producers of a partition. */
struct covered {
    int64_t offset; /* batches below it are in the producers' states */
    uint32_t count;
};

static struct db_key producer_key(uint32_t topic_number, uint32_t partition, int64_t id)
{
    return db_key_segment(topic_number, partition, id);
}

static int covered_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       struct covered *ret_covered)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct unpacker u;
    int r =
        db_get_value(txn, index->dbis[INDEX_PRODUCERS], key.bytes, key.size, VALUE_PRODUCERS, &u);
    if (r < 0)
        return r;
    struct covered covered = {.offset = (int64_t)unpack_u64(&u), .count = unpack_u32(&u)};
    r = unpack_end(&u);
    if (r == 0 && covered.offset < 0)
        r = -EBADMSG;
    if (r == 0)
        *ret_covered = covered;
    return r;
}

static int covered_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       const struct covered *covered)
{
    struct db_key key = db_key_partition(topic_number, partition);
    uint8_t buffer[64];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_PRODUCERS);
    pack_u64(&p, (uint64_t)covered->offset);
    pack_u32(&p, covered->count);
    return db_put_value(txn, index->dbis[INDEX_PRODUCERS], key.bytes, key.size, &p);
}

static int producer_unpack(struct unpacker *u, int64_t id, struct producer *ret_producer)
{
    uint32_t epoch = unpack_u32(u);
    struct producer producer = {.id = id};
    producer.next_offset = (int64_t)unpack_u64(u);
    producer.seen_ms = (int64_t)unpack_u64(u);
    producer.batch_count = unpack_u8(u);
    bool good = id >= 0 && epoch <= INT16_MAX && producer.next_offset >= 0 &&
                producer.batch_count <= PRODUCER_BATCHES;
    int64_t offset = 0;
    for (unsigned i = 0; good && i < producer.batch_count; i++) {
        struct producer_batch *batch = &producer.batches[i];
        batch->base_sequence = (int32_t)unpack_u32(u);
        batch->last_offset_delta = (int32_t)unpack_u32(u);
        batch->base_offset = (int64_t)unpack_u64(u);
        batch->append_time_ms = (int64_t)unpack_u64(u);
        good = batch->base_sequence >= 0 && batch->last_offset_delta >= 0 &&
               batch->base_offset >= offset &&
               batch->base_offset < producer.next_offset - batch->last_offset_delta;
        offset = batch->base_offset + batch->last_offset_delta + 1;
    }
    producer.epoch = (int16_t)epoch;
    if (!good || unpack_end(u) < 0)
        return -EBADMSG;
    *ret_producer = producer;
    return 0;
}

static int producer_get(struct db *index, MDB_txn *txn, const struct db_key *key,
                        struct producer *ret_producer)
{
    struct unpacker u;
    int r =
        db_get_value(txn, index->dbis[INDEX_PRODUCERS], key->bytes, key->size, VALUE_PRODUCER, &u);
    return r < 0 ? r : producer_unpack(&u, (int64_t)load_be64(key->bytes + 8), ret_producer);
}

static int producer_put(struct db *index, MDB_txn *txn, const struct db_key *key,
                        const struct producer *producer)
{
    uint8_t buffer[PRODUCER_BYTES];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_PRODUCER);
    pack_u32(&p, (uint32_t)producer->epoch);
    pack_u64(&p, (uint64_t)producer->next_offset);
    pack_u64(&p, (uint64_t)producer->seen_ms);
    pack_u8(&p, producer->batch_count);
    for (unsigned i = 0; i < producer->batch_count; i++) {
        const struct producer_batch *batch = &producer->batches[i];
        pack_u32(&p, (uint32_t)batch->base_sequence);
        pack_u32(&p, (uint32_t)batch->last_offset_delta);
        pack_u64(&p, (uint64_t)batch->base_offset);
        pack_u64(&p, (uint64_t)batch->append_time_ms);
    }
    return db_put_value(txn, index->dbis[INDEX_PRODUCERS], key->bytes, key->size, &p);
}

struct producers_visit {
    int (*visit)(void *context, const struct producer *producer);
    void *context;
};

int producers_unpack(const MDB_val *key, const MDB_val *value, struct producer *ret_producer)
{
    struct unpacker u;
    if (key->mv_size == 8)
        return 0;
    if (key->mv_size != 16)
        return -EBADMSG;
    int r = unpack_begin(&u, value->mv_data, value->mv_size, VALUE_PRODUCER, key->mv_data,
                         key->mv_size);
    if (r == 0)
        r = producer_unpack(&u, (int64_t)load_be64((const uint8_t *)key->mv_data + 8),
                            ret_producer);
    return r < 0 ? r : 1;
}

static int visit_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct producers_visit *each = context;
    struct producer producer;
    int r = producers_unpack(key, value, &producer);
    return r <= 0 ? r : each->visit(each->context, &producer);
}

int producers_delete(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                     int64_t id)
{
    struct db_key key = producer_key(topic_number, partition, id);
    struct covered covered = {0};
    int r = db_delete(txn, index->dbis[INDEX_PRODUCERS], key.bytes, key.size);
    if (r < 0 || covered_get(index, txn, topic_number, partition, &covered) < 0)
        return r;
    covered.count -= covered.count > 0;
    return covered_put(index, txn, topic_number, partition, &covered);
}

int producers_walk(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                   int (*visit)(void *context, const struct producer *producer), void *context,
                   int64_t *ret_offset)
{
    struct db_key prefix = db_key_partition(topic_number, partition);
    struct producers_visit each = {.visit = visit, .context = context};
    struct covered covered = {0};
    int r = covered_get(index, txn, topic_number, partition, &covered);
    if (r == 0)
        r = db_walk(txn, index->dbis[INDEX_PRODUCERS], &prefix, visit_pair, &each);
    if (r == 0)
        *ret_offset = covered.offset;
    return r;
}

static int put_visit(void *context, const struct producer *producer)
{
    return producer_table_put(context, producer);
}

/* Remove those that are too many. */
static int remove_surplus(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                          struct covered *covered)
{
    _cleanup_(producer_table_done) struct producer_table all = {0};
    _cleanup_(producer_table_done) struct producer_table kept = {0};
    int64_t offset;
    int r = producers_walk(index, txn, topic_number, partition, put_visit, &all, &offset);
    for (uint32_t i = 0; r == 0 && i < all.count; i++)
        r = producer_table_put(&kept, &all.producers[i]);
    if (r < 0)
        return r;
    producer_table_order(&kept);
    for (uint32_t i = 0; r == 0 && i < all.count; i++) {
        struct db_key key = producer_key(topic_number, partition, all.producers[i].id);
        if (!producer_table_find(&kept, all.producers[i].id))
            r = db_delete(txn, index->dbis[INDEX_PRODUCERS], key.bytes, key.size);
    }
    covered->count = kept.count;
    return r;
}

static int count_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    uint32_t *count = context;
    (void)value;
    *count += key->mv_size == 16;
    return 0;
}

/* How many are there, where the value that says so is damaged? */
static int count_producers(struct db *index, MDB_txn *txn, uint32_t topic_number,
                           uint32_t partition, uint32_t *ret_count)
{
    struct db_key prefix = db_key_partition(topic_number, partition);
    *ret_count = 0;
    return db_walk(txn, index->dbis[INDEX_PRODUCERS], &prefix, count_pair, ret_count);
}

int producers_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  const struct producer_table *table, int64_t offset)
{
    struct covered covered = {0};
    int r = covered_get(index, txn, topic_number, partition, &covered);
    if (r == -EBADMSG)
        r = count_producers(index, txn, topic_number, partition, &covered.count);
    if (r == -ENOENT)
        r = 0;
    covered.offset = offset;
    for (uint32_t i = 0; r == 0 && i < table->count; i++) {
        struct producer producer;
        struct db_key key = producer_key(topic_number, partition, table->producers[i].id);
        r = producer_get(index, txn, &key, &producer);
        if (r == 0) {
            producer_merge(&producer, &table->producers[i]);
        } else {
            covered.count += r == -ENOENT;
            producer = table->producers[i];
            r = r == -ENOENT || r == -EBADMSG ? 0 : r;
        }
        if (r == 0)
            r = producer_put(index, txn, &key, &producer);
    }
    if (r == 0)
        r = covered_put(index, txn, topic_number, partition, &covered);
    if (r == 0 && covered.count > PRODUCERS_MAX + SURPLUS_MAX) {
        r = remove_surplus(index, txn, topic_number, partition, &covered);
        if (r == 0)
            r = covered_put(index, txn, topic_number, partition, &covered);
    }
    return r;
}

/* ---- following the log --------------------------------------------------------------------- */

/* A walk over the headers of a partition, and where it is. */
struct follow {
    struct beck_partition *partition;
    struct producer_table *table;
    struct scan *scan;
    const struct live_tail *tail;
    struct log_point at; /* the batch that comes next; its position where its segment is known */
    int64_t now_ms;
};

static int follow_header(struct follow *follow, const struct batch_header *header,
                         struct beck_error *error)
{
    int64_t next_offset = batch_next_offset(header);
    /* Nothing covers a base offset but its neighbours. */
    if (next_offset <= follow->at.offset || next_offset > follow->tail->end.offset)
        return 0;
    follow->at.offset = next_offset;
    int r = header->producer_id < 0 || header->producer_epoch < 0
                ? 0
                : producer_table_apply(follow->table, header, follow->now_ms);
    return r < 0 ? report(error, r, "out of memory") : 0;
}

/* Take what is in a file from the walk's position to its end, what is behind damage too. */
static int follow_file(struct follow *follow, int fd, uint64_t limit, struct beck_error *error)
{
    const struct io *io = follow->partition->store->io;
    struct scan *scan = follow->scan;
    struct scan_batch batch;
    int r;
    scan_begin(scan, io, fd, SCAN_HEADERS, follow->at.position, limit);
    while ((r = scan_next(scan, &batch, error)) != 0) {
        if (r == 1) {
            r = follow_header(follow, &batch.summary.header, error);
        } else if (r == -EBADMSG) {
            uint64_t good = limit;
            r = scan_find(scan, scan->position + 1, limit, follow->at.offset, &good);
            scan_begin(scan, io, fd, SCAN_HEADERS, good, limit);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* The segment that has the walk's offset, or the next one; NULL: there is none. A reference. */
static int follow_segment(struct follow *follow, struct segment **ret_segment,
                          struct beck_error *error)
{
    struct beck_partition *partition = follow->partition;
    struct live_tail now;
    int r = segments_lock(partition, &now, error);
    if (r < 0)
        return r;
    segments_unlock(partition);
    *ret_segment = lookup_segment(partition, follow->at.offset, &follow->tail->end);
    return 0;
}

/* Where to begin in a segment. Only in the newest one positions stay what they were. */
static void follow_place(struct follow *follow, const struct segment *segment)
{
    struct index_entry entry;
    if (segment->base_offset == follow->at.segment &&
        segment->base_offset == follow->tail->end.segment)
        return;
    lookup_entry(follow->partition, segment, follow->tail,
                 (struct lookup_target){INDEX_BY_OFFSET, follow->at.offset}, &entry);
    follow->at.segment = segment->base_offset;
    follow->at.position = entry.position;
}

/* Go on to the end of one segment. Returns 1: it was the last. */
static int follow_next(struct follow *follow, struct beck_error *error)
{
    struct segment *segment = NULL;
    int r = follow_segment(follow, &segment, error);
    if (r < 0 || !segment)
        return r < 0 ? r : 1;
    int64_t next_offset = segment->next_offset;
    bool is_last = segment->base_offset == follow->tail->end.segment || next_offset == INT64_MAX;
    follow_place(follow, segment);
    int fd = segment_pin(segment, false);
    if (fd >= 0) {
        r = follow_file(follow, fd, segment_limit(segment, &follow->tail->end), error);
        segment_unpin(segment);
    } else {
        r = segments_stale(follow->partition, segment, fd, error);
    }
    segment_unref(segment);
    if (r == -EAGAIN)
        return 0; /* it was trimmed or replaced meanwhile */
    if (r == -EBADMSG)
        r = 0;
    if (follow->at.offset < next_offset && !is_last)
        follow->at.offset = next_offset;
    return r < 0 ? r : is_last;
}

static int follow_log(struct follow *follow, struct beck_error *error)
{
    int r;
    do
        r = follow_next(follow, error);
    while (r == 0 && follow->at.offset < follow->tail->end.offset);
    return r < 0 ? r : 0;
}

/* ---- what this process knows --------------------------------------------------------------- */

/* From where on index.mdb lacks what producers sent. Nothing was noted by who did not know of them:
 * what is before his checkpoint is not asked for. */
static int begin_without_state(struct beck_partition *partition, MDB_txn *txn, int64_t *ret_offset)
{
    struct db *index = &partition->store->index;
    struct index_checkpoint checkpoint;
    int r = index_checkpoint_get(index, txn, partition->topic.number, (uint32_t)partition->number,
                                 &checkpoint);
    *ret_offset = r == 0 ? checkpoint.end.offset : 0;
    return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

static int producers_load(struct beck_partition *partition, struct beck_error *error)
{
    struct producers *producers = &partition->producers;
    struct db *index = &partition->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int64_t offset = 0;
    int r = db_begin(index, false, &txn, error);
    if (r < 0)
        return r;
    producer_table_done(&producers->table);
    r = producers_walk(index, txn, partition->topic.number, (uint32_t)partition->number, put_visit,
                       &producers->table, &offset);
    if (r == -ENOENT)
        r = begin_without_state(partition, txn, &offset);
    if (r == -EBADMSG || r == -EPROTONOSUPPORT) { /* all of it once more, from the segments */
        producer_table_done(&producers->table);
        offset = 0;
        producers->is_damaged = true;
        r = 0;
    }
    if (r < 0)
        return report_errno(error, r, "index.mdb: the producers cannot be read");
    producer_table_order(&producers->table);
    producers->at = (struct log_point){.offset = offset, .segment = -1};
    producers->is_loaded = true;
    return 0;
}

/* Is there anything between the table and the tail? */
static bool is_behind(const struct producers *producers, const struct live_tail *tail)
{
    return producers->is_damaged || tail->producer_offset > producers->at.offset;
}

/* Have a table and a tail between which nothing is gone from the log: index.mdb had it before. */
static int follow_begin(struct beck_partition *partition, struct live_tail *ret_tail,
                        struct beck_error *error)
{
    struct producers *producers = &partition->producers;
    int r = producers->is_loaded ? 0 : producers_load(partition, error);
    if (r == 0)
        r = partition_tail(partition, ret_tail, error);
    if (r < 0 || producers->is_damaged || !is_behind(producers, ret_tail) ||
        producers->at.offset >= ret_tail->log_start.offset)
        return r;
    r = producers_load(partition, error);
    return r < 0 ? r : partition_tail(partition, ret_tail, error);
}

/* Take into the table what was published since. Without the slot's lock. */
static int producers_follow(struct beck_partition *partition, struct beck_error *error)
{
    struct producers *producers = &partition->producers;
    struct live_tail tail;
    int r = follow_begin(partition, &tail, error);
    if (r < 0)
        return r;
    if (is_behind(producers, &tail)) {
        struct follow follow = {partition, &producers->table, &producers->scan,
                                &tail,     producers->at,     store_now_ms()};
        r = follow_log(&follow, error);
        /* What was taken is not to be taken again. */
        producers->at = follow.at;
        /* Trimmed while it was read? Then some of it may have been missed. */
        if (partition_log_start(partition) != tail.log_start.offset)
            producers->is_loaded = false;
    }
    if (r < 0)
        return r;
    if (!producers->is_loaded)
        return producers_follow(partition, error);
    producers->at = tail.end;
    producers->is_damaged = false;
    return 0;
}

/* The same under the slot's lock, where it is little. Returns 1; 0: it is much. */
static int follow_locked(struct beck_partition *partition, const struct live_tail *tail, bool much,
                         struct beck_error *error)
{
    struct producers *producers = &partition->producers;
    int r = 0;
    if (UNLIKELY(is_behind(producers, tail))) {
        struct follow follow = {partition, &producers->table, &producers->scan,
                                tail,      producers->at,     store_now_ms()};
        bool is_near = tail->end.segment == follow.at.segment &&
                       tail->end.position - follow.at.position <= LOCKED_BYTES;
        if (!is_near && !much)
            return 0;
        if (is_near) {
            r = partition_activate(partition, tail->end.segment, false, error);
            if (r == 0)
                r = follow_file(&follow, partition->active_fd, tail->end.position, error);
        } else {
            r = follow_log(&follow, error);
        }
        producers->at = follow.at;
    }
    if (r < 0)
        return r;
    producers->at = tail->end;
    return 1;
}

int producers_lock(struct beck_partition *partition, struct beck_error *error)
{
    struct producers *producers = &partition->producers;
    CHECK(pthread_mutex_lock(&producers->mutex) == 0);
    int r = 0;
    for (int tries = 0; r == 0; tries++) {
        r = producers_follow(partition, error);
        if (r == 0)
            r = partition_lock(partition, error);
        if (r < 0)
            break;
        r = follow_locked(partition, live_tail_locked(partition->slot), tries >= LOCKED_TRIES,
                          error);
        if (r != 1)
            partition_unlock(partition);
    }
    if (r < 0)
        CHECK(pthread_mutex_unlock(&producers->mutex) == 0);
    return r < 0 ? r : 0;
}

void producers_unlock(struct beck_partition *partition)
{
    partition_unlock(partition);
    CHECK(pthread_mutex_unlock(&partition->producers.mutex) == 0);
}

int producers_check(struct beck_partition *partition, const struct batch_header *header,
                    int64_t now_ms, struct producer_batch *ret_duplicate, struct beck_error *error)
{
    struct producer_table *table = &partition->producers.table;
    producer_table_expire(table, now_ms - atomic_load(&partition->producer_id_expiration_ms));
    int r = producer_check(producer_table_find(table, header->producer_id), header, ret_duplicate,
                           error);
    if (r == 0 && producer_table_reserve(table) < 0)
        r = report(error, -ENOMEM, "out of memory");
    return r;
}

void producers_appended(struct beck_partition *partition, const struct batch_header *header,
                        int64_t now_ms, const struct log_point *end)
{
    struct producers *producers = &partition->producers;
    CHECK(producer_table_apply(&producers->table, header, now_ms) == 0);
    producers->at = *end;
}

int producers_list(struct beck_partition *partition, struct beck_producer *list, uint32_t room,
                   uint32_t *ret_count, struct beck_error *error)
{
    struct producers *producers = &partition->producers;
    int64_t since_ms = store_now_ms() - atomic_load(&partition->producer_id_expiration_ms);
    uint32_t count = 0;
    CHECK(pthread_mutex_lock(&producers->mutex) == 0);
    int r = producers_follow(partition, error);
    for (uint32_t i = 0; r == 0 && i < producers->table.count; i++) {
        const struct producer *one = &producers->table.producers[i];
        if (one->seen_ms <= since_ms)
            continue;
        if (count < room)
            list[count] = (struct beck_producer){
                .id = one->id,
                .last_ms = one->seen_ms,
                .last_sequence = one->batch_count == 0
                                     ? -1
                                     : producer_last_sequence(&one->batches[one->batch_count - 1]),
                .epoch = one->epoch,
            };
        count++;
    }
    CHECK(pthread_mutex_unlock(&producers->mutex) == 0);
    if (r == 0)
        *ret_count = count;
    return r;
}

/* ---- checkpoints --------------------------------------------------------------------------- */

/* From where on index.mdb lacks what there is. */
static int collect_from(struct beck_partition *partition, int64_t *ret_offset,
                        struct beck_error *error)
{
    struct db *index = &partition->store->index;
    struct covered covered = {0};
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, false, &txn, error);
    if (r < 0)
        return r;
    r = covered_get(index, txn, partition->topic.number, (uint32_t)partition->number, &covered);
    if (r == -ENOENT)
        r = begin_without_state(partition, txn, &covered.offset);
    if (r < 0 && r != -EBADMSG)
        return report_errno(error, r, "index.mdb: the producers cannot be read");
    *ret_offset = covered.offset;
    return 0;
}

int producers_collect(struct beck_partition *partition, const struct live_tail *tail,
                      struct producer_table *table, struct beck_error *error)
{
    _cleanup_(scan_done) struct scan scan = {.fd = -1};
    struct follow follow = {partition, table, &scan, tail, {.segment = -1}, store_now_ms()};
    if (LIKELY(tail->producer_offset == 0))
        return 0;
    int r = collect_from(partition, &follow.at.offset, error);
    if (r == 0 && tail->producer_offset > follow.at.offset)
        r = follow_log(&follow, error);
    return r;
}
