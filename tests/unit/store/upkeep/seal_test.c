/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of complete segments: which get one, which do not, and who takes them. */
#include "fault_io.h"
#include "index.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define VALUE_BYTES 90000
#define VALUES      30 /* two complete segments of 1 MiB, and a third that is written to */

static void append_values(struct fixture *fixture)
{
    for (unsigned i = 0; i < VALUES; i++)
        must_append_bytes(fixture->partition, VALUE_BYTES, i, BECK_ACKS_LEADER);
}

static int setup_segments(void **state)
{
    uint32_t next_ms;
    setup_store(state);
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    append_values(fixture);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    return 0;
}

static int clean(struct fixture *fixture)
{
    uint32_t next_ms;
    return beck_store_clean(fixture->store, NULL, NULL, &next_ms, &fixture->error);
}

struct found {
    struct segment_record segments[8];
    size_t count;
};

static int note(void *context, const struct segment_record *segment)
{
    struct found *found = context;
    assert_true(found->count < 8);
    found->segments[found->count++] = *segment;
    return 0;
}

static struct found catalogue(struct beck_store *store, uint32_t topic_number)
{
    struct found found = {.count = 0};
    MDB_txn *txn;
    must(db_begin(&store->index, false, &txn, NULL), NULL);
    must(index_segments(&store->index, txn, topic_number, 0, note, &found), NULL);
    db_abortp(&txn);
    return found;
}

static int count_digests(struct fixture *fixture)
{
    struct found found = catalogue(fixture->store, 1);
    int count = 0;
    for (size_t i = 0; i < found.count; i++)
        count += found.segments[i].has_digest;
    return count;
}

/* ---- which get one ------------------------------------------------------------------------- */

static void complete_segments_get_the_digest_of_their_file(void **state)
{
    struct fixture *fixture = *state;
    must(clean(fixture), &fixture->error);
    struct found found = catalogue(fixture->store, 1);
    assert_int_equal(found.count, 2);
    for (size_t i = 0; i < found.count; i++) {
        char path[PATH_MAX];
        size_t size;
        XXH128_canonical_t expected;
        segment_path(fixture, "t", 0, (int)i, path);
        char *bytes = file_read(path, &size);
        XXH128_canonicalFromHash(&expected, XXH3_128bits(bytes, size));
        free(bytes);
        assert_true(found.segments[i].has_digest);
        assert_memory_equal(found.segments[i].digest, expected.digest, 16);
    }
}

static void digests_last(void **state)
{
    struct fixture *fixture = *state;
    must(clean(fixture), &fixture->error);
    fixture_reopen(fixture);
    assert_int_equal(count_digests(fixture), 2);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void more_segments_than_one_commit_has_are_all_sealed(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    must_create_topic(fixture->store, "small", 1, "segment.ms", "1");
    struct beck_partition *partition = must_open_partition(fixture->store, "small", 0);
    for (int i = 0; i < 150; i++) {
        must_append(partition, "one", BECK_ACKS_LEADER);
        usleep(2000); /* so that the next append rolls: how many do matters little */
        if (i % 5 == 0)
            must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error),
                 &fixture->error);
    }
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must(clean(fixture), &fixture->error);
    assert_true(segment_count(fixture, "small", 0) > 64);
    MDB_txn *txn;
    MDB_stat stat;
    must(db_begin(&fixture->store->index, false, &txn, NULL), NULL);
    assert_int_equal(mdb_stat(txn, fixture->store->index.dbis[INDEX_SEGMENTS], &stat), 0);
    struct segment_record segment;
    size_t sealed = 0;
    for (int64_t base = 0; base < 150; base++)
        if (index_segment_get(&fixture->store->index, txn, 2, 0, base, &segment) == 0)
            sealed += segment.has_digest;
    db_abortp(&txn);
    assert_int_equal(sealed + 2, stat.ms_entries); /* two are topic t's */
    beck_partition_close(partition);
}

/* ---- which do not -------------------------------------------------------------------------- */

static void a_damaged_segment_gets_none_and_is_named(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 100000);
    assert_int_equal(clean(fixture), -EBADMSG);
    assert_string_equal(fixture->error.topic, "t");
    assert_int_equal(fixture->error.partition, 0);
    assert_int_equal(count_digests(fixture), 0);
}

