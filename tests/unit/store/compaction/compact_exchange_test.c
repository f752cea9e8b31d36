/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments being exchanged, and who does it being killed: whatever is there then, readers find the
 * log, and the next one brings it to its end.
 */
#include "compact_fixture.h"
#include "fault_io.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- files that go ------------------------------------------------------------------------- */

/* Remove the segment, and die. */
static int die_removing(struct fault_io *fault, const struct fault_what *what)
{
    char path[2 * PATH_MAX];
    if (!fault_is(what, FAULT_REMOVE, ".log"))
        return 0;
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)fault->context, what->name);
    (void)unlink(path);
    (void)raise(SIGKILL);
    return 0;
}

static int open_and_die(struct fixture *fixture)
{
    struct fault_io fault;
    fault_io_init(&fault);
    fault.hook = die_removing;
    fault.context = fixture->path;
    (void)must_open_io(fixture->path, 0, &fault.io);
    return 0;
}

/* All that is left of the first segment is below the log start: opening removes it. */
static void killed_while_it_removes_what_is_below_the_log_start(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_begin(keyed, 3, KEYED_VALUE_BYTES, 1);
    (void)keyed_log_put(keyed, fixture->partition, 0, false);
    for (int segment = 0; segment < 2; segment++) {
        for (int i = 0; i < 400; i++)
            (void)keyed_log_put(keyed, fixture->partition, 1, false);
        must_roll(fixture);
    }
    (void)keyed_log_put(keyed, fixture->partition, 2, false);
    must_trim(fixture, 5);
    must_clean(fixture, NOW);
    fixture_close(fixture);
    assert_int_equal(run_in_child(open_and_die, fixture), 128 + SIGKILL);
    fixture_open(fixture);
    (void)check_clean(fixture);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 5);
}

/* ---- killed in the middle ------------------------------------------------------------------ */

static int die_before_rename(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    if (fault_is(what, FAULT_RENAME, ".cleaned"))
        (void)raise(SIGKILL);
    return 0;
}

static int die_after_rename(struct fault_io *fault, const struct fault_what *what)
{
    static bool is_renamed;
    (void)fault;
    if (is_renamed)
        (void)raise(SIGKILL);
    is_renamed = fault_is(what, FAULT_RENAME, ".cleaned");
    return 0;
}

static int (*die_at)(struct fault_io *fault, const struct fault_what *what);

static int compact_and_die(struct fixture *fixture)
{
    struct fault_io fault;
    fault_io_init(&fault);
    fault.hook = die_at;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    (void)clean_with(fixture, NOW, COMPACT_MAP_BYTES);
    return 0;
}

/* Whoever compacts is killed there, while this process has the store open. */
static void compact_in_a_child_that_dies(struct fixture *fixture,
                                         int (*at)(struct fault_io *fault,
                                                   const struct fault_what *what))
{
    int status;
    /* The child must not have what this process has open. */
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, 0);
    die_at = at;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(compact_and_die(fixture));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    fixture->partition = must_open_partition(fixture->store, "t", 0);
}

/* ---- the log start meanwhile --------------------------------------------------------------- */

/* The catalogue has the new segment, and the tail says where the log begins in the old one. */
static void the_view_is_right_before_the_exchange_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 10);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must_trim(fixture, 200);
    compact_in_a_child_that_dies(fixture, die_before_rename);
    check_view(fixture);
    must_trim(fixture, 230);
    check_view(fixture);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    check_view(fixture);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
}

/* ---- an intent that is damaged ------------------------------------------------------------- */

static void damage_intent(struct fixture *fixture)
{
    struct db *index = &fixture->store->index;
    struct db_key key = db_key_partition(beck_partition_topic(fixture->partition)->number, 0);
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val v = {.mv_size = 7, .mv_data = (void *)(uintptr_t) "damaged"};
    MDB_txn *txn;
    must(db_begin(index, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_put(txn, index->dbis[INDEX_CLEANINGS], &k, &v, MDB_NOOVERWRITE),
                     MDB_KEYEXIST);
    assert_int_equal(mdb_put(txn, index->dbis[INDEX_CLEANINGS], &k, &v, 0), 0);
    must(db_commit(index, txn, &fixture->error), &fixture->error);
}

static void lose_intent(struct fixture *fixture,
                        int (*at)(struct fault_io *fault, const struct fault_what *what))
{
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 10);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    compact_in_a_child_that_dies(fixture, at);
    damage_intent(fixture);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    fixture_reopen(fixture);
    (void)keyed_log_check(keyed, fixture->partition, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
    must_clean(fixture, NOW);
    (void)check_clean(fixture);
}

static void a_damaged_intent_costs_nothing_before_the_new_file_has_its_name(void **state)
{
    lose_intent(*state, die_before_rename);
}

static void a_damaged_intent_costs_nothing_after_the_new_file_has_its_name(void **state)
{
    lose_intent(*state, die_after_rename);
}

/* ---- a checkpoint that was killed ---------------------------------------------------------- */

/* Who was killed between a checkpoint's commit and its end has left rolled segments in the slot
 * that are in the catalogue, too: once they are exchanged, no checkpoint may put them back. */
static void what_a_killed_checkpoint_left_does_not_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct live_slot *slot;
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    slot = fixture->partition->slot;
    assert_true(atomic_load(&slot->rolled_end) >= 2);
    atomic_store(&slot->rolled_begin, atomic_load(&slot->rolled_end) - 2);
    must_clean(fixture, NOW);
    assert_int_equal(atomic_load(&slot->rolled_begin), atomic_load(&slot->rolled_end));
    (void)keyed_log_put(keyed, fixture->partition, 1, false);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    (void)keyed_log_check(keyed, fixture->partition, cleaned_to(fixture));
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_while_it_removes_what_is_below_the_log_start),
        TEST(the_view_is_right_before_the_exchange_is_told_of),
        TEST(what_a_killed_checkpoint_left_does_not_come_back),
        TEST(a_damaged_intent_costs_nothing_before_the_new_file_has_its_name),
        TEST(a_damaged_intent_costs_nothing_after_the_new_file_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
