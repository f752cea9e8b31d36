/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: partitions: state, appending, reading, waiting. Checks arguments and handles; the store
 * layer does the work. */
#include "beck.h"

#include "append.h"
#include "check.h"
#include "cleanup.h"
#include "epochs.h"
#include "lookup.h"
#include "producers.h"
#include "public.h"
#include "range.h"
#include "reader.h"
#include "report.h"
#include "start.h"
#include "trim.h"

#include <errno.h>
#include <inttypes.h>

BECK_PUBLIC int beck_partition_open(struct beck_store *store, const char *topic, int32_t partition,
                                    struct beck_partition **ret_partition, struct beck_error *error)
{
    int r = store_check(store, error);
    if (r < 0)
        return r;
    if (!beck_topic_name_valid(topic))
        return report(error, -ENOENT, "there is no topic \"%.64s\": no topic can have that name",
                      topic);
    return partition_open(store, topic, partition, ret_partition, error);
}

BECK_PUBLIC struct beck_partition *beck_partition_close(struct beck_partition *partition)
{
    return partition_close(partition);
}

BECK_PUBLIC const struct beck_topic *beck_partition_topic(const struct beck_partition *partition)
{
    return &partition->topic;
}

BECK_PUBLIC int32_t beck_partition_number(const struct beck_partition *partition)
{
    return partition->number;
}

/* ---- state --------------------------------------------------------------------------------- */

/* What is not synced and not checkpointed yet. */
static void fill_pending(const struct live_slot *slot, struct beck_partition_state *state)
{
    int64_t dirty_ms = atomic_load(&slot->dirty_ms);
    state->unsynced_bytes = atomic_load(&slot->unsynced_bytes);
    if (state->unsynced_bytes > 0)
        state->unsynced_since_ms = atomic_load(&slot->unsynced_ms);
    if (dirty_ms == 0)
        return;
    state->uncheckpointed_bytes = atomic_load(&slot->dirty_bytes);
    state->uncheckpointed_since_ms = store_now_ms() - (store_monotonic_ms() - dirty_ms);
}

BECK_PUBLIC int beck_partition_state(struct beck_partition *partition,
                                     struct beck_partition_state *ret_state,
                                     struct beck_error *error)
{
    struct live_tail tail;
    int r = store_check(partition->store, error);
    if (r == 0)
        r = start_lock(partition, &tail, error);
    if (r < 0)
        return r;
    const struct segment *last = segments_find(partition, tail.stable.segment);
    uint64_t view_end = last ? last->view_begin + tail.stable.view : 0;
    uint64_t view_generation = segments_view_generation(partition, &tail);
    segments_unlock(partition);
    if (!last) {
        r = report(error, -EBADMSG, "index.mdb: segment %" PRId64 " is not in the list",
                   tail.stable.segment);
        return partition_failed(partition, r, -1, error);
    }
    *ret_state = (struct beck_partition_state){
        .log_start_offset = tail.log_start.offset,
        .last_stable_offset = tail.stable.offset,
        .high_watermark = tail.high.offset,
        .next_offset = tail.end.offset,
        .synced_offset = atomic_load(&partition->slot->synced_offset),
        .view_bytes = view_end > tail.log_start.view ? view_end - tail.log_start.view : 0,
        .view_head = {view_generation, tail.view_trimmed},
        .last_append_ms = tail.append_ms,
        .leader_epoch = (int32_t)tail.leader_epoch,
        .failed = atomic_load(&partition->slot->flags) & LIVE_FAILED,
    };
    fill_pending(partition->slot, ret_state);
    return 0;
}

BECK_PUBLIC uint64_t beck_partition_moves(const struct beck_partition *partition)
{
    const struct live_slot *slot = partition->slot;
    if (partition->store->is_private || store_check(partition->store, NULL) < 0)
        return 0;
    uint64_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    uint32_t flags = atomic_load(&slot->flags);
    return partition_is_deleted(partition) ? 0 : generation << 32 | (flags + 1);
}

BECK_PUBLIC int beck_partition_epoch_end(struct beck_partition *partition, int32_t epoch,
                                         int32_t *ret_epoch, int64_t *ret_end_offset,
                                         struct beck_error *error)
{
    int r = store_check(partition->store, error);
    return r < 0 ? r : partition_epoch_end(partition, epoch, ret_epoch, ret_end_offset, error);
}

BECK_PUBLIC int beck_partition_producers(struct beck_partition *partition,
                                         struct beck_producer *producers, uint32_t room,
                                         uint32_t *ret_count, struct beck_error *error)
{
    int r = store_check(partition->store, error);
    return r < 0 ? r : producers_list(partition, producers, room, ret_count, error);
}

BECK_PUBLIC int beck_partition_disk_bytes(struct beck_partition *partition, uint64_t *ret_bytes,
                                          struct beck_error *error)
{
    struct live_tail tail;
    uint64_t bytes = 0;
    int r = store_check(partition->store, error);
    if (r == 0)
        r = segments_lock(partition, &tail, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < partition->segment_count; i++)
        bytes += segment_limit(partition->segments[i], &tail.end);
    segments_unlock(partition);
    *ret_bytes = bytes;
    return 0;
}

