/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending a batch. Happy path: check the batch before any lock, take the slot, write behind the
 * published tail, publish the new one, release, ring. What fails before the publication changed
 * nothing that anybody sees; bytes that a failed write left are cut off before the next one.
 *
 * Nothing here allocates once the partition was appended to, and nothing waits for LMDB or the
 * disk, but where offsets run short that are set aside (reserve.h): maintenance sees to that in
 * time.
 */
#include "append.h"

#include "bytes.h"
#include "check.h"
#include "compression.h"
#include "record_rules.h"
#include "report.h"
#include "reserve.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

/* A batch up to this size is put together before it is written: two pieces cost the kernel more (of
 * 200 bytes some 100 ns). */
#define APPEND_COPIED_BYTES 1024

/* A batch on its way, and what checking it told. */
struct append {
    const uint8_t *batch;
    size_t size;
    int64_t now_ms;
    int64_t append_time_ms; /* -1: the producer's timestamps stay */
    int64_t at_offset;      /* that it has to get; -1: whichever comes next */
    int64_t beyond;         /* where it would end, with APPEND_BEYOND */
    struct batch_summary summary;
    uint8_t stored[APPEND_COPIED_BYTES]; /* as it will be: all of it, or where it is larger, its
                                            header */
};

/* Results beside 0 and errors. */
enum {
    APPEND_DUPLICATE = 1, /* it is there already */
    APPEND_BEYOND = 2,    /* nothing was done: see reserve.h */
};

/* Not by an initializer: the whole would be made zero, which takes longer than its checks. */
static inline void append_init(struct append *append, const void *batch, size_t size,
                               int64_t now_ms)
{
    append->batch = batch;
    append->size = size;
    append->now_ms = now_ms;
    append->append_time_ms = -1;
    append->at_offset = -1;
}

static int64_t coarse_now_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- checking a batch ---------------------------------------------------------------------- */

static int append_check_records(const struct beck_partition *partition, const struct append *append,
                                struct decompressor *decompressor, struct beck_error *error)
{
    const struct batch_summary *summary = &append->summary;
    struct record_rules rules = record_rules_of(partition, append->now_ms);
    if (LIKELY(summary->min_timestamp_ms >= rules.least_ms &&
               summary->max_timestamp_ms <= rules.most_ms &&
               !(rules.needs_key && summary->has_null_key)))
        return 0;
    struct record_rules_batch batch = {&summary->header, append->batch, append->size, decompressor};
    return record_rules_refuse(&rules, &batch, error);
}

static int append_check_batch(struct beck_partition *partition, struct append *append,
                              enum batch_rules rules, struct beck_error *error)
{
    struct beck_store *store = partition->store;
    struct decompressor *decompressor = NULL;
    bool compressed = append->size >= BATCH_HEADER_BYTES &&
                      (load_be16(append->batch + BATCH_CRC_BEGIN) & BATCH_CODEC_MASK) != 0;
    int r = compressed ? store_take_decompressor(store, &decompressor) : 0;
    if (r < 0)
        return report(error, r, "out of memory");
    r = batch_check(append->batch, append->size, rules, decompressor, BECK_BATCH_BYTES_LIMIT,
                    &append->summary, error);
    if (r == 0 && rules == BATCH_FROM_PRODUCER)
        r = append_check_records(partition, append, decompressor, error);
    if (decompressor)
        store_give_decompressor(store, decompressor);
    return r;
}

int partition_append_refusals(struct beck_partition *partition, const void *bytes, size_t size,
                              struct beck_refusal *list, uint32_t room, uint32_t *ret_count,
                              struct beck_error *error)
{
    struct decompressor *decompressor;
    struct batch_summary summary;
    struct record_rules rules = record_rules_of(partition, coarse_now_ms());
    int r = store_take_decompressor(partition->store, &decompressor);
    if (r < 0)
        return report(error, r, "out of memory");
    r = batch_check(bytes, size, BATCH_FROM_PRODUCER, decompressor, BECK_BATCH_BYTES_LIMIT,
                    &summary, error);
    struct record_rules_batch batch = {&summary.header, bytes, size, decompressor};
    if (r == 0)
        r = record_rules_list(&rules, &batch, list, room, ret_count, error);
    store_give_decompressor(partition->store, decompressor);
    return r;
}

