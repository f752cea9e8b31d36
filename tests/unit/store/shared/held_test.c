/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that are stopped, or were killed, while they read LMDB's files. */
#include "db.h"
#include "index.h"
#include "partition.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALUE_BYTES (1 << 20)

static const struct beck_store_options options = {.map_bytes = (uint64_t)1 << 30};

static int setup_held(void **state)
{
    if (setup_folder(state) < 0)
        return -1;
    struct fixture *f = *state;
    must(beck_store_open(f->path, BECK_OPEN_CREATE, &options, &f->store, &f->error), &f->error);
    must_create_topic(f->store, "t", 1, "segment.bytes", "1048576");
    f->partition = must_open_partition(f->store, "t", 0);
    return 0;
}

/* A process that stops while it reads index.mdb, or meta.mdb. */
static pid_t stopped_reader_of(struct fixture *fixture, bool meta)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct beck_store *store = NULL;
        MDB_txn *txn;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        must(beck_store_open(fixture->path, 0, &options, &store, &fixture->error), &fixture->error);
        must(db_begin(meta ? &store->meta : &store->index, false, &txn, &fixture->error),
             &fixture->error);
        (void)raise(SIGSTOP);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

static pid_t stopped_reader(struct fixture *fixture)
{
    return stopped_reader_of(fixture, false);
}

static void end_reader(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* One commit that replaces a large value. */
static void commit_much(struct fixture *fixture)
{
    static char value[VALUE_BYTES];
    struct db *index = &fixture->store->index;
    MDB_val k = {.mv_size = 1, .mv_data = (char[]){'x'}};
    MDB_val v = {.mv_size = sizeof(value), .mv_data = value};
    MDB_txn *txn;
    must(db_begin(index, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_put(txn, index->dbis[INDEX_STATE], &k, &v, 0), 0);
    must(db_commit(index, txn, &fixture->error), &fixture->error);
}

/* Make a checkpoint due, and see to it. Returns whether there was one. */
static bool checkpoint(struct fixture *fixture)
{
    struct live_slot *slot = fixture->partition->slot;
    uint32_t next_ms;
    must_append_bytes(fixture->partition, 700000, 1, BECK_ACKS_LEADER);
    must_append_bytes(fixture->partition, 700000, 2, BECK_ACKS_LEADER);
    int64_t before = atomic_load(&slot->checkpoint_offset);
    must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error), &fixture->error);
    return atomic_load(&slot->checkpoint_offset) > before;
}

static uint64_t index_bytes(const struct fixture *fixture)
{
    char path[PATH_MAX];
    store_file(fixture, STORE_PATH_INDEX, path);
    return (uint64_t)file_size(path);
}

static void a_stopped_reader_does_not_make_the_index_grow_for_ever(void **state)
{
    struct fixture *fixture = *state;
    pid_t reader = stopped_reader(fixture);
    assert_true(checkpoint(fixture));
    while (!db_is_held_back(&fixture->store->index))
        commit_much(fixture);
    uint64_t bytes = index_bytes(fixture);
    for (int i = 0; i < 20; i++)
        assert_false(checkpoint(fixture));
    assert_int_equal(index_bytes(fixture), bytes);
    end_reader(reader);
    assert_true(checkpoint(fixture));
}

static void closing_checkpoints_behind_a_stopped_reader_too(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    pid_t reader = stopped_reader(fixture);
    assert_true(checkpoint(fixture));
    while (!db_is_held_back(&fixture->store->index))
        commit_much(fixture);
    assert_false(checkpoint(fixture));
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    assert_int_equal(atomic_load(&fixture->partition->slot->checkpoint_offset), 4);
    end_reader(reader);
}

static void a_stopped_reader_does_not_make_the_groups_grow_for_ever(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group = {
        .id_size = 1, .id = "g", .state_size = BECK_GROUP_STATE_BYTES};
    static char blob[BECK_GROUP_STATE_BYTES];
    char path[PATH_MAX];
    pid_t reader = stopped_reader_of(fixture, true);
    int puts = 0;
    int r;
    while ((r = beck_group_put(fixture->store, &group, blob, &fixture->error)) == 0 && puts < 1000)
        puts++;
    assert_int_equal(r, -EBUSY);
    store_file(fixture, STORE_PATH_META, path);
    assert_true((uint64_t)file_size(path) < 2 * DB_HELD_BYTES);
    end_reader(reader);
    must(beck_group_put(fixture->store, &group, blob, &fixture->error), &fixture->error);
}

static void commits_without_a_reader_hold_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 100; i++)
        commit_much(fixture);
    assert_false(db_is_held_back(&fixture->store->index));
    assert_true(index_bytes(fixture) < DB_HELD_BYTES / 4);
}

static int count_line(const char *line, void *context)
{
    size_t txn;
    *(int *)context += sscanf(line, "%*d %*x %zu", &txn) == 1;
    return 0;
}

static void a_reader_that_was_killed_is_cleared_away(void **state)
{
    struct fixture *fixture = *state;
    int readers = 0;
    end_reader(stopped_reader(fixture));
    must(mdb_reader_list(fixture->store->index.env, count_line, &readers), NULL);
    assert_int_equal(readers, 1);
    assert_true(checkpoint(fixture));
    readers = 0;
    must(mdb_reader_list(fixture->store->index.env, count_line, &readers), NULL);
    assert_int_equal(readers, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_held, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stopped_reader_does_not_make_the_index_grow_for_ever),
        TEST(closing_checkpoints_behind_a_stopped_reader_too),
        TEST(a_stopped_reader_does_not_make_the_groups_grow_for_ever),
        TEST(commits_without_a_reader_hold_nothing_back),
        TEST(a_reader_that_was_killed_is_cleared_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
