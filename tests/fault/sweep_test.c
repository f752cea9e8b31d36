/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each operation is done again and again on a store like the one before, and each time the next one
 * of its calls fails: the first, the second, and so on until it runs unharmed. The operation may
 * fail or get over it. Afterwards the store must be right, with all that was acknowledged, and the
 * operation must work. The same for memory.
 */
#include "fault_io.h"
#include "open.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MOST 2000

/* ---- memory -------------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__real_reallocarray(void *pointer, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_reallocarray(void *pointer, size_t count, size_t size);
char *__wrap_strdup(const char *text);

static unsigned memory_requests;
static unsigned memory_fail_at; /* from 1; 0: none */

static bool memory_fails(void)
{
    return memory_fail_at > 0 && ++memory_requests == memory_fail_at;
}

void *__wrap_malloc(size_t size)
{
    return memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return memory_fails() ? NULL : __real_realloc(pointer, size);
}

void *__wrap_reallocarray(void *pointer, size_t count, size_t size)
{
    return memory_fails() ? NULL : __real_reallocarray(pointer, count, size);
}

char *__wrap_strdup(const char *text)
{
    return memory_fails() ? NULL : __real_strdup(text);
}

/* ---- what is done -------------------------------------------------------------------------- */

struct sweep {
    struct fixture fixture;
    struct fault_io fault;
    int64_t acknowledged; /* records of "t" that were acknowledged */
    char *value;          /* of 2,000 bytes */
    struct beck_error error;
};

struct operation {
    const char *name;
    /* Before anything fails. The store is open, and "t" 0 with three records. */
    void (*prepare)(struct sweep *sweep);
    int (*run)(struct sweep *sweep);
};

static int produce(struct sweep *sweep, int32_t size, enum beck_acks acks)
{
    struct beck_record record = {.key_size = -1, .value = sweep->value, .value_size = size};
    struct beck_append_result result;
    int r = beck_produce(sweep->fixture.partition, &record, 1, acks, &result, &sweep->error);
    sweep->acknowledged += r == 0;
    return r;
}

static void prepare_nothing(struct sweep *sweep)
{
    (void)sweep;
}

static void close_all(struct sweep *sweep)
{
    fixture_close(&sweep->fixture);
}

static int open_store(struct sweep *sweep)
{
    struct fixture *f = &sweep->fixture;
    int r = store_open(f->path, 0, &fixture_options, &sweep->fault.io, &f->store, &sweep->error);
    return r < 0 ? r : beck_partition_open(f->store, "t", 0, &f->partition, &sweep->error);
}

/* Two more records that no checkpoint has, and no close. */
static void append_more(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    (void)fixture;
    must_append(partition, "four", BECK_ACKS_LEADER);
    must_append(partition, "five", BECK_ACKS_LEADER);
}

static void close_all_dirty(struct sweep *sweep)
{
    fixture_close(&sweep->fixture);
    run_and_kill(append_more, &sweep->fixture);
    sweep->acknowledged += 2;
}

static void close_all_without_index(struct sweep *sweep)
{
    char path[PATH_MAX];
    fixture_close(&sweep->fixture);
    store_file(&sweep->fixture, "index.mdb", path);
    assert_int_equal(remove(path), 0);
}

static int append_leader(struct sweep *sweep)
{
    return produce(sweep, 100, BECK_ACKS_LEADER);
}

static int append_all(struct sweep *sweep)
{
    return produce(sweep, 100, BECK_ACKS_ALL);
}

/* Come near the segment's end. */
static void fill(struct sweep *sweep)
{
    for (unsigned i = 0; i < 20; i++)
        must_append_bytes(sweep->fixture.partition, 52000, i, BECK_ACKS_LEADER);
    sweep->acknowledged += 20;
}

static int roll(struct sweep *sweep)
{
    int r = 0;
    for (int i = 0; i < 8 && r == 0; i++)
        r = produce(sweep, 2000, i % 3 ? BECK_ACKS_LEADER : BECK_ACKS_ALL);
    return r;
}

