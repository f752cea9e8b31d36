/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of one process that do everything at once on one store. What it shows it shows under a
 * sanitizer that watches threads (./check runs it so); else it is a test that all ends well.
 */
#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS  60
#define TOPIC   "shared"
#define THREADS 10

static _Atomic bool writers_are_done;

static struct beck_partition *open_shared(struct fixture *fixture)
{
    return must_open_partition(fixture->store, TOPIC, 0);
}

static void append_and_sync(struct fixture *fixture)
{
    struct beck_partition *partition = open_shared(fixture);
    struct beck_error error;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t offset =
            must_append_bytes(partition, 20000, i, i % 2 ? BECK_ACKS_ALL : BECK_ACKS_LEADER);
        if (i % 4 == 1)
            must(beck_sync(partition, offset + 1, &error), &error);
    }
    beck_partition_close(partition);
}

/* Reading may meet the log start, which goes on meanwhile. */
static bool may_be(int r, int code, const struct beck_error *error)
{
    if (r < 0 && r != code && r != -ESTALE)
        must(r, error);
    return r >= 0;
}

static void read_ranges(struct fixture *fixture)
{
    struct beck_partition *partition = open_shared(fixture);
    struct beck_error error;
    while (!atomic_load(&writers_are_done)) {
        struct beck_partition_state state = must_state(partition);
        int64_t offset = state.log_start_offset;
        struct beck_range range;
        while (
            may_be(beck_read_range(partition, offset, 50000, BECK_READ_UNCOMMITTED, &range, &error),
                   -ERANGE, &error)) {
            bool is_end = range.size == 0;
            offset = range.next_offset;
            beck_range_release(&range);
            if (is_end)
                break;
        }
    }
    beck_partition_close(partition);
}

static void read_records(struct fixture *fixture)
{
    struct beck_partition *partition = open_shared(fixture);
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    char bytes[5000];
    must(beck_reader_new(partition, BECK_READ_COMMITTED, &reader, &error), &error);
    while (!atomic_load(&writers_are_done)) {
        struct beck_partition_state state = must_state(partition);
        if (!may_be(beck_reader_seek(reader, state.log_start_offset, &error), -ERANGE, &error))
            continue;
        for (int i = 0; i < 20; i++)
            if (!may_be(beck_reader_next(reader, &record, &error), -ERANGE, &error))
                break;
        (void)may_be(
            (int)beck_reader_view(reader, state.view_bytes / 2, bytes, sizeof(bytes), &error),
            -ERANGE, &error);
    }
    beck_reader_free(reader);
    beck_partition_close(partition);
}

static void wait_for_records(struct fixture *fixture)
{
    struct beck_partition *partition = open_shared(fixture);
    struct beck_error error;
    int64_t offset = 0;
    while (!atomic_load(&writers_are_done)) {
        if (must(beck_partition_wait(partition, offset, BECK_READ_UNCOMMITTED, 20, &error),
                 &error) == 1)
            offset = must_state(partition).high_watermark;
    }
    beck_partition_close(partition);
}

static bool stop_cleaning(void *context)
{
    (void)context;
    return atomic_load(&writers_are_done);
}

static void maintain(struct fixture *fixture)
{
    struct beck_error error;
    uint32_t next_ms;
    while (!atomic_load(&writers_are_done)) {
        must(beck_store_maintain(fixture->store, true, &next_ms, &error), &error);
        must(beck_store_clean(fixture->store, stop_cleaning, NULL, &next_ms, &error), &error);
    }
}

static void trim(struct fixture *fixture)
{
    struct beck_partition *partition = open_shared(fixture);
    struct beck_error error;
    int64_t log_start;
    while (!atomic_load(&writers_are_done)) {
        struct beck_partition_state state = must_state(partition);
        int64_t offset = (state.log_start_offset + state.high_watermark) / 2;
        (void)may_be(beck_trim(partition, offset, &log_start, &error), -ERANGE, &error);
    }
    beck_partition_close(partition);
}

static void make_and_delete_topics(struct fixture *fixture)
{
    struct beck_error error;
    for (int i = 0; !atomic_load(&writers_are_done); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "made-%d", i);
        must_create_topic(fixture->store, name, 2, NULL, NULL);
        struct beck_partition *partition = must_open_partition(fixture->store, name, 1);
        must_append(partition, "value", BECK_ACKS_LEADER);
        beck_partition_close(partition);
        must(beck_topic_delete(fixture->store, name, &error), &error);
    }
}

static void commit_offsets(struct fixture *fixture)
{
    struct beck_error error;
    while (!atomic_load(&writers_are_done)) {
        struct beck_offset_commit commit = {
            .group = "group", .group_size = 5, .topic = TOPIC, .leader_epoch = -1, .expire_ms = -1};
        must(beck_offsets_commit(fixture->store, &commit, 1, &error), &error);
        assert_int_equal(commit.result, 0);
    }
}

static void look_around(struct fixture *fixture)
{
    struct beck_store_info info;
    struct beck_process process;
    struct beck_lock lock;
    struct beck_error error;
    while (!atomic_load(&writers_are_done)) {
        uint32_t position = 0;
        must(beck_store_info(fixture->store, &info, &error), &error);
        assert_int_equal(
            must(beck_store_process_next(fixture->store, &position, &process, &error), &error), 1);
        position = 0;
        while (must(beck_store_lock_next(fixture->store, &position, &lock, &error), &error) == 1)
            ;
    }
}

struct thread {
    pthread_t id;
    struct fixture *fixture;
    void (*run)(struct fixture *fixture);
};

static void *thread_main(void *context)
{
    struct thread *thread = context;
    thread->run(thread->fixture);
    return NULL;
}

static void everything_at_once(void **state)
{
    struct fixture *fixture = *state;
    static void (*const work[THREADS])(struct fixture * fixture) = {
        append_and_sync,        append_and_sync, read_ranges, read_records,
        wait_for_records,       maintain,        trim,        commit_offsets,
        make_and_delete_topics, look_around};
    struct thread threads[THREADS];
    must_create_topic(fixture->store, TOPIC, 1, "segment.bytes", "1048576");
    atomic_store(&writers_are_done, false);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.fixture = fixture, .run = work[i]};
        assert_int_equal(pthread_create(&threads[i].id, NULL, thread_main, &threads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        if (i == 2)
            atomic_store(&writers_are_done, true);
        assert_int_equal(pthread_join(threads[i].id, NULL), 0);
    }
    struct beck_partition *partition = open_shared(fixture);
    assert_int_equal(must_state(partition).next_offset, 2 * ROUNDS);
    beck_partition_close(partition);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_at_once, setup_store, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
