/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction: of topics whose cleanup.policy has `compact`, old segments are written again without
 * the records that a later one of the same key makes obsolete. What stays, and when, is as in
 * Kafka's LogCleaner: a consumer sees no difference.
 */
#ifndef STORE_COMPACT_H
#define STORE_COMPACT_H

#include "clean.h"

#define COMPACT_MAP_BYTES     ((size_t)128 << 20) /* for keys: 6.7 million at a time */
#define COMPACT_MAP_BYTES_MIN ((size_t)1 << 20)

/* What the store was opened with. */
static inline size_t compact_map_bytes(const struct beck_store *store)
{
    if (store->compaction_bytes == 0)
        return COMPACT_MAP_BYTES;
    return store->compaction_bytes < COMPACT_MAP_BYTES_MIN ? COMPACT_MAP_BYTES_MIN
                                                           : (size_t)store->compaction_bytes;
}

/*
 * Compact what is due, the dirtiest partition first, until nothing is or the run is to stop.
 * -EBADMSG, or what the disk said: a partition could not be; the error names it. It is passed over
 * for an hour, so that the next run goes on with the others.
 */
int compact_run(struct clean *clean, struct beck_error *error);

#endif
