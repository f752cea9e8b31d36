/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a record becomes visible, what a sync promises, and what a disk that refuses does to a
 * partition.
 */
#include "fault_io.h"
#include "live.h"
#include "partition.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void assert_high(struct fixture *fixture, int64_t high)
{
    assert_int_equal(must_state(fixture->partition).high_watermark, high);
    assert_int_equal(count_records(fixture->partition, 0), high);
}

static void sync_to(struct fixture *fixture, int64_t offset)
{
    must(beck_sync(fixture->partition, offset, &fixture->error), &fixture->error);
}

/* ---- whether anything has moved ------------------------------------------------------------ */

/* Is the number another one than before? */
static bool has_moved(struct fixture *fixture, uint64_t *moves)
{
    uint64_t before = *moves;
    *moves = beck_partition_moves(fixture->partition);
    return *moves != before;
}

static void whatever_moves_can_be_seen_by_a_number(void **state)
{
    struct fixture *fixture = *state;
    uint64_t moves = beck_partition_moves(fixture->partition);
    int64_t begin;
    assert_int_not_equal(moves, 0);
    assert_false(has_moved(fixture, &moves));
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    assert_true(has_moved(fixture, &moves));
    must_append(fixture->partition, "b", BECK_ACKS_ALL);
    assert_true(has_moved(fixture, &moves));
    sync_to(fixture, 2);
    assert_true(has_moved(fixture, &moves));
    must(beck_trim(fixture->partition, 1, &begin, &fixture->error), &fixture->error);
    assert_true(has_moved(fixture, &moves));
    must_state(fixture->partition);
    assert_false(has_moved(fixture, &moves));
}

static void a_deleted_partition_has_no_such_number(void **state)
{
    struct fixture *fixture = *state;
    must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    assert_int_equal(beck_partition_moves(fixture->partition), 0);
}

/* ---- visibility ---------------------------------------------------------------------------- */

static void a_leader_record_is_visible_at_once(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    assert_high(fixture, 1);
    assert_int_equal(must_state(fixture->partition).synced_offset, 0);
}

static void a_record_nobody_listens_for_is_visible_at_once(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "a", BECK_ACKS_NONE);
    assert_high(fixture, 1);
}

static void an_all_record_is_invisible_until_it_is_synced(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    assert_high(fixture, 0);
    assert_int_equal(must_state(fixture->partition).next_offset, 1);
    sync_to(fixture, 1);
    assert_high(fixture, 1);
    assert_int_equal(must_state(fixture->partition).synced_offset, 1);
}

static int append_another(struct fault_io *fault, const struct fault_what *what)
{
    struct fixture *fixture = fault->context;
    if (what->call != FAULT_SYNC_DATA)
        return 0;
    fault->hook = NULL;
    must_append(fixture->partition, "b", BECK_ACKS_ALL);
    return 0;
}

static void an_all_record_that_comes_while_others_are_synced_stays_invisible(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    fixture_close(fixture);
    fault_io_init(&fault);
    fault.context = fixture;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    fault.hook = append_another;
    sync_to(fixture, 1);
    assert_null(fault.hook);
    assert_int_equal(must_state(fixture->partition).next_offset, 2);
    assert_high(fixture, 1);
    sync_to(fixture, 2);
    assert_high(fixture, 2);
    fixture_close(fixture);
}

static void a_roll_shows_no_all_record_that_is_not_synced(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "small", 1, "segment.bytes", "1048576");
    struct beck_partition *partition = must_open_partition(fixture->store, "small", 0);
    for (unsigned i = 0; i < 3; i++)
        must_append_bytes(partition, 500000, i, BECK_ACKS_ALL);
    assert_int_equal(segment_count(fixture, "small", 0), 2);
    assert_int_equal(must_state(partition).high_watermark, 0);
    assert_int_equal(count_records(partition, 0), 0);
    beck_partition_close(partition);
}

static void a_leader_record_waits_for_an_all_record_before_it(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    must_append(fixture->partition, "b", BECK_ACKS_LEADER);
    assert_high(fixture, 0);
    sync_to(fixture, 1);
    assert_high(fixture, 2);
}

