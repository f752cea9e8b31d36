/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cleaner that is killed, or refused by the disk, at each of its calls, one run after the other:
 * the log is the old one or the new one, for those who have the store open meanwhile and for those
 * who open it after. What each run begins with is the same store, copied.
 */
#include "clean.h"
#include "compact.h"
#include "fault_io.h"
#include "keyed_log.h"
#include "segments.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)

static struct keyed_log *const keyed = &keyed_log;

/* ---- the store that each run begins with --------------------------------------------------- */

static struct fixture original;

static int make_original(void **state)
{
    const struct beck_config configs[] = {{"cleanup.policy", "compact"},
                                          {"segment.bytes", "1048576"},
                                          {"min.cleanable.dirty.ratio", "0"}};
    const struct beck_topic_options options = {.configs = configs, .config_count = 3};
    struct beck_topic topic;
    (void)state;
    fixture_begin(&original);
    must(beck_store_create(original.path, &fixture_options, &original.error), &original.error);
    original.store = must_open(original.path, 0);
    must(beck_topic_create(original.store, "t", &options, &topic, &original.error),
         &original.error);
    original.partition = must_open_partition(original.store, "t", 0);
    /* Enough keys for more than a segment when all is clean, so that there are several exchanges.
     */
    keyed_log_begin(keyed, 900, 2500, 1);
    keyed_log_fill(keyed, original.partition, 4 * MIB, 10);
    fixture_close(&original);
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
    setup_folder(state);
    return 0;
}

static void begin_run(struct fixture *fixture)
{
    folder_remove(fixture->path);
    folder_copy(original.path, fixture->path);
}

static void open_store(struct fixture *fixture)
{
    fixture_open(fixture);
}

/* ---- the cleaner that is stopped ----------------------------------------------------------- */

/* Calls that change something, or that others see. */
static bool matters(const struct fault_what *what)
{
    switch (what->call) {
    case FAULT_READ:
    case FAULT_STAT:
    case FAULT_CLOSE:
    case FAULT_LOCK:
    case FAULT_LOCK_IS_HELD:
    case FAULT_MAP:
        return false;
    case FAULT_OPEN:
        return (what->flags & O_CREAT) != 0;
    default:
        return true;
    }
}

struct stopper {
    bool is_armed;
    unsigned calls;
    unsigned stop_at; /* from 1 */
    bool kill;        /* else the call fails */
    bool has_failed;
};

static int on_call(struct fault_io *fault, const struct fault_what *what)
{
    struct stopper *stopper = fault->context;
    if (!stopper->is_armed || !matters(what) || ++stopper->calls != stopper->stop_at)
        return 0;
    if (stopper->kill)
        (void)raise(SIGKILL);
    stopper->has_failed = true;
    return -EIO;
}

static int clean(struct beck_store *store, struct beck_error *error)
{
    uint32_t next_ms;
    struct clean clean = {
        .store = store, .now_ms = FIXTURE_TIME + 3600000, .map_bytes = COMPACT_MAP_BYTES};
    return clean_run_with(&clean, &next_ms, error);
}

/* In a child: clean, and be killed at a call; ends with 0 where the run ended before. It begins
 * when there is a byte in the pipe. */
static pid_t start_cleaner(struct fixture *fixture, unsigned stop_at, const int pipe_fds[2])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct fault_io fault;
    struct stopper stopper = {.stop_at = stop_at, .kill = true};
    struct beck_error error;
    char byte;
    if (pipe_fds && read(pipe_fds[0], &byte, 1) != 1)
        _exit(2);
    fault_io_init(&fault);
    fault.hook = on_call;
    fault.context = &stopper;
    struct beck_store *store = must_open_io(fixture->path, 0, &fault.io);
    stopper.is_armed = true;
    must(clean(store, &error), &error);
    stopper.is_armed = false;
    _exit(0);
}

