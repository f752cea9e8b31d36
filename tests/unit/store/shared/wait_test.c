/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting: by call and by descriptor, within a process and across processes, without polling. And
 * the processes that find no doorbell, which poll.
 */
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often somebody slept. */
int __real_poll(struct pollfd *items, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *items, nfds_t count, int timeout_ms);

static _Atomic unsigned polls;

int __wrap_poll(struct pollfd *items, nfds_t count, int timeout_ms)
{
    polls++;
    return __real_poll(items, count, timeout_ms);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(struct fixture *fixture, int64_t offset, int timeout_ms)
{
    return beck_partition_wait(fixture->partition, offset, BECK_READ_UNCOMMITTED, timeout_ms,
                               &fixture->error);
}

/* Append in a child, after some time, and end it cleanly. */
static pid_t append_later(struct fixture *fixture, const char *topic, int delay_ms, bool sync)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct beck_error error;
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, topic, 0);
    usleep((useconds_t)delay_ms * 1000);
    int64_t offset = must_append(partition, "ring", sync ? BECK_ACKS_ALL : BECK_ACKS_LEADER);
    if (sync) {
        usleep((useconds_t)delay_ms * 1000);
        must(beck_sync(partition, offset + 1, &error), &error);
    }
    beck_partition_close(partition);
    beck_store_close(store);
    _exit(0);
}

/* The same, when the writing end of a pipe is closed. */
static pid_t append_when_closed(struct fixture *fixture, const char *topic, const int ends[2])
{
    char byte;
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, topic, 0);
    (void)close(ends[1]);
    if (read(ends[0], &byte, 1) != 0)
        _exit(1);
    must_append(partition, "ring", BECK_ACKS_LEADER);
    beck_partition_close(partition);
    beck_store_close(store);
    _exit(0);
}

static void reap(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- by call ------------------------------------------------------------------------------- */

static void what_is_there_needs_no_wait(void **state)
{
    struct fixture *fixture = *state;
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    assert_int_equal(wait_for(fixture, 0, -1), 1);
}

static void a_wait_ends_with_its_time(void **state)
{
    struct fixture *fixture = *state;
    int64_t begin = now_ms();
    assert_int_equal(wait_for(fixture, 0, 60), 0);
    assert_true(now_ms() - begin >= 55);
}

static void the_end_of_the_time_is_slept_up_to(void **state)
{
    struct fixture *fixture = *state;
    enum { WAITS = 10 };
    polls = 0;
    for (int i = 0; i < WAITS; i++)
        assert_int_equal(wait_for(fixture, 0, 10), 0);
    assert_true(polls <= 3 * WAITS);
}

static void no_time_at_all_only_looks(void **state)
{
    assert_int_equal(wait_for(*state, 0, 0), 0);
}

static void an_append_of_another_process_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = append_later(fixture, "t", 50, false);
    assert_int_equal(wait_for(fixture, 0, 20000), 1);
    reap(pid);
}

static void a_wait_goes_on_until_what_was_appended_is_visible(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = append_later(fixture, "t", 60, true);
    assert_int_equal(wait_for(fixture, 0, 20000), 1);
    assert_int_equal(must_state(fixture->partition).high_watermark, 1);
    reap(pid);
}

static void waiting_takes_no_processor_time(void **state)
{
    struct fixture *fixture = *state;
    struct rusage before;
    struct rusage after;
    (void)getrusage(RUSAGE_SELF, &before);
    assert_int_equal(wait_for(fixture, 0, 500), 0);
    (void)getrusage(RUSAGE_SELF, &after);
    /* A poll each 10 ms would give way 50 times. */
    assert_true(after.ru_nvcsw - before.ru_nvcsw < 10);
}

static void an_append_to_another_partition_does_not_end_a_wait(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    pid_t pid = append_later(fixture, "u", 20, false);
    assert_int_equal(wait_for(fixture, 0, 150), 0);
    reap(pid);
}

struct waiting {
    struct fixture *fixture;
    struct beck_partition *partition;
    int result;
};

