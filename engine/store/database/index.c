/* SPDX-License-Identifier: Apache-2.0 */
/* The values of index.mdb, and searching them. */
#include "index.h"

#include "bytes.h"
#include "check.h"

#include <errno.h>
#include <string.h>

#define KEY_STATE      "state"
#define KEY_STATE_SIZE (sizeof(KEY_STATE) - 1)
#define ENTRY_BYTES    32
#define CHUNK_BYTES    (INDEX_CHUNK_ENTRIES * ENTRY_BYTES + 32)

static const char *const databases[INDEX_DATABASES] = {
    [INDEX_STATE] = "state",         [INDEX_CHECKPOINTS] = "checkpoints",
    [INDEX_SEGMENTS] = "segments",   [INDEX_ENTRIES] = "entries",
    [INDEX_PRODUCERS] = "producers", [INDEX_CLEANINGS] = "cleanings",
    [INDEX_CLEANED] = "cleaned",
};

const struct db_layout index_layout = {databases, INDEX_DATABASES, INDEX_REQUIRED};

int index_clean_get(struct db *index, MDB_txn *txn, bool *ret_clean)
{
    struct unpacker u;
    int r = db_get_value(txn, index->dbis[INDEX_STATE], KEY_STATE, KEY_STATE_SIZE, VALUE_STATE, &u);
    if (r < 0)
        return r;
    bool clean = unpack_u8(&u) != 0;
    r = unpack_end(&u);
    if (r == 0)
        *ret_clean = clean;
    return r;
}

int index_clean_put(struct db *index, MDB_txn *txn, bool clean)
{
    uint8_t buffer[16];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_STATE);
    pack_u8(&p, clean);
    return db_put_value(txn, index->dbis[INDEX_STATE], KEY_STATE, KEY_STATE_SIZE, &p);
}

/* ---- checkpoints --------------------------------------------------------------------------- */

int index_checkpoint_read(const void *key, size_t key_size, const void *value, size_t size,
                          struct index_checkpoint *ret_checkpoint)
{
    struct index_checkpoint c;
    struct unpacker u;
    int r = unpack_begin(&u, value, size, VALUE_CHECKPOINT, key, key_size);
    if (r < 0)
        return r;
    c.end.offset = (int64_t)unpack_u64(&u);
    c.end.segment = (int64_t)unpack_u64(&u);
    c.end.position = unpack_u64(&u);
    c.end.view = unpack_u64(&u);
    c.records_end = (int64_t)unpack_u64(&u);
    c.max_timestamp_ms = (int64_t)unpack_u64(&u);
    c.append_ms = (int64_t)unpack_u64(&u);
    c.reserved_offset = (int64_t)unpack_u64(&u);
    r = unpack_end(&u);
    if (r == 0 &&
        (c.end.segment < 0 || c.end.offset < c.end.segment || c.records_end > c.end.offset))
        r = -EBADMSG;
    if (r == 0)
        *ret_checkpoint = c;
    return r;
}

int index_checkpoint_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         struct index_checkpoint *ret_checkpoint)
{
    struct db_key key = db_key_partition(topic_number, partition);
    const MDB_val name = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val value;
    int r = db_get(txn, index->dbis[INDEX_CHECKPOINTS], &name, &value);
    return r < 0 ? r
                 : index_checkpoint_read(key.bytes, key.size, value.mv_data, value.mv_size,
                                         ret_checkpoint);
}

int index_checkpoint_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         const struct index_checkpoint *checkpoint)
{
    struct db_key key = db_key_partition(topic_number, partition);
    uint8_t buffer[128];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_CHECKPOINT);
    pack_u64(&p, (uint64_t)checkpoint->end.offset);
    pack_u64(&p, (uint64_t)checkpoint->end.segment);
    pack_u64(&p, checkpoint->end.position);
    pack_u64(&p, checkpoint->end.view);
    pack_u64(&p, (uint64_t)checkpoint->records_end);
    pack_u64(&p, (uint64_t)checkpoint->max_timestamp_ms);
    pack_u64(&p, (uint64_t)checkpoint->append_ms);
    pack_u64(&p, (uint64_t)checkpoint->reserved_offset);
    return db_put_value(txn, index->dbis[INDEX_CHECKPOINTS], key.bytes, key.size, &p);
}

