/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair of meta.mdb and index.mdb: lost, damaged or both, they are made anew out of what else says
 * the same, and nothing is taken for lost that the disk only refuses to read.
 */
#include "repair_fixture.h"

#include "fault_io.h"
#include "partition.h"

#include <errno.h>
#include <stdlib.h>

/* ---- index.mdb ------------------------------------------------------------------------------ */

static void a_lost_index_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    remove_store_file(fixture, STORE_PATH_INDEX);
    assert_repaired(fixture, 0, 1);
    assert_sound(fixture);
    assert_ten(fixture);
}

static void a_damaged_index_is_kept_and_made_anew(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    file_write(path, "no LMDB file at all", 19);
    assert_repaired(fixture, 0, 1);
    side_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(file_size(path), 19);
    assert_sound(fixture);
    assert_ten(fixture);
}

static void a_damaged_list_of_segments_is_made_anew_for_its_partition_only(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition *other;
    struct db_key key;
    MDB_txn *txn;
    fixture_close(fixture);
    fixture_open(fixture);
    leave_ten(fixture);
    fixture_open(fixture);
    /* A checkpoint whose checksum is wrong. */
    key = db_key_partition(fixture->partition->topic.number, 0);
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val v;
    char bytes[256];
    must(db_begin(&fixture->store->index, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_get(txn, fixture->store->index.dbis[INDEX_CHECKPOINTS], &k, &v), 0);
    memcpy(bytes, v.mv_data, v.mv_size);
    bytes[10] ^= 1;
    v.mv_data = bytes;
    assert_int_equal(mdb_put(txn, fixture->store->index.dbis[INDEX_CHECKPOINTS], &k, &v, 0), 0);
    must(db_commit(&fixture->store->index, txn, &fixture->error), &fixture->error);
    fixture_close(fixture);
    assert_repaired(fixture, 0, 1);
    assert_string_equal(steps[0].topic, "t");
    assert_sound(fixture);
    assert_ten(fixture);
    other = must_open_partition(fixture->store, "other", 1);
    assert_int_equal(must_state(other).next_offset, 1);
    assert_int_equal(must_state(other).leader_epoch, 0);
    beck_partition_close(other);
}

static void offsets_go_on_behind_all_when_the_index_is_lost(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    remove_store_file(fixture, STORE_PATH_INDEX);
    file_cut(path, 3 * one_batch); /* nobody knows of these any more */
    must(repair(fixture, BECK_REPAIR_EXECUTE), &fixture->error);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 7);
    assert_true(must_append(fixture->partition, "next", BECK_ACKS_LEADER) >= 10);
    assert_true(must_state(fixture->partition).leader_epoch > 0);
}

/* ---- meta.mdb ------------------------------------------------------------------------------- */

static void a_lost_meta_is_made_anew_from_the_topics_files(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    remove_store_file(fixture, STORE_PATH_META_COPY);
    assert_repaired(fixture, 0, 1);
    assert_sound(fixture);
    assert_ten(fixture);
    assert_topics(fixture);
    assert_true(must_state(fixture->partition).leader_epoch > 0);
}

static void a_damaged_meta_is_kept_and_made_anew(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_ten(fixture);
    store_file(fixture, STORE_PATH_META, path);
    file_write(path, "no LMDB file at all", 19);
    assert_repaired(fixture, 0, 1);
    side_file(fixture, STORE_PATH_META, path);
    assert_int_equal(file_size(path), 19);
    assert_ten(fixture);
    assert_topics(fixture);
}

static void both_databases_lost_are_made_anew(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    remove_store_file(fixture, STORE_PATH_META_COPY);
    remove_store_file(fixture, STORE_PATH_INDEX);
    remove_store_file(fixture, STORE_PATH_LIVE);
    assert_repaired(fixture, 0, 2);
    assert_sound(fixture);
    assert_ten(fixture);
    assert_topics(fixture);
}

static void copy_meta(struct fixture *fixture)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    size_t size;
    store_file(fixture, STORE_PATH_META, from);
    store_file(fixture, STORE_PATH_META_COPY, to);
    char *bytes = file_read(from, &size);
    file_write(to, bytes, size);
    free(bytes);
}

static void the_copy_of_meta_is_brought_up_to_date(void **state)
{
    struct fixture *fixture = *state;
    struct beck_store_info before;
    struct beck_store_info after;
    struct beck_topic topic;
    must_create_topic(fixture->store, "gone", 1, NULL, NULL);
    must(beck_topic_set_access(fixture->store, "t", 11, 12, 0700, &fixture->error),
         &fixture->error);
    must(beck_store_info(fixture->store, &before, &fixture->error), &fixture->error);
    fixture_close(fixture);
    copy_meta(fixture);
    fixture_open(fixture);
    must(beck_topic_delete(fixture->store, "gone", &fixture->error), &fixture->error);
    leave_ten(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    assert_repaired(fixture, 0, 1);
    assert_ten(fixture);
    assert_topics(fixture);
    must(beck_store_info(fixture->store, &after, &fixture->error), &fixture->error);
    assert_memory_equal(before.id, after.id, BECK_ID_BYTES);
    assert_int_equal(beck_topic_find(fixture->store, "gone", &topic, NULL), -ENOENT);
    must(beck_topic_find(fixture->store, "t", &topic, &fixture->error), &fixture->error);
    assert_int_equal(topic.uid, 11);
    assert_int_equal(topic.mode, 0700);
}

static void one_damaged_record_of_meta_costs_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct beck_store_info before;
    struct beck_store_info after;
    struct beck_topic topic;
    char path[PATH_MAX];
    size_t size;
    must(beck_topic_set_access(fixture->store, "t", 11, 12, 0700, &fixture->error),
         &fixture->error);
    must(beck_store_info(fixture->store, &before, &fixture->error), &fixture->error);
    leave_ten(fixture);
    store_file(fixture, STORE_PATH_META, path);
    char *bytes = file_read(path, &size);
    /* The setting's value, which stands in no other record, wherever it is. */
    for (size_t i = 0; i + 4 <= size; i++)
        if (memcmp(bytes + i, "4242", 4) == 0)
            bytes[i] = '5';
    file_write(path, bytes, size);
    free(bytes);
    assert_repaired(fixture, 0, 1);
    assert_ten(fixture);
    assert_topics(fixture);
    must(beck_store_info(fixture->store, &after, &fixture->error), &fixture->error);
    assert_memory_equal(before.id, after.id, BECK_ID_BYTES);
    must(beck_topic_find(fixture->store, "t", &topic, &fixture->error), &fixture->error);
    assert_int_equal(topic.uid, 11);
    assert_int_equal(must_state(fixture->partition).leader_epoch, 0);
}

