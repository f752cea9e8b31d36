/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table over an array, and a list through it from the producer that was silent the longest
 * to the one that appended last. Nothing is allocated but to grow.
 */
#include "producer_table.h"

#include "check.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 8
#define NOBODY     UINT32_MAX

void producer_table_done(struct producer_table *table)
{
    free(table->producers);
    free(table->slots);
    *table = (struct producer_table){0};
}

/* ---- the hash table ------------------------------------------------------------------------ */

/* Ids are given out one after the other: spread them. */
static uint32_t slot_first(const struct producer_table *table, int64_t id)
{
    return (uint32_t)(((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & table->slot_mask;
}

/* The slot that has the id, or the free one where it would go. */
static uint32_t slot_find(const struct producer_table *table, int64_t id)
{
    uint32_t slot = slot_first(table, id);
    while (table->slots[slot] != 0 && table->producers[table->slots[slot] - 1].id != id)
        slot = (slot + 1) & table->slot_mask;
    return slot;
}

static void slots_fill(struct producer_table *table)
{
    memset(table->slots, 0, ((size_t)table->slot_mask + 1) * sizeof(table->slots[0]));
    for (uint32_t i = 0; i < table->count; i++)
        table->slots[slot_find(table, table->producers[i].id)] = i + 1;
}

/* Free a slot, moving up those behind it that would not be found any more. */
static void slot_clear(struct producer_table *table, uint32_t slot)
{
    uint32_t mask = table->slot_mask;
    for (uint32_t next = (slot + 1) & mask; table->slots[next] != 0; next = (next + 1) & mask) {
        uint32_t first = slot_first(table, table->producers[table->slots[next] - 1].id);
        if (((next - first) & mask) < ((next - slot) & mask))
            continue;
        table->slots[slot] = table->slots[next];
        slot = next;
    }
    table->slots[slot] = 0;
}

static int table_grow(struct producer_table *table)
{
    uint32_t room = table->room ? 2 * table->room : ROOM_FIRST;
    struct producer *producers = reallocarray(table->producers, room, sizeof(table->producers[0]));
    if (!producers)
        return -ENOMEM;
    table->producers = producers;
    uint32_t *slots = calloc((size_t)2 * room, sizeof(slots[0]));
    if (!slots)
        return -ENOMEM;
    free(table->slots);
    table->slots = slots;
    table->slot_mask = 2 * room - 1;
    table->room = room;
    slots_fill(table);
    return 0;
}

int producer_table_reserve(struct producer_table *table)
{
    if (LIKELY(table->count < table->room || table->count >= PRODUCERS_MAX))
        return 0;
    return table_grow(table);
}

struct producer *producer_table_find(const struct producer_table *table, int64_t id)
{
    uint32_t at = table->count > 0 ? table->slots[slot_find(table, id)] : 0;
    return at > 0 ? &table->producers[at - 1] : NULL;
}

/* ---- the order ----------------------------------------------------------------------------- */

static void unlink_producer(struct producer_table *table, const struct producer *producer)
{
    if (producer->older != NOBODY)
        table->producers[producer->older].newer = producer->newer;
    else
        table->oldest = producer->newer;
    if (producer->newer != NOBODY)
        table->producers[producer->newer].older = producer->older;
    else
        table->newest = producer->older;
}

static void link_newest(struct producer_table *table, uint32_t index)
{
    struct producer *producer = &table->producers[index];
    producer->older = table->count > 1 ? table->newest : NOBODY;
    producer->newer = NOBODY;
    if (producer->older != NOBODY)
        table->producers[producer->older].newer = index;
    else
        table->oldest = index;
    table->newest = index;
}

static void remove_producer(struct producer_table *table, uint32_t index)
{
    struct producer *producer = &table->producers[index];
    uint32_t last = table->count - 1;
    unlink_producer(table, producer);
    slot_clear(table, slot_find(table, producer->id));
    if (index != last) {
        struct producer *moved = &table->producers[last];
        table->slots[slot_find(table, moved->id)] = index + 1;
        *producer = *moved;
        if (producer->older != NOBODY)
            table->producers[producer->older].newer = index;
        else
            table->oldest = index;
        if (producer->newer != NOBODY)
            table->producers[producer->newer].older = index;
        else
            table->newest = index;
    }
    table->count--;
}

static int compare_producers(const void *left, const void *right)
{
    const struct producer *a = left;
    const struct producer *b = right;
    return (a->next_offset > b->next_offset) - (a->next_offset < b->next_offset);
}

void producer_table_order(struct producer_table *table)
{
    uint32_t all = table->count;
    uint32_t surplus = all > PRODUCERS_MAX ? all - PRODUCERS_MAX : 0;
    if (all == 0)
        return;
    qsort(table->producers, all, sizeof(table->producers[0]), compare_producers);
    memmove(table->producers, table->producers + surplus,
            (all - surplus) * sizeof(table->producers[0]));
    for (table->count = 0; table->count < all - surplus;) {
        table->count++;
        link_newest(table, table->count - 1);
    }
    slots_fill(table);
}

void producer_table_expire(struct producer_table *table, int64_t before_ms)
{
    while (table->count > 0 && table->producers[table->oldest].seen_ms <= before_ms)
        remove_producer(table, table->oldest);
}

/* ---- batches ------------------------------------------------------------------------------- */

void producer_merge(struct producer *producer, const struct producer *newer)
{
    producer->next_offset = newer->next_offset;
    producer->seen_ms = newer->seen_ms;
    if (producer->epoch != newer->epoch)
        producer->batch_count = 0;
    producer->epoch = newer->epoch;
    unsigned end = producer->batch_count;
    /* Who read the log from an earlier place comes with batches that are here already. */
    while (end > 0 && newer->batch_count > 0 &&
           producer->batches[end - 1].base_offset >= newer->batches[0].base_offset)
        end--;
    unsigned kept = end;
    if (kept + newer->batch_count > PRODUCER_BATCHES)
        kept = PRODUCER_BATCHES - newer->batch_count;
    memmove(producer->batches, producer->batches + (end - kept),
            kept * sizeof(producer->batches[0]));
    memcpy(producer->batches + kept, newer->batches,
           newer->batch_count * sizeof(producer->batches[0]));
    producer->batch_count = (uint8_t)(kept + newer->batch_count);
}

/* A producer's state if this batch were all that it ever sent. */
static struct producer producer_of(const struct batch_header *header, int64_t now_ms)
{
    struct producer producer = {
        .id = header->producer_id,
        .epoch = header->producer_epoch,
        .next_offset = batch_next_offset(header),
        .seen_ms = now_ms,
    };
    if (header->base_sequence < 0)
        return producer;
    producer.batch_count = 1;
    producer.batches[0] = (struct producer_batch){
        .base_offset = header->base_offset,
        .append_time_ms =
            header->attributes & BATCH_LOG_APPEND_TIME ? header->max_timestamp_ms : -1,
        .base_sequence = header->base_sequence,
        .last_offset_delta = header->last_offset_delta,
    };
    return producer;
}

int producer_table_put(struct producer_table *table, const struct producer *producer)
{
    int r = table->count == table->room ? table_grow(table) : 0;
    if (r < 0)
        return r;
    uint32_t index = table->count++;
    table->producers[index] = *producer;
    table->slots[slot_find(table, producer->id)] = index + 1;
    link_newest(table, index);
    return 0;
}

int producer_table_apply(struct producer_table *table, const struct batch_header *header,
                         int64_t now_ms)
{
    struct producer newer = producer_of(header, now_ms);
    struct producer *producer = producer_table_find(table, header->producer_id);
    if (!producer) {
        if (table->count >= PRODUCERS_MAX)
            remove_producer(table, table->oldest);
        return producer_table_put(table, &newer);
    }
    producer_merge(producer, &newer);
    uint32_t index = (uint32_t)(producer - table->producers);
    if (index != table->newest) {
        unlink_producer(table, producer);
        link_newest(table, index);
    }
    return 0;
}

/* ---- checks -------------------------------------------------------------------------------- */

int32_t producer_last_sequence(const struct producer_batch *batch)
{
    return (int32_t)(((uint32_t)batch->base_sequence + (uint32_t)batch->last_offset_delta) &
                     INT32_MAX);
}

int producer_check(const struct producer *producer, const struct batch_header *header,
                   struct producer_batch *ret_duplicate, struct beck_error *error)
{
    if (!producer)
        return 0;
    if (header->producer_epoch < producer->epoch)
        return report(error, -EKEYEXPIRED, "producer %" PRId64 " sends in epoch %d, but %d began",
                      header->producer_id, header->producer_epoch, producer->epoch);
    int32_t due = 0;
    unsigned count = header->producer_epoch == producer->epoch ? producer->batch_count : 0;
    for (unsigned i = 0; i < count; i++) {
        const struct producer_batch *batch = &producer->batches[i];
        if (batch->base_sequence == header->base_sequence &&
            batch->last_offset_delta == header->last_offset_delta) {
            *ret_duplicate = *batch;
            return 1;
        }
        due = (int32_t)(((uint32_t)producer_last_sequence(batch) + 1) & INT32_MAX);
    }
    if (header->base_sequence != due)
        return report(error, -EILSEQ,
                      "producer %" PRId64 " sends sequence %" PRId32 ", where %" PRId32
                      " comes next in epoch %d",
                      header->producer_id, header->base_sequence, due, header->producer_epoch);
    return 0;
}
