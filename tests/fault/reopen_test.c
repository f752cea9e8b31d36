/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening is killed in each of its calls, LMDB's among them, one after the other. Nothing was lost
 * by that, so the next opening finds all offsets and the leader epoch as they were.
 */
#include "calls.h"
#include "store_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTITIONS = 3, CALLS_MOST = 500 };

static unsigned calls_left; /* until the process is killed */

static int kill_at(const struct call *call)
{
    (void)call;
    if (--calls_left == 0)
        (void)raise(SIGKILL);
    return 0;
}

/* In a child. 0: the opening came to its end. */
static int open_and_die(struct fixture *fixture)
{
    calls.before = kill_at;
    (void)must_open(fixture->path, 0);
    return 0;
}

static void append_to_each(struct fixture *fixture, struct beck_store *store)
{
    (void)fixture;
    for (int32_t i = 0; i < PARTITIONS; i++)
        must_append(must_open_partition(store, "many", i), "here", BECK_ACKS_LEADER);
}

/* What each partition has by now is as many records, with no hole, in the first epoch. */
static void check(struct fixture *fixture, int64_t records, unsigned call)
{
    fixture->store = must_open(fixture->path, 0);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct beck_partition *partition = must_open_partition(fixture->store, "many", i);
        struct beck_partition_state now = must_state(partition);
        if (now.next_offset != records || now.leader_epoch != 0)
            fail_msg("partition %d goes on at %lld of epoch %d, not at %lld, after call %u", i,
                     (long long)now.next_offset, now.leader_epoch, (long long)records, call);
        assert_int_equal(count_records(partition, 0), records);
        beck_partition_close(partition);
    }
}

/* Opened and killed in each call, with `before` done each time. */
static void kill_in_each_call(struct fixture *fixture, int64_t (*before)(struct fixture *fixture))
{
    unsigned call = 0;
    int r = 128 + SIGKILL;
    must_create_topic(fixture->store, "many", PARTITIONS, NULL, NULL);
    while (r == 128 + SIGKILL) {
        assert_true(++call < CALLS_MOST);
        fixture_close(fixture);
        int64_t records = before(fixture);
        calls_left = call;
        r = run_in_child(open_and_die, fixture);
        check(fixture, records, call);
    }
    assert_int_equal(r, 0);
    assert_true(call > 5);
}

static int64_t nothing(struct fixture *fixture)
{
    (void)fixture;
    return 0;
}

static void after_a_clean_close_nothing_jumps(void **state)
{
    kill_in_each_call(*state, nothing);
}

/* `live` is of an earlier boot. */
static int64_t boot_again(struct fixture *fixture)
{
    (void)fixture;
    calls.boot++;
    return 0;
}

static void after_a_clean_close_and_a_boot_nothing_jumps(void **state)
{
    kill_in_each_call(*state, boot_again);
    calls.boot = 0;
}

static int64_t records_there;

static int64_t append_and_be_killed(struct fixture *fixture)
{
    run_and_kill(append_to_each, fixture);
    return ++records_there;
}

static void after_a_kill_nothing_jumps(void **state)
{
    records_there = 0;
    kill_in_each_call(*state, append_and_be_killed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_store, teardown)

int main(void)
{
    use_memory_disk();
    const struct CMUnitTest tests[] = {
        TEST(after_a_clean_close_nothing_jumps),
        TEST(after_a_clean_close_and_a_boot_nothing_jumps),
        TEST(after_a_kill_nothing_jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
