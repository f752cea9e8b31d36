/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `live`: what is published right now, in memory that all processes share. One slot of 4 KiB a
 * partition; slot 0 is the store's own. Nothing here has to survive power loss: who finds himself
 * alone with the store rebuilds it from the checkpoints (recovery.h).
 *
 * The tail of a partition stands in its slot twice. A writer, under the slot's mutex, fills the
 * copy that is not valid and then moves the generation on, whose low bit says which copy is.
 * Readers take no lock: they copy the valid one and compare its checksum; a writer that is stopped,
 * or dies, in the middle leaves the valid copy alone. FORMAT.md has the bytes.
 *
 * Locks in a slot, in the order in which they may be taken: sync, append. Both are robust: the next
 * one to take them after an owner's death is told so.
 */
#ifndef STORE_LIVE_H
#define STORE_LIVE_H

#include "beck.h"
#include "io.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define LIVE_MAGIC              0x6576696c6b636562ULL /* "becklive", little-endian */
#define LIVE_VERSION            7
#define LIVE_SLOT_BYTES         4096
#define LIVE_SLOTS_MAX          (BECK_PARTITIONS_MAX + 1)
#define LIVE_GROW_SLOTS         64 /* the file grows by so many */
#define LIVE_RING_ENTRIES       88
#define LIVE_ROLLED_MAX         8  /* segments that wait for their place in the catalogue */
#define LIVE_PROCESSES          64 /* that the table of them has room for */
#define LIVE_PROCESS_NAME_BYTES 16

/* A place in the log, in each of the ways in which one is looked for. */
struct log_point {
    int64_t offset;    /* of the next record */
    int64_t segment;   /* base offset of its segment */
    uint64_t position; /* in the segment's file, bytes */
    uint64_t view;     /* in the segment's part of the file view, bytes */
};

struct live_tail {
    struct log_point end;  /* of the log: where the next batch goes */
    struct log_point high; /* high watermark: the end for readers. Where nothing is hidden from them
                              its offset is that after the last record, and end's may be above */
    struct log_point stable;    /* last stable offset: the end of the file view */
    struct log_point log_start; /* the oldest record that can be read: the batch that has it, or the
                                   next one; and the view before that very record */
    uint64_t log_start_bytes; /* of the file that this is a place in; 0: it is not complete, or not
                                 known */
    uint64_t view_generation; /* within which positions of the view can be told from each other */
    uint64_t view_trimmed;    /* bytes of the view that went at its head, in this generation */
    int64_t pending_all_offset; /* end of the last acks=all batch: invisible until synced to here */
    int64_t max_timestamp_ms;   /* in the segment so far */
    int64_t append_ms;          /* of the last append, since the epoch */
    int64_t segment_begin_ms;   /* of the segment's first append, since the epoch; 0: none yet */
    uint64_t indexed_position;  /* of the segment's newest index entry */
    int64_t producer_offset; /* end of the last batch with a producer id; 0: none since opening */
    uint32_t leader_epoch;
    uint32_t segments_generation; /* moves when the list of segments changes */
    uint64_t checksum;            /* XXH3-64 of all before it */
};

/* A sparse index entry: a batch, and what is before it. */
struct index_entry {
    int64_t offset;           /* base offset of the batch */
    uint64_t position;        /* in the segment's file */
    uint64_t view;            /* in the segment's view */
    int64_t max_timestamp_ms; /* of the segment before this batch; INT64_MIN at its begin */
};

/* A segment that was closed by a roll and is not in index.mdb's catalogue yet. */
struct live_rolled {
    int64_t base_offset;
    int64_t next_offset;
    uint64_t bytes;
    uint64_t view_bytes;
    int64_t max_timestamp_ms;
    uint64_t checksum; /* XXH3-64 of all before it */
};

enum live_flags {
    LIVE_DELETED = 1 << 0, /* the topic is gone */
    LIVE_FAILED = 1 << 1,  /* the disk refused a write or sync: no appends, no acknowledgements */
    LIVE_TRUNCATE =
        1 << 2, /* bytes of a failed write may stand behind the tail: cut before writing */
    LIVE_RECOVERING = 1 << 3, /* what is in its files may not be on the disk, which recovery was at
                                 changing when it ended */
};

struct live_slot {
    pthread_mutex_t append_mutex;
    _Atomic uint32_t generation;      /* of the tail; written under append_mutex */
    _Atomic uint32_t flags;           /* enum live_flags; set under append_mutex, or sync_mutex */
    _Atomic uint64_t armed;           /* waiting processes to ring, a bit each */
    _Atomic int64_t log_start_offset; /* the tail's, for a quick look; moves just before it */
    _Atomic uint32_t topic_number;    /* whose slot this is; 0: nobody's yet */
    _Atomic uint32_t partition;
    _Alignas(8) uint8_t topic_id[16];
    struct live_tail tails[2]; /* under append_mutex */