static void a_leader_record_before_an_all_record_stays_visible(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    must_append(fixture->partition, "b", BECK_ACKS_ALL);
    assert_high(fixture, 1);
}

static void the_view_ends_where_readers_do(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "abc", BECK_ACKS_LEADER);
    must_append(fixture->partition, "defg", BECK_ACKS_ALL);
    assert_int_equal(must_state(fixture->partition).view_bytes, 4);
    sync_to(fixture, 2);
    assert_int_equal(must_state(fixture->partition).view_bytes, 9);
}

static void what_is_invisible_has_no_time(void **state)
{
    struct fixture *fixture = *state;
    struct beck_error error;
    int64_t offset = -1;
    int64_t timestamp_ms = -1;
    must_append_at(fixture->partition, "early", FIXTURE_TIME);
    must_append(fixture->partition, "now, which is later", BECK_ACKS_ALL);
    assert_int_equal(beck_offset_of_max_time(fixture->partition, &offset, &timestamp_ms, &error),
                     1);
    assert_int_equal(offset, 0);
    assert_int_equal(timestamp_ms, FIXTURE_TIME);
    assert_int_equal(beck_offset_for_time(fixture->partition, FIXTURE_TIME + 1,
                                          BECK_READ_UNCOMMITTED, &offset, &timestamp_ms, &error),
                     0);
}

static void an_all_record_whose_writer_died_comes_to_be_seen(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    must_append(fixture->partition, "b", BECK_ACKS_LEADER);
    for (int i = 0; i < 60 && must_state(fixture->partition).high_watermark < 2; i++) {
        must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error),
             &fixture->error);
        usleep(50000);
    }
    assert_high(fixture, 2);
}

static bool dies_publishing;

void __real_live_tail_publish(struct live_slot *slot, struct live_tail *tail);
void __wrap_live_tail_publish(struct live_slot *slot, struct live_tail *tail);

void __wrap_live_tail_publish(struct live_slot *slot, struct live_tail *tail)
{
    if (dies_publishing)
        (void)raise(SIGKILL);
    __real_live_tail_publish(slot, tail);
}

static void die_syncing(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    must_append(partition, "a", BECK_ACKS_ALL);
    dies_publishing = true;
    (void)beck_sync(partition, 1, &fixture->error);
}

static void what_is_said_to_be_synced_can_be_seen_whoever_dies(void **state)
{
    struct fixture *fixture = *state;
    run_and_kill(die_syncing, fixture);
    sync_to(fixture, 1);
    assert_high(fixture, 1);
}

static void with_flush_policy_os_nothing_waits(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "os", 1, "flush.policy", "os");
    struct beck_partition *partition = must_open_partition(fixture->store, "os", 0);
    must_append(partition, "a", BECK_ACKS_ALL);
    assert_int_equal(must_state(partition).high_watermark, 1);
    must(beck_sync(partition, 1, &fixture->error), &fixture->error);
    assert_int_equal(must_state(partition).synced_offset, 0);
    beck_partition_close(partition);
}

/* ---- syncs --------------------------------------------------------------------------------- */

