/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment files: their names, and their descriptors, of which a process keeps a limited number. A
 * descriptor that is pinned stays open; others are closed when room is needed, the longest unused
 * first (a clock). Pinning an open one takes no lock.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "beck.h"
#include "check.h"
#include "io.h"

#include <pthread.h>
#include <stdatomic.h>

#define SEGMENT_NAME_BYTES 25         /* 20 digits, ".log", NUL */
#define SEGMENT_PATH_BYTES 96         /* "topics/<32 hex>/<partition>/<name>" */
#define SEGMENT_NEW_SUFFIX ".cleaned" /* of what compaction is about to put in a file's place */
#define SEGMENT_VERIFIED   4          /* ranges of a file that are remembered as checked */

struct byte_range {
    uint64_t begin;
    uint64_t end;
};

struct segment {
    struct segment_files *files;
    int64_t base_offset;
    char path[SEGMENT_PATH_BYTES]; /* relative to the store */

    /* What the catalogue says, set under the partition's mutex; what is not known yet, of the
     * newest segment, is at its largest. */
    _Atomic int64_t next_offset;
    _Atomic uint64_t bytes;
    _Atomic uint64_t view_begin; /* of the partition's view */
    _Atomic uint64_t view_bytes;
    _Atomic int64_t max_timestamp_ms;
    _Atomic bool is_catalogued; /* in index.mdb, and not only noted by the slot */
    bool has_digest;            /* with the next one under the partition's mutex */
    uint8_t digest[16];

    uint64_t serial;        /* no other struct of the process has it */
    _Atomic unsigned stale; /* how often the file was not what is said above */
    _Atomic bool any_size;  /* and for so long that it is damage: what is good can be read */
    _Atomic bool is_new;    /* the file may still be where compaction made it: see exchange.h */

    /* Ranges of the file whose CRCs this process has seen to be right. What it appended itself:
     * written under the slot's append_mutex. */
    _Atomic uint64_t appended_begin;
    _Atomic uint64_t appended_end;
    struct byte_range verified[SEGMENT_VERIFIED]; /* under the partition's lookup_mutex */
    /* Of the complete file for which these are known: where it changes, they are not any more. */
    _Atomic uint64_t stamp;

    _Atomic int references; /* the partition's list's, and one for each holder */
    _Atomic int pins;       /* of the descriptor; far below 0 while it is being closed */
    _Atomic int fd;         /* -1: closed */
    _Atomic bool used;      /* since the clock's hand passed */
    struct segment *next;   /* in the circle of open ones, under the files' mutex */
    struct segment *previous;
};

/* The open descriptors of a store. */
struct segment_files {
    const struct io *io;
    int directory; /* the store's */
    bool read_only;
    pthread_mutex_t mutex;
    struct segment *hand;
    uint32_t open;
    uint32_t open_max;
};

void segment_files_init(struct segment_files *files, const struct io *io, int directory,
                        bool read_only);
/* Segments that somebody still holds are lost to him. */
void segment_files_done(struct segment_files *files);

/* "%020d.log" */
void segment_name(char to[SEGMENT_NAME_BYTES], int64_t base_offset);
/* The base offset that a file's name says, or -EINVAL where it is no segment's name. */
int segment_name_parse(const char *name, int64_t *ret_base_offset);

/* One reference, no descriptor yet. `directory` is the partition's. -ENOMEM. */
int segment_new(struct segment_files *files, const char *directory, int64_t base_offset,
                struct segment **ret_segment);
struct segment *segment_ref(struct segment *segment);
/* Takes NULL; returns NULL. */
struct segment *segment_unref(struct segment *segment);

/* Pin the descriptor, opening the file where it is not open; made where `create`. -ESTALE: the
 * segment is complete, and the file has another size than it: it was replaced since, or is damaged.
 * Other negative errno. */
int segment_open_pinned(struct segment *segment, bool create);
/* The same, and quick where it is open. */
static inline int segment_pin(struct segment *segment, bool create)
{
    if (LIKELY(atomic_fetch_add(&segment->pins, 1) >= 0)) {
        int fd = atomic_load(&segment->fd);
        if (LIKELY(fd >= 0)) {
            atomic_store_explicit(&segment->used, true, memory_order_relaxed);
            return fd;
        }
    }
    atomic_fetch_sub(&segment->pins, 1);
    return segment_open_pinned(segment, create);
}
static inline void segment_unpin(struct segment *segment)
{
    atomic_fetch_sub(&segment->pins, 1);
}
/* Is the descriptor open, and its file of this size? */
bool segment_is_open_with(struct segment *segment, uint64_t bytes);

/* Is the descriptor open, and of the very file that has the segment's name? */
bool segment_is_open_with_name(struct segment *segment);

/* What a complete file is told from a changed one by: its size and the time of its last change. 0:
 * it cannot be told. */
uint64_t segment_stamp(const struct segment *segment, int fd);

#endif