static int append_check(struct beck_partition *partition, struct append *append,
                        struct beck_error *error)
{
    uint32_t max_bytes = atomic_load_explicit(&partition->max_message_bytes, memory_order_relaxed);
    if (append->size > max_bytes)
        return report(error, -EMSGSIZE,
                      "a batch of %zu bytes is above max.message.bytes, which is %u", append->size,
                      max_bytes);
    return append_check_batch(partition, append, BATCH_FROM_PRODUCER, error);
}

/* A batch of another log. Its producer's state and its transaction's are not here. */
static int append_check_copy(struct beck_partition *partition, struct append *append,
                             struct beck_error *error)
{
    if (append->size > BECK_BATCH_BYTES_LIMIT)
        return report(error, -EMSGSIZE, "a batch of %zu bytes is above the limit of %d",
                      append->size, BECK_BATCH_BYTES_LIMIT);
    int r = append_check_batch(partition, append, BATCH_FROM_LOG, error);
    if (r < 0)
        return r;
    const struct batch_header *header = &append->summary.header;
    if ((header->attributes & (BATCH_TRANSACTIONAL | BATCH_CONTROL)) != 0)
        return report_at(error, -EINVAL, 21,
                         "a batch of a transaction, or that ends one, cannot be copied as it is");
    if (header->producer_id >= 0)
        return report_at(error, -EINVAL, 43,
                         "a batch of producer %" PRId64 " cannot be copied as it is",
                         header->producer_id);
    return 0;
}

/* Take the header over, with these two as they should be; and a small batch's records. */
static inline void append_set_header(struct append *append, uint16_t attributes,
                                     int64_t max_timestamp_ms)
{
    struct batch_header *header = &append->summary.header;
    memcpy(append->stored, append->batch,
           append->size <= APPEND_COPIED_BYTES ? append->size : BATCH_HEADER_BYTES);
    if (LIKELY(attributes == header->attributes && max_timestamp_ms == header->max_timestamp_ms))
        return;
    header->attributes = attributes;
    header->max_timestamp_ms = max_timestamp_ms;
    batch_header_write(append->stored, header);
    uint32_t crc =
        crc32c(0, append->stored + BATCH_CRC_BEGIN, BATCH_HEADER_BYTES - BATCH_CRC_BEGIN);
    crc = crc32c(crc, append->batch + BATCH_HEADER_BYTES, append->size - BATCH_HEADER_BYTES);
    store_be32(append->stored + 17, crc);
}

/* The header as it is stored: right about its timestamps, whatever the producer made of them. */
static void append_header(struct beck_partition *partition, struct append *append)
{
    struct batch_header *header = &append->summary.header;
    uint16_t attributes = header->attributes;
    int64_t max_timestamp_ms = append->summary.max_timestamp_ms;
    if (UNLIKELY(atomic_load_explicit(&partition->log_append_time, memory_order_relaxed))) {
        attributes |= BATCH_LOG_APPEND_TIME;
        max_timestamp_ms = append->now_ms;
        append->append_time_ms = append->now_ms;
    } else {
        attributes &= (uint16_t)~BATCH_LOG_APPEND_TIME;
    }
    append->summary.max_timestamp_ms = max_timestamp_ms;
    append_set_header(append, attributes, max_timestamp_ms);
}

/* ---- under the slot's lock ----------------------------------------------------------------- */

static bool append_must_roll(struct beck_partition *partition, const struct live_tail *tail,
                             const struct append *append)
{
    if (tail->end.position == 0)
        return false;
    /* A copied batch, or a jump after power loss, may take up so many that Kafka's indexes could
     * not have them all. */
    bool in_reach =
        tail->end.offset + append->summary.header.last_offset_delta - tail->end.segment <=
        INT32_MAX;
    if (LIKELY(in_reach &&
               tail->end.position + append->size <=
                   atomic_load_explicit(&partition->segment_bytes, memory_order_relaxed) &&
               append->now_ms - tail->segment_begin_ms <
                   atomic_load_explicit(&partition->segment_ms, memory_order_relaxed)))
        return false;
    /* Where the catalogue cannot keep up, the segment grows on: appends do not wait for it. */
    return live_rolled_has_room(partition->slot);
}

/* The segment gets no more appends: what this process knows of it holds as long as it stays so. */
static void append_stamp(struct beck_partition *partition, int64_t base_offset)
{
    struct segment *segment = partition->active;
    int fd = segment && segment->base_offset == base_offset ? segment_pin(segment, false) : -1;
    if (fd < 0)
        return;
    atomic_store(&segment->stamp, segment_stamp(segment, fd));
    segment_unpin(segment);
}

