/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open store: the one object that a process has of it, however often it was opened. What is in
 * here does not change while it is open, but for what names its lock.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "beck.h"
#include "combine.h"
#include "index.h"
#include "io.h"
#include "live.h"
#include "meta.h"
#include "segment.h"
#include "waiter.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_PATH_META      "meta.mdb"
#define STORE_PATH_INDEX     "index.mdb"
#define STORE_PATH_META_COPY "meta.mdb.copy"
#define STORE_PATH_LIVE      "live"
#define STORE_PATH_WAKE      "wake"
#define STORE_PATH_TOPICS    "topics"

/* How long a partition may be dirty, and how much may be in it, before a checkpoint is due. */
#define CHECKPOINT_MS    10000
#define CHECKPOINT_BYTES (16 * 1024 * 1024)
/* How much may be in all of them. */
#define CHECKPOINT_STORE_BYTES (512ULL * 1024 * 1024)
/* Offsets that are set aside at a checkpoint: after power loss none of them is used again. */
#define CHECKPOINT_RESERVED_OFFSETS ((int64_t)1 << 26)

#define PRODUCER_ID_BLOCK 1000
#define STORE_SPARES      8

struct decompressor;

/* A segment that could not be given its digest (seal.h). */
struct seal_refused {
    uint32_t topic_number;
    uint32_t partition;
    int64_t base_offset;
    int64_t until_ms; /* monotonic: when it is tried again */
};
#define SEAL_REFUSED_MAX 64 /* while there are more than this, nothing is sealed */

/* A partition that could not be compacted (compact.h). */
struct compact_refused {
    uint32_t topic_number;
    uint32_t partition;
    int64_t until_ms; /* monotonic: when it is tried again */
};
#define COMPACT_REFUSED_MAX 64 /* while there are more than this, nothing is compacted */
/* When a partition is next looked at by retention (retention.h), where nothing else changes. */
struct retention_note {
    uint32_t topic_number;
    uint32_t segments_generation;
    uint64_t topics_generation;
    int64_t due_ms; /* since the epoch */
};

struct retention {
    _Atomic int64_t look_ms;      /* monotonic: when to look at all slots again */
    struct retention_note *notes; /* by slot; with what follows under the maintenance lock */
    uint32_t note_count;
    uint32_t slot; /* to go on with */
};

struct beck_store {
    char *path;
    const struct io *io;
    int directory;
    int live_fd;
    dev_t device;
    ino_t inode;
    bool read_only;
    bool is_private; /* `live` is memory of our own: nobody else had the store open */
    uint32_t fork_generation;

    struct live live;
    struct live followed; /* of a private store: what others publish; see follow.h */
    struct db meta;
    struct db index;
    struct segment_files files;
    struct waiter waiter;
    uint8_t id[BECK_ID_BYTES];

    /* Decompressors that nobody uses just now, kept for their memory. */
    _Atomic(struct decompressor *) spares[STORE_SPARES];

    struct combine combine;               /* commits of meta.mdb that threads share */
    _Atomic int64_t groups_expired_ms;    /* when this process last looked, monotonic; 0: never */
    _Atomic int64_t producers_expired_ms; /* the same */

    uint32_t checkpoint_from; /* slot to go on with; under the maintenance lock */

    _Atomic int64_t meta_copy_due_ms; /* when to look whether it is time for one; monotonic */

    pthread_mutex_t mutex;              /* for what follows; nothing else is locked under it */
    struct beck_partition **partitions; /* by slot; those that are open */
    bool is_broker;
    bool is_cleaning;

    pthread_mutex_t producer_ids_mutex; /* for these two; waits for meta.mdb's write lock */
    int64_t producer_id_next;           /* of our block */
    int64_t producer_id_end;

    struct seal_refused seal_refused[SEAL_REFUSED_MAX]; /* who is_cleaning has them */
    struct compact_refused compact_refused[COMPACT_REFUSED_MAX];
    uint64_t compaction_bytes; /* for keys; 0: the default */

    int process; /* our entry in the table of processes; -1: none */

    struct retention retention;
    _Atomic int64_t let_go_ms; /* monotonic: when to let go of files that are gone (segments.h) */

    /* Under the registry's mutex. */
    uint32_t references;
    struct beck_store *next;
};

/* How often the process forked: a handle is good in the generation that opened it. */
uint32_t store_fork_generation(void);
/* The same for a quick look at it, once a store was opened. */
extern _Atomic uint32_t store_forks;
/* Say what the checks below have found. */
int store_refuse(const struct beck_store *store, struct beck_error *error) __attribute__((cold));
/* 0, or -ENODEV where the process is a child that forked since. */
static inline int store_check(const struct beck_store *store, struct beck_error *error)
{
    bool forked =
        atomic_load_explicit(&store_forks, memory_order_relaxed) != store->fork_generation;
    return UNLIKELY(forked) ? store_refuse(store, error) : 0;
}
/* The same, and -EROFS. */
static inline int store_check_writable(const struct beck_store *store, struct beck_error *error)
{
    int r = store_check(store, error);
    return UNLIKELY(r == 0 && store->read_only) ? store_refuse(store, error) : r;
}

/* Milliseconds since the epoch, and since some moment. */
int64_t store_now_ms(void);
int64_t store_monotonic_ms(void);

/* "topics/<id>" or "topics/<id>/<partition>", for a partition not below 0. */
#define STORE_TOPIC_PATH_BYTES 64
void store_topic_path(char to[STORE_TOPIC_PATH_BYTES], const uint8_t id[BECK_ID_BYTES],
                      int64_t partition);

/* The id that is a topic's folder's name. -EINVAL: it is no such name. */
int store_topic_id_parse(const char *name, uint8_t ret_id[BECK_ID_BYTES]);

/* A decompressor for the calling thread, and giving it back. -ENOMEM. */
int store_take_decompressor(struct beck_store *store, struct decompressor **ret_decompressor);
void store_give_decompressor(struct beck_store *store, struct decompressor *decompressor);

/* Tell everybody that topics change: before the commit and after it, because who dies in between
 * tells nobody. */
void store_topics_changed(struct beck_store *store);

#endif
