/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers in other processes, and in other threads, while one appends and compacts again and again.
 * Each of them holds what it reads against itself: a value follows from its key and its first
 * bytes, a time from the offset.
 */
#include "batch.h"
#include "compact_fixture.h"
#include "compression.h"
#include "lookup.h"
#include "record.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 8

/* Shared with the children: is the work over, and how often did each get to the end? */
static struct shared {
    atomic_bool is_over;
    atomic_uint turns[4];
} * shared;

static int setup_shared(void **state)
{
    setup_store(state);
    create_topic(*state, "compact", NULL, NULL);
    fixture_close(*state);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    return 0;
}

static int end(void **state)
{
    (void)munmap(shared, sizeof(*shared));
    return teardown(state);
}

/* Append and compact, until all readers have come around some times. */
static void work(struct fixture *fixture, unsigned readers)
{
    keyed_log_begin(keyed, 500, 2000, 1);
    for (unsigned round = 0;; round++) {
        uint32_t next_ms;
        struct clean clean = {.store = fixture->store,
                              .now_ms = FIXTURE_TIME + 3600000 + round * INT64_C(50000000),
                              .map_bytes = COMPACT_MAP_BYTES};
        keyed_log_fill(keyed, fixture->partition, MIB + MIB / 2, 10);
        must(clean_run_with(&clean, &next_ms, &fixture->error), &fixture->error);
        bool all = round >= ROUNDS;
        for (unsigned i = 0; i < readers; i++)
            all = all && atomic_load(&shared->turns[i]) >= 3;
        if (all || keyed->next_offset > KEYED_RECORDS_MAX - 10000)
            break;
    }
    (void)keyed_log_check(keyed, fixture->partition, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    for (unsigned i = 0; i < readers; i++)
        assert_true(atomic_load(&shared->turns[i]) > 0);
}

/* ---- readers ------------------------------------------------------------------------------- */

/* All records, from the first on, with a reader of its own. Returns 0, or a code of its own. */
static int read_records(struct beck_partition *partition)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int64_t previous = -1;
    int r;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    must(beck_reader_seek(reader, 0, &error), &error);
    while ((r = (int)must(beck_reader_next(reader, &record, &error), &error)) == 1) {
        if (record.offset <= previous || !keyed_record_is_right(&record))
            return 3;
        previous = record.offset;
    }
    beck_reader_free(reader);
    return r;
}

static int check_batches(const uint8_t *bytes, size_t size, int64_t *next_offset,
                         struct decompressor *decompressor)
{
    while (size > 0) {
        struct batch_header header;
        struct batch_summary summary;
        if (batch_header_read(bytes, size, &header, NULL) < 0 || batch_bytes(&header) > size ||
            batch_next_offset(&header) <= *next_offset)
            return 4;
        *next_offset = batch_next_offset(&header);
        if (batch_check(bytes, batch_bytes(&header), BATCH_FROM_LOG, decompressor,
                        BECK_BATCH_BYTES_LIMIT, &summary, NULL) < 0)
            return 5;
        bytes += batch_bytes(&header);
        size -= batch_bytes(&header);
    }
    return 0;
}

/* All batches, range by range, as a broker's Fetch takes them. */
static int read_ranges(struct beck_partition *partition)
{
    static uint8_t buffer[2 * MIB];
    struct decompressor *decompressor = NULL;
    struct beck_range range;
    struct beck_error error;
    int64_t offset = 0;
    int64_t last = 0;
    int r = decompressor_new(&decompressor);
    while (r == 0) {
        must(beck_read_range(partition, offset, 300000, BECK_READ_UNCOMMITTED, &range, &error),
             &error);
        if (range.size == 0)
            break;
        if (range.size > sizeof(buffer) ||
            pread(range.fd, buffer, range.size, (off_t)range.position) != (ssize_t)range.size)
            r = 6;
        else
            r = check_batches(buffer, range.size, &last, decompressor);
        if (r == 0 && range.next_offset <= offset)
            r = 7;
        offset = range.next_offset;
        beck_range_release(&range);
    }
    (void)decompressor_free(decompressor);
    return r;
}

/* The file view, in pieces; what is before moves meanwhile, so only that it can be read. */
static int read_view(struct beck_partition *partition)
{
    char buffer[50000];
    struct beck_reader *reader = NULL;
    struct beck_error error;
    uint64_t position = 0;
    ssize_t n;
    must(beck_reader_new(partition, BECK_READ_COMMITTED, &reader, &error), &error);
    while ((n = beck_reader_view(reader, position, buffer, sizeof(buffer), &error)) > 0)
        position += (uint64_t)n;
    beck_reader_free(reader);
    return n == -EBADMSG || n == -EIO ? 8 : 0;
}

static int read_until_over(struct fixture *fixture, unsigned number,
                           int (*read)(struct beck_partition *partition))
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    int r = 0;
    while (r == 0 && !atomic_load(&shared->is_over)) {
        r = read(partition);
        atomic_fetch_add(&shared->turns[number], 1);
    }
    beck_partition_close(partition);
    beck_store_close(store);
    return r;
}

static pid_t start(struct fixture *fixture, unsigned number,
                   int (*read)(struct beck_partition *partition))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(read_until_over(fixture, number, read));
    }
    return pid;
}

/* ---- the tests ----------------------------------------------------------------------------- */

