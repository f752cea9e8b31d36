/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where logs end, as the checkpoints say that can still be read of index.mdb, whatever else is
 * wrong with it: damage at the end of a segment hides that from who reads the segment.
 */
#include "check.h"
#include "index.h"
#include "repair.h"
#include "repair_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int note_checkpoint(void *context, const struct repair_pair *pair)
{
    struct repair_ends *ends = context;
    struct index_checkpoint checkpoint;
    if (pair->database != INDEX_CHECKPOINTS || !pair->good ||
        pair->key_size != sizeof(ends->ends->key) ||
        index_checkpoint_read(pair->key, pair->key_size, pair->value, pair->value_size,
                              &checkpoint) < 0)
        return 0;
    size_t count = ends->count;
    if ((count & (count - 1)) == 0) {
        struct repair_end *grown = reallocarray(ends->ends, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        ends->ends = grown;
    }
    struct repair_end *end = &ends->ends[ends->count++];
    memcpy(end->key, pair->key, sizeof(end->key));
    end->end_offset = checkpoint.end.offset;
    end->reserved_offset = checkpoint.reserved_offset;
    return 0;
}

void repair_ends_done(struct repair_ends *ends)
{
    free(ends->ends);
    *ends = (struct repair_ends){0};
}

int repair_ends(struct repair *repair, struct repair_ends *ret_ends)
{
    struct repair_ends ends = {0};
    struct repair_walk walk;
    int r = repair_walk(repair->store.path, STORE_PATH_INDEX, &index_layout, repair->map_bytes,
                        true, note_checkpoint, &ends, &walk);
    if (r < 0)
        repair_ends_done(&ends);
    else
        *ret_ends = ends;
    return r;
}

static int compare_keys(const void *key, const void *end)
{
    return memcmp(key, ((const struct repair_end *)end)->key,
                  sizeof(((struct repair_end *)0)->key));
}

const struct repair_end *repair_ends_find(const struct repair_ends *ends, uint32_t topic_number,
                                          uint32_t partition)
{
    struct db_key key = db_key_partition(topic_number, partition);
    CHECK(key.size == sizeof(ends->ends->key));
    return ends->count == 0
               ? NULL
               : bsearch(key.bytes, ends->ends, ends->count, sizeof(*ends->ends), compare_keys);
}
