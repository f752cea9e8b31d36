/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and processes on one store: what one does, the others see; a topic that is deleted under
 * somebody's hands; slots that are used again; opening more than once; fork.
 */
#include "fault_io.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- processes ----------------------------------------------------------------------------- */

static int append_in_child(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    must_append(partition, "theirs", BECK_ACKS_LEADER);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}

static void what_another_process_appended_is_seen(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "ours", BECK_ACKS_LEADER);
    assert_int_equal(run_in_child(append_in_child, fixture), 0);
    assert_value(fixture->partition, 1, "theirs");
    assert_int_equal(must_append(fixture->partition, "ours", BECK_ACKS_LEADER), 2);
}

static int make_topic_in_child(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    must_create_topic(store, "theirs", 2, NULL, NULL);
    beck_store_close(store);
    return 0;
}

static void a_topic_that_another_process_made_is_seen(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = beck_store_generation(fixture->store);
    assert_int_equal(run_in_child(make_topic_in_child, fixture), 0);
    assert_true(beck_store_generation(fixture->store) != before);
    beck_partition_close(must_open_partition(fixture->store, "theirs", 1));
}

/* ---- handles after fork -------------------------------------------------------------------- */

static int use_after_fork(struct fixture *fixture)
{
    struct beck_partition_state state;
    struct beck_append_result result;
    struct beck_record record = {.key_size = -1, .value = "x", .value_size = 1};
    struct beck_topic topic;
    struct beck_reader *reader = NULL;
    char bytes[100];
    int fails = 0;
    fails |= beck_partition_state(fixture->partition, &state, NULL) != -ENODEV;
    fails |= (beck_produce(fixture->partition, &record, 1, BECK_ACKS_ALL, &result, NULL) != -ENODEV)
             << 1;
    fails |= (beck_sync(fixture->partition, 0, NULL) != -ENODEV) << 2;
    fails |= (beck_read(fixture->partition, 0, bytes, sizeof(bytes), BECK_READ_UNCOMMITTED, NULL) !=
              -ENODEV)
             << 3;
    fails |= (beck_topic_find(fixture->store, "t", &topic, NULL) != -ENODEV) << 4;
    fails |= (beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, NULL) != -ENODEV)
             << 5;
    fails |= (beck_partition_wait(fixture->partition, 0, BECK_READ_UNCOMMITTED, 0, NULL) != -ENODEV)
             << 6;
    return fails;
}

static void handles_are_of_no_use_after_fork(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_in_child(use_after_fork, fixture), 0);
    must_append(fixture->partition, "still good here", BECK_ACKS_LEADER);
}

static int open_anew_after_fork(struct fixture *fixture)
{
    int r = append_in_child(fixture);
    fixture_close(fixture); /* the inherited handles can be closed, without harm */
    return r;
}

static void a_child_can_open_the_store_anew_and_close_what_it_inherited(void **state)
{
    struct fixture *fixture = *state;
    struct beck_error error;
    assert_true(beck_store_wake_fd(fixture->store, &error) >= 0);
    assert_int_equal(run_in_child(open_anew_after_fork, fixture), 0);
    assert_value(fixture->partition, 0, "theirs");
    /* The parent's doorbell is its own still: another process takes another one. */
    char path[PATH_MAX];
    store_file(fixture, STORE_PATH_LIVE, path);
    int other = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(
        fixture->store->io->lock_is_held(fixture->store->io, other,
                                         LIVE_LOCK_WAITER + (uint64_t)fixture->store->waiter.index),
        1);
    (void)close(other);
}

/* A thread that is held in the middle of opening a store, with whatever it has locked. */
static sem_t is_opening;
static sem_t may_open;

static int hold(struct fault_io *fault, const struct fault_what *what)
{
    static atomic_bool is_held;
    (void)fault;
    if (what->call == FAULT_LOCK && !atomic_exchange(&is_held, true)) {
        (void)sem_post(&is_opening);
        (void)sem_wait(&may_open);
    }
    return 0;
}

static void *open_and_close(void *path)
{
    struct fault_io fault;
    fault_io_init(&fault);
    fault.hook = hold;
    (void)beck_store_close(must_open_io(path, 0, &fault.io));
    return NULL;
}

