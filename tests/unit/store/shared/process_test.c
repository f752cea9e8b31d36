/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has the store open, who has which role and lock, who waits for what; and what of a partition
 * is not synced or checkpointed yet.
 */
#include "process.h"
#include "store.h"
#include "store_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The process with this id in the table. */
static bool find_process(struct beck_store *store, pid_t pid, struct beck_process *ret_process)
{
    struct beck_error error;
    uint32_t position = 0;
    while (must(beck_store_process_next(store, &position, ret_process, &error), &error) == 1)
        if (ret_process->pid == pid)
            return true;
    return false;
}

static int count_processes(struct beck_store *store)
{
    struct beck_process process;
    uint32_t position = 0;
    int count = 0;
    while (beck_store_process_next(store, &position, &process, NULL) == 1)
        count++;
    return count;
}

static void we_are_in_the_table(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    char name[16] = "";
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_int_equal(count_processes(fixture->store), 1);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_string_equal(process.name, name);
    assert_true(process.started_ms > 0);
    assert_true(process.opened_ms <= store_now_ms());
    assert_false(process.is_broker || process.is_cleaner || process.is_maintaining);
    assert_false(process.has_doorbell);
}

/* A child that has the store open until it is told to go. */
struct other {
    pid_t pid;
    int ready[2];
    int leave[2];
};

static void other_begin(struct fixture *fixture, struct other *other, bool holds_lock)
{
    char byte;
    assert_int_equal(pipe(other->ready), 0);
    assert_int_equal(pipe(other->leave), 0);
    other->pid = fork();
    if (other->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(other->leave[1]);
        struct beck_store *store = must_open(fixture->path, 0);
        if (holds_lock)
            (void)live_lock(&live_slot(&store->live, 1)->append_mutex);
        (void)!write(other->ready[1], "", 1);
        (void)!read(other->leave[0], &byte, 1);
        if (!holds_lock)
            beck_store_close(store);
        _exit(0);
    }
    assert_true(other->pid > 0);
    assert_int_equal(read(other->ready[0], &byte, 1), 1);
}

static void other_end(struct other *other, bool kill_it)
{
    int status;
    if (kill_it)
        assert_int_equal(kill(other->pid, SIGKILL), 0);
    /* Not by closing it: children that were forked later have the pipe, too. */
    assert_int_equal(write(other->leave[1], "", 1), 1);
    assert_int_equal(waitpid(other->pid, &status, 0), other->pid);
    (void)close(other->leave[0]);
    (void)close(other->leave[1]);
    (void)close(other->ready[0]);
    (void)close(other->ready[1]);
}

static void another_process_is_seen_until_it_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    struct other other;
    other_begin(fixture, &other, false);
    assert_true(find_process(fixture->store, other.pid, &process));
    assert_int_equal(count_processes(fixture->store), 2);
    other_end(&other, false);
    assert_false(find_process(fixture->store, other.pid, &process));
}

static void a_process_that_was_killed_is_not_seen(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    struct other other;
    other_begin(fixture, &other, false);
    other_end(&other, true);
    assert_false(find_process(fixture->store, other.pid, &process));
    assert_int_equal(count_processes(fixture->store), 1);
}

static void more_processes_than_the_table_has_room_for_come_in(void **state)
{
    struct fixture *fixture = *state;
    struct other others[LIVE_PROCESSES];
    for (int i = 0; i < LIVE_PROCESSES; i++)
        other_begin(fixture, &others[i], false);
    assert_int_equal(count_processes(fixture->store), LIVE_PROCESSES);
    for (int i = 0; i < LIVE_PROCESSES; i++)
        other_end(&others[i], false);
    assert_int_equal(count_processes(fixture->store), 1);
}

static void who_only_reads_sees_the_others_and_is_not_there(void **state)
{
    struct fixture *fixture = *state;
    struct other other;
    struct beck_process process;
    other_begin(fixture, &other, false);
    fixture_close(fixture);
    struct beck_store *store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    assert_true(find_process(store, other.pid, &process));
    assert_int_equal(count_processes(store), 1);
    beck_store_close(store);
    other_end(&other, false);
    store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    assert_int_equal(count_processes(store), 0);
    beck_store_close(store);
}

static void the_broker_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    must(beck_store_become_broker(fixture->store, &fixture->error), &fixture->error);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_true(process.is_broker);
}

static void who_cleans_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    process_set_role(fixture->store, LIVE_ROLE_CLEANER, true);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_true(process.is_cleaner);
    process_set_role(fixture->store, LIVE_ROLE_CLEANER, false);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_false(process.is_cleaner);
}

