/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints and recovery of so many partitions that their file system is synced as a whole. */
#include "fault_io.h"
#include "partition.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 40 };

static long file_system = EXT4_SUPER_MAGIC; /* what the system says it is */
static bool is_read_only;

int fstatfs64(int fd, struct statfs64 *to);

__attribute__((visibility("default"))) int fstatfs64(int fd, struct statfs64 *to)
{
    int r = (int)syscall(SYS_fstatfs, fd, to);
    to->f_type = file_system;
    to->f_flags |= is_read_only ? 1 : 0; /* ST_RDONLY */
    return r;
}

static int64_t clock_add_ms; /* to what the system says */
static int64_t sync_takes_ms;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *to)
{
    int r = (int)syscall(SYS_clock_gettime, clock, to);
    to->tv_sec +=
        clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ? clock_add_ms / 1000 : 0;
    return r;
}

/* ---- many partitions ----------------------------------------------------------------------- */

struct many {
    struct fault_io fault;
    struct beck_store *store;
    struct beck_partition *partitions[MANY];
    int all;                    /* syncs of the file system */
    int each;                   /* of files, after that */
    int write_backs;            /* and of those that were only asked for errors */
    int refused;                /* which write-back fails, from 1; 0: none */
    struct beck_partition *add; /* is appended to once the file system was synced */
};

static int count_syncs(struct fault_io *fault, const struct fault_what *what)
{
    struct many *many = fault->context;
    if (what->call == FAULT_SYNC_DATA)
        clock_add_ms += sync_takes_ms;
    if (what->call == FAULT_SYNC_ALL)
        many->all++;
    if (many->all > 0 && many->add && what->call == FAULT_SYNC_DATA) {
        struct beck_partition *add = many->add;
        many->add = NULL;
        must_append(add, "later", BECK_ACKS_LEADER);
    }
    if (many->all > 0)
        many->each += what->call == FAULT_SYNC_DATA || what->call == FAULT_SYNC;
    if (what->call == FAULT_WRITE_BACK && ++many->write_backs == many->refused)
        return -EIO;
    return 0;
}

static void many_open(struct many *many, struct fixture *fixture)
{
    fault_io_init(&many->fault);
    many->fault.context = many;
    many->fault.hook = count_syncs;
    many->store = must_open_io(fixture->path, 0, &many->fault.io);
    for (int32_t i = 0; i < MANY; i++)
        many->partitions[i] = must_open_partition(many->store, "many", i);
}

static void many_close(struct many *many)
{
    for (int32_t i = 0; i < MANY; i++)
        beck_partition_close(many->partitions[i]);
    beck_store_close(many->store);
}

/* A store with a record in each partition, which nothing was done to since. */
static void begin_dirty(struct many *many, struct fixture *fixture)
{
    must_create_topic(fixture->store, "many", MANY, NULL, NULL);
    fixture_close(fixture);
    many_open(many, fixture);
    for (int32_t i = 0; i < MANY; i++)
        must_append(many->partitions[i], "here", BECK_ACKS_LEADER);
}

static void append_to_many(struct fixture *fixture, struct beck_store *store)
{
    (void)fixture;
    for (int32_t i = 0; i < MANY; i++)
        must_append(must_open_partition(store, "many", i), "here", BECK_ACKS_LEADER);
}

/* And whose last process was killed. */
static void recover_dirty(struct many *many, struct fixture *fixture)
{
    must_create_topic(fixture->store, "many", MANY, NULL, NULL);
    fixture_close(fixture);
    run_and_kill(append_to_many, fixture);
    many_open(many, fixture);
}

static int checkpoint(struct many *many, struct fixture *fixture)
{
    uint32_t next_ms;
    return beck_store_maintain(many->store, true, &next_ms, &fixture->error);
}

static int failed(const struct many *many)
{
    int count = 0;
    for (int32_t i = 0; i < MANY; i++)
        count += (atomic_load(&many->partitions[i]->slot->flags) & LIVE_FAILED) != 0;
    return count;
}

/* ---- checkpoints --------------------------------------------------------------------------- */

static void a_checkpoint_of_many_syncs_one_file_and_asks_the_others(void **state)
{
    struct many many = {0};
    begin_dirty(&many, *state);
    must(checkpoint(&many, *state), NULL);
    assert_int_equal(many.all, 1);
    assert_int_equal(many.each, 1);
    assert_int_equal(many.write_backs, MANY - 1);
    for (int32_t i = 0; i < MANY; i++)
        assert_int_equal(atomic_load(&many.partitions[i]->slot->synced_offset), 1);
    many_close(&many);
}

/* It may be in memory alone. */
static void what_is_appended_while_the_file_system_is_synced_is_not_called_durable(void **state)
{
    struct many many = {0};
    begin_dirty(&many, *state);
    many.add = many.partitions[MANY - 1];
    must(checkpoint(&many, *state), NULL);
    assert_int_equal(atomic_load(&many.partitions[MANY - 1]->slot->synced_offset), 1);
    assert_int_equal(atomic_load(&many.partitions[MANY - 1]->slot->checkpoint_offset), 1);
    assert_int_equal(must_state(many.partitions[MANY - 1]).next_offset, 2);
    must(beck_sync(many.partitions[MANY - 1], 2, NULL), NULL);
    assert_int_equal(atomic_load(&many.partitions[MANY - 1]->slot->synced_offset), 2);
    many_close(&many);
}

