/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage that happened while nobody looked: reading it is an error that says where it is,
 * everything else goes on, and verification tells of it.
 */
#include "reserve.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t record_batch_bytes;

/* Flip a byte of the fifth record's batch. */
static void leave_ten_with_damage(struct fixture *fixture, int64_t in_batch)
{
    char path[PATH_MAX];
    record_batch_bytes = fixture_leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 5 * record_batch_bytes + in_batch);
    fixture_open(fixture);
}

static void assert_place(const struct beck_error *error)
{
    assert_int_equal(error->code, -EBADMSG);
    assert_string_equal(error->topic, "t");
    assert_int_equal(error->partition, 0);
    assert_int_equal(error->offset, 5);
    assert_int_equal(error->byte, 5 * record_batch_bytes);
    assert_int_equal(strncmp(error->message, "topic t partition 0 offset 5 byte ", 34), 0);
}

static void damage_is_never_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    struct beck_recovery entry;
    leave_ten_with_damage(fixture, 70);
    segment_path(fixture, "t", 0, 0, path);
    assert_int_equal(file_size(path), 10 * record_batch_bytes);
    assert_int_equal(beck_store_recovery(fixture->store, 0, &entry, &fixture->error), 0);
    assert_int_equal(must_append(fixture->partition, "eleventh", BECK_ACKS_LEADER), 10);
    assert_value(fixture->partition, 10, "eleventh");
}

static void a_reader_reads_up_to_the_damage_and_says_where_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    leave_ten_with_damage(fixture, 70);
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    for (int i = 0; i < 5; i++)
        assert_int_equal(beck_reader_next(reader, &record, &fixture->error), 1);
    for (int i = 0; i < 2; i++) { /* it stays before it */
        assert_int_equal(beck_reader_next(reader, &record, &fixture->error), -EBADMSG);
        assert_place(&fixture->error);
    }
    must(beck_reader_seek(reader, 6, &fixture->error), &fixture->error);
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), 1);
    assert_int_equal(record.offset, 6);
    beck_reader_free(reader);
}

/* Zeros, as of a block that the disk has lost, look like an offset. */
static void a_reader_that_begins_before_damage_is_not_kept_from_what_is_good(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    size_t size;
    int64_t batch_bytes = fixture_leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    char *bytes = file_read(path, &size);
    memset(bytes + batch_bytes, 0, (size_t)batch_bytes);
    file_write(path, bytes, size);
    free(bytes);
    fixture_open(fixture);
    assert_value(fixture->partition, 0, "record 0");
}

static void batches_are_served_up_to_the_damage(void **state)
{
    struct fixture *fixture = *state;
    char buffer[4096];
    leave_ten_with_damage(fixture, 70);
    assert_int_equal(beck_read(fixture->partition, 0, buffer, sizeof(buffer), BECK_READ_UNCOMMITTED,
                               &fixture->error),
                     5 * record_batch_bytes);
    assert_int_equal(beck_read(fixture->partition, 5, buffer, sizeof(buffer), BECK_READ_UNCOMMITTED,
                               &fixture->error),
                     -EBADMSG);
    assert_place(&fixture->error);
    assert_int_equal(beck_read(fixture->partition, 6, buffer, sizeof(buffer), BECK_READ_UNCOMMITTED,
                               &fixture->error),
                     4 * record_batch_bytes);
}

static void the_view_ends_in_an_error_at_the_damage(void **state)
{
    struct fixture *fixture = *state;
    struct beck_reader *reader = NULL;
    char buffer[4096];
    leave_ten_with_damage(fixture, 70);
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_reader_view(reader, 0, buffer, sizeof(buffer), &fixture->error), 45);
    assert_int_equal(beck_reader_view(reader, 45, buffer, sizeof(buffer), &fixture->error),
                     -EBADMSG);
    assert_place(&fixture->error);
    beck_reader_free(reader);
}

