/* SPDX-License-Identifier: Apache-2.0 */
/* Adding partitions to a topic: beside open handles and other processes, and with deaths in
 * between. */
#include "fault_io.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int grow(struct fixture *fixture, uint32_t count)
{
    return beck_topic_add_partitions(fixture->store, "t", count, false, NULL, &fixture->error);
}

static uint32_t partitions(struct fixture *fixture)
{
    struct beck_topic topic;
    must(beck_topic_find(fixture->store, "t", &topic, &fixture->error), &fixture->error);
    return topic.partition_count;
}

static void added_partitions_take_records(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    must_append(fixture->partition, "before", BECK_ACKS_ALL);
    must(beck_topic_add_partitions(fixture->store, "t", 3, false, &topic, &fixture->error),
         &fixture->error);
    assert_int_equal(topic.partition_count, 3);
    for (int32_t i = 1; i < 3; i++) {
        struct beck_partition *partition = must_open_partition(fixture->store, "t", i);
        assert_int_equal(must_append(partition, "new", BECK_ACKS_ALL), 0);
        beck_partition_close(partition);
    }
    assert_int_equal(must_append(fixture->partition, "after", BECK_ACKS_ALL), 1);
    fixture_reopen(fixture);
    assert_int_equal(partitions(fixture), 3);
    struct beck_partition *last = must_open_partition(fixture->store, "t", 2);
    assert_value(last, 0, "new");
    beck_partition_close(last);
}

static void the_number_only_rises(void **state)
{
    struct fixture *fixture = *state;
    must(grow(fixture, 3), &fixture->error);
    assert_int_equal(grow(fixture, 3), -EINVAL);
    assert_int_equal(grow(fixture, 2), -EINVAL);
    assert_int_equal(grow(fixture, 0), -EINVAL);
    assert_int_equal(partitions(fixture), 3);
}

static void there_is_a_limit(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(grow(fixture, BECK_PARTITIONS_MAX + 1), -EMSGSIZE);
    assert_int_equal(partitions(fixture), 1);
}

static void a_topic_that_is_not_there_gets_none(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        beck_topic_add_partitions(fixture->store, "u", 3, false, NULL, &fixture->error), -ENOENT);
}

static void validating_adds_none(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    must(beck_topic_add_partitions(fixture->store, "t", 4, true, &topic, &fixture->error),
         &fixture->error);
    assert_int_equal(topic.partition_count, 4);
    assert_int_equal(partitions(fixture), 1);
    assert_int_equal(
        beck_topic_add_partitions(fixture->store, "t", 1, true, &topic, &fixture->error), -EINVAL);
}

static int use_added(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    must(beck_topic_add_partitions(store, "t", 70, false, NULL, &fixture->error),
         &fixture->error); /* more than `live` grows by at once */
    struct beck_partition *partition = must_open_partition(store, "t", 69);
    must_append(partition, "theirs", BECK_ACKS_ALL);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}

static void another_process_sees_them(void **state)
{
    struct fixture *fixture = *state;
    uint64_t generation = beck_store_generation(fixture->store);
    assert_int_equal(run_in_child(use_added, fixture), 0);
    assert_true(beck_store_generation(fixture->store) != generation);
    assert_int_equal(partitions(fixture), 70);
    struct beck_partition *partition = must_open_partition(fixture->store, "t", 69);
    assert_value(partition, 0, "theirs");
    assert_int_equal(must_append(partition, "ours", BECK_ACKS_ALL), 1);
    beck_partition_close(partition);
}

static void all_of_them_go_with_the_topic(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    must(grow(fixture, 3), &fixture->error);
    struct beck_partition *last = must_open_partition(fixture->store, "t", 2);
    must_append(last, "v", BECK_ACKS_ALL);
    must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    struct beck_partition_state now;
    assert_int_equal(beck_partition_state(last, &now, &fixture->error), -ESTALE);
    beck_partition_close(last);
    assert_int_equal(beck_topic_find(fixture->store, "t", &topic, NULL), -ENOENT);
    struct beck_damage damage;
    assert_int_equal(verify_count(fixture->store, &damage), 0);
}

