/* SPDX-License-Identifier: Apache-2.0 */
/* The sparse index is dense enough, however much was appended between two checkpoints. */
#include "index.h"
#include "partition.h"
#include "store.h"
#include "store_fixture.h"

struct density {
    uint64_t last; /* position */
    uint64_t widest;
    uint64_t count;
};

static int see_entry(void *context, const struct index_entry *entry)
{
    struct density *density = context;
    if (entry->position - density->last > density->widest)
        density->widest = entry->position - density->last;
    density->last = entry->position;
    density->count++;
    return 0;
}

/* What index.mdb has of a segment that is `bytes` long. */
static struct density density_of(struct fixture *fixture, int64_t segment, uint64_t bytes)
{
    struct db *index = &fixture->store->index;
    struct density density = {0};
    _cleanup_txn_ MDB_txn *txn = NULL;
    must(db_begin(index, false, &txn, &fixture->error), &fixture->error);
    must(index_entries(index, txn, fixture->partition->topic.number, 0, segment, see_entry,
                       &density),
         NULL);
    if (bytes - density.last > density.widest)
        density.widest = bytes - density.last;
    return density;
}

static void maintain(struct fixture *fixture)
{
    uint32_t next_ms;
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
}

static uint64_t fill(struct beck_partition *partition, uint64_t bytes, size_t batch_bytes)
{
    struct live_tail tail = {0};
    for (unsigned i = 0; tail.end.position < bytes; i++) {
        must_append_bytes(partition, batch_bytes, i, BECK_ACKS_LEADER);
        must(live_tail_read(partition->slot, &tail), NULL);
    }
    return tail.end.position;
}

static void a_flood_of_small_batches_leaves_no_wide_gap(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes = fill(fixture->partition, 24 << 20, 900);
    maintain(fixture);
    struct density density = density_of(fixture, 0, bytes);
    assert_in_range(density.widest, INDEX_INTERVAL_BYTES, 2 * INDEX_INTERVAL_BYTES);
    assert_int_equal(verify_count(fixture->store, &(struct beck_damage){0}), 0);
}

static void a_flood_after_a_checkpoint_leaves_no_wide_gap(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->partition, 3 << 20, 900);
    maintain(fixture);
    uint64_t bytes = fill(fixture->partition, 30 << 20, 3000);
    maintain(fixture);
    struct density density = density_of(fixture, 0, bytes);
    assert_in_range(density.widest, INDEX_INTERVAL_BYTES, 2 * INDEX_INTERVAL_BYTES);
    assert_int_equal(verify_count(fixture->store, &(struct beck_damage){0}), 0);
}

static void after_a_flood_the_ring_is_fine_again(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry ring[LIVE_RING_ENTRIES];
    fill(fixture->partition, 24 << 20, 900);
    maintain(fixture);
    fill(fixture->partition, 26 << 20, 900);
    uint32_t count = live_ring_read(fixture->partition->slot, ring);
    assert_true(count > 16);
    for (uint32_t i = 2; i < count; i++) /* the first is from before the checkpoint */
        assert_in_range(ring[i].position - ring[i - 1].position, INDEX_INTERVAL_BYTES,
                        INDEX_INTERVAL_BYTES + 2000);
}

static void each_huge_batch_has_its_entry(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes = fill(fixture->partition, 120 << 20, 900000);
    maintain(fixture);
    struct density density = density_of(fixture, 0, bytes);
    assert_in_range(density.widest, 900000, 901000);
    assert_int_equal(verify_count(fixture->store, &(struct beck_damage){0}), 0);
}

static void segments_that_were_rolled_meanwhile_have_theirs(void **state)
{
    struct fixture *fixture = *state;
    struct live_tail tail = {0};
    must_create_topic(fixture->store, "small", 1, "segment.bytes", "4194304");
    struct beck_partition *partition = must_open_partition(fixture->store, "small", 0);
    beck_partition_close(fixture->partition);
    fixture->partition = partition;
    for (unsigned i = 0; tail.end.segment == 0 || tail.end.position < 3 << 20; i++) {
        must_append_bytes(partition, 1000, i, BECK_ACKS_LEADER);
        must(live_tail_read(partition->slot, &tail), NULL);
    }
    maintain(fixture);
    struct density density = density_of(fixture, 0, 4 << 20);
    assert_in_range(density.widest, INDEX_INTERVAL_BYTES, 2 * INDEX_INTERVAL_BYTES);
    density = density_of(fixture, tail.end.segment, tail.end.position);
    assert_in_range(density.widest, INDEX_INTERVAL_BYTES, 2 * INDEX_INTERVAL_BYTES);
    assert_int_equal(verify_count(fixture->store, &(struct beck_damage){0}), 0);
}

static void a_batch_that_begins_where_a_checkpoint_ends_has_its_entry(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 10; i++) {
        must_append_bytes(fixture->partition, 300000, i, BECK_ACKS_LEADER);
        maintain(fixture);
    }
    struct density density = density_of(fixture, 0, 10 * 300000);
    assert_int_equal(density.count, 9);
}

/* A ring that was lost with a writer that died in it. */
static void flood_and_die_in_the_ring(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    fill(partition, 20 << 20, 900);
    must(partition_lock(partition, &fixture->error), &fixture->error);
    atomic_fetch_or(&partition->slot->ring_version, 1);
}

static void a_ring_that_is_lost_is_made_good(void **state)
{
    struct fixture *fixture = *state;
    run_and_kill(flood_and_die_in_the_ring, fixture);
    uint64_t bytes = fill(fixture->partition, 21 << 20, 900);
    maintain(fixture);
    struct density density = density_of(fixture, 0, bytes);
    assert_in_range(density.widest, INDEX_INTERVAL_BYTES, 2 * INDEX_INTERVAL_BYTES);
    assert_int_equal(verify_count(fixture->store, &(struct beck_damage){0}), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flood_of_small_batches_leaves_no_wide_gap),
        TEST(a_flood_after_a_checkpoint_leaves_no_wide_gap),
        TEST(after_a_flood_the_ring_is_fine_again),
        TEST(each_huge_batch_has_its_entry),
        TEST(segments_that_were_rolled_meanwhile_have_theirs),
        TEST(a_batch_that_begins_where_a_checkpoint_ends_has_its_entry),
        TEST(a_ring_that_is_lost_is_made_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
