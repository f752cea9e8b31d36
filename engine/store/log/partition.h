/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open partition: its slot, its list of segments, and what this process knows of it. One object
 * a process, however often it was opened; a topic that was deleted and made again gets a new one.
 *
 * Locks: the producers' mutex, the slot's append_mutex or `lookup_mutex`, then `mutex`. Nothing
 * waits for the slot under the latter two.
 */
#ifndef STORE_PARTITION_H
#define STORE_PARTITION_H

#include "producers.h"
#include "scan.h"
#include "store.h"

#define PARTITION_HINTS 8

/* Where a batch begins, remembered so that reading on needs no search. */
struct partition_hint {
    int64_t offset;
    uint64_t segment; /* its serial */
    uint64_t position;
};

struct beck_partition {
    struct beck_store *store;
    struct beck_topic topic;
    int32_t number;
    uint32_t slot_number;
    struct live_slot *slot;
    char path[STORE_TOPIC_PATH_BYTES]; /* of its directory, relative to the store */

    /* The configuration, taken anew when the store's generation has moved. */
    _Atomic uint64_t config_generation;
    _Atomic uint32_t max_message_bytes;
    _Atomic uint64_t segment_bytes;
    _Atomic int64_t segment_ms;
    _Atomic int64_t timestamp_before_max_ms;
    _Atomic int64_t timestamp_after_max_ms;
    _Atomic bool compact;
    _Atomic int64_t retention_ms; /* -1: no limit; as below */
    _Atomic int64_t retention_bytes;
    _Atomic bool deletes; /* cleanup.policy has "delete" */
    _Atomic bool log_append_time;
    _Atomic bool flush_os;
    _Atomic int64_t producer_id_expiration_ms;

    struct segment *active; /* that appends go to; under the slot's append_mutex */
    int active_fd;          /* pinned while the slot is locked, if it was needed; else -1 */

    pthread_mutex_t mutex; /* for the list of segments, and their catalogue fields; never held while
                              a segment is read */
    struct segment **segments;
    size_t segment_count;
    size_t segment_room;
    uint32_t segments_generation; /* of the tail that the list was made for; 0: it has to be made;
                                     see segments.h */
    uint64_t view_generation;     /* of that tail */
    uint64_t view_shift; /* how often the list became another one within a generation of the view */

    pthread_mutex_t lookup_mutex; /* for what follows, and the segments' verified ranges */
    struct partition_hint hints[PARTITION_HINTS];
    uint32_t next_hint;
    struct scan scan;

    struct producers producers; /* has a mutex of its own */

    uint32_t references; /* under the store's mutex */
};

int partition_open(struct beck_store *store, const char *topic, int32_t number,
                   struct beck_partition **ret_partition, struct beck_error *error);
/* Whatever partition has a slot now. -ENOENT: none has. */
int partition_open_slot(struct beck_store *store, uint32_t slot,
                        struct beck_partition **ret_partition, struct beck_error *error);
struct beck_partition *partition_close(struct beck_partition *partition);

/* A consistent tail. -ESTALE: the topic was deleted. */
int partition_tail(const struct beck_partition *partition, struct live_tail *ret_tail,
                   struct beck_error *error);
/* Where the log starts by now: a quick look. */
int64_t partition_log_start(const struct beck_partition *partition);

/* Is the slot still ours? Under its lock, or as a first look. */
bool partition_is_deleted(const struct beck_partition *partition);

/* Take the configuration anew; where it may have changed. */
int partition_read_config(struct beck_partition *partition, struct beck_error *error);
static inline int partition_refresh_config(struct beck_partition *partition,
                                           struct beck_error *error)
{
    uint64_t generation = atomic_load(&live_store(&partition->store->live)->generation);
    return LIKELY(atomic_load(&partition->config_generation) == generation)
               ? 0
               : partition_read_config(partition, error);
}

/* Lock the slot for appending, putting right what a dead owner left. The file is cut to the
 * published tail before anything is written. Negative errno: it could not be, and nothing is
 * locked. */
int partition_lock(struct beck_partition *partition, struct beck_error *error);
void partition_unlock(struct beck_partition *partition);

/* Remove the segment files above a base offset: of a roll that came to nothing. Under the slot's
 * append_mutex. */
int partition_remove_files_above(struct beck_partition *partition, int64_t base_offset);

/* Make a segment partition->active, and pin it until the slot is unlocked. Under append_mutex. */
int partition_activate(struct beck_partition *partition, int64_t segment, bool create,
                       struct beck_error *error);

/* Prefix the place to an error. Returns its code. */
int partition_failed(const struct beck_partition *partition, int code, int64_t offset,
                     struct beck_error *error);

/* Make everything up to the end durable, for everybody. `force`: with flush.policy=os too. */
int partition_sync(struct beck_partition *partition, int64_t offset, bool force,
                   struct beck_error *error);

/* How far a log had come, and what was known of its syncs. */
struct sync_mark {
    struct live_tail tail;
    int64_t synced_offset;
    uint64_t bytes; /* that were not synced */
    int64_t begin_ms;
};
struct sync_many;

/* For syncing many partitions: take the marks of all of them, begin `many` (sync_many.h), and then
 * make each durable up to its mark, for everybody, with flush.policy=os too. */
int partition_sync_mark(struct beck_partition *partition, struct sync_mark *ret_mark,
                        struct beck_error *error);
int partition_sync_marked(struct beck_partition *partition, const struct sync_mark *mark,
                          struct sync_many *many, struct beck_error *error);

#endif
