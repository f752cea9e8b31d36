/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is made from three sources, read in this order so that a segment that moves from one to
 * the next is not missed: the slot's rolled ones, the catalogue in index.mdb, the active one.
 *
 * Tail and catalogue are read one after the other. Where the catalogue turns out to be the newer
 * one the tail is read again.
 */
#include "segments.h"

#include "check.h"
#include "cleanup.h"
#include "exchange.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEGMENTS_TRIES 64 /* for a tail that goes with the catalogue */

static void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* ---- searching ----------------------------------------------------------------------------- */

/* The index of the first segment above `offset`. */
static size_t index_above(const struct beck_partition *partition, int64_t offset)
{
    size_t low = 0;
    size_t high = partition->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (partition->segments[middle]->base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct segment *segments_at(const struct beck_partition *partition, int64_t offset)
{
    size_t above = index_above(partition, offset);
    return above > 0 ? partition->segments[above - 1] : NULL;
}

struct segment *segments_find(const struct beck_partition *partition, int64_t base_offset)
{
    struct segment *segment = segments_at(partition, base_offset);
    return segment && segment->base_offset == base_offset ? segment : NULL;
}

struct segment *segments_after(const struct beck_partition *partition, int64_t base_offset)
{
    size_t above = index_above(partition, base_offset);
    return above < partition->segment_count ? partition->segments[above] : NULL;
}

void segments_drop(struct beck_partition *partition, int64_t base_offset)
{
    size_t above = index_above(partition, base_offset);
    if (above == 0 || partition->segments[above - 1]->base_offset != base_offset)
        return;
    segment_unref(partition->segments[above - 1]);
    memmove(partition->segments + above - 1, partition->segments + above,
            (partition->segment_count - above) * sizeof(partition->segments[0]));
    partition->segment_count--;
}

int segments_active(struct beck_partition *partition, int64_t base_offset,
                    struct segment **ret_segment)
{
    struct segment *segment = segments_find(partition, base_offset);
    if (segment && segment->bytes == UINT64_MAX) {
        *ret_segment = segment;
        return 0;
    }
    /* Known to be complete? Then by a roll that came to nothing: its writer died. */
    if (segment)
        segments_drop(partition, base_offset);
    if (partition->segment_count == partition->segment_room) {
        size_t room = partition->segment_room ? 2 * partition->segment_room : 8;
        struct segment **grown = reallocarray(partition->segments, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        partition->segments = grown;
        partition->segment_room = room;
    }
    int r = segment_new(&partition->store->files, partition->path, base_offset, &segment);
    if (r < 0)
        return r;
    size_t above = index_above(partition, base_offset);
    memmove(partition->segments + above + 1, partition->segments + above,
            (partition->segment_count - above) * sizeof(segment));
    partition->segments[above] = segment;
    partition->segment_count++;
    *ret_segment = segment;
    return 0;
}

/* ---- what there is now --------------------------------------------------------------------- */

/* The records of complete segments, rising. */
struct records {
    struct beck_partition *partition;
    struct record {
        struct segment_record segment;
        bool is_catalogued;
    } * all;
    size_t count;
    size_t room;
};

static int records_add(struct records *records, const struct segment_record *segment,
                       bool is_catalogued)
{
    if (records->count == records->room) {
        size_t room = records->room ? 2 * records->room : 16;
        struct record *grown = reallocarray(records->all, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        records->all = grown;
        records->room = room;
    }
    records->all[records->count++] =
        (struct record){.segment = *segment, .is_catalogued = is_catalogued};
    return 0;
}

static int records_add_catalogued(void *context, const struct segment_record *segment)
{
    return records_add(context, segment, true);
}

static int compare_records(const void *left, const void *right)
{
    const struct record *a = left;
    const struct record *b = right;
    if (a->segment.base_offset != b->segment.base_offset)
        return a->segment.base_offset > b->segment.base_offset ? 1 : -1;
    return (int)b->is_catalogued - (int)a->is_catalogued;
}

/* A segment may be in both places: what the catalogue says of it is newer. One below the log start
 * is only still there because its removal is under way, or was cut short. */
static void records_sort(struct records *records, const struct live_tail *tail)
{
    size_t kept = 0;
    if (records->count > 0)
        qsort(records->all, records->count, sizeof(records->all[0]), compare_records);
    for (size_t i = 0; i < records->count; i++)
        if (records->all[i].segment.base_offset >= tail->log_start.segment &&
            (kept == 0 ||
             records->all[i].segment.base_offset != records->all[kept - 1].segment.base_offset))
            records->all[kept++] = records->all[i];
    records->count = kept;
}

static int records_read(struct records *records, const struct live_tail *tail)
{
    struct beck_partition *partition = records->partition;
    struct beck_store *store = partition->store;
    struct live_rolled rolled[LIVE_ROLLED_MAX];
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = 0;
    uint32_t count = live_rolled_read(partition->slot, rolled);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        struct segment_record record = segment_record_of(&rolled[i]);
        /* Noted before the tail that says so is published, or not at all. */
        if (record.base_offset < tail->end.segment)
            r = records_add(records, &record, false);
    }
    if (r == 0)
        r = db_begin(&store->index, false, &txn, NULL);
    if (r == 0)
        r = index_segments(&store->index, txn, partition->topic.number, (uint32_t)partition->number,
                           records_add_catalogued, records);
    records_sort(records, tail);
    return r;
}

/* ---- the list ------------------------------------------------------------------------------ */

/* Is the file that this struct is about still the record's? */
static bool is_kept(struct segment *segment, const struct record *record)
{
    const struct segment_record *now = &record->segment;
    bool same_size = segment->bytes == UINT64_MAX
                         ? !record->is_catalogued || segment_is_open_with(segment, now->bytes)
                         : segment->bytes == now->bytes;
    if (!same_size || !now->has_digest)
        return same_size;
    /* The last of several exchanges may have brought back the size that the file had before. */
    return segment->has_digest ? memcmp(segment->digest, now->digest, sizeof(now->digest)) == 0
                               : segment_is_open_with_name(segment);
}

static void segment_fill(struct segment *segment, const struct record *record)
{
    const struct segment_record *now = &record->segment;
    segment->next_offset = now->next_offset;
    segment->view_bytes = now->view_bytes;
    segment->max_timestamp_ms = now->max_timestamp_ms;
    segment->bytes = now->bytes;
    segment->is_catalogued = record->is_catalogued;
    if (now->has_digest && !segment->has_digest)
        memcpy(segment->digest, now->digest, sizeof(segment->digest));
    segment->has_digest |= now->has_digest;
}

/* A list being made: nothing of the old one is touched before it is complete. */
struct new_list {
    struct segment **segments; /* each with a reference */
    size_t count;
};

static int new_list_add(struct new_list *list, struct beck_partition *partition,
                        struct segment *kept, int64_t base_offset)
{
    struct segment *segment = kept ? segment_ref(kept) : NULL;
    if (!segment) {
        int r = segment_new(&partition->store->files, partition->path, base_offset, &segment);
        if (r < 0)
            return r;
    }
    list->segments[list->count++] = segment;
    return 0;
}

/* What is not complete: the active segment, and those of a newer tail. */
static int new_list_add_active(struct new_list *list, struct beck_partition *partition,
                               const struct live_tail *tail)
{
    struct segment *active = segments_find(partition, tail->end.segment);
    if (active && active->bytes != UINT64_MAX)
        active = NULL;
    int r = new_list_add(list, partition, active, tail->end.segment);
    for (size_t i = index_above(partition, tail->end.segment);
         r == 0 && i < partition->segment_count; i++)
        if (partition->segments[i]->bytes == UINT64_MAX)
            r = new_list_add(list, partition, partition->segments[i], 0);
    return r;
}

static int new_list_make(struct new_list *list, struct beck_partition *partition,
                         const struct records *records, const struct live_tail *tail)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < records->count; i++) {
        const struct record *record = &records->all[i];
        int64_t base = record->segment.base_offset;
        struct segment *old = segments_find(partition, base);
        if (base >= tail->end.segment)
            continue;
        r = new_list_add(list, partition, old && is_kept(old, record) ? old : NULL, base);
        if (r == 0)
            segment_fill(list->segments[list->count - 1], record);
    }
    return r < 0 ? r : new_list_add_active(list, partition, tail);
}

static void new_list_done(struct new_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        segment_unref(list->segments[i]);
    free(list->segments);
}

/* Is what a list says of the view of complete segments, those that were trimmed aside, not what the
 * next one says? */
static bool view_differs(const struct new_list *before, const struct new_list *after,
                         int64_t log_start_segment)
{
    size_t at = 0;
    for (size_t i = 0; i < before->count; i++) {
        const struct segment *segment = before->segments[i];
        if (segment->base_offset < log_start_segment || segment->bytes == UINT64_MAX)
            continue;
        while (at < after->count && after->segments[at]->base_offset < segment->base_offset)
            at++;
        if (at == after->count || after->segments[at]->base_offset != segment->base_offset ||
            after->segments[at]->view_bytes != segment->view_bytes)
            return true;
    }
    return false;
}

uint64_t segments_view_generation(const struct beck_partition *partition,
                                  const struct live_tail *tail)
{
    return tail->view_generation + partition->view_shift;
}

static int list_replace(struct beck_partition *partition, const struct records *records,
                        const struct live_tail *tail)
{
    size_t room = records->count + partition->segment_count + 1;
    struct new_list list = {.segments = calloc(room, sizeof(struct segment *))};
    int r = list.segments ? new_list_make(&list, partition, records, tail) : -ENOMEM;
    if (r < 0) {
        new_list_done(&list);
        return r;
    }
    struct new_list old = {partition->segments, partition->segment_count};
    partition->segments = list.segments;
    partition->segment_count = list.count;
    partition->segment_room = room;
    if (partition->view_generation == tail->view_generation &&
        view_differs(&old, &list, tail->log_start.segment))
        partition->view_shift++;
    partition->view_generation = tail->view_generation;
    new_list_done(&old);
    uint64_t view = 0;
    for (size_t i = 0; i < list.count; i++) {
        list.segments[i]->view_begin = view;
        if (list.segments[i]->view_bytes != UINT64_MAX)
            view += list.segments[i]->view_bytes;
    }
    partition->segments_generation = tail->segments_generation;
    return 0;
}

/* Is the catalogue from after the tail? Then it has the tail's own segment, or has lost the one
 * that the log began with. */
static bool is_newer(const struct records *records, const struct live_tail *tail)
{
    int64_t first = records->count > 0 ? records->all[0].segment.base_offset : tail->end.segment;
    int64_t last = records->count > 0 ? records->all[records->count - 1].segment.base_offset : -1;
    return last >= tail->end.segment || first > tail->log_start.segment;
}

/* `lenient`: take a catalogue that is newer than the tail for what it is. */
static int list_load(struct beck_partition *partition, const struct live_tail *tail, bool lenient,
                     struct beck_error *error)
{
    struct records records = {.partition = partition};
    if (LIKELY(partition->segments_generation == tail->segments_generation))
        return 0;
    int r = records_read(&records, tail);
    if (r == 0 && !lenient && is_newer(&records, tail))
        r = -EAGAIN;
    else if (r == 0)
        r = list_replace(partition, &records, tail);
    free(records.all);
    if (r < 0 && r != -EAGAIN)
        return report_errno(error, r, "index.mdb: the list of segments cannot be read");
    return r;
}

int segments_lock(struct beck_partition *partition, struct live_tail *ret_tail,
                  struct beck_error *error)
{
    for (unsigned tries = 1;; tries++) {
        struct live_tail tail;
        int r = partition_tail(partition, &tail, error);
        if (r < 0)
            return r;
        CHECK(pthread_mutex_lock(&partition->mutex) == 0);
        r = list_load(partition, &tail, tries == SEGMENTS_TRIES, error);
        if (LIKELY(r == 0)) {
            *ret_tail = tail;
            return 0;
        }
        CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
        if (r != -EAGAIN)
            return partition_failed(partition, r, -1, error);
        if (tries > 1)
            sleep_ms(1);
    }
}

void segments_unlock(struct beck_partition *partition)
{
    CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
}

int segments_stale(struct beck_partition *partition, struct segment *segment, int code,
                   struct beck_error *error)
{
    enum { TRIES = 7 }; /* some 60 ms in all: a commit of index.mdb */
    if (code == -EBADMSG)
        return report(error, code, "segment %s is no regular file", segment->path);
    if (code != -ESTALE && code != -ENOENT)
        return report_errno(error, code, "cannot open segment %s", segment->path);
    unsigned tries = atomic_load(&segment->stale);
    /* The file may still be where compaction made it. */
    if (!atomic_load(&segment->is_new) && exchange_has_made(partition, segment))
        return -EAGAIN;
    if (tries >= TRIES && code == -ENOENT)
        return report(error, -EBADMSG, "segment %s is missing", segment->path);
    if (tries >= TRIES) {
        atomic_store(&segment->any_size, true);
        return -EAGAIN;
    }
    if (tries > 0)
        sleep_ms(1U << (tries - 1));
    atomic_store(&segment->stale, tries + 1);
    CHECK(pthread_mutex_lock(&partition->mutex) == 0);
    partition->segments_generation = 0;
    CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
    return -EAGAIN;
}

static struct beck_partition *hold_open(struct beck_store *store, uint32_t slot)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    struct beck_partition *partition = store->partitions[slot];
    if (partition)
        partition->references++;
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return partition;
}

void segments_let_go(struct beck_store *store)
{
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    for (uint32_t i = 1; i < slots; i++) {
        struct beck_partition *partition = hold_open(store, i);
        struct live_tail tail;
        if (!partition)
            continue;
        CHECK(pthread_mutex_lock(&partition->mutex) == 0);
        bool has_list = partition->segment_count > 0;
        CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
        if (has_list && segments_lock(partition, &tail, NULL) == 0)
            segments_unlock(partition);
        partition_close(partition);
    }
}
