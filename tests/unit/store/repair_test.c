/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: each thing that may be lost or damaged is told of, nothing is touched by looking, and
 * what was there before is there again. What goes is kept; offsets are never used again.
 */
#include "fault_io.h"
#include "partition.h"
#include "repair.h"
#include "store.h"
#include "store_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- running it ----------------------------------------------------------------------------- */

static struct beck_repair_step steps[64];
static unsigned step_count;
static struct beck_repair_totals totals;

static int note_step(void *context, const struct beck_repair_step *step)
{
    (void)context;
    if (step_count < 64)
        steps[step_count++] = *step;
    return 0;
}

static int repair(struct fixture *fixture, unsigned flags)
{
    step_count = 0;
    memset(&totals, 0, sizeof(totals));
    return beck_store_repair(fixture->path, flags, &fixture_options, note_step, NULL, &totals,
                             &fixture->error);
}

static bool has_step(enum beck_repair_kind kind, const char *in_file)
{
    for (unsigned i = 0; i < step_count; i++)
        if (steps[i].kind == kind && strstr(steps[i].file, in_file))
            return true;
    return false;
}

static void print_steps(void)
{
    for (unsigned i = 0; i < step_count; i++)
        print_message("%d %s %s %d %lld %lld: %s\n", (int)steps[i].kind, steps[i].file,
                      steps[i].topic, (int)steps[i].partition, (long long)steps[i].byte,
                      (long long)steps[i].bytes, steps[i].what);
}

/* There is nothing to be done. */
static void assert_sound(struct fixture *fixture)
{
    int r = repair(fixture, 0);
    if (r != 0)
        print_steps();
    assert_int_equal(must(r, &fixture->error), 0);
    assert_int_equal(step_count, 0);
}

/* Looking says so much and changes nothing; doing does it, and then there is nothing to be done. */
static void assert_repaired(struct fixture *fixture, unsigned flags, uint32_t expected)
{
    assert_int_equal(must(repair(fixture, flags), &fixture->error), 1);
    if (totals.to_do != expected)
        print_steps();
    assert_int_equal(totals.to_do, expected);
    assert_int_equal(totals.done, 0);
    assert_string_equal(totals.side, "");
    ssize_t r = must(repair(fixture, flags | BECK_REPAIR_EXECUTE), &fixture->error);
    if (r != 0)
        print_steps();
    assert_int_equal(r, 0);
    assert_int_equal(totals.done, expected);
    assert_int_equal(totals.to_do, 0);
    assert_int_equal(totals.left, 0);
}

static void side_file(const struct fixture *fixture, const char *name, char to[PATH_MAX])
{
    (void)snprintf(to, PATH_MAX, "%s/%s/%s", fixture->path, totals.side, name);
}

/* ---- stores --------------------------------------------------------------------------------- */

static int64_t one_batch;

/* Ten records of one size and another topic, closed cleanly. */
static void leave_ten(struct fixture *fixture)
{
    must_create_topic(fixture->store, "other", 2, "max.message.bytes", "4242");
    struct beck_partition *other = must_open_partition(fixture->store, "other", 1);
    must_append(other, "other", BECK_ACKS_LEADER);
    beck_partition_close(other);
    one_batch = fixture_leave_ten(fixture);
}

/* All ten records are there, nothing is damaged, and appending goes on behind them. */
static void assert_ten(struct fixture *fixture)
{
    char value[32];
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 10);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(value, sizeof(value), "record %d", i);
        assert_value(fixture->partition, i, value);
    }
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    int64_t offset = must_append(fixture->partition, "next", BECK_ACKS_LEADER);
    assert_true(offset >= 10);
    assert_value(fixture->partition, offset, "next");
    struct beck_partition *other = must_open_partition(fixture->store, "other", 1);
    assert_value(other, 0, "other");
    beck_partition_close(other);
}

static void remove_store_file(struct fixture *fixture, const char *name)
{
    char path[PATH_MAX];
    store_file(fixture, name, path);
    assert_int_equal(unlink(path), 0);
}

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

static void assert_topics(struct fixture *fixture)
{
    struct beck_topic topic;
    struct beck_config_entry entry;
    bool found = false;
    must(beck_topic_find(fixture->store, "other", &topic, &fixture->error), &fixture->error);
    assert_int_equal(topic.partition_count, 2);
    for (uint32_t i = 0;
         !found && beck_topic_config(fixture->store, "other", i, &entry, &fixture->error) == 1; i++)
        found = strcmp(entry.name, "max.message.bytes") == 0 && strcmp(entry.value, "4242") == 0;
    assert_true(found);
    must_create_topic(fixture->store, "new", 1, NULL, NULL);
    struct beck_topic made;
    must(beck_topic_find(fixture->store, "new", &made, &fixture->error), &fixture->error);
    assert_true(made.number > topic.number);
}

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
        TEST(a_torn_end_is_kept_and_cut_off),
        TEST(damage_in_the_middle_stays_unless_it_is_to_be_dropped),
        TEST(damage_in_the_middle_is_dropped_and_kept),
        TEST(a_wrong_base_offset_costs_its_batch_alone),
        TEST(the_last_records_dropped_are_no_offsets_for_others),
        TEST(a_missing_segment_stays_missed_unless_it_is_to_be_dropped),
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
