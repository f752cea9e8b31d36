/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repair that is refused a call, or killed at one, each in turn: the store can be repaired again,
 * and then is as it would be without that. What was kept of what was cut is there at least once.
 */
#include "fault_io.h"
#include "repair.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAGS   (BECK_REPAIR_EXECUTE | BECK_REPAIR_DROP_DAMAGED)
#define RECORDS 10

static struct fixture original;

/* A store that has lost its databases, with damage in the middle of a log, a torn end and a stray.
 */
static int make_original(void **state)
{
    char path[PATH_MAX];
    (void)state;
    fixture_begin(&original);
    original.store = must_open(original.path, BECK_OPEN_CREATE);
    must_create_topic(original.store, "t", 1, NULL, NULL);
    original.partition = must_open_partition(original.store, "t", 0);
    for (unsigned i = 0; i < RECORDS; i++)
        must_append_bytes(original.partition, 100, i, BECK_ACKS_LEADER);
    fixture_close(&original);
    segment_path(&original, "t", 0, 0, path);
    file_flip(path, file_size(path) / 2);
    file_append(path, "torn", 4);
    store_file(&original, STORE_PATH_TOPICS "/stray", path);
    file_write(path, "stray", 5);
    return 0;
}

static int remove_original(void **state)
{
    (void)state;
    fixture_end(&original);
    return 0;
}

static int setup_copy(void **state)
{
    return setup_folder(state);
}

/* `without`: which files are lost. */
static void begin_run(struct fixture *fixture, const char *const *without)
{
    char path[PATH_MAX];
    folder_remove(fixture->path);
    folder_copy(original.path, fixture->path);
    for (; *without; without++) {
        store_file(fixture, *without, path);
        assert_int_equal(unlink(path), 0);
    }
}

static int repair_by(struct fixture *fixture, const struct io *io)
{
    struct beck_repair_totals totals;
    return repair_store(fixture->path, FLAGS, &fixture_options, NULL, NULL, io, &totals,
                        &fixture->error);
}

static void check_store(struct fixture *fixture)
{
    struct beck_repair_totals totals;
    must(repair_by(fixture, &io_system), &fixture->error);
    assert_int_equal(must(beck_store_repair(fixture->path, 0, &fixture_options, NULL, NULL, &totals,
                                            &fixture->error),
                          &fixture->error),
                     0);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), RECORDS - 1);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_true(must_append(fixture->partition, "next", BECK_ACKS_LEADER) >= RECORDS);
    fixture_close(fixture);
}

static const char *const nothing[] = {NULL};
static const char *const both[] = {STORE_PATH_META, STORE_PATH_INDEX, NULL};

static void refused_at_any_call(struct fixture *fixture, const char *const *without)
{
    struct fault_io fault;
    fault_io_init(&fault);
    for (unsigned at = 1;; at++) {
        begin_run(fixture, without);
        fault_io_arm(&fault, at, -EIO);
        int r = repair_by(fixture, &fault.io);
        if (!atomic_load(&fault.failed)) {
            must(r, &fixture->error);
            assert_in_range(at, 20, 5000);
            break;
        }
        fault_io_arm(&fault, 0, 0);
        check_store(fixture);
    }
}

static void refused_at_any_call_it_can_be_done_again(void **state)
{
    refused_at_any_call(*state, nothing);
}

static void refused_at_any_call_without_databases_it_can_be_done_again(void **state)
{
    refused_at_any_call(*state, both);
}

static int kill_at(struct fault_io *fault, const struct fault_what *what)
{
    unsigned *left = fault->context;
    /* Before what changes something; what only looks makes no difference. */
    bool matters = what->call == FAULT_WRITE || what->call == FAULT_TRUNCATE ||
                   what->call == FAULT_RENAME || what->call == FAULT_REMOVE ||
                   what->call == FAULT_MAKE_DIRECTORY || what->call == FAULT_SYNC_DATA ||
                   (what->call == FAULT_OPEN && what->flags & O_CREAT);
    if (matters && --*left == 0)
        (void)raise(SIGKILL);
    return 0;
}

/* Returns whether it was killed. */
static bool repair_and_be_killed(struct fixture *fixture, unsigned at)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fault_io fault;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fault_io_init(&fault);
        fault.hook = kill_at;
        fault.context = &at;
        _exit(repair_by(fixture, &fault.io) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

static void killed_at_any_call(struct fixture *fixture, const char *const *without)
{
    unsigned at = 0;
    bool killed;
    do {
        begin_run(fixture, without);
        killed = repair_and_be_killed(fixture, ++at);
        check_store(fixture);
    } while (killed);
    assert_in_range(at, 8, 5000);
}

static void killed_at_any_call_it_can_be_done_again(void **state)
{
    killed_at_any_call(*state, nothing);
}

static void killed_at_any_call_without_databases_it_can_be_done_again(void **state)
{
    killed_at_any_call(*state, both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_copy, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refused_at_any_call_it_can_be_done_again),
        TEST(refused_at_any_call_without_databases_it_can_be_done_again),
        TEST(killed_at_any_call_it_can_be_done_again),
        TEST(killed_at_any_call_without_databases_it_can_be_done_again),
    };
    return cmocka_run_group_tests(tests, make_original, remove_original);
}
