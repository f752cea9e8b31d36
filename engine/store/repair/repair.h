/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repairing a store that nobody has open. First it is found out what is wrong, and told step by
 * step; only where it is to be, each step is carried out, so that whoever is cut off in the middle
 * leaves a store that can be opened or repaired again. What is cut off or replaced is kept in a
 * folder of its own in the store. At last the store is opened as always, which makes `live` and
 * index.mdb anew where they were lost.
 *
 * repair.c goes through the store, repair_meta.c makes meta.mdb anew, repair_partition.c looks at
 * files, repair_names.c at their names, repair_headers.c reads what the headers of batches say,
 * repair_epochs.c gives them their leader epochs back, repair_ends.c what index.mdb says of ends,
 * repair_side.c keeps what goes, repair_walk.c reads LMDB's files.
 */
#ifndef STORE_REPAIR_H
#define STORE_REPAIR_H

#include "epochs.h"
#include "meta.h"
#include "scan.h"
#include "store.h"

#include <xxhash.h>

#define REPAIR_SIDE_BYTES 48
#define REPAIR_PATH_BYTES 320

struct repair {
    struct beck_store store; /* what of it the lower layers need: files, meta and index */
    unsigned flags;          /* enum beck_repair_flags */
    uint64_t map_bytes;
    int (*step)(void *context, const struct beck_repair_step *step);
    void *context;
    struct beck_repair_totals totals;
    char side[REPAIR_SIDE_BYTES]; /* the folder for what goes; "" until it is made */
    bool has_index;               /* store.index is open */
};

static inline bool repair_executes(const struct repair *repair)
{
    return repair->flags & BECK_REPAIR_EXECUTE;
}

/* The step that something needs; the rest of it is filled in where it applies. */
struct beck_repair_step repair_step(enum beck_repair_kind kind, const char *file);
/* Put the sentence into the step, count it and tell it. -ECANCELED: the caller wants no more. */
int repair_tell(struct repair *repair, struct beck_repair_step *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int repair_store(const char *path, unsigned flags, const struct beck_store_options *options,
                 int (*step)(void *context, const struct beck_repair_step *step), void *context,
                 const struct io *io, struct beck_repair_totals *ret_totals,
                 struct beck_error *error);

/* ---- what goes is kept (repair_side.c) ------------------------------------------------------- */

/* Copy bytes of a file to the side, durable; UINT64_MAX: to its end. Paths are relative to the
 * store. */
int repair_keep(struct repair *repair, const char *path, uint64_t position, uint64_t size,
                struct beck_error *error);
/* Move a file or folder to the side. */
int repair_move(struct repair *repair, const char *path, struct beck_error *error);

/* ---- meta.mdb (repair_meta.c) ---------------------------------------------------------------- */

/* Open meta.mdb, or what it would be when it was made anew. */
int repair_meta(struct repair *repair, struct beck_error *error);

/* ---- files (repair_partition.c) -------------------------------------------------------------- */

struct repair_epoch {
    uint32_t epoch;
    int64_t start_offset; /* of its first batch */
};

/* What the headers in a partition's files say (repair_headers.c), at the most. */
struct repair_headers {
    int64_t first_offset;        /* of the first file, by its name; 0: there is none */
    int64_t end_offset;          /* behind the last batch, and where the last file begins */
    int64_t producer_id;         /* -1: none */
    int32_t leader_epoch;        /* -1: none */
    struct repair_epoch *epochs; /* rising */
    size_t epoch_count;
};

void repair_headers_done(struct repair_headers *headers);

int repair_headers(struct repair *repair, const struct beck_topic *topic, int32_t partition,
                   struct repair_headers *ret_headers, struct beck_error *error);

/* Batches whose leader epoch is not what the history in meta.mdb says (repair_epochs.c). */
struct repair_wrong_epoch {
    int64_t segment;
    int64_t offset;
    uint64_t position;
    int32_t found;
    uint32_t right;
};
struct repair_epochs {
    struct epoch_history history;
    bool is_known;
    struct repair_wrong_epoch *wrong; /* in order */
    size_t count;
};

void repair_epochs_load(struct repair *repair, uint32_t topic, uint32_t partition,
                        struct repair_epochs *epochs);
void repair_epochs_done(struct repair_epochs *epochs);
/* Look at a good batch, and add what it should be to a digest. */
int repair_epochs_take(struct repair_epochs *epochs, int64_t segment,
                       const struct scan_batch *batch, XXH3_state_t *hash);
/* Tell of them, a step each file, and carry it out. `folder` is the partition's. */
int repair_epochs_put_right(struct repair *repair, const struct repair_epochs *epochs,
                            const struct beck_topic *topic, int32_t partition, const char *folder,
                            struct beck_error *error);

/* What index.mdb says of where a partition's log ends (repair_ends.c). */
struct repair_end {
    uint8_t key[8]; /* topic number and partition */
    int64_t end_offset;
    int64_t reserved_offset;
};
struct repair_ends {
    struct repair_end *ends; /* rising */
    size_t count;
};

/* Gather them, from whatever of index.mdb can be read. */
int repair_ends(struct repair *repair, struct repair_ends *ret_ends);
void repair_ends_done(struct repair_ends *ends);
/* NULL: nothing is known. */
const struct repair_end *repair_ends_find(const struct repair_ends *ends, uint32_t topic_number,
                                          uint32_t partition);

/* Copy a part of a file to a position of another one, which moves on. */
int repair_copy(const struct io *io, int from, uint64_t begin, uint64_t end, int to,
                uint64_t *position);

/* Find and carry out what one partition needs. `*broken_index`: its part of index.mdb has damaged
 * values. */
int repair_partition(struct repair *repair, const struct beck_topic *topic, int32_t partition,
                     bool broken_index, struct beck_error *error);

#endif
