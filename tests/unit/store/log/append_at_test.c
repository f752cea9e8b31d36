/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending batches of another log with the offsets that they have there: holes in them stay,
 * batches without records stand for what is missing between them, what cannot be copied is refused,
 * and all of it is still so when the store was opened anew, from its checkpoints or from the
 * segments.
 */
#include "forge.h"
#include "meta_reserved.h"
#include "reserve.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct forge forge;

static void begin_at(int64_t offset)
{
    forge_begin(&forge);
    forge.header.base_offset = offset;
}

static void add_record(const char *value, int32_t offset_delta)
{
    const struct beck_record record = {
        .key_size = -1, .value = value, .value_size = (int32_t)strlen(value)};
    forge_record(&forge, &record, offset_delta, 0);
}

static int append_forged(struct fixture *fixture, struct beck_append_result *ret_result)
{
    forge_seal(&forge);
    return beck_append_at(fixture->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, ret_result,
                          &fixture->error);
}

/* Take up all offsets below this one. */
static void fill_up_to(struct fixture *fixture, int64_t offset)
{
    struct beck_append_result result;
    int64_t next = must_state(fixture->partition).next_offset;
    while (next < offset) {
        begin_at(next);
        forge.header.last_offset_delta =
            offset - next > INT32_MAX ? INT32_MAX : (int32_t)(offset - next - 1);
        must(append_forged(fixture, &result), &fixture->error);
        next = result.next_offset;
    }
}

static void append_at(struct fixture *fixture, int64_t offset, const char *value)
{
    struct beck_append_result result;
    fill_up_to(fixture, offset);
    begin_at(offset);
    add_record(value, 0);
    must(append_forged(fixture, &result), &fixture->error);
    assert_int_equal(result.base_offset, offset);
    assert_int_equal(result.next_offset, offset + 1);
}

static void offsets_are_kept(void **state)
{
    struct fixture *fixture = *state;
    append_at(fixture, 5, "five");
    append_at(fixture, 6, "six");
    append_at(fixture, 1000, "thousand");
    assert_int_equal(must_append(fixture->partition, "next", BECK_ACKS_LEADER), 1001);
    assert_value(fixture->partition, 5, "five");
    assert_value(fixture->partition, 1000, "thousand");
    assert_int_equal(count_records(fixture->partition, 0), 4);
    assert_int_equal(count_records(fixture->partition, 7), 2);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void another_offset_than_the_next_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    append_at(fixture, 5, "five");
    begin_at(5);
    add_record("again", 0);
    assert_int_equal(append_forged(fixture, &result), -ERANGE);
    begin_at(7);
    add_record("behind a hole", 0);
    assert_int_equal(append_forged(fixture, &result), -ERANGE);
    assert_int_equal(must_state(fixture->partition).next_offset, 6);
    assert_int_equal(count_records(fixture->partition, 0), 1);
}