    pthread_mutex_t sync_mutex;     /* held by who is at fdatasync */
    _Atomic uint32_t sync_sequence; /* futex: moves when a sync is over */
    _Atomic uint32_t sync_waiters;  /* a hint: may only be too high */
    _Atomic int64_t synced_offset;  /* under sync_mutex, with the one below */
    _Atomic int64_t
        synced_segment; /* the segment that has it, its directory entry synced; or one less */

    _Atomic int64_t checkpoint_offset; /* what index.mdb knows; under the maintenance lock */
    _Atomic int64_t reserved_offset;   /* no append goes beyond it: reserve.h; under append_mutex */
    _Atomic int64_t dirty_ms;          /* since when there is more, monotonic; 0: there is not */
    _Atomic uint64_t dirty_bytes;      /* appended since the checkpoint; under append_mutex */
    _Atomic uint64_t unsynced_bytes; /* appended since the sync; under append_mutex, with the one */
    _Atomic int64_t unsynced_ms;     /* below: since when, since the epoch */

    _Atomic uint32_t
        rolled_begin; /* counters into rolled[], modulo its size; begin moves under the */
    _Atomic uint32_t rolled_end;   /* maintenance lock, end under append_mutex */
    _Atomic uint32_t ring_version; /* odd while the ring is being written; under append_mutex */
    _Atomic uint32_t ring_count;   /* under append_mutex, with the ring */
    struct live_rolled rolled[LIVE_ROLLED_MAX];
    struct index_entry ring[LIVE_RING_ENTRIES];

    /* Of a slot that follows another (follow.h): what that one's tail said when it was looked at.
     */
    _Atomic uint64_t followed; /* its checksum */
    uint64_t followed_view_generation;
    uint64_t followed_view_trimmed;
    uint32_t followed_segments_generation; /* 0: never */
};

/* What a process does for all of them. */
enum live_role {
    LIVE_ROLE_BROKER = 1 << 0,
    LIVE_ROLE_CLEANER = 1 << 1,
};

/* A process that has the store open for writing; written by itself. Good while the lock on its byte
 * is held. */
struct live_process {
    _Atomic int32_t pid;      /* 0: nobody's; the last field to be filled */
    _Atomic int32_t doorbell; /* -1: none */
    _Atomic uint32_t roles;   /* enum live_role */
    uint32_t unused;
    int64_t started_ms;                 /* since the epoch, as far as is known */
    int64_t opened_ms;                  /* since the epoch */
    char name[LIVE_PROCESS_NAME_BYTES]; /* as the kernel has it */
};

/* Slot 0. */
struct live_store {
    uint64_t magic;
    uint32_t version;
    uint32_t slot_bytes;
    uint8_t boot_id[16];
    uint64_t device; /* of this very file, with the inode: a copy is not believed */
    uint64_t inode;
    uint64_t pid_namespace;      /* inode of the namespace that the mutexes' owners are of */
    pthread_mutex_t maintenance; /* checkpoints, growing of this file */
    _Atomic uint64_t
        generation; /* of topics and configurations; moves under meta.mdb's write lock */
    _Atomic uint64_t round_robin; /* for records without a key */
    _Atomic uint64_t armed;       /* waiting processes to ring when topics change */
    _Atomic uint32_t slots;       /* that the file has, slot 0 among them */
    _Atomic int32_t broker_pid;   /* who last took the broker role; the lock on the file decides */
    struct live_process processes[LIVE_PROCESSES];
};

_Static_assert(sizeof(struct live_tail) == 216, "nothing is between the members");
_Static_assert(sizeof(struct live_slot) <= LIVE_SLOT_BYTES, "a slot fits");
_Static_assert(sizeof(struct live_store) <= LIVE_SLOT_BYTES, "slot 0 fits");

/* Bytes of the file `live` that are locked, each for one purpose. */
enum live_lock {
    LIVE_LOCK_GATE = 0,     /* exclusive while opening or closing, shared by read-only openers */
    LIVE_LOCK_PRESENCE = 1, /* shared by whoever uses the slots; who gets it exclusively is alone */
    LIVE_LOCK_BROKER = 2,   /* the broker role: a mutex belongs to a thread, a role to a process */
    LIVE_LOCK_WRITER = 3, /* shared by whoever may write; who gets it exclusively is the only one */
    LIVE_LOCK_CLEANER = 4,   /* exclusive: who does the long work, one process at a time */
    LIVE_LOCK_WAITER = 64,   /* and up: one for each doorbell */
    LIVE_LOCK_PROCESS = 128, /* and up: one for each entry in the table of processes */
};

/* The mapping of one process. */
struct live {
    const struct io *io;
    int fd; /* -1: private memory, not the file */
    char *address;
    size_t bytes;
    bool writable;
    bool has_boot_id;
    uint8_t boot_id[16];
};

