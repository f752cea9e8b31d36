/* SPDX-License-Identifier: Apache-2.0 */
/* The values of compaction in index.mdb. */
#include "cleanings.h"

#include "bytes.h"
#include "check.h"

#include <errno.h>
#include <string.h>

#define INTENT_BYTES (64 + 8 * CLEANING_SOURCES_MAX)

int cleanings_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  const struct cleaning_intent *intent)
{
    struct db_key key = db_key_partition(topic_number, partition);
    uint8_t buffer[INTENT_BYTES];
    struct packer p;
    CHECK(intent->source_count > 0 && intent->source_count <= CLEANING_SOURCES_MAX);
    pack_begin(&p, buffer, sizeof(buffer), VALUE_CLEANING);
    pack_u64(&p, (uint64_t)intent->next_offset);
    pack_u64(&p, intent->bytes);
    pack_bytes(&p, intent->digest, sizeof(intent->digest));
    pack_u32(&p, intent->source_count);
    for (uint32_t i = 0; i < intent->source_count; i++)
        pack_u64(&p, (uint64_t)intent->sources[i]);
    return db_put_value(txn, index->dbis[INDEX_CLEANINGS], key.bytes, key.size, &p);
}

int cleanings_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  struct cleaning_intent *ret_intent)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct unpacker u;
    int r =
        db_get_value(txn, index->dbis[INDEX_CLEANINGS], key.bytes, key.size, VALUE_CLEANING, &u);
    if (r < 0)
        return r;
    ret_intent->next_offset = (int64_t)unpack_u64(&u);
    ret_intent->bytes = unpack_u64(&u);
    unpack_bytes(&u, ret_intent->digest, sizeof(ret_intent->digest));
    ret_intent->source_count = unpack_u32(&u);
    if (ret_intent->source_count == 0 || ret_intent->source_count > CLEANING_SOURCES_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < ret_intent->source_count; i++) {
        ret_intent->sources[i] = (int64_t)unpack_u64(&u);
        if (ret_intent->sources[i] < 0)
            return -EBADMSG;
    }
    return unpack_end(&u);
}

int cleanings_delete(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition)
{
    struct db_key key = db_key_partition(topic_number, partition);
    return db_delete(txn, index->dbis[INDEX_CLEANINGS], key.bytes, key.size);
}

int cleanings_next(struct db *index, MDB_txn *txn, uint32_t *topic_number, uint32_t *partition)
{
    struct db_key after = db_key_partition(*topic_number, *partition);
    MDB_cursor *cursor;
    MDB_val key = {.mv_size = after.size, .mv_data = after.bytes};
    MDB_val value;
    int r = db_cursor(txn, index->dbis[INDEX_CLEANINGS], &cursor);
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    if (r == 0 && key.mv_size == after.size && memcmp(key.mv_data, after.bytes, after.size) == 0)
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    if (r == 0 && key.mv_size != 8)
        r = -EBADMSG;
    if (r == 0) {
        *topic_number = load_be32(key.mv_data);
        *partition = load_be32((const uint8_t *)key.mv_data + 4);
    }
    mdb_cursor_close(cursor);
    return r;
}

int cleaned_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                int64_t *ret_offset)
{
    return db_get_offset(txn, index->dbis[INDEX_CLEANED], topic_number, partition, VALUE_CLEANED,
                         ret_offset);
}

int cleaned_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                int64_t offset)
{
    return db_put_offset(txn, index->dbis[INDEX_CLEANED], topic_number, partition, VALUE_CLEANED,
                         offset);
}