/* ---- appending ----------------------------------------------------------------------------- */

BECK_PUBLIC int beck_append(struct beck_partition *partition, const void *batch, size_t size,
                            enum beck_acks acks, struct beck_append_result *ret_result,
                            struct beck_error *error)
{
    int r = store_check_writable(partition->store, error);
    return r < 0 ? r : partition_append(partition, batch, size, acks, ret_result, error);
}

BECK_PUBLIC int beck_append_refusals(struct beck_partition *partition, const void *batch,
                                     size_t size, struct beck_refusal *list, uint32_t room,
                                     uint32_t *ret_count, struct beck_error *error)
{
    int r = store_check(partition->store, error);
    return r < 0 ? r
                 : partition_append_refusals(partition, batch, size, list, room, ret_count, error);
}

BECK_PUBLIC int beck_append_at(struct beck_partition *partition, const void *batch, size_t size,
                               enum beck_acks acks, struct beck_append_result *ret_result,
                               struct beck_error *error)
{
    int r = store_check_writable(partition->store, error);
    return r < 0 ? r : partition_append_at(partition, batch, size, acks, ret_result, error);
}

BECK_PUBLIC int beck_sync(struct beck_partition *partition, int64_t offset,
                          struct beck_error *error)
{
    int r = store_check_writable(partition->store, error);
    return r < 0 ? r : partition_sync(partition, offset, false, error);
}

/* Append what the builder holds, and empty it. The first batch's base offset is kept. */
static int produce_flush(struct beck_partition *partition, struct beck_batch_builder *builder,
                         enum beck_acks acks, struct beck_append_result *result, bool *first,
                         struct beck_error *error)
{
    const void *batch;
    size_t size;
    struct beck_append_result now;
    int r = beck_batch_builder_finish(builder, &batch, &size, error);
    if (r == 0)
        r = partition_append(partition, batch, size, acks, &now, error);
    if (r < 0)
        return r;
    if (!*first)
        now.base_offset = result->base_offset;
    *first = false;
    *result = now;
    beck_batch_builder_reset(builder);
    return 0;
}

static int produce_all(struct beck_partition *partition, struct beck_batch_builder *builder,
                       const struct beck_record *records, size_t count, enum beck_acks acks,
                       struct beck_append_result *result, struct beck_error *error)
{
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        int r = beck_batch_builder_add(builder, &records[i]);
        if (r == -EMSGSIZE && beck_batch_builder_count(builder) > 0) {
            r = produce_flush(partition, builder, acks, result, &first, error);
            if (r == 0)
                r = beck_batch_builder_add(builder, &records[i]);
        }
        if (r == -EMSGSIZE)
            return report(error, r, "record %zu is too large for a batch", i);
        if (r < 0)
            return report_errno(error, r, "record %zu cannot be added to a batch", i);
    }
    return produce_flush(partition, builder, acks, result, &first, error);
}

BECK_PUBLIC int beck_produce(struct beck_partition *partition, const struct beck_record *records,
                             size_t count, enum beck_acks acks,
                             struct beck_append_result *ret_result, struct beck_error *error)
{
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    int r = store_check_writable(partition->store, error);
    if (r == 0 && count == 0)
        r = report(error, -ENODATA, "there are no records to produce");
    if (r == 0)
        r = partition_refresh_config(partition, error);
    if (r == 0)
        r = beck_batch_builder_new(BECK_COMPRESSION_NONE,
                                   atomic_load(&partition->max_message_bytes), &builder, error);
    if (r == 0)
        r = produce_all(partition, builder, records, count, acks, &result, error);
    beck_batch_builder_free(builder);
    if (r == 0 && acks == BECK_ACKS_ALL)
        r = partition_sync(partition, result.next_offset, false, error);
    if (r == 0)
        *ret_result = result;
    return r;
}

/* ---- trimming ------------------------------------------------------------------------------ */

BECK_PUBLIC int beck_trim(struct beck_partition *partition, int64_t offset,
                          int64_t *ret_log_start_offset, struct beck_error *error)
{
    int r = store_check_writable(partition->store, error);
    if (r == 0 && offset < -1)
        return report(error, -ERANGE, "offset %" PRId64 " is below 0", offset);
    return r < 0 ? r : trim_partition(partition, offset, ret_log_start_offset, error);
}

/* ---- reading ------------------------------------------------------------------------------- */

BECK_PUBLIC int beck_segment_at(struct beck_partition *partition, int64_t offset,
                                struct beck_segment *ret_segment, struct beck_error *error)
{
    int r = store_check(partition->store, error);
    return r < 0 ? r : range_segment(partition, offset, ret_segment, error);
}

BECK_PUBLIC int beck_read_range(struct beck_partition *partition, int64_t offset, size_t max_bytes,
                                enum beck_isolation isolation, struct beck_range *ret_range,
                                struct beck_error *error)
{
    int r = store_check(partition->store, error);
    return r < 0 ? r : range_read(partition, offset, max_bytes, isolation, ret_range, error);
}