static void what_the_disk_refused_of_one_file_fails_its_partition_alone(void **state)
{
    struct fixture *fixture = *state;
    struct many many = {.refused = 7};
    begin_dirty(&many, fixture);
    must(checkpoint(&many, fixture), &fixture->error);
    assert_int_equal(failed(&many), 1);
    for (int32_t i = 0; i < MANY; i++)
        assert_int_equal(atomic_load(&many.partitions[i]->slot->checkpoint_offset), i != 7);
    many_close(&many);
}

/* Nothing is known of its syncfs, and it keeps errors elsewhere. */
static void on_another_file_system_each_file_is_synced(void **state)
{
    struct many many = {0};
    file_system = OVERLAYFS_SUPER_MAGIC;
    begin_dirty(&many, *state);
    must(checkpoint(&many, *state), NULL);
    assert_int_equal(many.write_backs, 0);
    assert_int_equal(many.each, 2 * MANY); /* and its folder */
    many_close(&many);
}

/* Which may be so since an error, of which syncfs says nothing. */
static void on_a_file_system_that_became_read_only_each_file_is_synced(void **state)
{
    struct many many = {0};
    begin_dirty(&many, *state);
    is_read_only = true;
    must(checkpoint(&many, *state), NULL);
    assert_int_equal(many.write_backs, 0);
    many_close(&many);
}

/* Whoever watches over the thread wants to see it move. */
static void a_call_ends_after_seconds_and_the_next_one_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct many many = {0};
    uint32_t next_ms;
    int before = 0;
    int calls = 0;
    file_system = OVERLAYFS_SUPER_MAGIC;
    begin_dirty(&many, fixture);
    clock_add_ms += 20000; /* they are due */
    sync_takes_ms = 1000;
    for (int done = 0; done < MANY; before = done, done = 0, calls++) {
        must(beck_store_maintain(many.store, false, &next_ms, &fixture->error), &fixture->error);
        for (int32_t i = 0; i < MANY; i++)
            done += atomic_load(&many.partitions[i]->slot->checkpoint_offset) == 1;
        assert_true(done > before && done <= before + 10);
        assert_true(next_ms < 1000);
        if (done == MANY)
            break;
    }
    assert_true(calls >= MANY / 10 - 1);
    many_close(&many);
}

/* ---- recovery ------------------------------------------------------------------------------ */

static void recovery_of_many_asks_most_files_only_for_errors(void **state)
{
    struct many many = {0};
    recover_dirty(&many, *state);
    assert_int_equal(many.all, 1);
    assert_true(many.write_backs > 0);
    /* One file, and the folder of the store for the databases' names. */
    assert_true(many.each <= 2);
    for (int32_t i = 0; i < MANY; i++)
        assert_value(many.partitions[i], 0, "here");
    many_close(&many);
}

static void what_the_disk_refused_fails_one_partition_in_recovery_too(void **state)
{
    struct many many = {.refused = 3};
    recover_dirty(&many, *state);
    assert_int_equal(failed(&many), 1);
    many_close(&many);
}

/* Tear the last batch of each, as power loss may. */
static void ends_that_are_cut_off_many_logs_are_synced_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct many many = {0};
    char path[PATH_MAX];
    must_create_topic(fixture->store, "many", MANY, NULL, NULL);
    fixture_close(fixture);
    run_and_kill(append_to_many, fixture);
    fixture->store = must_open(fixture->path, 0);
    fixture_close(fixture);
    run_and_kill(append_to_many, fixture);
    for (int32_t i = 0; i < MANY; i++) {
        segment_path(fixture, "many", i, 0, path);
        file_cut(path, 1);
    }
    many_open(&many, fixture);
    assert_int_equal(many.all, 1);
    assert_int_equal(many.write_backs, MANY - 1);
    for (int32_t i = 0; i < MANY; i++)
        assert_int_equal(count_records(many.partitions[i], 0), 1);
    assert_int_equal(verify_count(many.store, NULL), 0);
    many_close(&many);
}

static int setup(void **state)
{
    file_system = EXT4_SUPER_MAGIC;
    is_read_only = false;
    sync_takes_ms = 0;
    return setup_store(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_checkpoint_of_many_syncs_one_file_and_asks_the_others),
        TEST(what_is_appended_while_the_file_system_is_synced_is_not_called_durable),
        TEST(what_the_disk_refused_of_one_file_fails_its_partition_alone),
        TEST(on_another_file_system_each_file_is_synced),
        TEST(on_a_file_system_that_became_read_only_each_file_is_synced),
        TEST(a_call_ends_after_seconds_and_the_next_one_goes_on),
        TEST(recovery_of_many_asks_most_files_only_for_errors),
        TEST(what_the_disk_refused_fails_one_partition_in_recovery_too),
        TEST(ends_that_are_cut_off_many_logs_are_synced_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
