/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: each thing that may be lost or damaged is told of, nothing is touched by looking, and
 * what was there before is there again. What goes is kept; offsets are never used again. Of
 * meta.mdb and index.mdb see repair_databases_test.c.
 */
#include "index.h"
#include "repair_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- nothing to do -------------------------------------------------------------------------- */

static void a_sound_store_needs_nothing(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    assert_sound(fixture);
    assert_int_equal(must(repair(fixture, BECK_REPAIR_EXECUTE), &fixture->error), 0);
    assert_int_equal(step_count, 0);
    assert_string_equal(totals.side, "");
    assert_ten(fixture);
    assert_int_equal(must_state(fixture->partition).next_offset, 11);
    assert_int_equal(must_state(fixture->partition).leader_epoch, 0);
}

static void append_and_die(struct fixture *fixture, struct beck_store *store)
{
    (void)fixture;
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    must_append(partition, "published", BECK_ACKS_LEADER);
}

static void a_store_whose_process_was_killed_needs_nothing(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    run_and_kill(append_and_die, fixture);
    assert_sound(fixture);
    fixture_open(fixture);
    assert_value(fixture->partition, 10, "published");
}

static void a_store_that_is_open_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char own[32];
    (void)snprintf(own, sizeof(own), "(%d)", (int)getpid());
    assert_int_equal(repair(fixture, 0), -EBUSY);
    assert_non_null(strstr(fixture->error.message, own));
    assert_int_equal(repair(fixture, BECK_REPAIR_EXECUTE), -EBUSY);
    must_append(fixture->partition, "goes on", BECK_ACKS_ALL);
}

static void where_no_store_is_there_is_nothing_to_repair(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(repair(fixture, BECK_REPAIR_EXECUTE), -ENOENT);
    assert_int_equal(mkdir(fixture->path, 0755), 0);
    assert_int_equal(repair(fixture, 0), -ENOENT);
    assert_int_equal(rmdir(fixture->path), 0);
}

static int refuse_step(void *context, const struct beck_repair_step *step)
{
    (void)context;
    (void)step;
    return 1;
}

static void who_is_told_may_stop_it(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    remove_store_file(fixture, STORE_PATH_INDEX);
    assert_int_equal(beck_store_repair(fixture->path, 0, &fixture_options, refuse_step, NULL,
                                       &totals, &fixture->error),
                     -ECANCELED);
}

/* ---- segments ------------------------------------------------------------------------------- */

static void a_torn_end_is_kept_and_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char kept[PATH_MAX];
    char bytes[100];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    memset(bytes, 'x', sizeof(bytes));
    file_append(path, bytes, sizeof(bytes));
    assert_repaired(fixture, 0, 1);
    assert_int_equal(steps[0].kind, BECK_REPAIR_CUT);
    assert_int_equal(steps[0].bytes, 100);
    side_file(fixture, steps[0].file, kept);
    (void)snprintf(kept + strlen(kept), 32, "@%lld", (long long)steps[0].byte);
    assert_int_equal(file_size(kept), 100);
    assert_int_equal(file_size(path), 10 * one_batch);
    assert_ten(fixture);
}

static void damage_in_the_middle_stays_unless_it_is_to_be_dropped(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 5 * one_batch + 70);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(must(repair(fixture, i ? BECK_REPAIR_EXECUTE : 0), &fixture->error), 1);
        assert_int_equal(totals.left, 1);
        assert_int_equal(totals.to_do + totals.done, 0);
        assert_int_equal(steps[0].kind, BECK_REPAIR_LEAVE);
        assert_int_equal(steps[0].offset, 5);
        assert_int_equal(steps[0].byte, 5 * one_batch);
        assert_int_equal(steps[0].bytes, one_batch);
    }
    assert_int_equal(file_size(path), 10 * one_batch);
}

