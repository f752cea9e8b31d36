/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What index.mdb says of idempotent producers, held against the log: the last batch of each one
 * stands in it as the state says. It is what decides whether a batch is taken for one that was
 * appended before.
 */
#include "verify.h"

#include "cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct load {
    struct verify_worker *worker;
    int64_t begin; /* of the segment */
    int64_t end;
    int64_t count;
    int64_t next_offset; /* the largest of a state */
};

static int note_producer(void *context, const struct producer *producer)
{
    struct load *load = context;
    struct verify_worker *worker = load->worker;
    load->count++;
    if (producer->next_offset > load->next_offset)
        load->next_offset = producer->next_offset;
    if (producer->batch_count == 0)
        return 0;
    const struct producer_batch *last = &producer->batches[producer->batch_count - 1];
    if (last->base_offset < load->begin || last->base_offset >= load->end)
        return 0;
    if (worker->sent_count == worker->sent_room) {
        size_t room = worker->sent_room ? 2 * worker->sent_room : 64;
        struct verify_sent *grown = reallocarray(worker->sent, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        worker->sent = grown;
        worker->sent_room = room;
    }
    worker->sent[worker->sent_count++] = (struct verify_sent){
        .base_offset = last->base_offset,
        .producer_id = producer->id,
        .epoch = producer->epoch,
        .base_sequence = last->base_sequence,
        .last_offset_delta = last->last_offset_delta,
    };
    return 0;
}

static int compare_sent(const void *left, const void *right)
{
    const struct verify_sent *a = left;
    const struct verify_sent *b = right;
    return (a->base_offset > b->base_offset) - (a->base_offset < b->base_offset);
}

int verify_producers_load(struct verify_worker *worker, MDB_txn *txn)
{
    const struct beck_partition *partition = worker->partition;
    const struct segment *segment = worker->segment;
    bool is_active = segment->base_offset == worker->tail.end.segment;
    struct load load = {.worker = worker, .begin = segment->base_offset};
    int64_t covered = 0;
    load.end = segment->next_offset;
    worker->sent_count = 0;
    worker->sent_next = 0;
    int r = producers_walk(&worker->store->index, txn, partition->topic.number,
                           (uint32_t)partition->number, note_producer, &load, &covered);
    if (r == -ENOENT || r == -ENOMEM)
        return r == -ENOENT ? 0 : r;
    /* It is told once, with the newest segment. */
    if (r < 0 && is_active)
        verify_tell(worker, STORE_PATH_INDEX, -1, -1, "the state of a producer is damaged");
    else if (is_active && load.next_offset > covered)
        verify_tell(worker, STORE_PATH_INDEX, load.next_offset, -1,
                    "the state of a producer goes up to %" PRId64 ", that of all to %" PRId64,
                    load.next_offset, covered);
    if (worker->sent_count > 0)
        qsort(worker->sent, worker->sent_count, sizeof(worker->sent[0]), compare_sent);
    return 0;
}

static void tell_sent(struct verify_worker *worker, const struct verify_sent *sent)
{
    verify_tell(worker, STORE_PATH_INDEX, sent->base_offset, -1,
                "producer %" PRId64 " is said to have sent sequence %" PRId32
                " in epoch %d last, which does not stand there",
                sent->producer_id, sent->base_sequence, sent->epoch);
}

void verify_producers_batch(struct verify_worker *worker, const struct batch_header *header)
{
    while (worker->sent_next < worker->sent_count) {
        const struct verify_sent *sent = &worker->sent[worker->sent_next];
        if (sent->base_offset > header->base_offset)
            return;
        worker->sent_next++;
        if (sent->base_offset != header->base_offset || sent->producer_id != header->producer_id ||
            sent->epoch != header->producer_epoch || sent->base_sequence != header->base_sequence ||
            sent->last_offset_delta != header->last_offset_delta)
            tell_sent(worker, sent);
    }
}

void verify_producers_pass(struct verify_worker *worker, int64_t offset)
{
    while (worker->sent_next < worker->sent_count &&
           worker->sent[worker->sent_next].base_offset < offset)
        worker->sent_next++;
}

void verify_producers_end(struct verify_worker *worker)
{
    /* In the newest segment a newer state may speak of what is behind the tail that was read to. */
    while (worker->sent_next < worker->sent_count &&
           worker->sent[worker->sent_next].base_offset < worker->tail.end.offset)
        tell_sent(worker, &worker->sent[worker->sent_next++]);
}
