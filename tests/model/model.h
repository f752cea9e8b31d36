/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a partition should be: an array of records, the bytes of the file view, and the rules of
 * visibility in their simplest form. It knows nothing of batches, segments or indexes.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "beck.h"

struct model_record {
    int64_t timestamp_ms;
    size_t view_begin; /* in the view: the value, and one newline behind it; of one that went, where
                          the next one begins */
    int32_t value_size;
    int32_t key;
    bool is_gone; /* compaction left it out, or it never was */
};

struct model {
    struct model_record *records; /* by offset */
    size_t count;
    bool has_holes; /* was ever compacted */
    size_t room;
    char *view;
    size_t view_bytes;
    size_t view_room;
    int64_t start;   /* what readers see begins here */
    int64_t high;    /* and ends here */
    int64_t pending; /* end of the last acks=all batch */
    int64_t synced;
};

void model_done(struct model *model);
/* `key`: a number for it, -1: none. */
void model_add(struct model *model, const struct beck_record *record, int32_t key);
/* So many offsets without records. */
void model_add_gap(struct model *model, uint32_t count);
/* All that was added since the last call was one batch. */
void model_appended(struct model *model, enum beck_acks acks);
void model_synced(struct model *model);

/* The records below the offset go. */
void model_trim(struct model *model, int64_t offset);

/* Some records were marked as gone: their bytes go from the view. */
void model_compacted(struct model *model);

/* The first record from `offset` on that is there; the high watermark where none is. */
int64_t model_next(const struct model *model, int64_t offset);

/* Where the view that readers see begins in `view`, and its size. */
size_t model_view_begin(const struct model *model);
size_t model_view_bytes(const struct model *model);
/* The first visible record not before a time; -1: none. */
int64_t model_find_time(const struct model *model, int64_t timestamp_ms);
/* The first visible record of the largest time; -1: none. */
int64_t model_find_max_time(const struct model *model);

#endif