static void *wait_in_thread(void *context)
{
    struct waiting *waiting = context;
    struct beck_error error;
    waiting->result =
        beck_partition_wait(waiting->partition, 0, BECK_READ_UNCOMMITTED, 20000, &error);
    return NULL;
}

static void two_threads_wait_for_two_partitions(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[2];
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    struct waiting waiting[2] = {{fixture, fixture->partition, -1},
                                 {fixture, must_open_partition(fixture->store, "u", 0), -1}};
    /* Forked before there are threads, which a sanitizer's allocator does not survive. */
    pid_t second = append_later(fixture, "u", 50, false);
    pid_t first = append_later(fixture, "t", 150, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_thread, &waiting[i]), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(waiting[0].result, 1);
    assert_int_equal(waiting[1].result, 1);
    reap(first);
    reap(second);
    beck_partition_close(waiting[1].partition);
}

static void many_threads_wait_for_one_partition(void **state)
{
    enum { THREADS = 12 };
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    struct waiting waiting[THREADS];
    pid_t pid = append_later(fixture, "t", 60, false);
    for (int i = 0; i < THREADS; i++) {
        waiting[i] = (struct waiting){fixture, fixture->partition, -1};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_thread, &waiting[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiting[i].result, 1);
    }
    reap(pid);
}

static void no_ring_is_lost_in_ten_thousand(void **state)
{
    enum { RINGS = 10000 };
    struct fixture *fixture = *state;
    pid_t pid = fork();
    if (pid == 0) {
        struct beck_store *store = must_open(fixture->path, 0);
        struct beck_partition *partition = must_open_partition(store, "t", 0);
        for (int i = 0; i < RINGS; i++)
            must_append(partition, "ring", BECK_ACKS_LEADER);
        beck_partition_close(partition);
        beck_store_close(store);
        _exit(0);
    }
    for (int64_t next = 0; next < RINGS;) {
        assert_int_equal(wait_for(fixture, next, 20000), 1);
        next = must_state(fixture->partition).high_watermark;
    }
    reap(pid);
}

static void *delete_later(void *context)
{
    struct fixture *fixture = context;
    struct beck_error error;
    usleep(30000);
    must(beck_topic_delete(fixture->store, "t", &error), &error);
    return NULL;
}

static void a_deletion_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, delete_later, fixture), 0);
    assert_int_equal(wait_for(fixture, 0, 20000), -ESTALE);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void do_nothing(int number)
{
    (void)number;
}

static void a_signal_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    struct sigaction action = {.sa_handler = do_nothing};
    /* Again and again: the first one may come before the wait begins. */
    const struct itimerval often = {.it_value = {.tv_usec = 30000},
                                    .it_interval = {.tv_usec = 30000}};
    const struct itimerval never = {0};
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &often, NULL);
    int r = wait_for(fixture, 0, 20000);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    assert_int_equal(r, -EINTR);
}

static void who_only_reads_polls_and_is_woken_too(void **state)
{
    struct fixture *fixture = *state;
    int is_open[2];
    int may_end[2];
    char byte;
    assert_int_equal(pipe(is_open), 0);
    assert_int_equal(pipe(may_end), 0);
    pid_t writer = fork();
    if (writer == 0) { /* keeps the store open for writing */
        (void)close(may_end[1]);
        struct beck_store *store = must_open(fixture->path, 0);
        struct beck_partition *partition = must_open_partition(store, "t", 0);
        (void)close(is_open[1]);
        usleep(300000);
        must_append(partition, "ring", BECK_ACKS_LEADER);
        _exit((int)read(may_end[0], &byte, 1));
    }
    (void)close(is_open[1]);
    fixture_close(fixture);
    assert_int_equal(read(is_open[0], &byte, 1), 0);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_int_equal(beck_store_wake_fd(fixture->store, &fixture->error), -EROFS);
    assert_int_equal(wait_for(fixture, 0, 20000), 1);
    (void)close(may_end[1]);
    reap(writer);
    (void)close(is_open[0]);
    (void)close(may_end[0]);
}

/* ---- by descriptor ------------------------------------------------------------------------- */

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, timeout_ms) == 1;
}

static int wake_fd(struct fixture *fixture)
{
    return (int)must(beck_store_wake_fd(fixture->store, &fixture->error), &fixture->error);
}

