/* SPDX-License-Identifier: Apache-2.0 */
/* A record that is damaged is put anew by whoever raises it: the checkpoint says how far at least.
 */
#include "meta_reserved.h"

#include <errno.h>

int meta_reserved_get(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t *ret_offset)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct unpacker u;
    int r = db_get_value(txn, meta->dbis[META_RESERVED], key.bytes, key.size, VALUE_RESERVED, &u);
    if (r == -ENOENT) {
        *ret_offset = META_RESERVED_STEP;
        return 0;
    }
    if (r < 0)
        return r;
    int64_t offset = (int64_t)unpack_u64(&u);
    if (unpack_end(&u) < 0 || offset < 0)
        return -EBADMSG;
    *ret_offset = offset;
    return 0;
}

int meta_reserved_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t offset)
{
    struct db_key key = db_key_partition(topic_number, partition);
    uint8_t buffer[32];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_RESERVED);
    pack_u64(&p, (uint64_t)offset);
    return db_put_value(txn, meta->dbis[META_RESERVED], key.bytes, key.size, &p);
}

int meta_reserved_raise(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                        int64_t offset)
{
    int64_t most = 0;
    int r = meta_reserved_get(meta, txn, topic_number, partition, &most);
    if (r == 0 && offset <= most)
        return 0;
    if (r < 0 && r != -EBADMSG)
        return r;
    offset = offset > INT64_MAX - META_RESERVED_STEP ? INT64_MAX : offset + META_RESERVED_STEP;
    r = meta_reserved_put(meta, txn, topic_number, partition, offset);
    return r < 0 ? r : 1;
}