BECK_PUBLIC void beck_range_release(struct beck_range *range)
{
    range_release(range);
}

BECK_PUBLIC ssize_t beck_read(struct beck_partition *partition, int64_t offset, void *buffer,
                              size_t size, enum beck_isolation isolation, struct beck_error *error)
{
    struct beck_range range;
    int r = beck_read_range(partition, offset, size, isolation, &range, error);
    if (r < 0)
        return r;
    ssize_t n = 0;
    if (range.size > size)
        n = report(error, -EMSGSIZE, "a batch of %zu bytes does not fit into %zu", range.size,
                   size);
    else if (range.size > 0)
        n = partition->store->io->read(partition->store->io, range.fd, buffer, range.size,
                                       range.position);
    if (n >= 0 && (size_t)n != range.size)
        n = report(error, -EBADMSG, "the segment file is shorter than it was");
    range_release(&range);
    return n < 0 ? partition_failed(partition, (int)n, offset, error) : n;
}

BECK_PUBLIC int beck_offset_for_time(struct beck_partition *partition, int64_t timestamp_ms,
                                     enum beck_isolation isolation, int64_t *ret_offset,
                                     int64_t *ret_timestamp_ms, struct beck_error *error)
{
    int r = store_check(partition->store, error);
    return r < 0 ? r
                 : lookup_time(partition, timestamp_ms, isolation, ret_offset, ret_timestamp_ms,
                               error);
}

BECK_PUBLIC int beck_offset_of_max_time(struct beck_partition *partition, int64_t *ret_offset,
                                        int64_t *ret_timestamp_ms, struct beck_error *error)
{
    int64_t timestamp_ms;
    int r = store_check(partition->store, error);
    if (r == 0)
        r = lookup_max_timestamp(partition, &timestamp_ms, error);
    if (r <= 0)
        return r;
    return lookup_time(partition, timestamp_ms, BECK_READ_UNCOMMITTED, ret_offset, ret_timestamp_ms,
                       error);
}

BECK_PUBLIC int beck_reader_new(struct beck_partition *partition, enum beck_isolation isolation,
                                struct beck_reader **ret_reader, struct beck_error *error)
{
    int r = store_check(partition->store, error);
    if (r == 0)
        r = reader_new(partition, isolation, ret_reader);
    return r == -ENOMEM ? report(error, r, "out of memory") : r;
}

BECK_PUBLIC struct beck_reader *beck_reader_free(struct beck_reader *reader)
{
    return reader_free(reader);
}

BECK_PUBLIC int beck_reader_seek(struct beck_reader *reader, int64_t offset,
                                 struct beck_error *error)
{
    int r = store_check(reader_store(reader), error);
    return r < 0 ? r : reader_seek(reader, offset, error);
}

BECK_PUBLIC int beck_reader_next(struct beck_reader *reader, struct beck_record *ret_record,
                                 struct beck_error *error)
{
    int r = store_check(reader_store(reader), error);
    return UNLIKELY(r < 0) ? r : reader_next(reader, ret_record, error);
}

BECK_PUBLIC ssize_t beck_reader_view(struct beck_reader *reader, uint64_t position, void *buffer,
                                     size_t size, struct beck_error *error)
{
    int r = store_check(reader_store(reader), error);
    return UNLIKELY(r < 0) ? r : reader_view(reader, position, buffer, size, error);
}

BECK_PUBLIC void beck_reader_view_from(struct beck_reader *reader,
                                       const struct beck_view_head *head)
{
    reader_view_from(reader, head);
}

/* ---- waiting ------------------------------------------------------------------------------- */

BECK_PUBLIC uint32_t beck_partition_bell(const struct beck_partition *partition)
{
    return partition->slot_number;
}

BECK_PUBLIC void beck_partition_arm(struct beck_partition *partition)
{
    if (store_check_writable(partition->store, NULL) == 0)
        waiter_arm(&partition->store->waiter, &partition->slot->armed);
}

BECK_PUBLIC int beck_partition_wait(struct beck_partition *partition, int64_t offset,
                                    enum beck_isolation isolation, int timeout_ms,
                                    struct beck_error *error)
{
    struct waiter *waiter = &partition->store->waiter;
    int64_t deadline_ms = timeout_ms < 0 ? -1 : waiter_now_ms() + timeout_ms;
    int r = store_check(partition->store, error);
    if (r < 0)
        return r;
    for (;;) {
        struct live_tail tail;
        uint64_t rings = waiter_rings(waiter);
        beck_partition_arm(partition);
        r = partition_tail(partition, &tail, error);
        if (r < 0)
            return r;
        if (tail_bound(&tail, isolation)->offset > offset)
            return 1;
        if (deadline_ms >= 0 && waiter_now_ms() >= deadline_ms)
            return 0;
        r = waiter_wait(waiter, rings, deadline_ms);
        if (r < 0)
            return report_errno(error, r, "waiting was cut short");
    }
}