/* Returns whether it was killed. */
static bool wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void assert_no_leftovers(struct fixture *fixture)
{
    char path[PATH_MAX];
    partition_folder(fixture, "t", 0, path);
    assert_int_equal(folder_count(path, ".cleaned"), 0);
}

/* What can be read is what was appended, and in the end all of it is clean. */
static void check_log(struct fixture *fixture)
{
    char name[PATH_MAX];
    (void)keyed_log_check(keyed, fixture->partition, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    must(clean(fixture->store, &fixture->error), &fixture->error);
    segment_path(fixture, "t", 0, segment_count(fixture, "t", 0) - 1, name);
    int64_t active = strtoll(strrchr(name, '/') + 1, NULL, 10);
    assert_int_equal(keyed_log_check(keyed, fixture->partition, active).obsolete, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_no_leftovers(fixture);
}

/* ---- the tests ----------------------------------------------------------------------------- */

static void killed_at_any_call_leaves_a_good_store(void **state)
{
    struct fixture *fixture = *state;
    unsigned at = 0;
    bool killed;
    do {
        begin_run(fixture);
        killed = wait_for(start_cleaner(fixture, ++at, NULL));
        open_store(fixture);
        assert_no_leftovers(fixture);
        check_log(fixture);
        fixture_close(fixture);
    } while (killed);
    assert_in_range(at, 12, 500); /* it was killed at all: two exchanges, at least */
}

static void killed_at_any_call_a_repair_takes_nothing_for_damage(void **state)
{
    struct fixture *fixture = *state;
    unsigned at = 0;
    bool killed;
    do {
        struct beck_repair_totals totals;
        begin_run(fixture);
        killed = wait_for(start_cleaner(fixture, ++at, NULL));
        must(beck_store_repair(fixture->path, BECK_REPAIR_EXECUTE | BECK_REPAIR_DROP_DAMAGED,
                               &fixture_options, NULL, NULL, &totals, &fixture->error),
             &fixture->error);
        assert_int_equal(totals.left, 0);
        assert_string_equal(totals.side, "");
        open_store(fixture);
        check_log(fixture);
        fixture_close(fixture);
    } while (killed);
}

static void killed_at_any_call_others_go_on_reading(void **state)
{
    struct fixture *fixture = *state;
    unsigned at = 0;
    bool killed;
    do {
        int pipe_fds[2];
        uint32_t next_ms;
        begin_run(fixture);
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t pid = start_cleaner(fixture, ++at, pipe_fds);
        open_store(fixture);
        int64_t before = keyed_log_check(keyed, fixture->partition, 0).records;
        assert_int_equal(write(pipe_fds[1], "x", 1), 1);
        killed = wait_for(pid);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
        assert_in_range(keyed_log_check(keyed, fixture->partition, 0).records, 800, before);
        must(beck_store_maintain(fixture->store, false, &next_ms, &fixture->error),
             &fixture->error);
        check_log(fixture);
        fixture_close(fixture);
    } while (killed);
}

/* Nobody does then what the dead one left: neither who may only read, nor who has the maintenance
 * lock himself. Each of them reads as if it had been done. */
static void killed_at_any_call_who_only_looks_reads_all(void **state)
{
    struct fixture *fixture = *state;
    unsigned at = 0;
    bool killed;
    do {
        begin_run(fixture);
        killed = wait_for(start_cleaner(fixture, ++at, NULL));
        fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
        fixture->partition = must_open_partition(fixture->store, "t", 0);
        assert_in_range(keyed_log_check(keyed, fixture->partition, 0).records, 800,
                        keyed->next_offset);
        fixture_close(fixture);
    } while (killed);
}

static void killed_at_any_call_others_trim(void **state)
{
    struct fixture *fixture = *state;
    unsigned at = 0;
    bool killed;
    do {
        int pipe_fds[2];
        int64_t log_start;
        begin_run(fixture);
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t pid = start_cleaner(fixture, ++at, pipe_fds);
        open_store(fixture);
        assert_int_equal(write(pipe_fds[1], "x", 1), 1);
        killed = wait_for(pid);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
        must(beck_trim(fixture->partition, 100, &log_start, &fixture->error), &fixture->error);
        assert_int_equal(log_start, 100);
        check_log(fixture);
        fixture_close(fixture);
    } while (killed);
}

/* The bytes at some positions of the view are those that they were, or it is said that they are
 * not. */
static void check_view(struct fixture *fixture, const struct beck_view_head *head,
                       const char *before, size_t size)
{
    static char buffer[5000];
    struct beck_reader *reader = NULL;
    for (size_t at = 0; at + sizeof(buffer) <= size; at += 300000) {
        must(beck_reader_new(fixture->partition, BECK_READ_COMMITTED, &reader, &fixture->error),
             &fixture->error);
        beck_reader_view_from(reader, head);
        ssize_t n = beck_reader_view(reader, at, buffer, sizeof(buffer), &fixture->error);
        if (n != -ESTALE) {
            must(n, &fixture->error);
            assert_memory_equal(buffer, before + at, (size_t)n);
        }
        beck_reader_free(reader);
    }
}

/* One who has to take the list of segments anew, because he had no descriptor any more. */
static void forget_list(struct fixture *fixture)
{
    struct live_tail tail;
    must(segments_lock(fixture->partition, &tail, &fixture->error), &fixture->error);
    fixture->partition->segments_generation = 0;
    segments_unlock(fixture->partition);
}

static void killed_at_any_call_positions_of_the_view_keep_their_meaning(void **state)
{
    enum { SIZE = 16 * MIB };
    struct fixture *fixture = *state;
    char *view = malloc(SIZE);
    unsigned at = 0;
    bool killed;
    assert_non_null(view);
    do {
        int pipe_fds[2];
        struct beck_reader *reader = NULL;
        begin_run(fixture);
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t pid = start_cleaner(fixture, ++at, pipe_fds);
        open_store(fixture);
        struct beck_view_head head = must_state(fixture->partition).view_head;
        must(beck_reader_new(fixture->partition, BECK_READ_COMMITTED, &reader, &fixture->error),
             &fixture->error);
        ssize_t size =
            must(beck_reader_view(reader, 0, view, SIZE, &fixture->error), &fixture->error);
        beck_reader_free(reader);
        assert_int_equal(write(pipe_fds[1], "x", 1), 1);
        killed = wait_for(pid);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
        forget_list(fixture);
        check_view(fixture, &head, view, (size_t)size);
        fixture_close(fixture);
    } while (killed);
    free(view);
}

static void refused_at_any_call_nothing_is_lost(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct stopper stopper = {0};
    fault_io_init(&fault);
    fault.hook = on_call;
    fault.context = &stopper;
    for (unsigned at = 1;; at++) {
        begin_run(fixture);
        stopper = (struct stopper){.stop_at = at};
        fixture->store = must_open_io(fixture->path, 0, &fault.io);
        fixture->partition = must_open_partition(fixture->store, "t", 0);
        stopper.is_armed = true;
        int r = clean(fixture->store, &fixture->error);
        stopper.is_armed = false;
        assert_int_equal(r, stopper.has_failed && r != 0 ? -EIO : 0);
        (void)keyed_log_check(keyed, fixture->partition, 0);
        bool was_refused = stopper.has_failed;
        fixture_close(fixture);
        open_store(fixture);
        check_log(fixture);
        fixture_close(fixture);
        if (!was_refused)
            break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_copy, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_at_any_call_leaves_a_good_store),
        TEST(killed_at_any_call_a_repair_takes_nothing_for_damage),
        TEST(killed_at_any_call_others_go_on_reading),
        TEST(killed_at_any_call_who_only_looks_reads_all),
        TEST(killed_at_any_call_others_trim),
        TEST(killed_at_any_call_positions_of_the_view_keep_their_meaning),
        TEST(refused_at_any_call_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, make_original, remove_original);
}