/* Map the file (which `fd` is, and stays the caller's), as long as it may ever get. */
int live_map(struct live *live, const struct io *io, int fd, bool writable);
/* The same in memory of our own, for a look at a store that nobody has open. */
int live_map_private(struct live *live, const struct io *io, uint32_t slots);
void live_unmap(struct live *live);

/* Write slot 0 anew. What other slots hold is kept where it is of this boot, else it is gone. */
int live_format(struct live *live, struct beck_error *error);
/* Say that the slots are right from now on, and of this boot. */
int live_vouch(struct live *live);
/* Do we understand slot 0, and may we share it? -EPROTONOSUPPORT, -ENODEV, -EBADMSG. */
int live_verify(const struct live *live, struct beck_error *error);
/* Was slot 0 written since this boot, into this very file? */
bool live_is_of_this_boot(struct live *live);

static inline struct live_store *live_store(const struct live *live)
{
    return (struct live_store *)(void *)live->address;
}

static inline struct live_slot *live_slot(const struct live *live, uint32_t slot)
{
    return (struct live_slot *)(void *)(live->address + (size_t)slot * LIVE_SLOT_BYTES);
}

/* Grow the file so that it has slot `slot`. Under meta.mdb's write lock. -ENOSPC. */
int live_grow(struct live *live, uint32_t slot);

/* Fill a slot, alone with the store, whose partition's log is at `tail`, all of it synced and
 * checkpointed unless `flags` say otherwise: whoever finds the slot, finished or not, finds those.
 */
int live_slot_init(struct live_slot *slot, const struct beck_topic *topic, uint32_t partition,
                   const struct live_tail *tail, unsigned flags);
/* Give a slot to a new topic's partition while others have the store open: where an earlier topic
 * had it, its locks stay, because a handle to that one may be just about to find out. */
int live_slot_take(struct live_slot *slot, const struct beck_topic *topic, uint32_t partition,
                   const struct live_tail *tail);

/* Whose slot it is, or was: where it is just being taken, maybe neither. */
void live_slot_topic_id(const struct live_slot *slot, uint8_t ret_id[16]);

/* Lock a robust mutex. Returns 1 where the owner before died with it (it is made consistent), or 0.
 */
int live_lock(pthread_mutex_t *mutex);
/* -EBUSY where another has it. */
int live_trylock(pthread_mutex_t *mutex);
void live_unlock(pthread_mutex_t *mutex);

/* The tail of a partition that has no records yet. */
struct live_tail live_tail_empty(int64_t now_ms);
/* Copy the valid tail; no lock needed. -EBADMSG: it is damaged. */
int live_tail_read(const struct live_slot *slot, struct live_tail *ret_tail);
/* The valid tail, under append_mutex. */
static inline const struct live_tail *live_tail_locked(const struct live_slot *slot)
{
    return &slot->tails[atomic_load_explicit(&slot->generation, memory_order_relaxed) & 1];
}
/* Is there anything behind the high watermark, waiting for a sync? */
static inline bool live_tail_hides(const struct live_tail *tail)
{
    return tail->high.position != tail->end.position || tail->high.segment != tail->end.segment;
}
/* Make `tail` the valid one, under append_mutex. Sets its checksum. */
void live_tail_publish(struct live_slot *slot, struct live_tail *tail);

/* Add an entry to the ring, under append_mutex; where it is full, every other entry goes first. */
void live_ring_add(struct live_slot *slot, const struct index_entry *entry);
/* Forget the entries below `offset` but the last of them, under append_mutex. */
void live_ring_trim(struct live_slot *slot, int64_t offset);
/* Forget all entries below `offset`, under append_mutex. */
void live_ring_forget(struct live_slot *slot, int64_t offset);
/* Copy the ring; no lock needed. Returns the number of entries, 0 too where a writer is stopped in
 * the middle of it: the ring only makes things faster. */
uint32_t live_ring_read(const struct live_slot *slot, struct index_entry to[LIVE_RING_ENTRIES]);

/* Note a rolled segment, under append_mutex, where there is room for it. */
bool live_rolled_has_room(const struct live_slot *slot);
void live_rolled_add(struct live_slot *slot, struct live_rolled *rolled);
/* Forget the rolled segments that begin below `offset`, which are in the catalogue; under the
 * maintenance lock and append_mutex. */
void live_rolled_forget(struct live_slot *slot, int64_t offset);
/* Put right what an owner of append_mutex that died in the middle may have left, but the file. */
void live_slot_mend(struct live_slot *slot);
/* Copy the list; no lock needed. Returns the number. */
uint32_t live_rolled_read(const struct live_slot *slot, struct live_rolled to[LIVE_ROLLED_MAX]);

#endif
