/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking all of an LMDB file that may be damaged. LMDB has no checksums of its pages: what it
 * makes of a damaged one may crash it, or never end. So a child process walks, which tells each
 * pair, and is ended when it says nothing for long.
 */
#ifndef STORE_REPAIR_WALK_H
#define STORE_REPAIR_WALK_H

#include "db.h"

#define REPAIR_STALL_MS 10000 /* how long the child may say nothing */

/* A pair, in the parent. `good`: the value's checksum is right. Non-zero ends the walk. */
struct repair_pair {
    unsigned database; /* index into the layout */
    bool good;
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
};
typedef int (*repair_pair_visit)(void *context, const struct repair_pair *pair);

/* What a walk found. */
struct repair_walk {
    bool is_missing;
    bool is_no_file;                 /* but a folder, a FIFO or the like */
    char why[160];                   /* the first thing that is wrong; "": nothing is */
    bool is_whole[DB_DATABASES_MAX]; /* all pairs of this database were seen */
    uint64_t bad_pairs;
};

/* `values`: hand over good pairs, too, not only bad ones. */
int repair_walk(const char *directory, const char *name, const struct db_layout *layout,
                uint64_t map_bytes, bool values, repair_pair_visit visit, void *context,
                struct repair_walk *ret_walk);

#endif