static void the_descriptor_rings_for_what_is_armed(void **state)
{
    struct fixture *fixture = *state;
    int fd = wake_fd(fixture);
    beck_partition_arm(fixture->partition);
    assert_false(is_readable(fd, 0));
    pid_t pid = append_later(fixture, "t", 0, false);
    assert_true(is_readable(fd, 20000));
    reap(pid);
    beck_store_wake_clear(fixture->store);
    assert_false(is_readable(fd, 0));
}

static void being_rung_disarms(void **state)
{
    struct fixture *fixture = *state;
    int fd = wake_fd(fixture);
    beck_partition_arm(fixture->partition);
    reap(append_later(fixture, "t", 0, false));
    beck_store_wake_clear(fixture->store);
    reap(append_later(fixture, "t", 0, false));
    assert_false(is_readable(fd, 50));
}

/* ---- who rang ------------------------------------------------------------------------------ */

static void a_ring_says_which_partition_rang(void **state)
{
    struct fixture *fixture = *state;
    uint32_t numbers[4] = {0};
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    struct beck_partition *other = must_open_partition(fixture->store, "u", 0);
    int fd = wake_fd(fixture);
    beck_partition_arm(fixture->partition);
    beck_partition_arm(other);
    reap(append_later(fixture, "u", 0, false));
    assert_int_equal(beck_store_wake_take(fixture->store, numbers, 4), 1);
    assert_int_equal(numbers[0], beck_partition_bell(other));
    assert_int_not_equal(numbers[0], beck_partition_bell(fixture->partition));
    assert_false(is_readable(fd, 0));
    beck_partition_close(other);
}

static void topics_ring_by_the_number_0(void **state)
{
    struct fixture *fixture = *state;
    uint32_t number = 1;
    wake_fd(fixture);
    beck_store_arm(fixture->store);
    must_create_topic(fixture->store, "new", 1, NULL, NULL);
    assert_int_equal(beck_store_wake_take(fixture->store, &number, 1), 1);
    assert_int_equal(number, 0);
}

static void a_move_of_the_log_start_rings(void **state)
{
    struct fixture *fixture = *state;
    int fd = wake_fd(fixture);
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    beck_partition_arm(fixture->partition);
    int64_t begin;
    must(beck_trim(fixture->partition, 1, &begin, &fixture->error), &fixture->error);
    assert_true(is_readable(fd, 0));
}

static void rings_that_are_too_many_are_told(void **state)
{
    struct fixture *fixture = *state;
    uint32_t numbers[64];
    int fd = wake_fd(fixture);
    int rings = fcntl(fd, F_GETPIPE_SZ) / (int)sizeof(numbers[0]);
    for (int i = 0; i < rings + 10; i++) {
        beck_partition_arm(fixture->partition);
        must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    }
    int result = 64;
    while (result == 64)
        result = beck_store_wake_take(fixture->store, numbers, 64);
    assert_int_equal(result, -EOVERFLOW);
    assert_false(is_readable(fd, 0));
    assert_int_equal(beck_store_wake_take(fixture->store, numbers, 64), 0);
}

static void many_rings_that_have_room_are_all_told(void **state)
{
    struct fixture *fixture = *state;
    uint32_t numbers[64];
    int fd = wake_fd(fixture);
    int rings = fcntl(fd, F_GETPIPE_SZ) / (int)sizeof(numbers[0]) - 1;
    for (int round = 0; round < 2; round++) {
        int told = 0;
        int result;
        for (int i = 0; i < rings; i++) {
            beck_partition_arm(fixture->partition);
            must_append(fixture->partition, "a", BECK_ACKS_LEADER);
        }
        do {
            result = beck_store_wake_take(fixture->store, numbers, 64);
            told += result;
        } while (result == 64);
        assert_int_equal(told, rings);
    }
}

static void the_descriptor_rings_for_topics(void **state)
{
    struct fixture *fixture = *state;
    int fd = wake_fd(fixture);
    beck_store_arm(fixture->store);
    must_create_topic(fixture->store, "new", 1, NULL, NULL);
    assert_true(is_readable(fd, 20000));
}

