/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading asks for no memory once it has begun: when a partition's list of segments is there and a
 * reader's buffers have grown to the largest batch, nothing more is needed, wherever is read.
 */
#include "memory.h"
#include "store_fixture.h"

#include <string.h>

#define BATCHES 60
#define RECORDS 8 /* in a batch */

/* Batches of each codec, in some segments. */
static void append_batches(struct fixture *fixture)
{
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    static char value[8000];
    const void *batch;
    size_t size;
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < BATCHES; i++) {
        must(beck_batch_builder_new((enum beck_compression)(i % 5), 1 << 20, &builder,
                                    &fixture->error),
             &fixture->error);
        for (int j = 0; j < RECORDS; j++) {
            struct beck_record record = {.key_size = -1,
                                         .value = value,
                                         .value_size = (int32_t)sizeof(value),
                                         .timestamp_ms = FIXTURE_TIME + i};
            must(beck_batch_builder_add(builder, &record), NULL);
        }
        must(beck_batch_builder_finish(builder, &batch, &size, &fixture->error), &fixture->error);
        must(beck_append(fixture->partition, batch, size, BECK_ACKS_LEADER, &result,
                         &fixture->error),
             &fixture->error);
        beck_batch_builder_free(builder);
    }
}

static int setup_batches(void **state)
{
    int r = setup_store(state);
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    append_batches(fixture);
    fixture_reopen(fixture); /* so that all is looked up in index.mdb */
    return r;
}

/* Some offset, another each time. */
static int64_t any_offset(uint64_t *random)
{
    return random_below(random, BATCHES * RECORDS);
}

static void read_ranges(struct fixture *fixture)
{
    uint64_t random = 1;
    for (int i = 0; i < 500; i++) {
        struct beck_range range;
        must(beck_read_range(fixture->partition, any_offset(&random), 100000, BECK_READ_COMMITTED,
                             &range, &fixture->error),
             &fixture->error);
        assert_true(range.size > 0);
        beck_range_release(&range);
    }
}

static void read_copies(struct fixture *fixture)
{
    static char bytes[200000];
    uint64_t random = 1;
    for (int i = 0; i < 500; i++)
        assert_true(must(beck_read(fixture->partition, any_offset(&random), bytes, sizeof(bytes),
                                   BECK_READ_COMMITTED, &fixture->error),
                         &fixture->error) > 0);
}

static void find_times(struct fixture *fixture)
{
    int64_t offset;
    int64_t timestamp_ms;
    for (int i = 0; i < BATCHES; i++)
        assert_int_equal(
            must(beck_offset_for_time(fixture->partition, FIXTURE_TIME + i, BECK_READ_COMMITTED,
                                      &offset, &timestamp_ms, &fixture->error),
                 &fixture->error),
            1);
}

static struct beck_reader *reader;

static void read_records(struct fixture *fixture)
{
    struct beck_record record;
    int count = 0;
    must(beck_reader_seek(reader, 0, &fixture->error), &fixture->error);
    while (must(beck_reader_next(reader, &record, &fixture->error), &fixture->error) == 1)
        count++;
    assert_int_equal(count, BATCHES * RECORDS);
}

static void read_view(struct fixture *fixture)
{
    static char bytes[10000];
    uint64_t random = 1;
    for (int i = 0; i < 200; i++)
        assert_true(must(beck_reader_view(reader, random_below(&random, 3000000), bytes,
                                          sizeof(bytes), &fixture->error),
                         &fixture->error) > 0);
}

/* What is done a second time asks for no memory. */
static void assert_asks_for_no_memory(struct fixture *fixture,
                                      void (*read)(struct fixture *fixture))
{
    read(fixture);
    memory_watch(0);
    read(fixture);
    assert_int_equal(memory_requests, 0);
}

static void ranges_ask_for_no_memory(void **state)
{
    assert_asks_for_no_memory(*state, read_ranges);
}

static void copies_ask_for_no_memory(void **state)
{
    assert_asks_for_no_memory(*state, read_copies);
}

static void finding_times_asks_for_no_memory(void **state)
{
    assert_asks_for_no_memory(*state, find_times);
}

static void readers_ask_for_no_memory(void **state)
{
    struct fixture *fixture = *state;
    must(beck_reader_new(fixture->partition, BECK_READ_COMMITTED, &reader, &fixture->error),
         &fixture->error);
    memory_watch(0);
    read_records(fixture);
    assert_true(memory_requests > 0); /* for its buffers: what is asked for is seen here */
    assert_asks_for_no_memory(fixture, read_records);
    reader = beck_reader_free(reader);
}

static void the_view_asks_for_no_memory(void **state)
{
    struct fixture *fixture = *state;
    must(beck_reader_new(fixture->partition, BECK_READ_COMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_asks_for_no_memory(fixture, read_view);
    reader = beck_reader_free(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_batches, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_ask_for_no_memory),         TEST(copies_ask_for_no_memory),
        TEST(finding_times_asks_for_no_memory), TEST(readers_ask_for_no_memory),
        TEST(the_view_asks_for_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