static void assert_dropped_fifth(struct fixture *fixture)
{
    char kept[PATH_MAX];
    side_file(fixture, steps[0].file, kept);
    (void)snprintf(kept + strlen(kept), 32, "@%lld", (long long)(5 * one_batch));
    assert_int_equal(file_size(kept), one_batch);
    assert_sound(fixture);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 9);
    assert_value(fixture->partition, 4, "record 4");
    assert_value(fixture->partition, 6, "record 6");
    assert_value(fixture->partition, 9, "record 9");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(must_append(fixture->partition, "next", BECK_ACKS_LEADER), 10);
    assert_int_equal(must_state(fixture->partition).leader_epoch, 0);
}

static void damage_in_the_middle_is_dropped_and_kept(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 5 * one_batch + 70);
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
    assert_int_equal(file_size(path), 9 * one_batch);
    assert_dropped_fifth(fixture);
}

static void a_wrong_base_offset_costs_its_batch_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    for (int byte = 4; byte < 8; byte++) {
        if (byte > 4) {
            teardown(state);
            assert_int_equal(setup_partition(state), 0);
            fixture = *state;
        }
        leave_ten(fixture);
        segment_path(fixture, "t", 0, 0, path);
        file_flip(path, 5 * one_batch + byte);
        assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
        assert_dropped_fifth(fixture);
    }
}

static void the_last_records_dropped_are_no_offsets_for_others(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 8 * one_batch + 70);
    file_flip(path, 9 * one_batch + 70);
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
    assert_sound(fixture);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 8);
    assert_int_equal(must_append(fixture->partition, "next", BECK_ACKS_LEADER), 10);
}

/* Three segments of two batches each. */
static void leave_segments(struct fixture *fixture)
{
    must_create_topic(fixture->store, "s", 1, "segment.bytes", "1048576");
    struct beck_partition *partition = must_open_partition(fixture->store, "s", 0);
    for (unsigned i = 0; i < 6; i++)
        must_append_bytes(partition, 500000, i, BECK_ACKS_LEADER);
    beck_partition_close(partition);
    fixture_close(fixture);
    assert_int_equal(segment_count(fixture, "s", 0), 3);
}

static int64_t count_segments_records(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, "s", 0);
    int64_t count = count_records(partition, 0);
    assert_int_equal(must_append(partition, "next", BECK_ACKS_LEADER), 6);
    assert_int_equal(verify_count(store, NULL), 0);
    beck_partition_close(partition);
    beck_store_close(store);
    return count;
}

static void a_missing_segment_stays_missed_unless_it_is_to_be_dropped(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_segments(fixture);
    segment_path(fixture, "s", 0, 1, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(must(repair(fixture, 0), &fixture->error), 1);
    assert_int_equal(totals.left, 1);
    assert_non_null(strstr(steps[0].what, "missing"));
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
    assert_sound(fixture);
    assert_int_equal(count_segments_records(fixture), 4);
}

/* Have the complete segments sealed; then the first one's digest spoilt, where it is to be. */
static void seal_segments(struct fixture *fixture, bool spoil)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct segment_record record;
    MDB_txn *txn = NULL;
    uint32_t next_ms;
    must(beck_store_clean(store, NULL, NULL, &next_ms, &fixture->error), &fixture->error);
    must(db_begin(&store->index, true, &txn, NULL), NULL);
    must(index_segment_get(&store->index, txn, 2, 0, 0, &record), NULL);
    assert_true(record.has_digest);
    record.digest[0] ^= (uint8_t)spoil;
    must(index_segment_put(&store->index, txn, 2, 0, &record), NULL);
    must(db_commit(&store->index, txn, NULL), NULL);
    beck_store_close(store);
}