static void the_descriptor_does_not_ring_for_what_is_invisible(void **state)
{
    struct fixture *fixture = *state;
    int fd = wake_fd(fixture);
    beck_partition_arm(fixture->partition);
    must_append(fixture->partition, "a", BECK_ACKS_ALL);
    assert_false(is_readable(fd, 50));
    must(beck_sync(fixture->partition, 1, &fixture->error), &fixture->error);
    assert_true(is_readable(fd, 0));
}

/* A thread that waits by call hears the rings of all: the loop must hear them too. */
static void a_waiting_thread_takes_no_ring_from_a_loop(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    struct waiting waiting = {fixture, must_open_partition(fixture->store, "u", 0), -1};
    int fd = wake_fd(fixture);
    int armed[2];
    assert_int_equal(pipe(armed), 0);
    /* Forked before there are threads, which a sanitizer's allocator does not survive. */
    pid_t pid = append_when_closed(fixture, "t", armed);
    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiting), 0);
    usleep(50000);
    beck_partition_arm(fixture->partition);
    (void)close(armed[1]);
    reap(pid);
    (void)close(armed[0]);
    bool rung = is_readable(fd, 20000);
    must_append(waiting.partition, "end", BECK_ACKS_LEADER);
    assert_int_equal(pthread_join(thread, NULL), 0);
    beck_partition_close(waiting.partition);
    assert_true(rung);
}

/* ---- doorbells ----------------------------------------------------------------------------- */

static void a_dead_process_gives_its_doorbell_back(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct beck_error error;
            struct beck_store *store = must_open(fixture->path, 0);
            must(beck_store_wake_fd(store, &error), &error);
            (void)raise(SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
    wake_fd(fixture);
    assert_int_equal(fixture->store->waiter.index, 0);
}

/* All doorbells are taken by locks on their bytes, as processes take them. */
static void the_sixty_fifth_process_polls(void **state)
{
    struct fixture *fixture = *state;
    const struct io *io = &io_system;
    char path[PATH_MAX];
    store_file(fixture, STORE_PATH_LIVE, path);
    int fd = io->open(io, -1, path, O_RDWR, 0);
    assert_true(fd >= 0);
    for (uint64_t i = 0; i < BECK_WAITING_PROCESSES_MAX; i++)
        assert_int_equal(io->lock(io, fd, LIVE_LOCK_WAITER + i, IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(beck_store_wake_fd(fixture->store, &fixture->error), -EUSERS);
    pid_t pid = append_later(fixture, "t", 50, false);
    assert_int_equal(wait_for(fixture, 0, 20000), 1);
    assert_int_equal(wait_for(fixture, 1, 30), 0);
    reap(pid);
    (void)io->close(io, fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_needs_no_wait),
        TEST(a_wait_ends_with_its_time),
        TEST(the_end_of_the_time_is_slept_up_to),
        TEST(no_time_at_all_only_looks),
        TEST(an_append_of_another_process_ends_a_wait),
        TEST(a_wait_goes_on_until_what_was_appended_is_visible),
        TEST(waiting_takes_no_processor_time),
        TEST(an_append_to_another_partition_does_not_end_a_wait),
        TEST(two_threads_wait_for_two_partitions),
        TEST(many_threads_wait_for_one_partition),
        TEST(no_ring_is_lost_in_ten_thousand),
        TEST(a_deletion_ends_a_wait),
        TEST(a_signal_ends_a_wait),
        TEST(who_only_reads_polls_and_is_woken_too),
        TEST(the_descriptor_rings_for_what_is_armed),
        TEST(being_rung_disarms),
        TEST(a_ring_says_which_partition_rang),
        TEST(topics_ring_by_the_number_0),
        TEST(a_move_of_the_log_start_rings),
        TEST(rings_that_are_too_many_are_told),
        TEST(many_rings_that_have_room_are_all_told),
        TEST(the_descriptor_rings_for_topics),
        TEST(the_descriptor_does_not_ring_for_what_is_invisible),
        TEST(a_waiting_thread_takes_no_ring_from_a_loop),
        TEST(a_dead_process_gives_its_doorbell_back),
        TEST(the_sixty_fifth_process_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