/* Let `tail` begin a new segment. What it was is told in `ret_rolled`. */
static void append_roll(struct live_tail *tail, struct live_rolled *ret_rolled)
{
    *ret_rolled = (struct live_rolled){
        .base_offset = tail->end.segment,
        .next_offset = tail->end.offset,
        .bytes = tail->end.position,
        .view_bytes = tail->end.view,
        .max_timestamp_ms = tail->max_timestamp_ms,
    };
    bool all_visible = !live_tail_hides(tail);
    int64_t records_end = tail->high.offset;
    if (tail->log_start.segment == tail->end.segment)
        tail->log_start_bytes = tail->end.position;
    tail->end.segment = tail->end.offset;
    tail->end.position = 0;
    tail->end.view = 0;
    tail->max_timestamp_ms = INT64_MIN;
    tail->segment_begin_ms = 0;
    tail->indexed_position = 0;
    tail->segments_generation++;
    if (all_visible) {
        tail->high = tail->end;
        tail->high.offset = records_end;
        tail->stable = tail->high;
    }
}

static inline __attribute__((always_inline)) int append_write(struct beck_partition *partition,
                                                              struct append *append,
                                                              const struct live_tail *tail,
                                                              struct beck_error *error)
{
    const struct io *io = partition->store->io;
    const uint8_t *rest = append->batch + BATCH_HEADER_BYTES;
    bool copied = append->size <= sizeof(append->stored);
    struct iovec vectors[2] = {
        {.iov_base = append->stored, .iov_len = copied ? append->size : BATCH_HEADER_BYTES},
        {.iov_base = (void *)(uintptr_t)rest, .iov_len = append->size - BATCH_HEADER_BYTES},
    };
    int count = copied ? 1 : 2;
    store_be64(append->stored, (uint64_t)tail->end.offset);
    store_be32(append->stored + 12, tail->leader_epoch);
    int r = io->write(io, partition->active_fd, vectors, count, tail->end.position);
    if (LIKELY(r == 0))
        return 0;
    /* A part of it may be there: it must not be taken for a batch one day. */
    if (io->truncate(io, partition->active_fd, tail->end.position) < 0)
        atomic_fetch_or(&partition->slot->flags, LIVE_TRUNCATE);
    return report_errno(error, r, "cannot write to segment %s", partition->active->path);
}

/* Remember that the CRC of these bytes need not be checked again by this process. */
static void append_verified(struct segment *segment, uint64_t begin, uint64_t end)
{
    if (atomic_load_explicit(&segment->appended_end, memory_order_relaxed) != begin) {
        /* Others appended between: begin anew. An empty range first, so that no reader joins two.
         */
        atomic_store(&segment->appended_end, 0);
        atomic_store(&segment->appended_begin, begin);
    }
    atomic_store_explicit(&segment->appended_end, end, memory_order_release);
}

static void append_publish(struct beck_partition *partition, const struct append *append,
                           bool wait_for_sync, struct live_tail *tail)
{
    struct live_slot *slot = partition->slot;
    const struct log_point before = tail->end;
    const struct batch_summary *summary = &append->summary;
    struct log_point end = before;

    if (before.position - tail->indexed_position >= INDEX_INTERVAL_BYTES) {
        struct index_entry entry = {before.offset, before.position, before.view,
                                    tail->max_timestamp_ms};
        live_ring_add(slot, &entry);
        tail->indexed_position = before.position;
    }
    end.offset += (int64_t)summary->header.last_offset_delta + 1;
    end.position += append->size;
    end.view += summary->view_bytes;
    tail->end = end;
    tail->append_ms = append->now_ms;
    if (tail->segment_begin_ms == 0)
        tail->segment_begin_ms = append->now_ms;
    if (summary->max_timestamp_ms > tail->max_timestamp_ms)
        tail->max_timestamp_ms = summary->max_timestamp_ms;
    if (UNLIKELY(summary->header.producer_id >= 0))
        tail->producer_offset = end.offset;
    if (wait_for_sync)
        tail->pending_all_offset = end.offset;
    else if (tail->pending_all_offset <= tail->high.offset)
        tail->high = tail->stable = end;
    append_verified(partition->active, before.position, end.position);
    if (atomic_load_explicit(&slot->dirty_ms, memory_order_relaxed) == 0)
        atomic_store_explicit(&slot->dirty_ms, store_monotonic_ms(), memory_order_relaxed);
    atomic_store_explicit(&slot->dirty_bytes,
                          atomic_load_explicit(&slot->dirty_bytes, memory_order_relaxed) +
                              append->size,
                          memory_order_relaxed);
    uint64_t unsynced = atomic_load_explicit(&slot->unsynced_bytes, memory_order_relaxed);
    if (unsynced == 0)
        atomic_store_explicit(&slot->unsynced_ms, append->now_ms, memory_order_relaxed);
    atomic_store_explicit(&slot->unsynced_bytes, unsynced + append->size, memory_order_relaxed);
    live_tail_publish(slot, tail);
}

