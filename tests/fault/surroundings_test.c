/* SPDX-License-Identifier: Apache-2.0 */
/* Surroundings that are not as usual: a clock that is set back, a disk that refuses once, file
 * systems that cannot hold a store or take no writes, another pid namespace. */
#include "calls.h"
#include "store_fixture.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAY_MS (24LL * 60 * 60 * 1000)

/* ---- the clock ----------------------------------------------------------------------------- */

static void check_all_is_there(struct fixture *fixture, int64_t count)
{
    struct beck_damage damage;
    int64_t offset;
    int64_t timestamp_ms;
    assert_int_equal(count_records(fixture->partition, 0), count);
    must(beck_offset_for_time(fixture->partition, 1, BECK_READ_UNCOMMITTED, &offset, &timestamp_ms,
                              &fixture->error),
         &fixture->error);
    assert_int_equal(offset, 0);
    if (verify_count(fixture->store, &damage) != 0)
        fail_msg("%s byte %lld: %s", damage.file, (long long)damage.byte, damage.what);
}

static void append_some(struct fixture *fixture, unsigned count)
{
    uint32_t next_ms;
    for (unsigned i = 0; i < count; i++)
        must_append_bytes(fixture->partition, 100000, i, i % 2 ? BECK_ACKS_LEADER : BECK_ACKS_ALL);
    must(beck_sync(fixture->partition, INT64_MAX, &fixture->error), &fixture->error);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
}

static void a_clock_that_is_set_back_by_a_day_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    append_some(fixture, 20);
    calls.clock_add_ms = -DAY_MS;
    append_some(fixture, 20);
    check_all_is_there(fixture, 40);
    fixture_reopen(fixture);
    append_some(fixture, 20);
    check_all_is_there(fixture, 60);
    calls.clock_add_ms = 0;
}

static void a_clock_that_was_a_day_ahead_keeps_no_segment_open(void **state)
{
    struct fixture *fixture = *state;
    beck_partition_close(fixture->partition);
    must_create_topic(fixture->store, "timed", 1, "segment.ms", "3600000");
    fixture->partition = must_open_partition(fixture->store, "timed", 0);
    calls.clock_add_ms = DAY_MS;
    append_some(fixture, 2);
    calls.clock_add_ms = 0;
    append_some(fixture, 2);
    calls.clock_add_ms = 2 * DAY_MS;
    append_some(fixture, 2);
    calls.clock_add_ms = 0;
    assert_true(segment_count(fixture, "timed", 0) >= 2);
    assert_int_equal(count_records(fixture->partition, 0), 6);
}

static void waiting_ends_whatever_the_clock_says(void **state)
{
    struct fixture *fixture = *state;
    calls.clock_add_ms = -DAY_MS;
    assert_int_equal(
        beck_partition_wait(fixture->partition, 0, BECK_READ_UNCOMMITTED, 20, &fixture->error), 0);
    calls.clock_add_ms = 0;
}

/* ---- the disk ------------------------------------------------------------------------------ */

static unsigned syncs_to_fail;

static int refuse_sync(const struct call *call)
{
    if (call->op != CALL_SYNC || call->file != FILE_SEGMENT || syncs_to_fail == 0)
        return 0;
    syncs_to_fail--;
    return -EIO;
}

/* The next sync would succeed, and would mean nothing. */
static void a_disk_that_refuses_one_sync_gets_no_second_try(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    struct beck_record record = {.key_size = -1, .value = "second", .value_size = 6};
    must_append(fixture->partition, "first", BECK_ACKS_LEADER);
    must(beck_sync(fixture->partition, 1, &fixture->error), &fixture->error);
    calls.before = refuse_sync;
    syncs_to_fail = 1;
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_ALL, &result, &fixture->error),
        -EIO);
    assert_int_equal(syncs_to_fail, 0);
    assert_int_equal(beck_sync(fixture->partition, 2, &fixture->error), -EIO);
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &fixture->error),
        -EIO);
    assert_int_equal(count_records(fixture->partition, 0), 1);
    calls.before = NULL;
    fixture_reopen(fixture);
    assert_value(fixture->partition, 0, "first");
    assert_true(must_append(fixture->partition, "third", BECK_ACKS_ALL) >= 1);
    check_all_is_there(fixture, count_records(fixture->partition, 0));
}

/* ---- file systems -------------------------------------------------------------------------- */

static long file_system; /* what the system says it is; 0: the truth */

int fstatfs64(int fd, struct statfs64 *to);

__attribute__((visibility("default"))) int fstatfs64(int fd, struct statfs64 *to)
{
    int r = (int)syscall(SYS_fstatfs, fd, to);
    if (r == 0 && file_system != 0)
        to->f_type = file_system;
    return r;
}

