/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the true end of one partition's log, from its checkpoint and its files. Reads, and says
 * what has to be done; recovery.h does it.
 */
#ifndef STORE_RECOVER_PARTITION_H
#define STORE_RECOVER_PARTITION_H

#include "index.h"
#include "producers.h"
#include "scan.h"
#include "store.h"

/* What was found. Zero it; done with recovered_done(). */
struct recovered {
    struct live_tail tail;
    int64_t records_end;     /* offset after the last record */
    bool has_checkpoint;     /* what index.mdb had was good, and is gone on from */
    bool folder_is_synced;   /* by who made the checkpoint, in whose segment the log still ends */
    bool is_dirty;           /* there is more than the checkpoint says, or less */
    bool is_failed;          /* the disk could not be read */
    int64_t reserved_offset; /* below it offsets may have been given out; 0: nobody knows */

    struct segment_record *sealed; /* segments that are not in the catalogue */
    size_t sealed_count;
    struct recovered_entry {
        int64_t segment;
        struct index_entry entry;
    } * entries;
    size_t entry_count;
    struct producer_table producers; /* what they sent since the checkpoint */
    int64_t *files;                  /* base offsets of the segment files that there are, rising */
    size_t file_count;

    bool is_short;    /* bytes that were synced are missing, which `cut` tells of */
    bool is_cut;      /* something had to go: */
    bool is_torn;     /* the end of the tail's file, from its end position on, */
    int64_t *removed; /* and whole files, of these base offsets */
    size_t removed_count;
    struct beck_recovery cut;
};

enum recover_flags {
    RECOVER_FROM_DISK = 1 << 0, /* not from the page cache, which may have what the disk refused */
    RECOVER_ALL_FILES = 1 << 1, /* whatever index.mdb says of them */
};

/* Everything but the log start, which recover_start() finds. */
int recover_partition(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                      unsigned flags, int64_t log_start_offset, struct scan *scan,
                      struct recovered *ret_recovered, struct beck_error *error);
void recovered_done(struct recovered *recovered);

#endif
