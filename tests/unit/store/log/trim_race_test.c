/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process appends, another trims, rolls and maintains, and others read: by record, by range,
 * and by the view, on and anywhere. They know what each offset has: no byte may ever be another,
 * and the only errors are those of a head that went away.
 */
#include "store_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDS     30000
#define LINE_BYTES  900 /* at most */
#define READERS     4
#define BUFFER_SIZE 200000

/* What the log is to have, and how far the test is. Shared by all processes. */
struct plan {
    uint64_t begin[RECORDS + 1]; /* of each record's line in the text */
    atomic_bool is_over;
    _Atomic uint64_t read[READERS];    /* what readers compared */
    _Atomic uint64_t refused[READERS]; /* and what they were told was gone */
    char text[];
};

static struct plan *plan;

static void plan_make(void)
{
    uint64_t random = 7;
    size_t size = sizeof(*plan) + (size_t)RECORDS * LINE_BYTES;
    plan = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(plan, MAP_FAILED);
    for (int i = 0; i < RECORDS; i++) {
        char *line = plan->text + plan->begin[i];
        size_t bytes = 30 + random_below(&random, LINE_BYTES - 40);
        memset(line, 'a' + i % 26, bytes);
        (void)snprintf(line, 21, "%020d", i);
        line[20] = ' ';
        line[bytes] = '\n';
        plan->begin[i + 1] = plan->begin[i] + bytes + 1;
    }
}

/* In a child: end it, saying why. */
__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

/* A result below 0 must be one of a head that went away. Returns whether it is. */
static bool is_gone(int reader, ssize_t result, const struct beck_error *error)
{
    if (result >= 0)
        return false;
    if (result != -ESTALE && result != -ERANGE)
        wrong("reader %d: %s (%zd)", reader, error->message, result);
    atomic_fetch_add(&plan->refused[reader], 1);
    return true;
}

/* ---- who changes the log ------------------------------------------------------------------- */

static void append_all(struct beck_store *store, struct beck_partition *partition)
{
    struct beck_append_result result;
    struct beck_error error;
    (void)store;
    for (int i = 0; i < RECORDS;) {
        struct beck_record records[20];
        size_t count = 0;
        for (; count < 20 && i < RECORDS; i++)
            records[count++] = (struct beck_record){
                .key_size = -1,
                .value = plan->text + plan->begin[i],
                .value_size = (int32_t)(plan->begin[i + 1] - plan->begin[i] - 1)};
        must(beck_produce(partition, records, count, BECK_ACKS_LEADER, &result, &error), &error);
        usleep(500);
    }
    atomic_store(&plan->is_over, true);
}

static void trim_now_and_then(struct beck_store *store, struct beck_partition *partition)
{
    struct beck_error error;
    uint64_t random = 11;
    while (!atomic_load(&plan->is_over)) {
        struct beck_partition_state now = must_state(partition);
        uint32_t records = (uint32_t)(now.high_watermark - now.log_start_offset);
        int64_t start;
        uint32_t next_ms;
        must(beck_trim(partition, now.log_start_offset + random_below(&random, records / 2 + 1),
                       &start, &error),
             &error);
        if (random_below(&random, 4) == 0)
            must(beck_store_maintain(store, true, &next_ms, &error), &error);
        usleep(random_below(&random, 20000));
    }
}

/* ---- who reads it -------------------------------------------------------------------------- */

static void read_records(struct beck_partition *partition, int number)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    uint64_t random = 21;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    while (!atomic_load(&plan->is_over)) {
        struct beck_partition_state now = must_state(partition);
        int64_t offset = now.log_start_offset;
        if (is_gone(number, beck_reader_seek(reader, offset, &error), &error))
            continue;
        for (uint32_t i = random_below(&random, 3000); i > 0; i--) {
            int r = beck_reader_next(reader, &record, &error);
            if (r == 0 || is_gone(number, r, &error))
                break;
            if (record.offset != offset ||
                record.value_size != (int32_t)(plan->begin[offset + 1] - plan->begin[offset] - 1) ||
                memcmp(record.value, plan->text + plan->begin[offset], (size_t)record.value_size) !=
                    0)
                wrong("offset %" PRId64 " has another record, of offset %" PRId64, offset,
                      record.offset);
            atomic_fetch_add(&plan->read[number], 1);
            offset++;
        }
    }
    beck_reader_free(reader);
}