static void who_waits_is_said_to(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    must(beck_store_wake_fd(fixture->store, &fixture->error), &fixture->error);
    beck_partition_arm(fixture->partition);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_true(process.has_doorbell);
    assert_int_equal(process.waits_for_partitions, 1);
    assert_false(process.waits_for_topics);
    beck_store_arm(fixture->store);
    must_append(fixture->partition, "rings", BECK_ACKS_LEADER);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_int_equal(process.waits_for_partitions, 0);
    assert_true(process.waits_for_topics);
}

static void nobody_has_a_lock_where_nobody_does_anything(void **state)
{
    struct fixture *fixture = *state;
    struct beck_lock lock;
    uint32_t position = 0;
    assert_int_equal(beck_store_lock_next(fixture->store, &position, &lock, NULL), 0);
}

static void who_has_a_lock_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct beck_lock lock;
    struct other other;
    uint32_t position = 0;
    other_begin(fixture, &other, true);
    assert_int_equal(beck_store_lock_next(fixture->store, &position, &lock, NULL), 1);
    assert_int_equal(lock.kind, BECK_LOCK_APPEND);
    assert_int_equal(lock.pid, other.pid);
    assert_int_equal(lock.thread, other.pid);
    assert_int_equal(lock.partition, 0);
    assert_memory_equal(lock.topic_id, beck_partition_topic(fixture->partition)->id, BECK_ID_BYTES);
    assert_int_equal(beck_store_lock_next(fixture->store, &position, &lock, NULL), 0);
    other_end(&other, true);
    must_append(fixture->partition, "goes on", BECK_ACKS_LEADER);
}

static void who_maintains_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct beck_process process;
    struct beck_lock lock;
    uint32_t position = 0;
    pthread_mutex_t *maintenance = &live_store(&fixture->store->live)->maintenance;
    (void)live_lock(maintenance);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_true(process.is_maintaining);
    assert_int_equal(beck_store_lock_next(fixture->store, &position, &lock, NULL), 1);
    assert_int_equal(lock.kind, BECK_LOCK_MAINTENANCE);
    assert_int_equal(lock.partition, -1);
    live_unlock(maintenance);
    assert_true(find_process(fixture->store, getpid(), &process));
    assert_false(process.is_maintaining);
}

/* ---- what is pending ------------------------------------------------------------------------ */

static void what_is_not_synced_is_counted_until_it_is(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    struct beck_partition_state now = must_state(fixture->partition);
    assert_int_equal(now.unsynced_bytes, 0);
    assert_int_equal(now.unsynced_since_ms, 0);
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    must_append(fixture->partition, "b", BECK_ACKS_LEADER);
    now = must_state(fixture->partition);
    segment_path(fixture, "t", 0, 0, path);
    assert_int_equal(now.unsynced_bytes, file_size(path));
    assert_true(now.unsynced_since_ms > 0);
    must(beck_sync(fixture->partition, now.next_offset, &fixture->error), &fixture->error);
    now = must_state(fixture->partition);
    assert_int_equal(now.unsynced_bytes, 0);
    assert_int_equal(now.unsynced_since_ms, 0);
}

static void what_is_not_checkpointed_is_counted_until_it_is(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    struct beck_partition_state now = must_state(fixture->partition);
    must(beck_sync(fixture->partition, now.next_offset, &fixture->error), &fixture->error);
    now = must_state(fixture->partition);
    assert_true(now.uncheckpointed_bytes > 0);
    assert_true(now.uncheckpointed_since_ms > 0);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    now = must_state(fixture->partition);
    assert_int_equal(now.uncheckpointed_bytes, 0);
    assert_int_equal(now.uncheckpointed_since_ms, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(we_are_in_the_table),
        TEST(another_process_is_seen_until_it_leaves),
        TEST(a_process_that_was_killed_is_not_seen),
        TEST(more_processes_than_the_table_has_room_for_come_in),
        TEST(who_only_reads_sees_the_others_and_is_not_there),
        TEST(the_broker_is_named),
        TEST(who_cleans_is_named),
        TEST(who_waits_is_said_to),
        TEST(nobody_has_a_lock_where_nobody_does_anything),
        TEST(who_has_a_lock_is_named),
        TEST(who_maintains_is_named),
        TEST(what_is_not_synced_is_counted_until_it_is),
        TEST(what_is_not_checkpointed_is_counted_until_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
