/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each partition has a note of when it is to be looked at: when its oldest segment gets too old, or
 * when its segments or the configuration have changed, or now and then. So most partitions cost one
 * look at their slot.
 *
 * What is to go is a number of segments from the oldest on: first those by size, then those by age,
 * as Kafka has it. Segments with records that readers do not see yet stay.
 */
#include "retention.h"

#include "alter.h"
#include "append.h"
#include "check.h"
#include "lookup.h"
#include "report.h"
#include "segments.h"
#include "trim.h"

#include <errno.h>
#include <stdlib.h>

#define RETENTION_LEAST_MS 1000   /* the soonest that a partition is due again */
#define RETENTION_FIRST_MS 30000  /* after opening, the first look at all slots, at the latest */
#define RETENTION_SOON_MS  20     /* when to go on, where a look was cut short */
#define RETENTION_MOST_MS  300000 /* a partition is looked at this often, at least */
#define RETENTION_AT_ONCE  256    /* partitions that are looked at before others get the lock */

/* A segment as retention sees it. */
struct aged {
    int64_t base_offset;
    int64_t end_offset; /* where the next one begins */
    uint64_t bytes;
    int64_t timestamp_ms; /* the largest; below 0: there is none */
    struct segment *segment;
};

/* One partition being looked at. */
struct look {
    struct beck_partition *partition;
    struct live_tail tail;
    int64_t now_ms;
    int64_t retention_ms;
    int64_t retention_bytes;
    struct aged *segments; /* those that readers see all of, oldest first */
    size_t count;
    uint64_t bytes; /* of the partition */
};

static void look_done(struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        segment_unref(look->segments[i].segment);
    free(look->segments);
}

/* Do readers see all of a segment? */
static bool is_visible(const struct segment *segment, const struct live_tail *tail, uint64_t bytes)
{
    return segment->base_offset < tail->high.segment ||
           (segment->base_offset == tail->high.segment && tail->high.position >= bytes);
}

/* Under the partition's mutex. */
static int look_list(struct look *look)
{
    struct beck_partition *partition = look->partition;
    const struct live_tail *tail = &look->tail;
    bool all = true;
    look->segments = calloc(partition->segment_count + 1, sizeof(*look->segments));
    if (!look->segments)
        return -ENOMEM;
    for (size_t i = 0; i < partition->segment_count; i++) {
        struct segment *segment = partition->segments[i];
        bool is_active = segment->base_offset == tail->end.segment;
        uint64_t bytes = segment_limit(segment, &tail->end);
        look->bytes += bytes;
        all = all && segment->base_offset <= tail->end.segment &&
              is_visible(segment, tail, bytes) && !(is_active && bytes == 0);
        if (!all)
            continue;
        look->segments[look->count++] = (struct aged){
            .base_offset = segment->base_offset,
            .end_offset = is_active ? tail->end.offset : partition->segments[i + 1]->base_offset,
            .bytes = bytes,
            .timestamp_ms = is_active ? tail->max_timestamp_ms : segment->max_timestamp_ms,
            .segment = segment_ref(segment),
        };
    }
    return 0;
}

static int look_begin(struct look *look, struct beck_error *error)
{
    struct beck_partition *partition = look->partition;
    int r = segments_lock(partition, &look->tail, error);
    if (r < 0)
        return r;
    r = look_list(look);
    segments_unlock(partition);
    look->retention_ms = atomic_load(&partition->retention_ms);
    look->retention_bytes = atomic_load(&partition->retention_bytes);
    return r < 0 ? report(error, r, "out of memory") : 0;
}

/* The time that a segment is as old as: of its newest record, or of its last change where records
 * carry no time. */