/* The batches go on from one another; each has the line of its first record. */
static void compare_batches(const char *at, size_t size, int64_t offset)
{
    int64_t next = -1;
    while (size > 0) {
        const unsigned char *header = (const unsigned char *)at;
        int64_t base = 0;
        uint32_t bytes = 12;
        uint32_t delta = 0;
        char line[21];
        for (int i = 0; i < 8; i++)
            base = base << 8 | header[i];
        for (int i = 0; i < 4; i++)
            bytes += (uint32_t)header[8 + i] << (24 - 8 * i);
        for (int i = 0; i < 4; i++)
            delta += (uint32_t)header[23 + i] << (24 - 8 * i);
        (void)snprintf(line, sizeof(line), "%020" PRId64, base);
        if (bytes > size || (next < 0 ? base > offset || base + delta < offset : base != next) ||
            !memmem(at, bytes, line, 20))
            wrong("a batch at %" PRId64 " of %u bytes, where %" PRId64 " was asked for", base,
                  bytes, offset);
        next = base + delta + 1;
        at += bytes;
        size -= bytes;
    }
}

static void read_ranges(struct beck_partition *partition, int number)
{
    struct beck_error error;
    char *buffer = malloc(BUFFER_SIZE);
    uint64_t random = 31;
    while (buffer && !atomic_load(&plan->is_over)) {
        struct beck_partition_state now = must_state(partition);
        uint32_t records = (uint32_t)(now.high_watermark - now.log_start_offset);
        int64_t offset = now.log_start_offset + random_below(&random, records + 1);
        ssize_t n =
            beck_read(partition, offset, buffer, BUFFER_SIZE, BECK_READ_UNCOMMITTED, &error);
        if (is_gone(number, n, &error))
            continue;
        compare_batches(buffer, (size_t)n, offset);
        atomic_fetch_add(&plan->read[number], 1);
    }
    free(buffer);
}

/* Read on from the head, or anywhere. */
static void read_view(struct beck_partition *partition, int number, bool anywhere)
{
    struct beck_error error;
    char *buffer = malloc(BUFFER_SIZE);
    uint64_t random = 41;
    while (buffer && !atomic_load(&plan->is_over)) {
        struct beck_partition_state now = must_state(partition);
        struct beck_reader *reader = NULL;
        uint64_t position = 0;
        must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
        beck_reader_view_from(reader, &now.view_head);
        for (uint32_t i = random_below(&random, 200); i > 0; i--) {
            if (anywhere)
                position = random_next(&random) % (now.view_bytes + 1);
            size_t size = random_below(&random, anywhere ? 5000 : BUFFER_SIZE);
            ssize_t n = beck_reader_view(reader, position, buffer, size, &error);
            if (is_gone(number, n, &error))
                break;
            if (memcmp(buffer, plan->text + now.view_head.trimmed + position, (size_t)n) != 0)
                wrong("the %zd bytes at %" PRIu64 " are others, %" PRIu64 " were removed", n,
                      position, now.view_head.trimmed);
            position += (size_t)n;
            atomic_fetch_add(&plan->read[number], 1);
        }
        beck_reader_free(reader);
    }
    free(buffer);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void run_role(struct fixture *fixture, int role)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    switch (role) {
    case 0:
        read_records(partition, 0);
        break;
    case 1:
        read_ranges(partition, 1);
        break;
    case 2:
        read_view(partition, 2, false);
        break;
    case 3:
        read_view(partition, 3, true);
        break;
    case 4:
        trim_now_and_then(store, partition);
        break;
    default:
        append_all(store, partition);
    }
    beck_partition_close(partition);
    beck_store_close(store);
}

static void nobody_reads_a_wrong_byte(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[READERS + 2];
    plan_make();
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture_close(fixture);
    for (int i = 0; i < READERS + 2; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            run_role(fixture, i);
            _exit(0);
        }
    }
    for (int i = 0; i < READERS + 2; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < READERS; i++) {
        print_message("reader %d compared %" PRIu64 ", was refused %" PRIu64 "\n", i,
                      atomic_load(&plan->read[i]), atomic_load(&plan->refused[i]));
        assert_true(atomic_load(&plan->read[i]) > 0);
    }
    fixture_open(fixture);
    assert_true(must_state(fixture->partition).log_start_offset > 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_reads_a_wrong_byte, setup_store, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