/* ---- the catalogue ------------------------------------------------------------------------- */

int index_segment_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      const struct segment_record *segment)
{
    struct db_key key = db_key_segment(topic_number, partition, segment->base_offset);
    uint8_t buffer[128];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_SEGMENT);
    pack_u64(&p, (uint64_t)segment->next_offset);
    pack_u64(&p, segment->bytes);
    pack_u64(&p, segment->view_bytes);
    pack_u64(&p, (uint64_t)segment->max_timestamp_ms);
    pack_u8(&p, segment->has_digest);
    if (segment->has_digest)
        pack_bytes(&p, segment->digest, sizeof(segment->digest));
    return db_put_value(txn, index->dbis[INDEX_SEGMENTS], key.bytes, key.size, &p);
}

static int segment_unpack(const MDB_val *key, const MDB_val *value,
                          struct segment_record *ret_segment)
{
    struct unpacker u;
    if (key->mv_size != 16)
        return -EBADMSG;
    int r =
        unpack_begin(&u, value->mv_data, value->mv_size, VALUE_SEGMENT, key->mv_data, key->mv_size);
    if (r < 0)
        return r;
    *ret_segment = (struct segment_record){
        .base_offset = (int64_t)load_be64((const uint8_t *)key->mv_data + 8)};
    ret_segment->next_offset = (int64_t)unpack_u64(&u);
    ret_segment->bytes = unpack_u64(&u);
    ret_segment->view_bytes = unpack_u64(&u);
    ret_segment->max_timestamp_ms = (int64_t)unpack_u64(&u);
    ret_segment->has_digest = unpack_u8(&u) != 0;
    if (ret_segment->has_digest)
        unpack_bytes(&u, ret_segment->digest, sizeof(ret_segment->digest));
    r = unpack_end(&u);
    if (r == 0 &&
        (ret_segment->base_offset < 0 || ret_segment->next_offset < ret_segment->base_offset))
        r = -EBADMSG;
    return r;
}

int index_segment_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t base_offset, struct segment_record *ret_segment)
{
    struct db_key key = db_key_segment(topic_number, partition, base_offset);
    const MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    struct segment_record segment;
    MDB_val value;
    int r = db_get(txn, index->dbis[INDEX_SEGMENTS], &k, &value);
    if (r == 0)
        r = segment_unpack(&k, &value, &segment);
    if (r == 0)
        *ret_segment = segment;
    return r;
}

struct segments_visit {
    int (*visit)(void *context, const struct segment_record *segment);
    void *context;
};

static int segments_visit_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct segments_visit *visit = context;
    struct segment_record segment;
    int r = segment_unpack(key, value, &segment);
    return r < 0 ? r : visit->visit(visit->context, &segment);
}

int index_segments(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                   int (*visit)(void *context, const struct segment_record *segment), void *context)
{
    struct db_key prefix = db_key_partition(topic_number, partition);
    struct segments_visit each = {.visit = visit, .context = context};
    return db_walk(txn, index->dbis[INDEX_SEGMENTS], &prefix, segments_visit_pair, &each);
}

/* ---- entries ------------------------------------------------------------------------------- */

struct chunk {
    uint32_t count;
    struct index_entry entries[INDEX_CHUNK_ENTRIES];
};

static int chunk_unpack(const struct db_key *key, const MDB_val *value, struct chunk *ret_chunk)
{
    struct unpacker u;
    int r = unpack_begin(&u, value->mv_data, value->mv_size, VALUE_ENTRIES, key->bytes, key->size);
    if (r < 0)
        return r;
    ret_chunk->count = unpack_u32(&u);
    if (ret_chunk->count == 0 || ret_chunk->count > INDEX_CHUNK_ENTRIES)
        return -EBADMSG;
    for (uint32_t i = 0; i < ret_chunk->count; i++) {
        struct index_entry *entry = &ret_chunk->entries[i];
        entry->offset = (int64_t)unpack_u64(&u);
        entry->position = unpack_u64(&u);
        entry->view = unpack_u64(&u);
        entry->max_timestamp_ms = (int64_t)unpack_u64(&u);
    }
    return unpack_end(&u);
}