static void an_empty_folder_that_was_left_is_taken(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    partition_folder(fixture, "t", 0, path);
    path[strlen(path) - 1] = '1';
    assert_int_equal(mkdir(path, 0755), 0);
    must(grow(fixture, 2), &fixture->error);
}

static void files_that_nobody_knows_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char file[PATH_MAX + 32];
    partition_folder(fixture, "t", 0, path);
    path[strlen(path) - 1] = '1';
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(file, sizeof(file), "%s/00000000000000000000.log", path);
    file_write(file, "x", 1);
    assert_int_equal(grow(fixture, 2), -EEXIST);
    assert_int_equal(partitions(fixture), 1);
    assert_int_equal(file_size(file), 1);
}

/* The topic has this many partitions or one more, all of which can be used; returns how many. */
static uint32_t check_old_or_new(struct fixture *fixture, uint32_t count)
{
    struct beck_damage damage;
    uint32_t now = partitions(fixture);
    assert_true(now == count || now == count + 1);
    struct beck_partition *last = must_open_partition(fixture->store, "t", (int32_t)now - 1);
    must_append(last, "v", BECK_ACKS_ALL);
    beck_partition_close(last);
    assert_int_equal(verify_count(fixture->store, &damage), 0);
    return now;
}

static void whatever_call_fails_the_number_is_old_or_new(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    uint32_t count = 1;
    bool failed = true;
    fixture_close(fixture);
    for (unsigned at = 1; failed; at++) {
        fault_io_init(&fault);
        fixture->store = must_open_io(fixture->path, 0, &fault.io);
        fault_io_arm(&fault, at, -EIO);
        int r = grow(fixture, count + 1);
        failed = atomic_load(&fault.failed);
        fault_io_arm(&fault, 0, 0);
        uint32_t now = check_old_or_new(fixture, count);
        assert_true(now == (r == 0 ? count + 1 : count));
        fixture->store = beck_store_close(fixture->store);
        count = now;
    }
    assert_true(count > 1);
}

static unsigned kill_at;

static int kill_at_call(struct fault_io *fault, const struct fault_what *what)
{
    (void)what;
    if (atomic_load(&fault->calls) == kill_at)
        (void)kill(getpid(), SIGKILL);
    return 0;
}

static int grow_until_killed(struct fixture *fixture)
{
    struct fault_io fault;
    fault_io_init(&fault);
    struct beck_store *store = must_open_io(fixture->path, 0, &fault.io);
    struct beck_topic topic;
    must(beck_topic_find(store, "t", &topic, &fixture->error), &fixture->error);
    fault_io_arm(&fault, 0, 0);
    fault.hook = kill_at_call;
    return beck_topic_add_partitions(store, "t", topic.partition_count + 1, false, NULL,
                                     &fixture->error) < 0;
}

static void whenever_it_is_killed_the_number_is_old_or_new(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count = 1;
    int code = 128;
    fixture_close(fixture);
    for (kill_at = 1; code != 0; kill_at++) {
        code = run_in_child(grow_until_killed, fixture);
        assert_true(code == 0 || code == 128 + SIGKILL);
        fixture->store = must_open(fixture->path, 0);
        uint32_t now = check_old_or_new(fixture, count);
        assert_true(code != 0 || now == count + 1);
        fixture->store = beck_store_close(fixture->store);
        count = now;
    }
    assert_true(kill_at > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(added_partitions_take_records),
        TEST(the_number_only_rises),
        TEST(there_is_a_limit),
        TEST(a_topic_that_is_not_there_gets_none),
        TEST(validating_adds_none),
        TEST(another_process_sees_them),
        TEST(all_of_them_go_with_the_topic),
        TEST(an_empty_folder_that_was_left_is_taken),
        TEST(files_that_nobody_knows_are_left_alone),
        TEST(whatever_call_fails_the_number_is_old_or_new),
        TEST(whenever_it_is_killed_the_number_is_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