static void verification_tells_of_it(void **state)
{
    struct fixture *fixture = *state;
    struct beck_damage damage;
    leave_ten_with_damage(fixture, 70);
    assert_int_equal(verify_count(fixture->store, &damage), 1);
    assert_string_equal(damage.topic, "t");
    assert_int_equal(damage.partition, 0);
    assert_int_equal(damage.offset, 5);
    assert_int_equal(damage.byte, 5 * record_batch_bytes);
    assert_non_null(strstr(damage.file, "/00000000000000000000.log"));
}

static void other_topics_are_not_touched(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "other", 1, NULL, NULL);
    leave_ten_with_damage(fixture, 70);
    struct beck_partition *other = must_open_partition(fixture->store, "other", 0);
    must_append(other, "fine", BECK_ACKS_LEADER);
    assert_value(other, 0, "fine");
    beck_partition_close(other);
}

static void without_an_index_damage_in_the_middle_stays_and_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    record_batch_bytes = fixture_leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 5 * record_batch_bytes + 70);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(remove(path), 0);
    fixture_open(fixture);
    assert_value(fixture->partition, 4, "record 4");
    assert_value(fixture->partition, 6, "record 6");
    assert_value(fixture->partition, 9, "record 9");
    assert_true(must_state(fixture->partition).next_offset >= 10);
    assert_true(verify_count(fixture->store, NULL) >= 1);
}

static void a_file_that_is_shorter_than_it_was_is_damage(void **state)
{
    struct fixture *fixture = *state;
    struct beck_recovery note;
    char path[PATH_MAX];
    record_batch_bytes = fixture_leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_cut(path, 2 * record_batch_bytes + 5);
    fixture_open(fixture);
    assert_int_equal(beck_store_recovery(fixture->store, 0, &note, &fixture->error), 1);
    assert_int_equal(note.position, 8 * record_batch_bytes - 5);
    assert_int_equal(note.truncated_bytes, 0);
    assert_non_null(strstr(note.reason, "missing"));
    assert_int_equal(beck_store_recovery(fixture->store, 1, &note, &fixture->error), 0);
    assert_value(fixture->partition, 6, "record 6");
    assert_true(must_state(fixture->partition).next_offset >= 10); /* never to be used again */
    assert_true(verify_count(fixture->store, NULL) >= 1);
    int64_t offset = must_append(fixture->partition, "after", BECK_ACKS_LEADER);
    assert_true(offset >= 10);
    assert_value(fixture->partition, offset, "after");
}

static void a_segment_that_is_gone_is_damage(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char buffer[4096];
    record_batch_bytes = fixture_leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    assert_int_equal(remove(path), 0);
    fixture_open(fixture);
    assert_int_equal(beck_read(fixture->partition, 0, buffer, sizeof(buffer), BECK_READ_UNCOMMITTED,
                               &fixture->error),
                     -EBADMSG);
    assert_true(verify_count(fixture->store, NULL) >= 1);
    assert_true(must_append(fixture->partition, "after", BECK_ACKS_LEADER) >= 10);
}

/* ---- index.mdb ----------------------------------------------------------------------------- */