/* The store again, with a say in its calls. */
static void reopen_with(struct fixture *fixture, struct fault_io *fault)
{
    fixture_close(fixture);
    fault_io_init(fault);
    fixture->store = must_open_io(fixture->path, 0, &fault->io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
}

struct counts {
    atomic_uint data;
    atomic_uint folders;
    atomic_int delay_usec;
    atomic_int code;
};

static int count_syncs(struct fault_io *fault, const struct fault_what *what)
{
    struct counts *counts = fault->context;
    if (what->call == FAULT_SYNC)
        atomic_fetch_add(&counts->folders, 1);
    if (what->call != FAULT_SYNC_DATA)
        return 0;
    atomic_fetch_add(&counts->data, 1);
    if (atomic_load(&counts->delay_usec) > 0)
        usleep((useconds_t)atomic_load(&counts->delay_usec));
    return atomic_load(&counts->code);
}

static void what_is_synced_is_not_synced_again(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {0};
    reopen_with(fixture, &fault);
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    fault.context = &counts;
    fault.hook = count_syncs;
    sync_to(fixture, 1);
    assert_int_equal(counts.data, 1);
    sync_to(fixture, 1);
    sync_to(fixture, 0);
    assert_int_equal(counts.data, 1);
    fixture_close(fixture);
}

static void a_new_file_is_synced_with_its_folder(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {0};
    reopen_with(fixture, &fault);
    fault.context = &counts;
    fault.hook = count_syncs;
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    sync_to(fixture, 1);
    assert_int_equal(counts.folders, 1);
    must_append(fixture->partition, "b", BECK_ACKS_ALL);
    sync_to(fixture, 2);
    assert_int_equal(counts.folders, 1);
    assert_int_equal(counts.data, 2);
    fixture_close(fixture);
}

struct appender {
    struct fixture *fixture;
    uint32_t count;
};

static void *append_and_sync(void *context)
{
    const struct appender *appender = context;
    struct beck_error error;
    for (uint32_t i = 0; i < appender->count; i++) {
        int64_t offset = must_append(appender->fixture->partition, "x", BECK_ACKS_ALL);
        must(beck_sync(appender->fixture->partition, offset + 1, &error), &error);
        if (must_state(appender->fixture->partition).synced_offset <= offset)
            return (void *)1;
    }
    return NULL;
}

static void one_sync_serves_all_who_wait(void **state)
{
    enum { THREADS = 16, EACH = 20 };
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {.delay_usec = 3000};
    pthread_t threads[THREADS];
    struct appender appender = {fixture, EACH};
    reopen_with(fixture, &fault);
    fault.context = &counts;
    fault.hook = count_syncs;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_and_sync, &appender), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_high(fixture, THREADS * EACH);
    assert_true(counts.data < THREADS * EACH / 3);
    fixture_close(fixture);
}

static void a_sync_across_a_roll_syncs_the_older_file_too(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {0};
    must_create_topic(fixture->store, "small", 1, "segment.bytes", "1048576");
    reopen_with(fixture, &fault);
    struct beck_partition *partition = must_open_partition(fixture->store, "small", 0);
    for (unsigned i = 0; i < 25; i++)
        must_append_bytes(partition, 100000, i, BECK_ACKS_ALL);
    fault.context = &counts;
    fault.hook = count_syncs;
    must(beck_sync(partition, 25, &fixture->error), &fixture->error);
    assert_int_equal(counts.data, segment_count(fixture, "small", 0));
    assert_true(counts.data > 1);
    beck_partition_close(partition);
    fixture_close(fixture);
}

/* ---- disks that refuse --------------------------------------------------------------------- */

static void a_refused_sync_acknowledges_nothing_and_fails_the_partition_for_all(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {.code = -EIO};
    struct beck_append_result result;
    struct beck_record record = {.key_size = -1, .value = "b", .value_size = 1};
    reopen_with(fixture, &fault);
    fault.context = &counts;
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    fault.hook = count_syncs;
    assert_int_equal(beck_sync(fixture->partition, 1, &fixture->error), -EIO);
    assert_string_equal(fixture->error.topic, "t");
    assert_int_equal(must_state(fixture->partition).high_watermark, 0);
    assert_true(must_state(fixture->partition).failed);
    counts.code = 0; /* a later sync might report success for pages that were lost */
    assert_int_equal(beck_sync(fixture->partition, 1, &fixture->error), -EIO);
    assert_int_equal(counts.data, 1);
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &fixture->error),
        -EIO);
    assert_int_equal(must_state(fixture->partition).high_watermark, 0);
    fault.hook = NULL;
    fixture_close(fixture);
}

static int append_is_refused(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    struct beck_record record = {.key_size = -1, .value = "c", .value_size = 1};
    struct beck_append_result result;
    int r = beck_produce(partition, &record, 1, BECK_ACKS_ALL, &result, &fixture->error);
    return r == -EIO ? 42 : 1;
}