/* Write and publish; `tail` becomes what was published. Under the slot's lock. Returns
 * APPEND_BEYOND where more offsets have to be set aside first. */
static inline __attribute__((always_inline)) int append_locked(struct beck_partition *partition,
                                                               struct append *append,
                                                               bool wait_for_sync,
                                                               struct live_tail *tail,
                                                               struct beck_error *error)
{
    struct live_slot *slot = partition->slot;
    struct live_rolled rolled;
    *tail = *live_tail_locked(slot);
    if (UNLIKELY(atomic_load_explicit(&slot->flags, memory_order_relaxed) & LIVE_FAILED))
        return report(error, -EIO,
                      "the disk refused an earlier write; the store has to be opened anew");
    if (UNLIKELY(append->at_offset >= 0 && append->at_offset != tail->end.offset))
        return report(error, -ERANGE, "offset %" PRId64 " is not the next one, which is %" PRId64,
                      append->at_offset, tail->end.offset);
    if (UNLIKELY(tail->end.offset > INT64_MAX - 1 - append->summary.header.last_offset_delta))
        return report(error, -EMSGSIZE, "the partition has no offsets left");
    if (UNLIKELY(tail->end.offset + append->summary.header.last_offset_delta >=
                 atomic_load_explicit(&slot->reserved_offset, memory_order_relaxed))) {
        append->beyond = tail->end.offset + append->summary.header.last_offset_delta + 1;
        return APPEND_BEYOND;
    }
    bool roll = append_must_roll(partition, tail, append);
    if (roll) {
        append_stamp(partition, tail->end.segment);
        append_roll(tail, &rolled);
    }
    int r = partition_activate(partition, tail->end.segment, tail->end.position == 0, error);
    if (r == 0 && roll)
        r = partition->store->io->truncate(partition->store->io, partition->active_fd, 0);
    if (r == 0)
        r = append_write(partition, append, tail, error);
    if (r < 0) {
        /* An empty file must not stay where the next batch may go on in the old one. */
        if (roll && partition_remove_files_above(partition, rolled.base_offset) < 0)
            atomic_fetch_or(&slot->flags, LIVE_TRUNCATE);
        return r;
    }
    if (roll)
        live_rolled_add(slot, &rolled);
    append_publish(partition, append, wait_for_sync, tail);
    return 0;
}

/* ---- with and without a producer id -------------------------------------------------------- */

/* Under the locks of a batch with a producer id: 0, APPEND_DUPLICATE where it is there already. */
static int append_check_sequence(struct beck_partition *partition, const struct append *append,
                                 struct live_tail *ret_tail, struct producer_batch *ret_duplicate,
                                 struct beck_error *error)
{
    *ret_tail = *live_tail_locked(partition->slot);
    return producers_check(partition, &append->summary.header, append->now_ms, ret_duplicate,
                           error);
}

static void append_note_producer(struct beck_partition *partition, struct append *append,
                                 const struct live_tail *tail)
{
    struct batch_header *header = &append->summary.header;
    header->base_offset = tail->end.offset - header->last_offset_delta - 1;
    producers_appended(partition, header, append->now_ms, &tail->end);
}

/*
 * Lock, append, unlock; `ret_tail` is the log's then. Of APPEND_DUPLICATE it tells which one it is.
 *
 * In line with what it calls: what returns after a system call was not foreseen by the processor,
 * whose stack of return addresses the kernel has used up, and takes 6 ns longer.
 */
static inline __attribute__((always_inline)) int append_locking(
    struct beck_partition *partition, struct append *append, bool wait_for_sync,
    struct live_tail *ret_tail, struct producer_batch *ret_duplicate, struct beck_error *error)
{
    const bool idempotent = append->summary.header.producer_id >= 0;
    int r;
    do {
        r = UNLIKELY(idempotent) ? producers_lock(partition, error)
                                 : partition_lock(partition, error);
        if (UNLIKELY(r < 0))
            return r;
        if (UNLIKELY(idempotent))
            r = append_check_sequence(partition, append, ret_tail, ret_duplicate, error);
        if (LIKELY(r == 0))
            r = append_locked(partition, append, wait_for_sync, ret_tail, error);
        if (UNLIKELY(idempotent)) {
            if (r == 0)
                append_note_producer(partition, append, ret_tail);
            producers_unlock(partition);
        } else {
            partition_unlock(partition);
        }
    } while (UNLIKELY(r == APPEND_BEYOND) &&
             (r = reserve_extend(partition, append->beyond, error)) == 0);
    return r;
}