static void a_file_that_is_not_what_was_sealed_stays_unless_it_is_to_be_taken(void **state)
{
    struct fixture *fixture = *state;
    leave_segments(fixture);
    seal_segments(fixture, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(must(repair(fixture, i ? BECK_REPAIR_EXECUTE : 0), &fixture->error), 1);
        assert_int_equal(totals.left, 1);
        assert_int_equal(totals.to_do + totals.done, 0);
        assert_non_null(strstr(steps[0].what, "sealed"));
    }
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
    assert_sound(fixture);
    assert_int_equal(count_segments_records(fixture), 6);
}

static void a_wrong_leader_epoch_is_put_right(void **state)
{
    struct fixture *fixture = *state;
    char kept[PATH_MAX];
    char path[PATH_MAX];
    leave_segments(fixture);
    seal_segments(fixture, false);
    for (int segment = 0; segment < 3; segment += 2) { /* a sealed one, and the newest */
        segment_path(fixture, "s", 0, segment, path);
        file_flip(path, 15);
        assert_repaired(fixture, 0, 1);
        assert_int_equal(steps[0].kind, BECK_REPAIR_REBUILD);
        assert_int_equal(steps[0].byte, 12);
        assert_int_equal(steps[0].offset, 2 * segment);
        side_file(fixture, steps[0].file, kept);
        assert_int_equal(file_size(kept), file_size(path));
        assert_sound(fixture);
    }
    assert_int_equal(count_segments_records(fixture), 6);
}

static void a_segment_that_is_cut_short_loses_no_more(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_segments(fixture);
    segment_path(fixture, "s", 0, 1, path);
    file_cut(path, 100);
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 2);
    assert_sound(fixture);
    assert_int_equal(count_segments_records(fixture), 5);
}

static void the_newest_segment_missing_loses_no_more(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_segments(fixture);
    segment_path(fixture, "s", 0, 2, path);
    assert_int_equal(unlink(path), 0);
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
    assert_sound(fixture);
    assert_int_equal(count_segments_records(fixture), 4);
}

static void a_segment_of_nothing_but_damage_is_kept_and_goes(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char kept[PATH_MAX];
    leave_segments(fixture);
    segment_path(fixture, "s", 0, 1, path);
    int64_t size = file_size(path);
    file_flip(path, 100);
    file_flip(path, size - 100);
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 1);
    side_file(fixture, steps[0].file, kept);
    (void)snprintf(kept + strlen(kept), 32, "@0");
    assert_int_equal(file_size(kept), size);
    assert_sound(fixture);
    assert_int_equal(count_segments_records(fixture), 4);
}

static void damage_is_found_without_an_index_too(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    remove_store_file(fixture, STORE_PATH_INDEX);
    file_flip(path, 5 * one_batch + 70);
    assert_repaired(fixture, BECK_REPAIR_DROP_DAMAGED, 2);
    assert_sound(fixture);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 9);
}

/* ---- files and folders ---------------------------------------------------------------------- */