static int maintain(struct sweep *sweep)
{
    uint32_t next_ms;
    return beck_store_maintain(sweep->fixture.store, true, &next_ms, &sweep->error);
}

static void dirty_and_rolled(struct sweep *sweep)
{
    fill(sweep);
    assert_int_equal(roll(sweep), 0);
}

static int create(struct sweep *sweep)
{
    struct beck_topic_options options = {.partition_count = 3};
    int r = beck_topic_create(sweep->fixture.store, "made", &options, NULL, &sweep->error);
    return r == -EEXIST ? 0 : r;
}

static void make(struct sweep *sweep)
{
    assert_int_equal(create(sweep), 0);
}

static int delete (struct sweep *sweep)
{
    int r = beck_topic_delete(sweep->fixture.store, "made", &sweep->error);
    return r == -ENOENT ? 0 : r;
}

static int read_all(struct sweep *sweep)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    char view[64];
    int64_t offset;
    int64_t timestamp_ms;
    int r =
        beck_reader_new(sweep->fixture.partition, BECK_READ_UNCOMMITTED, &reader, &sweep->error);
    if (r == 0)
        r = beck_reader_seek(reader, 0, &sweep->error);
    while (r >= 0 && (r = beck_reader_next(reader, &record, &sweep->error)) == 1)
        ;
    if (r >= 0)
        r = (int)beck_reader_view(reader, 2, view, sizeof(view), &sweep->error);
    if (r >= 0)
        r = beck_offset_for_time(sweep->fixture.partition, 1, BECK_READ_UNCOMMITTED, &offset,
                                 &timestamp_ms, &sweep->error);
    beck_reader_free(reader);
    return r < 0 ? r : 0;
}

static int read_batches(struct sweep *sweep)
{
    char buffer[4096];
    ssize_t n = beck_read(sweep->fixture.partition, 0, buffer, sizeof(buffer),
                          BECK_READ_UNCOMMITTED, &sweep->error);
    return n < 0 ? (int)n : 0;
}

static void close_partition(struct sweep *sweep)
{
    sweep->fixture.partition = beck_partition_close(sweep->fixture.partition);
}

static int open_partition(struct sweep *sweep)
{
    return beck_partition_open(sweep->fixture.store, "t", 0, &sweep->fixture.partition,
                               &sweep->error);
}

static void reopen_with_faults(struct sweep *sweep)
{
    close_all(sweep);
    assert_int_equal(open_store(sweep), 0);
}

static int wait_a_little(struct sweep *sweep)
{
    int r = beck_partition_wait(sweep->fixture.partition, sweep->acknowledged,
                                BECK_READ_UNCOMMITTED, 1, &sweep->error);
    return r < 0 ? r : 0;
}

static const struct operation operations[] = {
    {"open", close_all, open_store},
    {"open after a kill", close_all_dirty, open_store},
    {"open without an index", close_all_without_index, open_store},
    {"open a partition", close_partition, open_partition},
    {"append, acks=1", reopen_with_faults, append_leader},
    {"append, acks=all", reopen_with_faults, append_all},
    {"roll", fill, roll},
    {"checkpoint", dirty_and_rolled, maintain},
    {"create a topic", prepare_nothing, create},
    {"delete a topic", make, delete},
    {"read records", reopen_with_faults, read_all},
    {"read batches", reopen_with_faults, read_batches},
    {"wait", prepare_nothing, wait_a_little},
};

/* ---- the sweep ----------------------------------------------------------------------------- */