static void committed_offsets_are_in_the_copy(void **state)
{
    struct fixture *fixture = *state;
    struct beck_offset offset;
    struct beck_offset_commit commit = {.group = "group",
                                        .group_size = 5,
                                        .topic = "t",
                                        .offset = 7,
                                        .leader_epoch = -1,
                                        .expire_ms = -1};
    leave_ten(fixture);
    fixture_open(fixture);
    must(beck_offsets_commit(fixture->store, &commit, 1, &fixture->error), &fixture->error);
    fixture_close(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    assert_repaired(fixture, 0, 1);
    fixture_open(fixture);
    assert_int_equal(
        must(beck_offset_fetch(fixture->store, "group", 5, "t", 0, &offset, &fixture->error),
             &fixture->error),
        1);
    assert_int_equal(offset.offset, 7);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void client_quotas_are_in_the_copy(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found = {.set = 0};
    const struct beck_quota quota = {
        .parts[BECK_QUOTA_USER] = {.match = BECK_QUOTA_DEFAULT},
        .set = 1U << BECK_QUOTA_CONSUMER_BYTE_RATE,
        .values[BECK_QUOTA_CONSUMER_BYTE_RATE] = 7.0,
    };
    leave_ten(fixture);
    fixture_open(fixture);
    must(beck_quotas_put(fixture->store, &quota, 1, &fixture->error), &fixture->error);
    fixture_close(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    assert_repaired(fixture, 0, 1);
    fixture_open(fixture);
    assert_int_equal(
        must(beck_quota_next(fixture->store, &found, &fixture->error), &fixture->error), 1);
    assert_int_equal(found.parts[BECK_QUOTA_USER].match, BECK_QUOTA_DEFAULT);
    assert_int_equal(found.set, quota.set);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* ---- what the disk refuses ------------------------------------------------------------------ */

/* Opening any file or folder whose name ends so fails. */
static int refuse_open(struct fault_io *fault, const struct fault_what *what)
{
    return fault_is(what, FAULT_OPEN, fault->context) ? -EIO : 0;
}

/* The store that a repair of could not read something is as it was, and can be repaired later. */
static void assert_refused(struct fixture *fixture, const char *name)
{
    struct fault_io fault;
    fault_io_init(&fault);
    fault.hook = refuse_open;
    fault.context = (void *)(uintptr_t)name;
    assert_int_equal(repair_store(fixture->path, BECK_REPAIR_EXECUTE, &fixture_options, note_step,
                                  NULL, &fault.io, &totals, &fixture->error),
                     -EIO);
    assert_non_null(strstr(fixture->error.message, name));
    assert_int_equal(totals.done, 0);
    must(repair(fixture, BECK_REPAIR_EXECUTE), &fixture->error);
    assert_ten(fixture);
    assert_topics(fixture);
}

static void a_topic_whose_file_cannot_be_read_is_not_forgotten(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    remove_store_file(fixture, STORE_PATH_META);
    remove_store_file(fixture, STORE_PATH_META_COPY);
    assert_refused(fixture, "/topic");
}

static void a_topic_whose_folder_cannot_be_opened_is_not_forgotten(void **state)
{
    struct fixture *fixture = *state;
    char folder[PATH_MAX];
    leave_ten(fixture);
    partition_folder(fixture, "other", 0, folder);
    *strrchr(folder, '/') = '\0';
    remove_store_file(fixture, STORE_PATH_META);
    assert_refused(fixture, strrchr(folder, '/') + 1);
}

static void a_topics_file_that_cannot_be_read_is_not_replaced(void **state)
{
    struct fixture *fixture = *state;
    leave_ten(fixture);
    assert_refused(fixture, "/topic");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lost_index_is_made_anew),
        TEST(a_damaged_index_is_kept_and_made_anew),
        TEST(a_damaged_list_of_segments_is_made_anew_for_its_partition_only),
        TEST(offsets_go_on_behind_all_when_the_index_is_lost),
        TEST(a_lost_meta_is_made_anew_from_the_topics_files),
        TEST(a_damaged_meta_is_kept_and_made_anew),
        TEST(both_databases_lost_are_made_anew),
        TEST(the_copy_of_meta_is_brought_up_to_date),
        TEST(one_damaged_record_of_meta_costs_no_other),
        TEST(committed_offsets_are_in_the_copy),
        TEST(client_quotas_are_in_the_copy),
        TEST(a_topic_whose_file_cannot_be_read_is_not_forgotten),
        TEST(a_topic_whose_folder_cannot_be_opened_is_not_forgotten),
        TEST(a_topics_file_that_cannot_be_read_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
