/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment files under wrong names: renamed or copied by somebody. A file that has what belongs in a
 * place that is empty is given that place's name; one that is there twice goes aside. What a name
 * should be is told by the catalogue, or without one by the batches in the files, which then have
 * to leave no doubt: whatever else is wrong with a file is for who reads it through.
 */
#ifndef STORE_REPAIR_NAMES_H
#define STORE_REPAIR_NAMES_H

#include "repair.h"

/* A segment that the catalogue has. */
struct repair_place {
    int64_t base_offset;
    uint64_t bytes; /* of its file; UINT64_MAX: it is still written to */
};

struct repair_rename {
    int64_t from;
    int64_t to;
};

struct repair_names {
    struct repair *repair;
    const struct beck_topic *topic;
    int32_t partition;
    const char *folder;
    const struct repair_place *places; /* rising; the last is the one that is written to */
    size_t place_count;                /* 0: there is no catalogue */
    int64_t *segments;                 /* the files' names, rising; made what they will be */
    size_t count;
    struct scan *scan;
    /* What was, or is to be, renamed; the caller frees it. */
    struct repair_rename *renames;
    size_t rename_count;
    bool is_changed; /* anything was, or is to be, renamed or moved */
};

int repair_names(struct repair_names *names, struct beck_error *error);

#endif
