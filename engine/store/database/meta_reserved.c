/* SPDX-License-Identifier: Apache-2.0 */
/* A record that is damaged is put anew by whoever raises it: the checkpoint says how far at least.
 */
#include "meta_reserved.h"

#include <errno.h>

int meta_reserved_get(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t *ret_offset)
{
    MDB_dbi dbi = meta->dbis[META_RESERVED];
    int r = db_get_offset(txn, dbi, topic_number, partition, VALUE_RESERVED, ret_offset);
    if (r != -ENOENT)
        return r;
    *ret_offset = META_RESERVED_STEP;
    return 0;
}

int meta_reserved_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t offset)
{
    return db_put_offset(txn, meta->dbis[META_RESERVED], topic_number, partition, VALUE_RESERVED,
                         offset);
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