static int chunk_get(struct db *index, MDB_txn *txn, const struct db_key *key,
                     struct chunk *ret_chunk)
{
    MDB_val k = {.mv_size = key->size, .mv_data = (void *)(uintptr_t)key->bytes};
    MDB_val value;
    int r = db_errno(mdb_get(txn, index->dbis[INDEX_ENTRIES], &k, &value));
    return r < 0 ? r : chunk_unpack(key, &value, ret_chunk);
}

static int chunk_put(struct db *index, MDB_txn *txn, const struct db_key *key,
                     const struct chunk *chunk)
{
    uint8_t buffer[CHUNK_BYTES];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_ENTRIES);
    pack_u32(&p, chunk->count);
    for (uint32_t i = 0; i < chunk->count; i++) {
        pack_u64(&p, (uint64_t)chunk->entries[i].offset);
        pack_u64(&p, chunk->entries[i].position);
        pack_u64(&p, chunk->entries[i].view);
        pack_u64(&p, (uint64_t)chunk->entries[i].max_timestamp_ms);
    }
    return db_put_value(txn, index->dbis[INDEX_ENTRIES], key->bytes, key->size, &p);
}

/* How many chunks a segment has. */
static int chunk_count(struct db *index, MDB_txn *txn, const struct db_key *segment,
                       uint32_t *ret_count)
{
    MDB_cursor *cursor;
    struct db_key beyond = *segment;
    store_be32(beyond.bytes + segment->size, UINT32_MAX);
    MDB_val key = {.mv_size = segment->size + 4, .mv_data = beyond.bytes};
    MDB_val value;

    int r = db_errno(mdb_cursor_open(txn, index->dbis[INDEX_ENTRIES], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    r = db_errno(mdb_cursor_get(cursor, &key, &value, r == -ENOENT ? MDB_LAST : MDB_PREV));
    uint32_t count = 0;
    if (r == 0 && key.mv_size == segment->size + 4 &&
        memcmp(key.mv_data, segment->bytes, segment->size) == 0)
        count = load_be32((const uint8_t *)key.mv_data + segment->size) + 1;
    mdb_cursor_close(cursor);
    if (r < 0 && r != -ENOENT)
        return r;
    *ret_count = count;
    return 0;
}

int index_entries_add(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t segment, const struct index_entry *entries, uint32_t count)
{
    struct db_key prefix = db_key_segment(topic_number, partition, segment);
    struct chunk chunk = {0};
    uint32_t number;

    int r = chunk_count(index, txn, &prefix, &number);
    if (r == 0 && number > 0) {
        struct db_key key = db_key_chunk(topic_number, partition, segment, --number);
        r = chunk_get(index, txn, &key, &chunk);
    }
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        if (chunk.count > 0 && entries[i].offset <= chunk.entries[chunk.count - 1].offset)
            continue;
        if (chunk.count == INDEX_CHUNK_ENTRIES) {
            struct db_key key = db_key_chunk(topic_number, partition, segment, number++);
            r = chunk_put(index, txn, &key, &chunk);
            chunk.count = 0;
        }
        chunk.entries[chunk.count++] = entries[i];
    }
    if (r == 0 && chunk.count > 0) {
        struct db_key key = db_key_chunk(topic_number, partition, segment, number);
        r = chunk_put(index, txn, &key, &chunk);
    }
    return r;
}

bool index_entry_precedes(const struct index_entry *entry, enum index_by by, int64_t target)
{
    switch (by) {
    case INDEX_BY_POSITION:
        return entry->position <= (uint64_t)target;
    case INDEX_BY_VIEW:
        return entry->view <= (uint64_t)target;
    case INDEX_BY_TIME:
        return entry->max_timestamp_ms < target;
    case INDEX_BY_OFFSET:
    default:
        return entry->offset <= target;
    }
}

int index_entry_find(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                     int64_t segment, enum index_by by, int64_t target,
                     struct index_entry *ret_entry)
{
    struct db_key prefix = db_key_segment(topic_number, partition, segment);
    struct chunk chunk;
    uint32_t low = 0;
    uint32_t high;
    int found = 0;

    int r = chunk_count(index, txn, &prefix, &high);
    /* The last chunk whose first entry precedes is the only one that can hold the answer. */
    while (r == 0 && low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct db_key key = db_key_chunk(topic_number, partition, segment, middle);
        r = chunk_get(index, txn, &key, &chunk);
        if (r < 0)
            break;
        if (!index_entry_precedes(&chunk.entries[0], by, target)) {
            high = middle;
            continue;
        }
        uint32_t i = 0;
        while (i + 1 < chunk.count && index_entry_precedes(&chunk.entries[i + 1], by, target))
            i++;
        *ret_entry = chunk.entries[i];
        found = 1;
        low = middle + 1;
    }
    return r < 0 ? r : found;
}

struct entries_visit {
    int (*visit)(void *context, const struct index_entry *entry);
    void *context;
};

static int entries_visit_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct entries_visit *visit = context;
    if (key->mv_size != 20)
        return -EBADMSG;
    struct db_key chunk_key = db_key_bytes(key->mv_data, key->mv_size);
    struct chunk chunk;
    int r = chunk_unpack(&chunk_key, value, &chunk);
    for (uint32_t i = 0; r == 0 && i < chunk.count; i++)
        r = visit->visit(visit->context, &chunk.entries[i]);
    return r;
}