static int64_t time_of(const struct look *look, const struct aged *aged)
{
    const struct io *io = look->partition->store->io;
    struct stat info;
    if (aged->timestamp_ms >= 0)
        return aged->timestamp_ms;
    int fd = segment_pin(aged->segment, false);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (fd >= 0)
        segment_unpin(aged->segment);
    return r < 0 ? look->now_ms
                 : (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
}

static bool is_too_old(const struct look *look, const struct aged *aged)
{
    return look->retention_ms >= 0 && look->now_ms - time_of(look, aged) > look->retention_ms;
}

/* How many segments are to go, from the oldest on. */
static size_t count_due(const struct look *look)
{
    size_t due = 0;
    uint64_t left = look->bytes;
    while (due < look->count && look->retention_bytes >= 0 &&
           left >= (uint64_t)look->retention_bytes + look->segments[due].bytes)
        left -= look->segments[due++].bytes;
    while (due < look->count && is_too_old(look, &look->segments[due]))
        due++;
    return due;
}

/* When what is there now gets due by its age. */
static int64_t next_due_ms(const struct look *look, size_t gone)
{
    int64_t segment_ms = atomic_load(&look->partition->segment_ms);
    int64_t most = RETENTION_MOST_MS;
    if (look->retention_ms >= 0 && look->retention_ms < most)
        most = look->retention_ms;
    if (segment_ms < most)
        most = segment_ms;
    int64_t due = look->now_ms + (most > RETENTION_LEAST_MS ? most : RETENTION_LEAST_MS);
    if (gone < look->count && look->retention_ms >= 0) {
        int64_t age_ms = look->now_ms - time_of(look, &look->segments[gone]);
        /* A record of the future is no older than one of now; and a limit may be the largest number
         * that there is. */
        int64_t left = look->retention_ms - (age_ms > 0 ? age_ms : 0);
        if (left >= 0 && left < due - look->now_ms)
            due = look->now_ms + left + 1;
    }
    return due;
}

/* Begin a new segment where the active one is older than segment.ms. */
static int roll_by_age(struct look *look, struct beck_error *error)
{
    const struct live_tail *tail = &look->tail;
    if (tail->end.position == 0 || tail->segment_begin_ms == 0 ||
        look->now_ms - tail->segment_begin_ms < atomic_load(&look->partition->segment_ms))
        return 0;
    int r = partition_roll(look->partition, tail, error);
    return r < 0 ? r : 0;
}

static int remove_due(struct look *look, size_t due, struct beck_error *error)
{
    const struct aged *last = &look->segments[due - 1];
    if (last->base_offset == look->tail.end.segment) {
        int r = partition_roll(look->partition, &look->tail, error);
        if (r < 0)
            return r;
        if (r == 0) { /* somebody appended meanwhile: it is not due any more */
            if (due == 1)
                return 0;
            last--;
        }
    }
    return trim_to_segment(look->partition, last->end_offset, error);
}

static int look_at(struct beck_partition *partition, int64_t *ret_due_ms, struct beck_error *error)
{
    __attribute__((cleanup(look_done))) struct look look = {.partition = partition,
                                                            .now_ms = store_now_ms()};
    int r = partition_refresh_config(partition, error);
    if (r == 0)
        r = look_begin(&look, error);
    if (r < 0)
        return r;
    size_t due = atomic_load(&partition->deletes) ? count_due(&look) : 0;
    *ret_due_ms = next_due_ms(&look, due);
    r = due > 0 ? remove_due(&look, due, error) : 0;
    return r < 0 ? r : roll_by_age(&look, error);
}

/* ---- all of them --------------------------------------------------------------------------- */

/* Have a note for each slot. */
static int notes_grow(struct retention *retention, uint32_t slots)
{
    if (slots <= retention->note_count)
        return 0;
    struct retention_note *grown = reallocarray(retention->notes, slots, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    for (uint32_t i = retention->note_count; i < slots; i++)
        grown[i] = (struct retention_note){0};
    retention->notes = grown;
    retention->note_count = slots;
    return 0;
}

/* What a note has to be like for the partition to be left alone until the note's time. */
static bool slot_note(struct beck_store *store, const struct live_slot *slot,
                      struct retention_note *ret_note)
{
    struct live_tail tail;
    if (slot->topic_number == 0 ||
        (atomic_load(&slot->flags) & (uint32_t)(LIVE_DELETED | LIVE_FAILED)) ||
        live_tail_read(slot, &tail) < 0)
        return false;
    *ret_note = (struct retention_note){
        .topic_number = slot->topic_number,
        .segments_generation = tail.segments_generation,
        .topics_generation = atomic_load(&live_store(&store->live)->generation),
    };
    return true;
}

static bool note_holds(const struct retention_note *note, const struct retention_note *now,
                       int64_t now_ms)
{
    return note->topic_number == now->topic_number &&
           note->segments_generation == now->segments_generation &&
           note->topics_generation == now->topics_generation && now_ms < note->due_ms;
}

/* Returns 1 where the partition was looked at, or 0. */
static int slot_look(struct beck_store *store, uint32_t number, bool all, struct beck_error *error)
{
    struct retention_note *note = &store->retention.notes[number];
    const struct live_slot *slot = live_slot(&store->live, number);
    struct retention_note now;
    struct beck_partition *partition;
    if (!slot_note(store, slot, &now) || (!all && note_holds(note, &now, store_now_ms())) ||
        partition_open_slot(store, number, &partition, NULL) < 0)
        return 0;
    int r = look_at(partition, &now.due_ms, error);
    partition_close(partition);
    if (r == -ESTALE)
        return 0; /* deleted meanwhile */
    if (r < 0)
        now.due_ms = store_now_ms() + RETENTION_MOST_MS;
    *note = now;
    return r < 0 ? r : 1;
}

/* When to look at all slots again: records must not be gone at once because their times are old. */
static int64_t next_look_ms(struct beck_store *store, int64_t most)
{
    struct config_store config;
    int64_t interval = alter_resolve(store, &config, NULL) < 0 ? most : config.retention_check_ms;
    return store_monotonic_ms() + (interval < most ? interval : most);
}

bool retention_is_due(struct beck_store *store, bool all, uint32_t *next_ms)
{
    if (atomic_load(&store->retention.look_ms) == 0)
        atomic_store(&store->retention.look_ms, next_look_ms(store, RETENTION_FIRST_MS));
    int64_t left = atomic_load(&store->retention.look_ms) - store_monotonic_ms();
    if (left > 0 && left < *next_ms)
        *next_ms = (uint32_t)left;
    return all || left <= 0;
}

int retention_run(struct beck_store *store, bool all, struct beck_error *error)
{
    struct retention *retention = &store->retention;
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    uint32_t looked = 0;
    int result = 0;
    if (notes_grow(retention, slots) < 0)
        return report(error, -ENOMEM, "out of memory");
    if (all || retention->slot >= slots)
        retention->slot = 1;
    for (; retention->slot < slots && (all || looked < RETENTION_AT_ONCE); retention->slot++) {
        int r = slot_look(store, retention->slot, all, result == 0 ? error : NULL);
        looked += r > 0;
        if (result == 0 && r < 0)
            result = r;
    }
    bool cut_short = retention->slot < slots;
    atomic_store(&retention->look_ms, cut_short ? store_monotonic_ms() + RETENTION_SOON_MS
                                                : next_look_ms(store, INT64_MAX / 2));
    return result;
}

void retention_done(struct beck_store *store)
{
    free(store->retention.notes);
}
