/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting one new segment file in the place of some that stand side by side, while others read
 * them. Whoever is killed when, and wherever the power goes: the segments are the old ones, all of
 * them, or the new one.
 *
 * What decides is one commit of index.mdb, which changes the catalogue and notes the intent. Before
 * it there is only a file of a name that nobody reads; after it maintenance or recovery carries out
 * what is left to do, and a reader who finds a file that is not the catalogue's reads the new one
 * where it is: he may have no right to write, or the maintenance lock himself, and need not wait
 * for one who was stopped.
 */
#ifndef STORE_EXCHANGE_H
#define STORE_EXCHANGE_H

#include "cleanings.h"
#include "partition.h"

#define EXCHANGE_SUFFIX SEGMENT_NEW_SUFFIX

/* "topics/<id>/<p>/<base>.log", or with the suffix. `directory` is the partition's. */
void exchange_path(char to[SEGMENT_PATH_BYTES], const char *directory, int64_t base_offset,
                   bool is_new);

struct exchange {
    struct beck_partition *partition;
    const struct segment_record *sources; /* as they were read; side by side, rising */
    uint32_t source_count;                /* up to CLEANING_SOURCES_MAX */
    /* What the new segment is, with its digest: base offset as the first source's, next offset as
     * the last one's, bytes other than the first one's. Its file is synced, and its name in the
     * folder. NULL: nothing is left. */
    const struct segment_record *made;
    const struct index_entry *entries;
    uint32_t entry_count;
};

/* Take the maintenance lock and do it. -ESTALE: a source is not what it was any more, or the topic
 * is gone; nothing was done. Another error after the commit is not an end: see above. */
int exchange_run(const struct exchange *exchange, struct beck_error *error);

/* For maintenance: carry out what somebody left who was killed. */
bool exchange_is_due(struct beck_store *store, bool all, uint32_t *next_ms);
int exchange_finish(struct beck_store *store, bool all, struct beck_error *error);
/* The same for one partition. Under the maintenance lock. */
int exchange_finish_partition(struct beck_partition *partition, struct beck_error *error);
/* For who cleans: the same, waiting for the maintenance lock where there is something. */
int exchange_finish_now(struct beck_store *store, struct beck_error *error);
/* For a reader to whom a segment's file is not what the catalogue says: is it one that is just
 * being put in place? Then it is looked for under its other name, too. */
bool exchange_has_made(struct beck_partition *partition, struct segment *segment);

/* For recovery, in its transaction: carry out what is under way in a partition, and remove the
 * files that no commit knows of. Returns 1 where it cannot be known what was under way: then
 * index.mdb knows nothing of the partition any more (in that transaction), and its files say all.
 */
int exchange_recover(struct beck_store *store, MDB_txn *txn, const struct beck_topic *topic,
                     uint32_t partition, struct beck_error *error);

#endif