/* Make every value of one of index.mdb's databases wrong. */
static void spoil_index(struct fixture *fixture, const char *database)
{
    char path[PATH_MAX];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int spoiled = 0;
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
    assert_int_equal(mdb_env_set_mapsize(env, FIXTURE_MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        char *copy = malloc(value.mv_size);
        assert_non_null(copy);
        memcpy(copy, value.mv_data, value.mv_size);
        copy[value.mv_size / 2] ^= 1;
        value.mv_data = copy;
        assert_int_equal(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
        free(copy);
        spoiled++;
    }
    assert_true(spoiled > 0);
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

/* Twelve segments: more than a slot can note. */
static void leave_twelve_segments(struct fixture *fixture)
{
    must_create_topic(fixture->store, "long", 1, "segment.bytes", "1048576");
    struct beck_partition *partition = must_open_partition(fixture->store, "long", 0);
    uint32_t next_ms;
    for (unsigned i = 0; i < 30; i++) {
        must_append_bytes(partition, 400000, i, BECK_ACKS_LEADER);
        must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    }
    beck_partition_close(partition);
    fixture_close(fixture);
    assert_true(segment_count(fixture, "long", 0) > 10);
}

static void check_long(struct fixture *fixture, unsigned flags)
{
    fixture->store = must_open(fixture->path, flags);
    struct beck_partition *partition = must_open_partition(fixture->store, "long", 0);
    assert_int_equal(count_records(partition, 0), 30);
    for (int64_t i = 0; i < 30; i += 7)
        assert_int_equal(count_records(partition, i), 30 - i);
    assert_int_equal(must_state(partition).view_bytes, 30 * 400001);
    beck_partition_close(partition);
}

static void a_damaged_checkpoint_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    leave_twelve_segments(fixture);
    spoil_index(fixture, "checkpoints");
    check_long(fixture, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* Else offsets that somebody saw before power was lost were given out again. */
static void offsets_stay_set_aside_where_the_list_of_segments_is_damaged(void **state)
{
    struct fixture *fixture = *state;
    const int64_t far = (int64_t)1 << 40;
    char path[PATH_MAX];
    leave_twelve_segments(fixture);
    fixture->store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(fixture->store, "long", 0);
    must(reserve_extend(partition, far, &fixture->error), &fixture->error);
    beck_partition_close(partition);
    fixture_close(fixture);
    spoil_index(fixture, "segments");
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture->store = must_open(fixture->path, 0);
    partition = must_open_partition(fixture->store, "long", 0);
    assert_true(must_state(partition).next_offset >= far);
    assert_int_equal(count_records(partition, 0), 30);
    beck_partition_close(partition);
}

static void without_checkpoints_a_read_only_opening_sees_all_segments_or_none(void **state)
{
    struct fixture *fixture = *state;
    struct beck_store *store = NULL;
    leave_twelve_segments(fixture);
    spoil_index(fixture, "checkpoints");
    int r = beck_store_open(fixture->path, BECK_OPEN_READ_ONLY, &fixture_options, &store,
                            &fixture->error);
    beck_store_close(store);
    if (r == 0)
        check_long(fixture, BECK_OPEN_READ_ONLY);
    else
        assert_int_equal(r, -EROFS);
}

static void damaged_index_entries_only_cost_time(void **state)
{
    struct fixture *fixture = *state;
    leave_twelve_segments(fixture);
    spoil_index(fixture, "entries");
    check_long(fixture, 0);
    assert_true(verify_count(fixture->store, NULL) > 0);
}

static void a_damaged_list_of_segments_is_an_error_of_its_partition_alone(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition_state now;
    leave_twelve_segments(fixture);
    spoil_index(fixture, "segments");
    fixture_open(fixture);
    must_append(fixture->partition, "fine", BECK_ACKS_LEADER);
    struct beck_partition *partition = must_open_partition(fixture->store, "long", 0);
    int r = beck_partition_state(partition, &now, &fixture->error);
    if (r < 0) {
        assert_int_equal(r, -EBADMSG);
        assert_true(verify_count(fixture->store, NULL) > 0);
    } else {
        assert_int_equal(count_records(partition, 0), 30);
    }
    beck_partition_close(partition);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(damage_is_never_cut_off),
        TEST(a_reader_reads_up_to_the_damage_and_says_where_it_is),
        TEST(a_reader_that_begins_before_damage_is_not_kept_from_what_is_good),
        TEST(batches_are_served_up_to_the_damage),
        TEST(the_view_ends_in_an_error_at_the_damage),
        TEST(verification_tells_of_it),
        TEST(other_topics_are_not_touched),
        TEST(without_an_index_damage_in_the_middle_stays_and_is_passed_over),
        TEST(a_file_that_is_shorter_than_it_was_is_damage),
        TEST(a_segment_that_is_gone_is_damage),
        TEST(a_damaged_checkpoint_is_made_again),
        TEST(offsets_stay_set_aside_where_the_list_of_segments_is_damaged),
        TEST(without_checkpoints_a_read_only_opening_sees_all_segments_or_none),
        TEST(damaged_index_entries_only_cost_time),
        TEST(a_damaged_list_of_segments_is_an_error_of_its_partition_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
