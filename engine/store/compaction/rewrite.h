/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a few segments that stand side by side again as one, without the records that compaction
 * leaves out. Reads the old files and writes a new one beside them; what is then done with it is
 * exchange.h's matter.
 */
#ifndef STORE_REWRITE_H
#define STORE_REWRITE_H

#include "clean.h"
#include "cleaning.h"
#include "index.h"
#include "partition.h"
#include "scan.h"

#include <xxhash.h>

/* What is made, and the memory for it, which is kept from group to group. Zero it; done with
 * rewrite_done(). */
struct rewrite {
    struct clean *clean;
    struct beck_partition *partition;
    struct cleaning *cleaning;
    struct filter *filter;
    struct scan scan;

    /* The new segment. */
    struct segment_record made;
    struct index_entry *entries;
    uint32_t entry_count;
    uint32_t entry_room;

    /* While it is written. */
    bool is_begun; /* else all so far is as it was in the first source */
    int fd;
    char path[SEGMENT_PATH_BYTES];
    XXH3_state_t *hash;
    uint8_t *buffer;
    size_t buffered;
    uint64_t synced; /* bytes of the file that were */
    uint64_t indexed_position;
};

void rewrite_done(struct rewrite *rewrite);

/*
 * Write the sources again. Returns 1: `made` and its entries are what the new file, synced, is;
 * `made.bytes` is 0, and there is no file, where nothing is left. 0: there is nothing to change.
 * -EEXIST: the new file would be as large as the first source, and readers could not tell the two.
 * -ECANCELED: the run is to stop. -EBADMSG: a source is damaged, or not what it is said to be; the
 * error names segment and byte. Where it does not return 1 there is no file.
 */
int rewrite_segments(struct rewrite *rewrite, const struct segment_record *sources, uint32_t count,
                     struct beck_error *error);
/* Open a segment as the catalogue has it. Returns the descriptor; -EBADMSG: it has another size. */
int rewrite_open(struct beck_partition *partition, const struct segment_record *source,
                 struct beck_error *error);
/* Remove the file that nobody wants. */
void rewrite_discard(struct rewrite *rewrite);

#endif