static void other_processes_are_told_of_a_refused_sync(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {.code = -EIO};
    reopen_with(fixture, &fault);
    fault.context = &counts;
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    fault.hook = count_syncs;
    assert_int_equal(beck_sync(fixture->partition, 1, &fixture->error), -EIO);
    assert_int_equal(run_in_child(append_is_refused, fixture), 42);
    fault.hook = NULL;
    fixture_close(fixture);
}

static void a_refused_sync_is_got_over_by_opening_anew(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct counts counts = {.code = -EIO};
    reopen_with(fixture, &fault);
    fault.context = &counts;
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    fault.hook = count_syncs;
    assert_int_equal(beck_sync(fixture->partition, 1, &fixture->error), -EIO);
    fault.hook = NULL;
    fixture_reopen(fixture);
    assert_false(must_state(fixture->partition).failed);
    int64_t offset = must_append(fixture->partition, "b", BECK_ACKS_ALL);
    sync_to(fixture, offset + 1);
    assert_value(fixture->partition, offset, "b");
    fixture_close(fixture);
}

static int refuse_syncs_and_cuts(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    return what->call == FAULT_SYNC_DATA || what->call == FAULT_TRUNCATE ? -EIO : 0;
}

static void die_appending(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    (void)fixture;
    (void)live_lock(&partition->slot->append_mutex);
}

/* Nor can it be cut behind what somebody else was appending. */
static void a_refused_sync_fails_the_partition_whoever_appends(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    reopen_with(fixture, &fault);
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    run_and_kill(die_appending, fixture);
    fault.hook = refuse_syncs_and_cuts;
    int first = beck_sync(fixture->partition, 1, &fixture->error);
    fault.hook = NULL;
    int second = beck_sync(fixture->partition, 1, &fixture->error);
    fixture_close(fixture);
    assert_int_equal(first, -EIO);
    assert_int_equal(second, -EIO);
}

static int refuse_folders(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    return what->call == FAULT_OPEN && !strstr(what->name, ".log") ? -EMFILE : 0;
}

static void too_many_open_files_are_no_failure_of_the_disk(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    reopen_with(fixture, &fault);
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    fault.hook = refuse_folders;
    assert_true(beck_sync(fixture->partition, 1, &fixture->error) < 0);
    assert_false(must_state(fixture->partition).failed);
    assert_int_equal(must_state(fixture->partition).high_watermark, 0);
    fault.hook = NULL;
    sync_to(fixture, 1);
    assert_high(fixture, 1);
    fixture_close(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whatever_moves_can_be_seen_by_a_number),
        TEST(a_deleted_partition_has_no_such_number),
        TEST(a_leader_record_is_visible_at_once),
        TEST(a_record_nobody_listens_for_is_visible_at_once),
        TEST(an_all_record_is_invisible_until_it_is_synced),
        TEST(an_all_record_that_comes_while_others_are_synced_stays_invisible),
        TEST(a_roll_shows_no_all_record_that_is_not_synced),
        TEST(a_leader_record_waits_for_an_all_record_before_it),
        TEST(a_leader_record_before_an_all_record_stays_visible),
        TEST(the_view_ends_where_readers_do),
        TEST(what_is_invisible_has_no_time),
        TEST(an_all_record_whose_writer_died_comes_to_be_seen),
        TEST(what_is_said_to_be_synced_can_be_seen_whoever_dies),
        TEST(with_flush_policy_os_nothing_waits),
        TEST(what_is_synced_is_not_synced_again),
        TEST(a_new_file_is_synced_with_its_folder),
        TEST(one_sync_serves_all_who_wait),
        TEST(a_sync_across_a_roll_syncs_the_older_file_too),
        TEST(a_refused_sync_acknowledges_nothing_and_fails_the_partition_for_all),
        TEST(a_refused_sync_fails_the_partition_whoever_appends),
        TEST(other_processes_are_told_of_a_refused_sync),
        TEST(a_refused_sync_is_got_over_by_opening_anew),
        TEST(too_many_open_files_are_no_failure_of_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
