/* SPDX-License-Identifier: Apache-2.0 */
/* The history of leader epochs: each begins behind all offsets that were given out before it. */
#include "bytes.h"
#include "epochs.h"
#include "fault_io.h"
#include "repair.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void append_three(struct fixture *f, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    (void)f;
    for (int i = 0; i < 3; i++)
        must_append(partition, "v", BECK_ACKS_LEADER);
}

/* Three records, and then a loss of power, as far as anybody can know. Returns where the epoch that
 * follows begins. */
static int64_t lose_power(struct fixture *f)
{
    char path[PATH_MAX];
    fixture_close(f);
    run_and_kill(append_three, f);
    store_file(f, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    return must_state(f->partition).next_offset;
}

static void assert_epoch_end(struct fixture *f, int32_t asked, int32_t epoch, int64_t end)
{
    int32_t found_epoch;
    int64_t found_end;
    must(beck_partition_epoch_end(f->partition, asked, &found_epoch, &found_end, &f->error),
         &f->error);
    assert_int_equal(found_epoch, epoch);
    assert_int_equal(found_end, end);
}

static void the_newest_epoch_ends_where_the_log_does(void **state)
{
    struct fixture *f = *state;
    assert_epoch_end(f, 0, 0, 0);
    must_append(f->partition, "v", BECK_ACKS_LEADER);
    assert_epoch_end(f, 0, 0, 1);
}

static void epochs_that_have_not_begun_are_not_known(void **state)
{
    struct fixture *f = *state;
    assert_epoch_end(f, 1, -1, -1);
    assert_epoch_end(f, -1, -1, -1);
}

static void an_epoch_ends_where_the_next_begins(void **state)
{
    struct fixture *f = *state;
    int64_t first = lose_power(f);
    int64_t second = lose_power(f);
    assert_true(first > 3 && second > first + 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(must_state(f->partition).leader_epoch, 2);
        assert_epoch_end(f, 0, 0, first);
        assert_epoch_end(f, 1, 1, second);
        assert_epoch_end(f, 2, 2, second);
        fixture_reopen(f);
    }
    must_append(f->partition, "v", BECK_ACKS_LEADER);
    assert_epoch_end(f, 2, 2, second + 1);
    assert_int_equal(verify_count(f->store, NULL), 0);
}

static void a_topic_tells_the_epochs_of_its_partitions(void **state)
{
    struct fixture *f = *state;
    struct beck_topic topic;
    int32_t epochs[4] = {7, 7, 7, 7};
    (void)lose_power(f);
    (void)lose_power(f);
    must(beck_topic_add_partitions(f->store, "t", 3, false, &topic, &f->error), &f->error);
    must(beck_topic_leader_epochs(f->store, &topic, epochs, &f->error), &f->error);
    assert_int_equal(epochs[0], 2);
    assert_int_equal(epochs[1], 0);
    assert_int_equal(epochs[2], 0);
    assert_int_equal(epochs[3], 7);

    topic.partition_count = 4;
    must(beck_topic_leader_epochs(f->store, &topic, epochs, &f->error), &f->error);
    assert_int_equal(epochs[3], -1);
}

static void a_clean_close_begins_no_epoch(void **state)
{
    struct fixture *f = *state;
    must_append(f->partition, "v", BECK_ACKS_LEADER);
    fixture_reopen(f);
    assert_epoch_end(f, 0, 0, 1);
    assert_epoch_end(f, 1, -1, -1);
}

static int count_visit(void *context, uint32_t epoch, int64_t start_offset)
{
    int *count = context;
    (void)epoch;
    (void)start_offset;
    (*count)++;
    return 0;
}

static int epoch_count(struct fixture *f, uint32_t number)
{
    MDB_txn *txn;
    int count = 0;
    must(db_begin(&f->store->meta, false, &txn, &f->error), &f->error);
    assert_int_equal(epochs_walk(&f->store->meta, txn, number, 0, count_visit, &count), 0);
    mdb_txn_abort(txn);
    return count;
}

static void remove_file(struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    store_file(f, name, path);
    assert_int_equal(unlink(path), 0);
}

/* meta.mdb and its copy are lost, and the index where it is to be: the batches say when an epoch
 * began. One of them, that no CRC speaks for, may be wrong: `flipped`, by its number. */
static void lose_meta(struct fixture *f, bool index, int flipped)
{
    struct beck_repair_totals totals;
    char path[PATH_MAX];
    int64_t first = lose_power(f);
    int64_t second = lose_power(f);
    for (int i = 0; i < 3; i++)
        must_append(f->partition, "v", BECK_ACKS_LEADER);
    fixture_close(f);
    segment_path(f, "t", 0, 0, path);
    int64_t size = file_size(path) / 9;
    if (flipped >= 0)
        file_flip(path, flipped * size + 15);
    remove_file(f, STORE_PATH_META);
    remove_file(f, STORE_PATH_META_COPY);
    if (index)
        remove_file(f, STORE_PATH_INDEX);
    assert_int_equal(must(beck_store_repair(f->path, BECK_REPAIR_EXECUTE, &fixture_options, NULL,
                                            NULL, &totals, &f->error),
                          &f->error),
                     0);
    fixture_open(f);
    assert_true(must_state(f->partition).leader_epoch > 2);
    assert_epoch_end(f, 0, 0, first);
    assert_epoch_end(f, 1, 1, second);
    assert_epoch_end(f, 2, 2, second + 3);
    assert_int_equal(verify_count(f->store, NULL), 0);
}

static void history_is_found_again_in_the_batches(void **state)
{
    lose_meta(*state, false, -1);
}

static void history_is_found_again_without_the_index(void **state)
{
    lose_meta(*state, true, -1);
}

static void one_wrong_epoch_is_not_believed(void **state)
{
    for (int batch = 1; batch < 8; batch += 3) {
        struct fixture *f = *state;
        fixture_end(f);
        fixture_begin(f);
        f->store = must_open(f->path, BECK_OPEN_CREATE);
        must_create_topic(f->store, "t", 1, NULL, NULL);
        f->partition = must_open_partition(f->store, "t", 0);
        lose_meta(f, false, batch);
    }
}

/* ---- behind damage -------------------------------------------------------------------------- */

static int repair_with(struct fixture *f, const struct io *io)
{
    struct beck_repair_totals totals;
    return repair_store(f->path, BECK_REPAIR_EXECUTE, &fixture_options, NULL, NULL, io, &totals,
                        &f->error);
}

/* A batch's header of nine is damaged, in three epochs of three, and meta.mdb lost. Returns the
 * offset after the last record. */
static int64_t damage_header(struct fixture *f, int batch, bool index)
{
    char path[PATH_MAX];
    (void)lose_power(f);
    (void)lose_power(f);
    for (int i = 0; i < 3; i++)
        must_append(f->partition, "v", BECK_ACKS_LEADER);
    int64_t end = must_state(f->partition).next_offset;
    fixture_close(f);
    segment_path(f, "t", 0, 0, path);
    file_flip(path, batch * (file_size(path) / 9) + 16);
    remove_file(f, STORE_PATH_META);
    remove_file(f, STORE_PATH_META_COPY);
    if (index)
        remove_file(f, STORE_PATH_INDEX);
    return end;
}

static void assert_epoch_two_ends(struct fixture *f, int64_t end)
{
    assert_true(must(repair_with(f, &io_system), &f->error) >= 0);
    fixture_open(f);
    assert_true(must_state(f->partition).leader_epoch > 2);
    assert_epoch_end(f, 2, 2, end);
}

static void no_epoch_begins_below_what_is_behind_damage(void **state)
{
    struct fixture *f = *state;
    assert_epoch_two_ends(f, damage_header(f, 1, false));
}

static void no_epoch_begins_below_what_is_behind_damage_without_the_index(void **state)
{
    struct fixture *f = *state;
    assert_epoch_two_ends(f, damage_header(f, 7, true));
}

static void no_epoch_begins_below_damage_that_ends_the_log(void **state)
{
    struct fixture *f = *state;
    assert_epoch_two_ends(f, damage_header(f, 8, false));
}

/* The last file that was opened is no segment, or cannot be read. */
static int refuse_reads(struct fault_io *fault, const struct fault_what *what)
{
    bool *is_segment = fault->context;
    if (what->call == FAULT_OPEN)
        *is_segment = fault_is(what, FAULT_OPEN, ".log");
    return what->call == FAULT_READ && *is_segment ? -EIO : 0;
}

static void history_is_not_made_of_half_of_the_batches(void **state)
{
    struct fixture *f = *state;
    struct fault_io fault;
    bool is_segment = false;
    int64_t end = damage_header(f, 1, false);
    fault_io_init(&fault);
    fault.hook = refuse_reads;
    fault.context = &is_segment;
    assert_int_equal(repair_with(f, &fault.io), -EIO);
    assert_non_null(strstr(f->error.message, ".log: cannot be read"));
    assert_epoch_two_ends(f, end);
}

/* The value of an epoch's record, wherever it is. */
static void damage_epoch(struct fixture *f, int64_t start_offset)
{
    char path[PATH_MAX];
    uint8_t value[10] = {VALUE_EPOCH, 1};
    size_t size;
    store_le64(value + 2, (uint64_t)start_offset);
    store_file(f, STORE_PATH_META, path);
    char *bytes = file_read(path, &size);
    for (size_t i = 0; i + sizeof(value) <= size; i++)
        if (memcmp(bytes + i, value, sizeof(value)) == 0)
            bytes[i + 2] ^= 1;
    file_write(path, bytes, size);
    free(bytes);
}

/* Also where the partition's own record is undamaged, and so its epoch stays. */
static void the_begin_of_the_newest_epoch_is_found_again(void **state)
{
    struct fixture *f = *state;
    int64_t first = lose_power(f);
    for (int appended = 0; appended < 2; appended++) {
        if (appended)
            must_append(f->partition, "v", BECK_ACKS_LEADER);
        fixture_close(f);
        damage_epoch(f, first);
        remove_file(f, STORE_PATH_META_COPY);
        assert_int_equal(must(repair_with(f, &io_system), &f->error), 0);
        fixture_open(f);
        assert_int_equal(must_state(f->partition).leader_epoch, 1);
        assert_epoch_end(f, 0, 0, first);
        assert_epoch_end(f, 1, 1, first + appended);
    }
}

static void a_deleted_topic_leaves_no_history(void **state)
{
    struct fixture *f = *state;
    uint32_t number = beck_partition_topic(f->partition)->number;
    (void)lose_power(f);
    assert_int_equal(epoch_count(f, number), 1);
    must(beck_topic_delete(f->store, "t", &f->error), &f->error);
    assert_int_equal(epoch_count(f, number), 0);
}

/* Epochs from 1 on, each of ten offsets. */
static void put_epochs(struct fixture *f, uint32_t count, int64_t log_start_offset)
{
    MDB_txn *txn;
    must(db_begin(&f->store->meta, true, &txn, &f->error), &f->error);
    for (uint32_t i = 1; i <= count; i++)
        assert_int_equal(
            epochs_put(&f->store->meta, txn, 77, 0, i, 10 * (int64_t)i, log_start_offset), 0);
    must(db_commit(&f->store->meta, txn, &f->error), &f->error);
}

static void the_oldest_of_too_many_epochs_are_forgotten(void **state)
{
    struct fixture *f = *state;
    put_epochs(f, EPOCHS_MAX + 5, 0);
    assert_int_equal(epoch_count(f, 77), EPOCHS_MAX);
}

static void epochs_below_the_log_start_are_forgotten(void **state)
{
    struct fixture *f = *state;
    put_epochs(f, 10, 70); /* 7 begins there */
    assert_int_equal(epoch_count(f, 77), 4);
}

/* Batches of each epoch, and what they may say of themselves. */
static void each_batch_is_held_against_the_history(void **state)
{
    struct fixture *f = *state;
    struct epoch_history history;
    int64_t first = lose_power(f);
    int64_t second = lose_power(f);
    must_append(f->partition, "v", BECK_ACKS_LEADER);
    assert_int_equal(verify_count(f->store, NULL), 0);
    MDB_txn *txn = NULL;
    must(db_begin(&f->store->meta, false, &txn, NULL), NULL);
    must(epoch_history_load(&history, &f->store->meta, txn, 1, 0), NULL);
    assert_int_equal(epoch_history_load(&(struct epoch_history){0}, &f->store->meta, txn, 1, 1),
                     -ENOENT);
    mdb_txn_abort(txn);
    assert_int_equal(epoch_history_at(&history, 0), 0);
    assert_int_equal(epoch_history_at(&history, first - 1), 0);
    assert_int_equal(epoch_history_at(&history, first), 1);
    assert_int_equal(epoch_history_at(&history, second - 1), 1);
    assert_int_equal(epoch_history_at(&history, second), 2);
    assert_true(epoch_history_allows(&history, second, 2));
    assert_false(epoch_history_allows(&history, second, 1));
    assert_false(epoch_history_allows(&history, first, -1));
    epoch_history_done(&history);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_epoch_ends_where_the_log_does),
        TEST(each_batch_is_held_against_the_history),
        TEST(epochs_that_have_not_begun_are_not_known),
        TEST(an_epoch_ends_where_the_next_begins),
        TEST(a_topic_tells_the_epochs_of_its_partitions),
        TEST(a_clean_close_begins_no_epoch),
        TEST(history_is_found_again_in_the_batches),
        TEST(history_is_found_again_without_the_index),
        TEST(one_wrong_epoch_is_not_believed),
        TEST(no_epoch_begins_below_what_is_behind_damage),
        TEST(no_epoch_begins_below_what_is_behind_damage_without_the_index),
        TEST(no_epoch_begins_below_damage_that_ends_the_log),
        TEST(history_is_not_made_of_half_of_the_batches),
        TEST(the_begin_of_the_newest_epoch_is_found_again),
        TEST(a_deleted_topic_leaves_no_history),
        TEST(the_oldest_of_too_many_epochs_are_forgotten),
        TEST(epochs_below_the_log_start_are_forgotten),
    };
    return cmocka_run_group_tests_name("store/epochs", tests, NULL, NULL);
}