static void other_processes_read_on(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[3] = {start(fixture, 0, read_records), start(fixture, 1, read_ranges),
                     start(fixture, 2, read_view)};
    fixture_open(fixture);
    work(fixture, 3);
    atomic_store(&shared->is_over, true);
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

struct thread {
    struct fixture *fixture;
    unsigned number;
    int (*read)(struct beck_partition *partition);
    int result;
    pthread_t id;
};

static void *run_thread(void *context)
{
    struct thread *thread = context;
    thread->result = read_until_over(thread->fixture, thread->number, thread->read);
    return NULL;
}

static void other_threads_read_on(void **state)
{
    struct fixture *fixture = *state;
    struct thread threads[2] = {{.fixture = fixture, .number = 0, .read = read_records},
                                {.fixture = fixture, .number = 1, .read = read_ranges}};
    fixture_open(fixture);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]), 0);
    work(fixture, 2);
    atomic_store(&shared->is_over, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i].id, NULL), 0);
        assert_int_equal(threads[i].result, 0);
    }
}

/* ---- who sleeps meanwhile ------------------------------------------------------------------ */

/* Close the active segment, have it catalogued, and compact. */
static void roll_and_clean(struct fixture *fixture)
{
    struct live_tail tail;
    uint32_t next_ms;
    struct clean clean = {
        .store = fixture->store, .now_ms = FIXTURE_TIME + 3600000, .map_bytes = COMPACT_MAP_BYTES};
    must(partition_tail(fixture->partition, &tail, &fixture->error), &fixture->error);
    must(partition_roll(fixture->partition, &tail, &fixture->error), &fixture->error);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must(clean_run_with(&clean, &next_ms, &fixture->error), &fixture->error);
}

static void put_keys(struct fixture *fixture, uint32_t end)
{
    for (uint32_t key = 0; key < end; key++)
        (void)keyed_log_put(keyed, fixture->partition, key, false);
}

#define KEYS 1000

/* In a child: all records are of the same size. The first segment is compacted to half of it, and
 * then, together with those behind it, to just what it was in the beginning. */
static int write_in_steps(struct fixture *fixture, bool rolls, const int go[2], const int done[2])
{
    char byte;
    fixture_open(fixture);
    keyed_log_begin(keyed, KEYS, 8, 1);
    put_keys(fixture, KEYS);
    if (rolls)
        roll_and_clean(fixture);
    if (write(done[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
        return 2;
    if (!rolls)
        roll_and_clean(fixture);
    put_keys(fixture, KEYS / 2);
    roll_and_clean(fixture);
    put_keys(fixture, 1);
    roll_and_clean(fixture);
    put_keys(fixture, 1);
    (void)keyed_log_check(keyed, fixture->partition, 0);
    fixture_close(fixture);
    return 0;
}

/* The one who writes, and how he is told to go on. */
struct steps {
    pid_t pid;
    int go[2];
    int done[2];
};

static void steps_begin(struct steps *steps, struct fixture *fixture, bool rolls)
{
    char byte;
    assert_int_equal(pipe(steps->go), 0);
    assert_int_equal(pipe(steps->done), 0);
    steps->pid = fork();
    assert_true(steps->pid >= 0);
    if (steps->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(write_in_steps(fixture, rolls, steps->go, steps->done));
    }
    assert_int_equal(read(steps->done[0], &byte, 1), 1);
    fixture_open(fixture);
}

static void steps_end(struct steps *steps)
{
    int status;
    assert_int_equal(write(steps->go[1], "x", 1), 1);
    assert_int_equal(waitpid(steps->pid, &status, 0), steps->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < 2; i++) {
        (void)close(steps->go[i]);
        (void)close(steps->done[i]);
    }
}

static void who_slept_through_several_exchanges_reads_what_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct steps steps;
    steps_begin(&steps, fixture, false);
    assert_int_equal(count_records(fixture->partition, 0), KEYS);
    steps_end(&steps);
    /* The last of each key, and the one that is in the active segment. */
    assert_int_equal(count_records(fixture->partition, 0), KEYS + 1);
    assert_int_equal(count_records(fixture->partition, KEYS), KEYS / 2 + 1);
}

/* He looks for an entry of a file, and finds those of another one that is as long. */
static void who_sleeps_in_a_search_takes_no_entries_of_another_file(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition *partition;
    struct segment_record record;
    struct index_entry entry;
    struct live_tail tail;
    struct steps steps;
    MDB_txn *txn;
    steps_begin(&steps, fixture, true);
    partition = fixture->partition;
    must(lookup_begin(partition, &tail, &fixture->error), &fixture->error);
    lookup_end(partition);
    struct segment *segment = lookup_segment(partition, 0, &tail.end);
    struct lookup_target target = {INDEX_BY_VIEW, (int64_t)segment->view_bytes - 1};
    lookup_entry(partition, segment, &tail, target, &entry);
    assert_true(entry.position > 0);
    steps_end(&steps);
    must(db_begin(&fixture->store->index, false, &txn, NULL), NULL);
    must(index_segment_get(&fixture->store->index, txn, 1, 0, 0, &record), NULL);
    mdb_txn_abort(txn);
    assert_int_equal(record.bytes, segment->bytes);
    lookup_entry(partition, segment, &tail, target, &entry);
    assert_int_equal(entry.position, 0);
    segment_unref(segment);
}

#define TEST_SHARED(name) cmocka_unit_test_setup_teardown(name, setup_shared, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_SHARED(other_processes_read_on),
        TEST_SHARED(other_threads_read_on),
        TEST_SHARED(who_slept_through_several_exchanges_reads_what_is_there),
        TEST_SHARED(who_sleeps_in_a_search_takes_no_entries_of_another_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