static int open_another(struct fixture *fixture)
{
    char path[PATH_MAX];
    struct beck_store *store = NULL;
    (void)alarm(120);
    (void)snprintf(path, sizeof(path), "%s-other", fixture->path);
    int r = beck_store_open(path, BECK_OPEN_CREATE, &fixture_options, &store, &fixture->error);
    (void)beck_store_close(store);
    return r;
}

static void a_child_can_open_a_store_whatever_another_thread_was_opening(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    fixture_close(fixture);
    assert_int_equal(sem_init(&is_opening, 0, 0), 0);
    assert_int_equal(sem_init(&may_open, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, open_and_close, fixture->path), 0);
    assert_int_equal(sem_wait(&is_opening), 0);
    int result = run_in_child(open_another, fixture);
    (void)sem_post(&may_open);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, 0);
}

static void *reopen_in_thread(void *context)
{
    fixture_reopen(context);
    return NULL;
}

static void a_child_that_lives_on_does_not_keep_the_store_locked(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    struct timespec limit;
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    assert_int_equal(pthread_create(&thread, NULL, reopen_in_thread, fixture), 0);
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    int r = pthread_timedjoin_np(thread, NULL, &limit);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    if (r != 0)
        (void)pthread_join(thread, NULL);
    assert_int_equal(r, 0);
}

/* ---- opening more than once ---------------------------------------------------------------- */

static void an_open_store_is_shared(void **state)
{
    struct fixture *fixture = *state;
    struct beck_store *again = must_open(fixture->path, 0);
    assert_ptr_equal(again, fixture->store);
    beck_store_close(again);
    must_append(fixture->partition, "still open", BECK_ACKS_LEADER);
}

/* LMDB keeps its locks with a lock of the process on its file, which is gone when any descriptor of
 * the file is closed: so it must not be opened a second time. */
static int lmdb_lock_is_there(struct fixture *fixture)
{
    char path[PATH_MAX];
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    store_file(fixture, "meta.mdb-lock", path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_GETLK, &range) == 0 && range.l_type != F_UNLCK ? 42 : 1;
}

static void creating_what_is_open_leaves_its_locks_alone(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_in_child(lmdb_lock_is_there, fixture), 42);
    struct beck_store *again = must_open(fixture->path, BECK_OPEN_CREATE);
    beck_store_close(again);
    assert_int_equal(run_in_child(lmdb_lock_is_there, fixture), 42);
    assert_int_equal(beck_store_create(fixture->path, &fixture_options, &fixture->error), -EEXIST);
    assert_int_equal(run_in_child(lmdb_lock_is_there, fixture), 42);
}

static void opening_to_read_and_then_to_write_leaves_the_locks_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    struct beck_store *reading = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    struct beck_store *writing = NULL;
    int r = beck_store_open(fixture->path, 0, &fixture_options, &writing, &fixture->error);
    assert_int_equal(run_in_child(lmdb_lock_is_there, fixture), 42);
    if (r == 0)
        beck_store_close(writing);
    else
        assert_int_equal(r, -EBUSY);
    beck_store_close(reading);
}

/* ---- deleting under somebody's hands ------------------------------------------------------- */

static void handles_to_a_deleted_topic_are_stale(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition_state now;
    struct beck_append_result result;
    struct beck_record record = {.key_size = -1, .value = "x", .value_size = 1};
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    assert_int_equal(beck_partition_state(fixture->partition, &now, &fixture->error), -ESTALE);
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &fixture->error),
        -ESTALE);
    assert_int_equal(beck_sync(fixture->partition, 1, &fixture->error), -ESTALE);
    assert_int_equal(
        beck_partition_wait(fixture->partition, 5, BECK_READ_UNCOMMITTED, 0, &fixture->error),
        -ESTALE);
}

static void a_topic_made_again_is_another_one(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition_state now;
    must_append(fixture->partition, "old", BECK_ACKS_LEADER);
    must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    must_create_topic(fixture->store, "t", 1, NULL, NULL);
    struct beck_partition *partition = must_open_partition(fixture->store, "t", 0);
    assert_int_equal(must_append(partition, "new", BECK_ACKS_LEADER), 0);
    assert_value(partition, 0, "new");
    assert_int_equal(beck_partition_state(fixture->partition, &now, &fixture->error), -ESTALE);
    beck_partition_close(partition);
}