static void strays_are_moved_aside(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    static const char *const names[] = {"topics/stray", "topics/0123456789abcdef0123456789abcdef"};
    leave_ten(fixture);
    for (size_t i = 0; i < 2; i++) {
        store_file(fixture, names[i], path);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    partition_folder(fixture, "t", 0, path);
    (void)snprintf(path + strlen(path), 32, "/notes.txt");
    file_write(path, "hello", 5);
    partition_folder(fixture, "t", 0, path);
    path[strlen(path) - 1] = '7';
    assert_int_equal(mkdir(path, 0755), 0);
    assert_repaired(fixture, 0, 4);
    for (size_t i = 0; i < 2; i++) {
        store_file(fixture, names[i], path);
        assert_int_equal(access(path, F_OK), -1);
        side_file(fixture, names[i], path);
        assert_int_equal(access(path, F_OK), 0);
    }
    assert_sound(fixture);
    assert_ten(fixture);
}

static void a_missing_topic_file_is_written_anew(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    partition_folder(fixture, "other", 0, path);
    (void)snprintf(strrchr(path, '/'), 16, "/topic");
    assert_int_equal(unlink(path), 0);
    assert_repaired(fixture, 0, 1);
    assert_sound(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    assert_repaired(fixture, 0, 1);
    assert_ten(fixture);
    assert_topics(fixture);
}

static void a_damaged_topic_file_is_written_anew(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    partition_folder(fixture, "other", 0, path);
    (void)snprintf(strrchr(path, '/'), 16, "/topic");
    file_write(path, "beck-topic 1\nname other\nnumber many\n", 36);
    assert_repaired(fixture, 0, 1);
    assert_true(has_step(BECK_REPAIR_MAKE, "/topic") || totals.done == 1);
    assert_sound(fixture);
}

static void a_missing_folder_is_made(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    partition_folder(fixture, "other", 0, path);
    folder_remove(path);
    store_file(fixture, STORE_PATH_WAKE, path);
    folder_remove(path);
    assert_repaired(fixture, 0, 2);
    assert_sound(fixture);
    assert_ten(fixture);
    struct beck_partition *other = must_open_partition(fixture->store, "other", 0);
    must_append(other, "again", BECK_ACKS_ALL);
    beck_partition_close(other);
}

/* ---- cut off in the middle ------------------------------------------------------------------ */

static int die_at;

static int die_at_step(void *context, const struct beck_repair_step *step)
{
    (void)context;
    (void)step;
    if (die_at-- == 0)
        _exit(0);
    return 0;
}

static int repair_and_die(struct fixture *fixture)
{
    (void)beck_store_repair(fixture->path, BECK_REPAIR_EXECUTE | BECK_REPAIR_DROP_DAMAGED,
                            &fixture_options, die_at_step, NULL, &totals, &fixture->error);
    return 0;
}

static void what_was_cut_off_in_the_middle_can_be_done_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 5 * one_batch + 70);
    file_append(path, "torn", 4);
    remove_store_file(fixture, STORE_PATH_META);
    for (die_at = 0; die_at < 4; die_at++) {
        int at = die_at;
        assert_int_equal(run_in_child(repair_and_die, fixture), 0);
        die_at = at;
    }
    must(repair(fixture, BECK_REPAIR_EXECUTE | BECK_REPAIR_DROP_DAMAGED), &fixture->error);
    assert_sound(fixture);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 9);
    assert_true(must_append(fixture->partition, "next", BECK_ACKS_LEADER) >= 10);
}

#define TEST(name)        cmocka_unit_test_setup_teardown(name, setup_partition, teardown)
#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_needs_nothing),
        TEST(a_store_whose_process_was_killed_needs_nothing),
        TEST(a_store_that_is_open_is_left_alone),
        FOLDER_TEST(where_no_store_is_there_is_nothing_to_repair),
        TEST(who_is_told_may_stop_it),
        TEST(a_torn_end_is_kept_and_cut_off),
        TEST(damage_in_the_middle_stays_unless_it_is_to_be_dropped),
        TEST(damage_in_the_middle_is_dropped_and_kept),
        TEST(a_wrong_base_offset_costs_its_batch_alone),
        TEST(the_last_records_dropped_are_no_offsets_for_others),
        TEST(a_missing_segment_stays_missed_unless_it_is_to_be_dropped),
        TEST(a_file_that_is_not_what_was_sealed_stays_unless_it_is_to_be_taken),
        TEST(a_wrong_leader_epoch_is_put_right),
        TEST(a_segment_that_is_cut_short_loses_no_more),
        TEST(the_newest_segment_missing_loses_no_more),
        TEST(a_segment_of_nothing_but_damage_is_kept_and_goes),
        TEST(damage_is_found_without_an_index_too),
        TEST(strays_are_moved_aside),
        TEST(a_missing_topic_file_is_written_anew),
        TEST(a_damaged_topic_file_is_written_anew),
        TEST(a_missing_folder_is_made),
        TEST(what_was_cut_off_in_the_middle_can_be_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