static void holes_within_a_batch_stay(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    fill_up_to(fixture, 10);
    begin_at(10);
    add_record("ten", 0);
    add_record("seventeen", 7);
    forge.header.last_offset_delta = 9;
    must(append_forged(fixture, &result), &fixture->error);
    assert_int_equal(result.next_offset, 20);
    assert_value(fixture->partition, 10, "ten");
    assert_value(fixture->partition, 17, "seventeen");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_batch_without_records_takes_up_its_offsets(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    append_at(fixture, 3, "three");
    begin_at(4);
    forge.header.last_offset_delta = 95;
    must(append_forged(fixture, &result), &fixture->error);
    struct beck_partition_state now = must_state(fixture->partition);
    assert_int_equal(now.next_offset, 100);
    assert_int_equal(now.high_watermark, 100);
    assert_int_equal(now.view_bytes, strlen("three\n"));
    assert_int_equal(count_records(fixture->partition, 0), 1);
    assert_int_equal(must_append(fixture->partition, "next", BECK_ACKS_LEADER), 100);
    assert_int_equal(count_records(fixture->partition, 50), 1);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* Nothing is there to be decompressed. */
static void a_batch_without_records_may_have_a_codec(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    int64_t offset = -1;
    int64_t timestamp_ms = -1;
    for (int codec = BECK_COMPRESSION_GZIP; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        begin_at(codec - 1);
        forge.header.attributes = (uint16_t)codec;
        must(append_forged(fixture, &result), &fixture->error);
    }
    append_at(fixture, BECK_COMPRESSION_ZSTD, "behind them");
    assert_int_equal(count_records(fixture->partition, 0), 1);
    assert_int_equal(beck_offset_for_time(fixture->partition, 0, BECK_READ_UNCOMMITTED, &offset,
                                          &timestamp_ms, &fixture->error),
                     1);
    assert_int_equal(offset, BECK_COMPRESSION_ZSTD);
    must(beck_trim(fixture->partition, 2, &offset, &fixture->error), &fixture->error);
    assert_value(fixture->partition, BECK_COMPRESSION_ZSTD, "behind them");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_logs_attributes_stay(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    uint8_t stored[1000];
    fill_up_to(fixture, 7);
    begin_at(7);
    forge.header.attributes = BATCH_LOG_APPEND_TIME | BATCH_DELETE_HORIZON;
    add_record("value", 0);
    must(append_forged(fixture, &result), &fixture->error);
    ssize_t size = beck_read(fixture->partition, 7, stored, sizeof(stored), BECK_READ_UNCOMMITTED,
                             &fixture->error);
    assert_int_equal(size, forge.size);
    assert_memory_equal(stored + BATCH_CRC_BEGIN - 4, forge.bytes + BATCH_CRC_BEGIN - 4,
                        forge.size - BATCH_CRC_BEGIN + 4);
    assert_int_equal(result.append_time_ms, -1);
}

static void assert_not_copied(struct fixture *fixture)
{
    struct beck_append_result result;
    assert_int_equal(append_forged(fixture, &result), -EINVAL);
    assert_int_equal(must_state(fixture->partition).next_offset, 0);
}

static void what_has_state_elsewhere_is_refused(void **state)
{
    struct fixture *fixture = *state;
    begin_at(0);
    add_record("a producer's", 0);
    forge.header.producer_id = 4;
    forge.header.producer_epoch = 0;
    forge.header.base_sequence = 0;
    assert_not_copied(fixture);
    forge.header.attributes = BATCH_TRANSACTIONAL;
    assert_not_copied(fixture);
    forge.header.attributes = BATCH_CONTROL;
    assert_not_copied(fixture);
}

static void a_damaged_batch_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    begin_at(0);
    add_record("value", 0);
    forge_seal(&forge);
    forge.bytes[forge.size - 2] ^= 1;
    assert_int_equal(beck_append_at(fixture->partition, forge.bytes, forge.size, BECK_ACKS_LEADER,
                                    &result, &fixture->error),
                     -EBADMSG);
}

static void the_topics_limit_of_size_does_not_matter(void **state)
{
    struct fixture *fixture = *state;
    static char large[8000];
    memset(large, 'x', sizeof(large) - 1);
    must_create_topic(fixture->store, "small", 1, "max.message.bytes", "1000");
    beck_partition_close(fixture->partition);
    fixture->partition = must_open_partition(fixture->store, "small", 0);
    append_at(fixture, 12, large);
    assert_value(fixture->partition, 12, large);
}

/* Kafka's indexes hold offsets relative to the segment's, in 31 bits. */
static void a_far_jump_begins_a_segment(void **state)
{
    struct fixture *fixture = *state;
    int64_t far = (int64_t)INT32_MAX + 10;
    append_at(fixture, 1, "near");
    append_at(fixture, far, "far");
    assert_true(segment_count(fixture, "t", 0) > 1);
    assert_int_equal(count_records(fixture->partition, 0), 2);
    assert_int_equal(count_records(fixture->partition, 2), 1);
    assert_value(fixture->partition, far, "far");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_clean_close_keeps_it(void **state)
{
    struct fixture *fixture = *state;
    append_at(fixture, 5, "five");
    append_at(fixture, 500, "hundreds");
    append_at(fixture, (int64_t)INT32_MAX + 10, "far");
    fixture_reopen(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 3);
    assert_value(fixture->partition, 500, "hundreds");
    append_at(fixture, (int64_t)INT32_MAX + 11, "and on");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void append_and_die(struct fixture *fixture, struct beck_store *store)
{
    fixture->partition = must_open_partition(store, "t", 0);
    append_at(fixture, 5, "five");
    append_at(fixture, 500, "hundreds");
    append_at(fixture, (int64_t)INT32_MAX + 10, "far");
}

static void a_kill_keeps_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    run_and_kill(append_and_die, fixture);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 3);
    assert_value(fixture->partition, 500, "hundreds");
    assert_true(must_state(fixture->partition).next_offset > (int64_t)INT32_MAX + 10);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* ---- power loss ----------------------------------------------------------------------------- */

/* Published, and read by somebody; the disk never had it. */
static void lose_from_with(struct fixture *fixture, int64_t position, bool index)
{
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 0, path);
    file_cut(path, file_size(path) - position);
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(index ? unlink(path) : 0, 0);
    fixture_open(fixture);
}

static void lose_from(struct fixture *fixture, int64_t position)
{
    lose_from_with(fixture, position, false);
}

static void append_most_and_die(struct fixture *fixture, struct beck_store *store)
{
    struct beck_append_result result;
    fixture->partition = must_open_partition(store, "t", 0);
    begin_at(0);
    add_record("most", 0);
    forge.header.last_offset_delta = INT32_MAX;
    must(append_forged(fixture, &result), &fixture->error);
    assert_int_equal(must_append(fixture->partition, "seen", BECK_ACKS_LEADER),
                     (int64_t)INT32_MAX + 1);
}

static void no_offset_is_given_out_twice_after_a_batch_that_takes_up_most(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    run_and_kill(append_most_and_die, fixture);
    lose_from(fixture, 0);
    assert_int_equal(count_records(fixture->partition, 0), 0);
    assert_true(must_append(fixture->partition, "other", BECK_ACKS_LEADER) >
                (int64_t)INT32_MAX + 1);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

#define STEPS 9
#define STEP  (1 << 24) /* offsets: four of them are set aside at once */

static void append_steps_and_die(struct fixture *fixture, struct beck_store *store)
{
    fixture->partition = must_open_partition(store, "t", 0);
    for (int i = 1; i <= STEPS; i++)
        fill_up_to(fixture, (int64_t)i * STEP);
}

/* As when the one who does it is stopped. */
static void no_offset_is_given_out_twice_where_maintenance_does_not_come(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    run_and_kill(append_steps_and_die, fixture);
    lose_from(fixture, 0);
    assert_true(must_append(fixture->partition, "other", BECK_ACKS_LEADER) >=
                (int64_t)STEPS * STEP);
}

static void append_more_and_die(struct fixture *fixture, struct beck_store *store)
{
    fixture->partition = must_open_partition(store, "t", 0);
    int64_t first = must_state(fixture->partition).next_offset;
    for (int i = 1; i <= STEPS; i++)
        fill_up_to(fixture, first + (int64_t)i * STEP);
}

/* Power is lost again and again, each time with all that was appended since, and the index. */
static void no_offset_is_given_out_twice_however_often_the_index_is_lost(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    must_append(fixture->partition, "first", BECK_ACKS_LEADER);
    for (int i = 0; i < 3; i++) {
        int64_t first = must_state(fixture->partition).next_offset;
        segment_path(fixture, "t", 0, 0, path);
        int64_t size = file_size(path);
        fixture_close(fixture);
        run_and_kill(append_more_and_die, fixture);
        lose_from_with(fixture, size, true);
        assert_true(must_state(fixture->partition).next_offset >= first + (int64_t)STEPS * STEP);
    }
}

static void no_offset_is_given_out_twice_where_a_repair_makes_meta_mdb_anew(void **state)
{
    static const char *const lost[] = {STORE_PATH_META, STORE_PATH_META_COPY, STORE_PATH_INDEX,
                                       STORE_PATH_LIVE};
    struct fixture *fixture = *state;
    struct beck_repair_totals totals;
    char segment[PATH_MAX];
    char path[PATH_MAX];
    fill_up_to(fixture, (int64_t)1 << 30);
    segment_path(fixture, "t", 0, 0, segment);
    fixture_close(fixture);
    file_cut(segment, file_size(segment));
    for (size_t i = 0; i < 4; i++) {
        store_file(fixture, lost[i], path);
        assert_int_equal(unlink(path), 0);
    }
    must(beck_store_repair(fixture->path, BECK_REPAIR_EXECUTE, &fixture_options, NULL, NULL,
                           &totals, &fixture->error),
         &fixture->error);
    fixture_open(fixture);
    assert_true(must_state(fixture->partition).next_offset >= (int64_t)1 << 30);
}

static void more_offsets_than_are_set_aside_wait_for_index_mdb(void **state)
{
    struct fixture *fixture = *state;
    struct live_slot *slot = fixture->partition->slot;
    fill_up_to(fixture, STEP);
    assert_int_equal(atomic_load(&slot->reserved_offset), CHECKPOINT_RESERVED_OFFSETS);
    fill_up_to(fixture, CHECKPOINT_RESERVED_OFFSETS);
    assert_int_equal(atomic_load(&slot->reserved_offset), CHECKPOINT_RESERVED_OFFSETS);
    must_append(fixture->partition, "one more", BECK_ACKS_LEADER);
    assert_int_equal(atomic_load(&slot->reserved_offset), 2 * CHECKPOINT_RESERVED_OFFSETS + 1);
}

/* Where index.mdb is lost, nobody else knows. */
static void meta_mdb_knows_of_all_that_is_set_aside(void **state)
{
    struct fixture *fixture = *state;
    struct index_checkpoint checkpoint;
    MDB_txn *txn;
    int64_t known = 0;
    must(reserve_extend(fixture->partition, (int64_t)1 << 40, &fixture->error), &fixture->error);
    must(db_begin(&fixture->store->index, false, &txn, NULL), NULL);
    must(index_checkpoint_get(&fixture->store->index, txn, 1, 0, &checkpoint), NULL);
    db_abortp(&txn);
    must(db_begin(&fixture->store->meta, false, &txn, NULL), NULL);
    must(meta_reserved_get(&fixture->store->meta, txn, 1, 0, &known), NULL);
    db_abortp(&txn);
    assert_true(checkpoint.reserved_offset > (int64_t)1 << 40);
    assert_true(known >= checkpoint.reserved_offset);
}

static void a_checkpoint_does_not_take_back_what_was_set_aside(void **state)
{
    struct fixture *fixture = *state;
    struct index_checkpoint checkpoint;
    MDB_txn *txn;
    uint32_t next_ms;
    must_append(fixture->partition, "first", BECK_ACKS_LEADER);
    must(reserve_extend(fixture->partition, (int64_t)1 << 40, &fixture->error), &fixture->error);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must(db_begin(&fixture->store->index, false, &txn, NULL), NULL);
    must(index_checkpoint_get(&fixture->store->index, txn, 1, 0, &checkpoint), NULL);
    db_abortp(&txn);
    assert_int_equal(checkpoint.end.offset, 1);
    assert_true(checkpoint.reserved_offset >= (int64_t)1 << 40);
}

/* After a jump the log goes on far behind its segment's first offset. */
static void a_record_beyond_the_reach_of_its_segment_begins_another(void **state)
{
    struct fixture *fixture = *state;
    int64_t far = (int64_t)INT32_MAX + 1;
    fill_up_to(fixture, far);
    assert_int_equal(must_append(fixture->partition, "far", BECK_ACKS_LEADER), far);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(offsets_are_kept),
        TEST(another_offset_than_the_next_is_refused),
        TEST(holes_within_a_batch_stay),
        TEST(a_batch_without_records_takes_up_its_offsets),
        TEST(a_batch_without_records_may_have_a_codec),
        TEST(a_logs_attributes_stay),
        TEST(what_has_state_elsewhere_is_refused),
        TEST(a_damaged_batch_is_refused),
        TEST(the_topics_limit_of_size_does_not_matter),
        TEST(a_far_jump_begins_a_segment),
        TEST(a_clean_close_keeps_it),
        TEST(a_kill_keeps_it),
        TEST(no_offset_is_given_out_twice_after_a_batch_that_takes_up_most),
        TEST(no_offset_is_given_out_twice_where_maintenance_does_not_come),
        TEST(no_offset_is_given_out_twice_however_often_the_index_is_lost),
        TEST(no_offset_is_given_out_twice_where_a_repair_makes_meta_mdb_anew),
        TEST(more_offsets_than_are_set_aside_wait_for_index_mdb),
        TEST(meta_mdb_knows_of_all_that_is_set_aside),
        TEST(a_checkpoint_does_not_take_back_what_was_set_aside),
        TEST(a_record_beyond_the_reach_of_its_segment_begins_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