int partition_append(struct beck_partition *partition, const void *batch, size_t size,
                     enum beck_acks acks, struct beck_append_result *ret_result,
                     struct beck_error *error)
{
    struct append append;
    struct live_tail tail;
    struct producer_batch duplicate;
    append_init(&append, batch, size, coarse_now_ms());
    int r = partition_refresh_config(partition, error);
    if (r == 0)
        r = append_check(partition, &append, error);
    if (UNLIKELY(r < 0))
        return partition_failed(partition, r, -1, error);
    append_header(partition, &append);

    const struct batch_header *header = &append.summary.header;
    bool wait_for_sync =
        acks == BECK_ACKS_ALL && !atomic_load_explicit(&partition->flush_os, memory_order_relaxed);
    r = append_locking(partition, &append, wait_for_sync, &tail, &duplicate, error);
    if (UNLIKELY(r < 0))
        return partition_failed(partition, r, -1, error);
    *ret_result = (struct beck_append_result){
        .base_offset = tail.end.offset - header->last_offset_delta - 1,
        .next_offset = tail.end.offset,
        .append_time_ms = append.append_time_ms,
        .log_start_offset = tail.log_start.offset,
    };
    if (UNLIKELY(r == APPEND_DUPLICATE)) {
        ret_result->base_offset = duplicate.base_offset;
        ret_result->next_offset = duplicate.base_offset + duplicate.last_offset_delta + 1;
        ret_result->append_time_ms = duplicate.append_time_ms;
        ret_result->duplicate = true;
    } else if (tail.high.offset == tail.end.offset) {
        waiter_ring(&partition->store->waiter, &partition->slot->armed, partition->slot_number);
    }
    return 0;
}

int partition_append_at(struct beck_partition *partition, const void *batch, size_t size,
                        enum beck_acks acks, struct beck_append_result *ret_result,
                        struct beck_error *error)
{
    struct append append;
    struct live_tail tail;
    append_init(&append, batch, size, coarse_now_ms());
    int r = partition_refresh_config(partition, error);
    if (r == 0)
        r = append_check_copy(partition, &append, error);
    if (r < 0)
        return partition_failed(partition, r, -1, error);
    const struct batch_header *header = &append.summary.header;
    append.at_offset = header->base_offset;
    append_set_header(&append, header->attributes,
                      header->record_count > 0 ? append.summary.max_timestamp_ms
                                               : header->max_timestamp_ms);
    bool wait_for_sync =
        acks == BECK_ACKS_ALL && !atomic_load_explicit(&partition->flush_os, memory_order_relaxed);
    r = append_locking(partition, &append, wait_for_sync, &tail, NULL, error);
    if (r < 0)
        return partition_failed(partition, r, -1, error);
    *ret_result = (struct beck_append_result){
        .base_offset = append.at_offset,
        .next_offset = tail.end.offset,
        .append_time_ms = -1,
        .log_start_offset = tail.log_start.offset,
    };
    if (tail.high.offset == tail.end.offset)
        waiter_ring(&partition->store->waiter, &partition->slot->armed, partition->slot_number);
    return 0;
}

int partition_roll(struct beck_partition *partition, const struct live_tail *expected,
                   struct beck_error *error)
{
    struct live_slot *slot = partition->slot;
    struct live_rolled rolled;
    int r = partition_lock(partition, error);
    if (r < 0)
        return r;
    struct live_tail tail = *live_tail_locked(slot);
    bool same = tail.end.offset == expected->end.offset &&
                tail.end.segment == expected->end.segment && tail.end.position > 0;
    if (same && live_rolled_has_room(slot) && !(atomic_load(&slot->flags) & LIVE_FAILED)) {
        append_stamp(partition, tail.end.segment);
        append_roll(&tail, &rolled);
        live_rolled_add(slot, &rolled);
        if (atomic_load(&slot->dirty_ms) == 0)
            atomic_store(&slot->dirty_ms, store_monotonic_ms());
        live_tail_publish(slot, &tail);
        r = 1;
    }
    partition_unlock(partition);
    return r;
}
