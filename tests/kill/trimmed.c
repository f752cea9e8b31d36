/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic whose old records go, by retention and because a process trims it, while others write to
 * it and read it. From the log start on all is there that was acknowledged, and the log start is
 * where it was put, or behind that.
 */
#include "role.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIMMED_VALUE_MAX 20000

/* ---- writing ------------------------------------------------------------------------------- */

/* One record, whose value begins with its number. */
static bool trimmed_write(struct role *role, struct beck_partition *partition)
{
    static char value[TRIMMED_VALUE_MAX + sizeof(uint32_t)];
    struct trimmed_ledger *own = &role->ledger->trimmed;
    struct beck_append_result result;
    uint32_t number = atomic_load(&own->sent);
    enum beck_acks acks = random_below(&role->random, 20) == 0 ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    if (number == LEDGER_ACKS)
        return true;
    memcpy(value, &number, sizeof(number));
    const struct beck_record record = {
        .key_size = -1,
        .value = value,
        .value_size = (int32_t)(sizeof(number) + random_below(&role->random, TRIMMED_VALUE_MAX))};
    atomic_store(&own->sent, number + 1);
    if (beck_produce(partition, &record, 1, acks, &result, &role->error) < 0) {
        fault(role->ledger, "writer of " TRIMMED_TOPIC ": %s", role->error.message);
        return false;
    }
    atomic_store(&own->ends[number], result.next_offset);
    return true;
}

static struct beck_partition *trimmed_begin(struct role *role, struct ledger *ledger, unsigned seed)
{
    struct beck_partition *partition = NULL;
    if (!role_begin(role, ledger, seed))
        return NULL;
    if (beck_partition_open(role->store, TRIMMED_TOPIC, 0, &partition, &role->error) < 0)
        fault(ledger, "opening: %s", role->error.message);
    return partition;
}

void run_trimmed_writer(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_partition *partition = trimmed_begin(&role, ledger, seed);
    (void)index;
    while (partition && goes_on(&role) && trimmed_write(&role, partition))
        usleep(random_below(&role.random, 1000));
    beck_partition_close(partition);
    role_end(&role);
}

/* ---- trimming ------------------------------------------------------------------------------ */

static int trim_some(struct role *role, struct beck_partition *partition)
{
    struct beck_partition_state state;
    int64_t start = -1;
    int r = beck_partition_state(partition, &state, &role->error);
    if (r < 0)
        return r;
    int64_t records = state.high_watermark - state.log_start_offset;
    int64_t offset = state.log_start_offset +
                     (int64_t)(random_next(&role->random) % (uint64_t)(records / 2 + 1));
    r = beck_trim(partition, offset, &start, &role->error);
    if (r < 0)
        return r;
    if (start < offset)
        fault(role->ledger, TRIMMED_TOPIC ": trimmed to %" PRId64 ", and starts at %" PRId64,
              offset, start);
    if (offset > atomic_load(&role->ledger->trimmed.start))
        atomic_store(&role->ledger->trimmed.start, offset);
    return 0;
}

void run_trimmer(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_partition *partition = trimmed_begin(&role, ledger, seed);
    int r = 0;
    (void)index;
    while (partition && r == 0 && goes_on(&role)) {
        r = trim_some(&role, partition);
        usleep(random_below(&role.random, 100000));
    }
    if (r < 0)
        fault(ledger, "trimming: %s", role.error.message);
    beck_partition_close(partition);
    role_end(&role);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* What was acknowledged of `record` is so; `*next` is the number that may come next. */
static void check_record(struct ledger *ledger, const struct beck_record *record, uint32_t *next)
{
    uint32_t number = UINT32_MAX;
    if (record->value_size >= (int32_t)sizeof(number))
        memcpy(&number, record->value, sizeof(number));
    if (number < *next || number >= atomic_load(&ledger->trimmed.sent)) {
        fault(ledger, TRIMMED_TOPIC " offset %" PRId64 ": record %u where %u may come",
              record->offset, number, *next);
        return;
    }
    int64_t end = atomic_load(&ledger->trimmed.ends[number]);
    if (end != 0 && end != record->offset + 1)
        fault(ledger, TRIMMED_TOPIC " offset %" PRId64 ": record %u, which is at %" PRId64,
              record->offset, number, end - 1);
    *next = number + 1;
}

/* Read all of it, from wherever it starts. Returns 0, what failed, or -ESTALE: trimmed meanwhile.
 */
static int trimmed_read(struct ledger *ledger, struct beck_partition *partition,
                        struct beck_error *error)
{
    struct beck_partition_state state;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    int64_t before;
    uint32_t next = 0;
    uint32_t sent = atomic_load(&ledger->trimmed.sent);
    int r = beck_sync(partition, INT64_MAX, error); /* so that all of it is visible */
    if (r == 0)
        r = beck_partition_state(partition, &state, error);
    if (r == 0)
        r = beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, error);
    if (r == 0)
        r = beck_reader_seek(reader, state.log_start_offset, error);
    if (r == -ERANGE)
        r = -ESTALE;
    before = state.log_start_offset - 1;
    while (r >= 0 && (r = beck_reader_next(reader, &record, error)) == 1) {
        uint32_t due = next;
        if (record.offset <= before)
            fault(ledger, TRIMMED_TOPIC ": offset %" PRId64 " after %" PRId64, record.offset,
                  before);
        before = record.offset;
        check_record(ledger, &record, &next);
        for (; due + 1 < next && due < sent; due++)
            if (atomic_load(&ledger->trimmed.ends[due]) > state.log_start_offset)
                fault(ledger, TRIMMED_TOPIC ": record %u, at %" PRId64 ", is lost", due,
                      atomic_load(&ledger->trimmed.ends[due]) - 1);
    }
    beck_reader_free(reader);
    for (; r == 0 && next + 1 < sent; next++)
        if (atomic_load(&ledger->trimmed.ends[next]) > state.log_start_offset)
            fault(ledger, TRIMMED_TOPIC ": record %u, at %" PRId64 ", is lost at the end", next,
                  atomic_load(&ledger->trimmed.ends[next]) - 1);
    return r;
}

void run_trimmed_reader(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_partition *partition = trimmed_begin(&role, ledger, seed);
    int r = 0;
    (void)index;
    while (partition && r == 0 && goes_on(&role)) {
        r = trimmed_read(ledger, partition, &role.error);
        r = r == -ESTALE ? 0 : r;
        usleep(random_below(&role.random, 20000));
    }
    if (r < 0)
        fault(ledger, "reader of " TRIMMED_TOPIC ": %s", role.error.message);
    beck_partition_close(partition);
    role_end(&role);
}

void check_trimmed(struct ledger *ledger, struct beck_store *store)
{
    struct beck_partition *partition = NULL;
    struct beck_partition_state state = {0};
    struct beck_error error;
    int r = beck_partition_open(store, TRIMMED_TOPIC, 0, &partition, &error);
    if (r == 0)
        r = beck_partition_state(partition, &state, &error);
    if (r == 0)
        r = trimmed_read(ledger, partition, &error);
    if (r < 0)
        fault(ledger, "reading " TRIMMED_TOPIC ": %s", error.message);
    int64_t start = atomic_load(&ledger->trimmed.start);
    if (r == 0 && (state.log_start_offset < start || state.log_start_offset > state.high_watermark))
        fault(ledger, TRIMMED_TOPIC " starts at %" PRId64 ", was trimmed to %" PRId64,
              state.log_start_offset, start);
    beck_partition_close(partition);
}
