/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints keep up with partitions that are flooded, and with many that are not. */
#include "partition.h"
#include "store.h"
#include "store_fixture.h"

#define MIB      ((uint64_t)1 << 20)
#define MANY     40
#define FLOOD    (120 * MIB)
#define ONE_TIME (2 * MIB) /* what may come between two calls of maintenance */

static uint64_t dirty_bytes(const struct beck_partition *partition)
{
    return atomic_load(&partition->slot->dirty_bytes);
}

static void maintain(struct fixture *fixture)
{
    uint32_t next_ms;
    must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error), &fixture->error);
}

/* One partition gets tiny batches, the other huge ones. */
static void two_floods_are_kept_up_with(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "u", 1, "segment.bytes", "33554432");
    struct beck_partition *tiny = fixture->partition;
    struct beck_partition *huge = must_open_partition(fixture->store, "u", 0);
    unsigned tiny_count = 0;
    for (uint64_t done = 0; done < FLOOD; done += MIB) {
        for (int i = 0; i < 100; i++)
            must_append_bytes(tiny, 1, tiny_count++, BECK_ACKS_LEADER);
        must_append_bytes(huge, MIB - 1000, (unsigned)done, BECK_ACKS_LEADER);
        if (done % ONE_TIME == 0)
            maintain(fixture);
        assert_true(dirty_bytes(tiny) + dirty_bytes(huge) <= CHECKPOINT_BYTES + 2 * ONE_TIME);
        assert_true(atomic_load(&huge->slot->rolled_end) - atomic_load(&huge->slot->rolled_begin) <=
                    1);
    }
    assert_int_equal(count_records(huge, 0), FLOOD / MIB);
    assert_int_equal(count_records(tiny, 0), tiny_count);
    beck_partition_close(huge);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* None of many has enough for a checkpoint of its own, and all together have too much. */
static void many_partitions_together_stay_under_the_stores_cap(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition *partitions[MANY];
    must_create_topic(fixture->store, "many", MANY, NULL, NULL);
    for (int32_t i = 0; i < MANY; i++) {
        partitions[i] = must_open_partition(fixture->store, "many", i);
        must_append(partitions[i], "one", BECK_ACKS_LEADER);
    }
    for (int i = 0; i < MANY; i++) /* as if so much had been appended */
        atomic_fetch_add(&partitions[i]->slot->dirty_bytes, 12 * MIB);
    maintain(fixture);
    assert_true(dirty_bytes(partitions[0]) > 12 * MIB); /* 480 MiB: not yet */
    for (int i = 0; i < MANY; i++)
        atomic_fetch_add(&partitions[i]->slot->dirty_bytes, MIB);
    maintain(fixture);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(dirty_bytes(partitions[i]), 0);
        assert_int_equal(atomic_load(&partitions[i]->slot->checkpoint_offset), 1);
        beck_partition_close(partitions[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_floods_are_kept_up_with),
        TEST(many_partitions_together_stay_under_the_stores_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
