/* SPDX-License-Identifier: Apache-2.0 */
/* The table of producers: finding, order, forgetting, merging, without a store. */
#include "producer_table.h"
#include "store_fixture.h"

#include <string.h>

static struct batch_header batch_of(int64_t id, int16_t epoch, int32_t sequence, int64_t offset)
{
    return (struct batch_header){
        .base_offset = offset,
        .producer_id = id,
        .producer_epoch = epoch,
        .base_sequence = sequence,
        .record_count = 1,
    };
}

static void apply(struct producer_table *table, int64_t id, int32_t sequence, int64_t offset)
{
    struct batch_header header = batch_of(id, 0, sequence, offset);
    assert_int_equal(producer_table_apply(table, &header, offset), 0);
}

static void nobody_is_in_an_empty_table(void **state)
{
    struct producer_table table = {0};
    (void)state;
    assert_null(producer_table_find(&table, 0));
    producer_table_order(&table);
    producer_table_expire(&table, INT64_MAX);
    producer_table_done(&table);
}

/* The one that was not seen the longest goes first, and the others are found all the same. */
static void producers_expire_in_the_order_of_their_last_batches(void **state)
{
    enum { COUNT = 3000 };
    struct producer_table table = {0};
    uint64_t random = 1;
    int64_t last[COUNT] = {0};
    (void)state;
    for (int64_t offset = 1; offset < 20000; offset++) {
        uint32_t id = random_below(&random, COUNT);
        apply(&table, id, (int32_t)offset, offset);
        last[id] = offset;
        if (offset % 1000 == 0)
            producer_table_expire(&table, offset - 3000);
    }
    for (int64_t before = 16000; before < 20000; before += 100) {
        producer_table_expire(&table, before);
        for (int64_t id = 0; id < COUNT; id++) {
            const struct producer *producer = producer_table_find(&table, id);
            assert_int_equal(producer != NULL, last[id] > before);
            if (producer)
                assert_int_equal(producer->next_offset, last[id] + 1);
        }
    }
    producer_table_expire(&table, 20000);
    assert_int_equal(table.count, 0);
    producer_table_done(&table);
}

static void what_is_put_is_brought_into_order(void **state)
{
    struct producer_table table = {0};
    (void)state;
    for (int64_t id = 0; id < PRODUCERS_MAX + 100; id++) {
        struct producer producer = {.id = id, .next_offset = 1000000 - id};
        producer.seen_ms = producer.next_offset;
        assert_int_equal(producer_table_put(&table, &producer), 0);
    }
    producer_table_order(&table);
    assert_int_equal(table.count, PRODUCERS_MAX);
    assert_non_null(producer_table_find(&table, PRODUCERS_MAX - 1));
    assert_null(producer_table_find(&table, PRODUCERS_MAX));
    producer_table_expire(&table, 1000000 - 10);
    assert_int_equal(table.count, 10);
    assert_non_null(producer_table_find(&table, 9));
    assert_null(producer_table_find(&table, 10));
    producer_table_done(&table);
}

static struct producer state_of(int64_t id, int16_t epoch, int first, int count)
{
    struct producer producer = {.id = id, .epoch = epoch, .batch_count = (uint8_t)count};
    for (int i = 0; i < count; i++)
        producer.batches[i] = (struct producer_batch){.base_offset = first + i, .base_sequence = i};
    producer.next_offset = first + count;
    return producer;
}

static void merging_keeps_the_newest_five(void **state)
{
    (void)state;
    for (int old = 0; old <= 5; old++)
        for (int new = 0; new <= 5; new ++) {
            struct producer producer = state_of(1, 0, 0, old);
            struct producer newer = state_of(1, 0, old, new);
            int kept = old + new < 5 ? old + new : 5;
            producer_merge(&producer, &newer);
            assert_int_equal(producer.batch_count, kept);
            for (int i = 0; i < kept; i++)
                assert_int_equal(producer.batches[i].base_offset, old + new - kept + i);
        }
}

static void another_epoch_forgets_the_batches(void **state)
{
    struct producer producer = state_of(1, 0, 0, 4);
    struct producer newer = state_of(1, 1, 4, 2);
    (void)state;
    producer_merge(&producer, &newer);
    assert_int_equal(producer.epoch, 1);
    assert_int_equal(producer.batch_count, 2);
    assert_int_equal(producer.batches[0].base_offset, 4);
}

/* A marker has no sequence: what comes after one of a new epoch begins at 0. */
static void behind_a_marker_of_a_new_epoch_sequences_begin_at_0(void **state)
{
    struct producer_table table = {0};
    struct producer_batch duplicate;
    struct batch_header marker = batch_of(1, 1, -1, 1);
    struct batch_header next = batch_of(1, 1, 1, 0);
    (void)state;
    apply(&table, 1, 0, 0);
    assert_int_equal(producer_table_apply(&table, &marker, 0), 0);
    const struct producer *producer = producer_table_find(&table, 1);
    assert_true(producer_check(producer, &next, &duplicate, NULL) < 0);
    next.base_sequence = 0;
    assert_int_equal(producer_check(producer, &next, &duplicate, NULL), 0);
    producer_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_in_an_empty_table),
        cmocka_unit_test(producers_expire_in_the_order_of_their_last_batches),
        cmocka_unit_test(what_is_put_is_brought_into_order),
        cmocka_unit_test(merging_keeps_the_newest_five),
        cmocka_unit_test(another_epoch_forgets_the_batches),
        cmocka_unit_test(behind_a_marker_of_a_new_epoch_sequences_begin_at_0),
    };
    return cmocka_run_group_tests_name("store/producer_table", tests, NULL, NULL);
}