int index_entries(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  int64_t segment, int (*visit)(void *context, const struct index_entry *entry),
                  void *context)
{
    struct db_key prefix = db_key_segment(topic_number, partition, segment);
    struct entries_visit each = {.visit = visit, .context = context};
    return db_walk(txn, index->dbis[INDEX_ENTRIES], &prefix, entries_visit_pair, &each);
}

struct copy_visit {
    MDB_txn *txn;
    MDB_dbi dbi;
};

static int copy_visit_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct copy_visit *to = context;
    MDB_val k = *key;
    MDB_val v = *value;
    return db_errno(mdb_put(to->txn, to->dbi, &k, &v, 0));
}

int index_copy(struct db *from, MDB_txn *from_txn, struct db *to, MDB_txn *to_txn,
               uint32_t topic_number, uint32_t partition)
{
    struct db_key prefix = db_key_partition(topic_number, partition);
    int r = 0;
    for (size_t i = 0; r == 0 && i < INDEX_DATABASES; i++) {
        struct copy_visit each = {.txn = to_txn, .dbi = to->dbis[i]};
        if (i != INDEX_STATE && i != INDEX_CLEANINGS)
            r = db_walk(from_txn, from->dbis[i], &prefix, copy_visit_pair, &each);
    }
    return r;
}

int index_forget(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition)
{
    struct db_key key = db_key_partition(topic_number, partition);
    int r = db_delete(txn, index->dbis[INDEX_CHECKPOINTS], key.bytes, key.size);
    if (r == 0)
        r = db_delete_prefix(txn, index->dbis[INDEX_SEGMENTS], key.bytes, key.size);
    if (r == 0)
        r = db_delete_prefix(txn, index->dbis[INDEX_ENTRIES], key.bytes, key.size);
    if (r == 0)
        r = db_delete_prefix(txn, index->dbis[INDEX_PRODUCERS], key.bytes, key.size);
    if (r == 0)
        r = db_delete(txn, index->dbis[INDEX_CLEANINGS], key.bytes, key.size);
    if (r == 0)
        r = db_delete(txn, index->dbis[INDEX_CLEANED], key.bytes, key.size);
    return r;
}

int index_segment_delete(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         int64_t base_offset)
{
    struct db_key key = db_key_segment(topic_number, partition, base_offset);
    int r = db_delete(txn, index->dbis[INDEX_SEGMENTS], key.bytes, key.size);
    return r < 0 ? r : index_forget_entries(index, txn, topic_number, partition, base_offset);
}

int index_forget_below(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       int64_t base_offset)
{
    struct db_key from = db_key_partition(topic_number, partition);
    struct db_key to = db_key_segment(topic_number, partition, base_offset);
    int r = db_delete_range(txn, index->dbis[INDEX_SEGMENTS], &from, &to);
    return r < 0 ? r : db_delete_range(txn, index->dbis[INDEX_ENTRIES], &from, &to);
}

int index_forget_entries(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         int64_t segment)
{
    struct db_key key = db_key_segment(topic_number, partition, segment);
    return db_delete_prefix(txn, index->dbis[INDEX_ENTRIES], key.bytes, key.size);
}