/* Somebody is in a sync while the topic goes and another one gets its slot. */
struct slow {
    atomic_bool begun;
    atomic_bool may_end;
};

static int slow_sync(struct fault_io *fault, const struct fault_what *what)
{
    struct slow *slow = fault->context;
    if (what->call != FAULT_SYNC_DATA || atomic_exchange(&slow->begun, true))
        return 0;
    while (!atomic_load(&slow->may_end))
        usleep(1000);
    return 0;
}

static void *sync_one(void *context)
{
    struct fixture *fixture = context;
    return (void *)(intptr_t)beck_sync(fixture->partition, 1, NULL);
}

static void *replace_topic(void *context)
{
    struct fixture *fixture = context;
    struct beck_error error;
    must(beck_topic_delete(fixture->store, "t", &error), &error);
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    return NULL;
}

static void a_sync_that_outlives_its_topic_harms_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct slow slow = {0};
    pthread_t syncing;
    pthread_t replacing;
    void *result;
    fixture_close(fixture);
    fault_io_init(&fault);
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    fault.context = &slow;
    fault.hook = slow_sync;
    assert_int_equal(pthread_create(&syncing, NULL, sync_one, fixture), 0);
    while (!atomic_load(&slow.begun))
        usleep(1000);
    assert_int_equal(pthread_create(&replacing, NULL, replace_topic, fixture), 0);
    usleep(50000); /* whether or not it waits for the sync */
    atomic_store(&slow.may_end, true);
    assert_int_equal(pthread_join(syncing, &result), 0);
    assert_int_equal(pthread_join(replacing, NULL), 0);
    struct beck_partition *partition = must_open_partition(fixture->store, "u", 0);
    assert_int_equal(must_append(partition, "fresh", BECK_ACKS_ALL), 0);
    must(beck_sync(partition, 1, &fixture->error), &fixture->error);
    assert_value(partition, 0, "fresh");
    beck_partition_close(partition);
    fixture_close(fixture);
}

static int refuse_removal(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    return what->call == FAULT_REMOVE ? -EIO : 0;
}

static void a_deletion_that_is_cut_short_is_finished_later(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct beck_topic topic;
    char path[PATH_MAX];
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    partition_folder(fixture, "t", 0, path);
    fixture_close(fixture);
    fault_io_init(&fault);
    fault.hook = refuse_removal;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(beck_topic_find(fixture->store, "t", &topic, NULL), -ENOENT);
    fault.hook = NULL;
    fixture_reopen(fixture);
    assert_int_equal(access(path, F_OK), -1);
    fixture_close(fixture);
}

/* ---- threads ------------------------------------------------------------------------------- */

static void *append_many(void *context)
{
    struct fixture *fixture = context;
    for (int i = 0; i < 500; i++)
        must_append(fixture->partition, "from a thread", BECK_ACKS_LEADER);
    return NULL;
}

static void *read_many(void *context)
{
    struct fixture *fixture = context;
    for (int i = 0; i < 50; i++)
        (void)count_records(fixture->partition, 0);
    return NULL;
}

static void threads_append_and_read_at_once(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 ? read_many : append_many, fixture), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count_records(fixture->partition, 0), 2000);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_another_process_appended_is_seen),
        TEST(a_topic_that_another_process_made_is_seen),
        TEST(handles_are_of_no_use_after_fork),
        TEST(a_child_can_open_the_store_anew_and_close_what_it_inherited),
        TEST(a_child_can_open_a_store_whatever_another_thread_was_opening),
        TEST(a_child_that_lives_on_does_not_keep_the_store_locked),
        TEST(an_open_store_is_shared),
        TEST(creating_what_is_open_leaves_its_locks_alone),
        TEST(opening_to_read_and_then_to_write_leaves_the_locks_alone),
        TEST(handles_to_a_deleted_topic_are_stale),
        TEST(a_topic_made_again_is_another_one),
        TEST(a_sync_that_outlives_its_topic_harms_nobody),
        TEST(a_deletion_that_is_cut_short_is_finished_later),
        TEST(threads_append_and_read_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