static void sweep_begin(struct sweep *sweep)
{
    memset(sweep, 0, sizeof(*sweep));
    fixture_begin(&sweep->fixture);
    fault_io_init(&sweep->fault);
    sweep->value = __real_calloc(1, 2000);
    assert_non_null(sweep->value);
    beck_store_close(must_open(sweep->fixture.path, BECK_OPEN_CREATE));
    sweep->fixture.store = must_open_io(sweep->fixture.path, 0, &sweep->fault.io);
    must_create_topic(sweep->fixture.store, "t", 1, "segment.bytes", "1048576");
    sweep->fixture.partition = must_open_partition(sweep->fixture.store, "t", 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(append_leader(sweep), 0);
}

static void sweep_end(struct sweep *sweep)
{
    fixture_end(&sweep->fixture);
    free(sweep->value);
}

/* Nothing fails any more: is everything there, and does the operation work? */
static void see_that_all_is_well(struct sweep *sweep, const struct operation *operation, unsigned k,
                                 bool tolerated)
{
    struct fixture *f = &sweep->fixture;
    struct beck_damage damage;
    fixture_close(f);
    f->store = must_open_io(f->path, 0, &sweep->fault.io);
    f->partition = must_open_partition(f->store, "t", 0);
    int64_t count = count_records(f->partition, 0);
    if (count < sweep->acknowledged)
        fail_msg("%s, call %u: %lld records of %lld are left", operation->name, k, (long long)count,
                 (long long)sweep->acknowledged);
    if (verify_count(f->store, &damage) != 0)
        fail_msg("%s, call %u: %s %s-%d byte %lld: %s", operation->name, k, damage.file,
                 damage.topic, damage.partition, (long long)damage.byte, damage.what);
    if (operation->run == open_store || operation->run == open_partition || tolerated)
        return;
    int r = operation->run(sweep);
    if (r < 0)
        fail_msg("%s, after call %u: %s", operation->name, k, sweep->error.message);
}

static void sweep_calls(const struct operation *operation, int code)
{
    for (unsigned k = 1; k < CALLS_MOST; k++) {
        struct sweep sweep;
        sweep_begin(&sweep);
        operation->prepare(&sweep);
        fault_io_arm(&sweep.fault, k, code);
        int r = operation->run(&sweep);
        bool failed = atomic_load(&sweep.fault.failed);
        fault_io_arm(&sweep.fault, 0, 0);
        if (r < 0 && !failed)
            fail_msg("%s, call %u: fails without a reason: %s", operation->name, k,
                     sweep.error.message);
        if (r < 0 && sweep.error.message[0] == '\0')
            fail_msg("%s, call %u: fails with %d and no text", operation->name, k, r);
        see_that_all_is_well(&sweep, operation, k, r == 0);
        sweep_end(&sweep);
        if (!failed) {
            print_message("%s: %u calls failed with %s\n", operation->name, k - 1, strerror(-code));
            return;
        }
    }
    fail_msg("%s makes too many calls", operation->name);
}

static void sweep_memory(const struct operation *operation)
{
    for (unsigned k = 1; k < CALLS_MOST; k++) {
        struct sweep sweep;
        sweep_begin(&sweep);
        operation->prepare(&sweep);
        memory_requests = 0;
        memory_fail_at = k;
        int r = operation->run(&sweep);
        bool failed = memory_requests >= k;
        memory_fail_at = 0;
        if (r < 0 && !failed)
            fail_msg("%s, request %u: fails without a reason: %s", operation->name, k,
                     sweep.error.message);
        see_that_all_is_well(&sweep, operation, k, r == 0);
        sweep_end(&sweep);
        if (!failed) {
            print_message("%s: %u requests for memory failed\n", operation->name, k - 1);
            return;
        }
    }
    fail_msg("%s asks for memory too often", operation->name);
}

static void a_call_that_fails_with_eio_spoils_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        sweep_calls(&operations[i], -EIO);
}

static void a_call_that_fails_with_enospc_spoils_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        sweep_calls(&operations[i], -ENOSPC);
}

static void a_call_that_fails_with_emfile_spoils_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        sweep_calls(&operations[i], -EMFILE);
}

static void memory_that_runs_out_spoils_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        sweep_memory(&operations[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_with_eio_spoils_nothing),
        cmocka_unit_test(a_call_that_fails_with_enospc_spoils_nothing),
        cmocka_unit_test(a_call_that_fails_with_emfile_spoils_nothing),
        cmocka_unit_test(memory_that_runs_out_spoils_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