static void the_next_run_passes_over_a_damaged_segment(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 100000);
    assert_int_equal(clean(fixture), -EBADMSG);
    must(clean(fixture), &fixture->error);
    assert_int_equal(count_digests(fixture), 1);
    assert_false(catalogue(fixture->store, 1).segments[0].has_digest);
}

static void a_damaged_segment_is_tried_again_when_its_time_is_over(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 100000);
    assert_int_equal(clean(fixture), -EBADMSG);
    file_flip(path, 100000);
    fixture->store->seal_refused[0].until_ms = store_monotonic_ms();
    must(clean(fixture), &fixture->error);
    assert_int_equal(count_digests(fixture), 2);
}

/* No CRC covers it. */
static void a_segment_whose_offsets_do_not_rise_gets_none(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 1, path);
    file_flip(path, 7);
    assert_int_equal(clean(fixture), -EBADMSG);
    assert_int_equal(count_digests(fixture), 1);
}

static void a_segment_that_is_longer_than_its_record_gets_none(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 1, path);
    file_append(path, "x", 1);
    assert_int_equal(clean(fixture), -EBADMSG);
    assert_int_equal(count_digests(fixture), 1);
}

static void a_disk_that_cannot_be_read_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    fixture_close(fixture);
    fault_io_init(&fault);
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fault_io_arm(&fault, 4, -EIO); /* after the lock, the opening and the size: a read */
    assert_int_equal(clean(fixture), -EIO);
    must(clean(fixture), &fixture->error);
    assert_int_equal(count_digests(fixture), 1);
    fixture_close(fixture);
}

/* ---- while others go on -------------------------------------------------------------------- */

static int delete_topic(struct fault_io *fault, const struct fault_what *what)
{
    struct fixture *fixture = fault->context;
    if (what->call == FAULT_READ) {
        fault->hook = NULL;
        must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    }
    return 0;
}

static void a_topic_that_is_deleted_meanwhile_does_not_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    fixture_close(fixture);
    fault_io_init(&fault);
    fault.context = fixture;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fault.hook = delete_topic;
    must(clean(fixture), &fixture->error);
    assert_null(fault.hook);
    assert_int_equal(catalogue(fixture->store, 1).count, 0);
    fixture_close(fixture);
}

static bool at_once(void *context)
{
    (*(int *)context)++;
    return true;
}

static void a_run_ends_when_it_is_told_to_stop(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    int asked = 0;
    must(beck_store_clean(fixture->store, at_once, &asked, &next_ms, &fixture->error),
         &fixture->error);
    assert_int_equal(asked, 1);
    assert_int_equal(count_digests(fixture), 0);
}

static void only_one_process_cleans(void **state)
{
    struct fixture *fixture = *state;
    struct flock range = {.l_type = F_WRLCK, .l_start = LIVE_LOCK_CLEANER, .l_len = 1};
    char path[PATH_MAX];
    store_file(fixture, STORE_PATH_LIVE, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
    must(clean(fixture), &fixture->error);
    assert_int_equal(count_digests(fixture), 0);
    (void)close(fd);
    must(clean(fixture), &fixture->error);
    assert_int_equal(count_digests(fixture), 2);
}

static bool clean_again(void *context)
{
    struct fixture *fixture = context;
    must(clean(fixture), &fixture->error);
    assert_int_equal(count_digests(fixture), 0);
    return false;
}

static void only_one_thread_of_a_process_cleans(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    must(beck_store_clean(fixture->store, clean_again, fixture, &next_ms, &fixture->error),
         &fixture->error);
    assert_int_equal(count_digests(fixture), 2);
}

static void who_may_only_read_cannot_clean(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    assert_int_equal(clean(fixture), -EROFS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(complete_segments_get_the_digest_of_their_file),
        TEST(digests_last),
        TEST(more_segments_than_one_commit_has_are_all_sealed),
        TEST(a_damaged_segment_gets_none_and_is_named),
        TEST(the_next_run_passes_over_a_damaged_segment),
        TEST(a_damaged_segment_is_tried_again_when_its_time_is_over),
        TEST(a_segment_whose_offsets_do_not_rise_gets_none),
        TEST(a_segment_that_is_longer_than_its_record_gets_none),
        TEST(a_disk_that_cannot_be_read_is_told),
        TEST(a_topic_that_is_deleted_meanwhile_does_not_come_back),
        TEST(a_run_ends_when_it_is_told_to_stop),
        TEST(only_one_process_cleans),
        TEST(only_one_thread_of_a_process_cleans),
        TEST(who_may_only_read_cannot_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