static void a_network_file_system_holds_no_store(void **state)
{
    static const long networks[] = {NFS_SUPER_MAGIC, V9FS_MAGIC, 0x65735546,
                                    0xff534d42,      0xfe534d42, AFS_SUPER_MAGIC};
    struct fixture *fixture = *state;
    struct beck_store *store = NULL;
    char other[PATH_MAX];
    fixture_close(fixture);
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        file_system = networks[i];
        assert_int_equal(
            beck_store_open(fixture->path, 0, &fixture_options, &store, &fixture->error), -ENODEV);
        assert_non_null(strstr(fixture->error.message, "network"));
        store_file(fixture, "../other", other);
        assert_int_equal(beck_store_create(other, &fixture_options, &fixture->error), -ENODEV);
    }
    file_system = 0;
    fixture->store = must_open(fixture->path, 0);
}

/* In a child with mounts of its own. Exit code 77: it may not. */
static int look_at_read_only(struct fixture *fixture)
{
    struct beck_store *store = NULL;
    struct beck_error error;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(fixture->folder, fixture->folder, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, fixture->folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
        return 77;
    int r = beck_store_open(fixture->path, 0, &fixture_options, &store, &error);
    if (r != -EROFS) {
        (void)fprintf(stderr, "opening for writing: %d\n", r);
        return 1;
    }
    store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    int64_t count = count_records(partition, 0);
    beck_partition_close(partition);
    beck_store_close(store);
    return count != 2;
}

static void a_read_only_file_system_can_be_read(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "first", BECK_ACKS_LEADER);
    must_append(fixture->partition, "second", BECK_ACKS_ALL);
    fixture_close(fixture);
    int r = run_in_child(look_at_read_only, fixture);
    if (r == 77)
        skip();
    assert_int_equal(r, 0);
}

/* Make a store on a file system of so many KiB, and use it. 0 or -ENOSPC; below that: another
 * error; 77: it may not be mounted. */
static int use_small(struct fixture *fixture, int kib)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct beck_topic_options options = {.partition_count = 1};
    struct beck_record record = {.key_size = -1, .value = "value", .value_size = 5};
    struct beck_append_result result;
    struct beck_error error;
    char size[32];
    char path[PATH_MAX];
    (void)snprintf(size, sizeof(size), "size=%dk", kib);
    (void)snprintf(path, sizeof(path), "%s/store", fixture->folder);
    if (mount("small", fixture->folder, "tmpfs", 0, size) < 0)
        return 77;
    int r = beck_store_open(path, BECK_OPEN_CREATE, &fixture_options, &store, &error);
    if (r == 0)
        r = beck_topic_create(store, "full", &options, NULL, &error);
    if (r == 0)
        r = beck_partition_open(store, "full", 0, &partition, &error);
    if (r == 0)
        r = beck_produce(partition, &record, 1, BECK_ACKS_ALL, &result, &error);
    beck_partition_close(partition);
    if (store)
        beck_store_close(store);
    return umount(fixture->folder) < 0 ? -errno : r;
}

static int use_all_small(struct fixture *fixture)
{
    enum { STEP_KIB = 4, MOST_KIB = 4096 };
    (void)signal(SIGBUS, SIG_DFL); /* cmocka's handler is no use to a child */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    for (int kib = STEP_KIB; kib <= MOST_KIB; kib += STEP_KIB) {
        int r = use_small(fixture, kib);
        if (r == 77 || (r == 0 && kib > STEP_KIB))
            return r;
        if (r != -ENOSPC) {
            (void)fprintf(stderr, "%d KiB: %d\n", kib, r);
            return 1;
        }
    }
    return 2; /* was the store ever made? */
}

/* Whatever is mapped had its blocks before: else a process ends with SIGBUS. */
static void a_disk_that_is_too_small_is_an_error_wherever_it_ends(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    int r = run_in_child(use_all_small, fixture);
    if (r == 77)
        skip();
    assert_int_equal(r, 0);
}

/* ---- processes ----------------------------------------------------------------------------- */

static int open_in_another_namespace(struct fixture *fixture)
{
    if (unshare(CLONE_NEWPID) < 0)
        return 77;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct beck_store *store = NULL;
        struct beck_error error;
        int r = beck_store_open(fixture->path, 0, &fixture_options, &store, &error);
        _exit(r == -ENODEV && strstr(error.message, "pid namespace") ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : 1;
}

static void a_second_pid_namespace_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int r = run_in_child(open_in_another_namespace, fixture);
    if (r == 77)
        skip();
    assert_int_equal(r, 0);
    assert_int_equal(must_append(fixture->partition, "goes on", BECK_ACKS_LEADER), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clock_that_is_set_back_by_a_day_changes_nothing),
        TEST(a_clock_that_was_a_day_ahead_keeps_no_segment_open),
        TEST(waiting_ends_whatever_the_clock_says),
        TEST(a_disk_that_refuses_one_sync_gets_no_second_try),
        TEST(a_network_file_system_holds_no_store),
        TEST(a_read_only_file_system_can_be_read),
        TEST(a_disk_that_is_too_small_is_an_error_wherever_it_ends),
        TEST(a_second_pid_namespace_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
