/* SPDX-License-Identifier: Apache-2.0 */
/* meta.mdb.copy: when it is made anew, and that it is what meta.mdb was. */
#include "meta_copy.h"
#include "store.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static ino_t copy_inode(struct fixture *fixture)
{
    char path[PATH_MAX];
    struct stat info;
    store_file(fixture, STORE_PATH_META_COPY, path);
    return stat(path, &info) == 0 ? info.st_ino : 0;
}

/* Have the times of files move on. */
static void pass_time(struct fixture *fixture)
{
    static const struct timespec step = {.tv_nsec = 10000000};
    (void)fixture;
    (void)nanosleep(&step, NULL);
}

static void a_clean_close_leaves_a_copy_that_is_meta_mdb(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char copy[PATH_MAX];
    must_append(fixture->partition, "one", BECK_ACKS_LEADER);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_META, path);
    store_file(fixture, STORE_PATH_META_COPY, copy);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(copy, path), 0);
    fixture_open(fixture);
    assert_value(fixture->partition, 0, "one");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_close_without_changes_makes_no_other(void **state)
{
    struct fixture *fixture = *state;
    pass_time(fixture);
    fixture_close(fixture);
    ino_t before = copy_inode(fixture);
    assert_int_not_equal(before, 0);
    fixture_open(fixture);
    must_append(fixture->partition, "one", BECK_ACKS_LEADER);
    fixture_close(fixture);
    assert_int_equal(copy_inode(fixture), before);
}

static void a_changed_meta_mdb_is_copied_at_the_next_close(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    ino_t before = copy_inode(fixture);
    fixture->store = must_open(fixture->path, 0);
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    fixture_close(fixture);
    assert_int_not_equal(copy_inode(fixture), before);
}

static void while_the_store_is_open_it_is_made_daily(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error), &fixture->error);
    assert_int_equal(copy_inode(fixture), 0); /* not at once */
    fixture->store->meta_copy_due_ms = store_monotonic_ms();
    must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error), &fixture->error);
    ino_t before = copy_inode(fixture);
    assert_int_not_equal(before, 0);
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    fixture->store->meta_copy_due_ms = store_monotonic_ms();
    must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error), &fixture->error);
    assert_int_equal(copy_inode(fixture), before); /* it is not a day old */
    char path[PATH_MAX];
    struct timespec times[2];
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= META_COPY_MS / 1000 + 1;
    times[1] = times[0];
    store_file(fixture, STORE_PATH_META_COPY, path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    fixture->store->meta_copy_due_ms = store_monotonic_ms();
    must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error), &fixture->error);
    assert_int_not_equal(copy_inode(fixture), before);
}

/* A limit stands for the disk that is full. */
static void a_copy_that_does_not_fit_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before;
    char path[PATH_MAX];
    store_file(fixture, STORE_PATH_META_COPY ".new", path);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit little = {.rlim_cur = 16384, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    int r = meta_copy_make(fixture->store, &fixture->error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(r < 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(copy_inode(fixture), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clean_close_leaves_a_copy_that_is_meta_mdb),
        TEST(a_close_without_changes_makes_no_other),
        TEST(a_changed_meta_mdb_is_copied_at_the_next_close),
        TEST(while_the_store_is_open_it_is_made_daily),
        TEST(a_copy_that_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
