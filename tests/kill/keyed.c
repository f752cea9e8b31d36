/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic that is compacted while processes write to it and read it. Each record's key is one of
 * few, and its value says who sent it and as his how many-th. Of each key, what was acknowledged
 * last is there, or a later one.
 */
#include "role.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYED_RECORDS_MAX 10
#define KEYED_VALUE_MAX   3000

/* What a value begins with. */
struct keyed_stamp {
    uint32_t writer;
    uint32_t sequence; /* of the record, from 1 */
    uint32_t key;
};

/* ---- writing ------------------------------------------------------------------------------- */

static bool keyed_write(struct role *role, struct beck_partition *partition, uint32_t writer)
{
    static char values[KEYED_RECORDS_MAX][KEYED_VALUE_MAX + sizeof(struct keyed_stamp)];
    struct keyed_writer *own = &role->ledger->keyed_writers[writer];
    struct keyed_stamp stamps[KEYED_RECORDS_MAX];
    struct beck_record records[KEYED_RECORDS_MAX];
    struct beck_append_result result;
    uint32_t count = 1 + random_below(&role->random, KEYED_RECORDS_MAX);
    enum beck_acks acks = random_below(&role->random, 20) == 0 ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    uint32_t sequence = atomic_load(&own->sent);
    for (uint32_t i = 0; i < count; i++) {
        stamps[i] = (struct keyed_stamp){.writer = writer,
                                         .sequence = ++sequence,
                                         .key = random_below(&role->random, KEYED_KEYS)};
        memcpy(values[i], &stamps[i], sizeof(stamps[i]));
        records[i] = (struct beck_record){
            .key = &stamps[i].key,
            .key_size = sizeof(stamps[i].key),
            .value = values[i],
            .value_size =
                (int32_t)(sizeof(stamps[i]) + random_below(&role->random, KEYED_VALUE_MAX))};
    }
    atomic_store(&own->sent, sequence);
    int r = beck_produce(partition, records, count, acks, &result, &role->error);
    if (r < 0) {
        fault(role->ledger, "writer %u of keys: %s", writer, role->error.message);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        atomic_store(&own->ends[stamps[i].key], result.base_offset + i + 1);
    return true;
}

void run_keyed_writer(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_partition *partition = NULL;
    if (!role_begin(&role, ledger, seed))
        return;
    if (beck_partition_open(role.store, KEYED_TOPIC, 0, &partition, &role.error) < 0)
        fault(ledger, "opening: %s", role.error.message);
    while (goes_on(&role) && keyed_write(&role, partition, index))
        usleep(random_below(&role.random, 1000));
    beck_partition_close(partition);
    role_end(&role);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A walk through the log. */
struct keyed_walk {
    struct ledger *ledger;
    int64_t due[KEYED_KEYS];          /* the end of what was acknowledged when it began */
    int64_t ends[KEYED_KEYS];         /* of what was found */
    uint32_t sequence[KEYED_WRITERS]; /* of each writer's last record */
    int64_t next_offset;
};

static void walk_begin(struct keyed_walk *walk, struct ledger *ledger)
{
    *walk = (struct keyed_walk){.ledger = ledger};
    for (uint32_t w = 0; w < KEYED_WRITERS; w++)
        for (uint32_t key = 0; key < KEYED_KEYS; key++) {
            int64_t end = atomic_load(&ledger->keyed_writers[w].ends[key]);
            if (end > walk->due[key])
                walk->due[key] = end;
        }
}

static void walk_record(struct keyed_walk *walk, const struct beck_record *record)
{
    struct ledger *ledger = walk->ledger;
    struct keyed_stamp stamp;
    int64_t offset = record->offset;
    if (record->value_size < (int32_t)sizeof(stamp)) {
        fault(ledger, KEYED_TOPIC " offset %" PRId64 ": is none of ours", offset);
        return;
    }
    memcpy(&stamp, record->value, sizeof(stamp));
    if (stamp.writer >= KEYED_WRITERS || stamp.key >= KEYED_KEYS ||
        record->key_size != sizeof(stamp.key) ||
        memcmp(record->key, &stamp.key, sizeof(stamp.key)) != 0) {
        fault(ledger, KEYED_TOPIC " offset %" PRId64 ": is none of ours", offset);
        return;
    }
    if (offset < walk->next_offset)
        fault(ledger, KEYED_TOPIC ": offset %" PRId64 " after %" PRId64, offset,
              walk->next_offset - 1);
    if (stamp.sequence <= walk->sequence[stamp.writer] ||
        stamp.sequence > atomic_load(&ledger->keyed_writers[stamp.writer].sent))
        fault(ledger, KEYED_TOPIC " offset %" PRId64 ": record %u of writer %u after %u", offset,
              stamp.sequence, stamp.writer, walk->sequence[stamp.writer]);
    walk->next_offset = offset + 1;
    walk->sequence[stamp.writer] = stamp.sequence;
    walk->ends[stamp.key] = offset + 1;
}

static void walk_end(const struct keyed_walk *walk)
{
    for (uint32_t key = 0; key < KEYED_KEYS; key++)
        if (walk->ends[key] < walk->due[key])
            fault(walk->ledger,
                  KEYED_TOPIC " key %u: the record at %" PRId64 " is lost, the last is at %" PRId64,
                  key, walk->due[key] - 1, walk->ends[key] - 1);
}

/* Read all of it. Returns 0, or what failed. */
static int keyed_read(struct ledger *ledger, struct beck_partition *partition,
                      struct beck_error *error)
{
    struct keyed_walk walk;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    walk_begin(&walk, ledger);
    /* What was acknowledged behind a batch that still waits for its sync is not visible yet. */
    int r = beck_sync(partition, INT64_MAX, error);
    if (r == 0)
        r = beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, error);
    if (r == 0)
        r = beck_reader_seek(reader, 0, error);
    while (r >= 0 && (r = beck_reader_next(reader, &record, error)) == 1)
        walk_record(&walk, &record);
    beck_reader_free(reader);
    if (r == 0)
        walk_end(&walk);
    return r;
}

void run_keyed_reader(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_partition *partition = NULL;
    (void)index;
    if (!role_begin(&role, ledger, seed))
        return;
    int r = beck_partition_open(role.store, KEYED_TOPIC, 0, &partition, &role.error);
    while (r == 0 && goes_on(&role)) {
        r = keyed_read(ledger, partition, &role.error);
        usleep(random_below(&role.random, 20000));
    }
    if (r < 0)
        fault(ledger, "reader of keys: %s", role.error.message);
    beck_partition_close(partition);
    role_end(&role);
}

void check_keyed(struct ledger *ledger, struct beck_store *store)
{
    struct beck_partition *partition = NULL;
    struct beck_error error;
    int r = beck_partition_open(store, KEYED_TOPIC, 0, &partition, &error);
    if (r == 0)
        r = keyed_read(ledger, partition, &error);
    if (r < 0)
        fault(ledger, "reading keys: %s", error.message);
    beck_partition_close(partition);
}

/* ---- compacting ---------------------------------------------------------------------------- */

void run_cleaner(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    uint32_t next_ms;
    (void)index;
    if (!role_begin(&role, ledger, seed))
        return;
    while (goes_on(&role)) {
        if (beck_store_maintain(role.store, true, &next_ms, &role.error) < 0)
            fault(ledger, "maintenance: %s", role.error.message);
        if (beck_store_clean(role.store, NULL, NULL, &next_ms, &role.error) < 0)
            fault(ledger, "cleaning: %s", role.error.message);
        usleep(random_below(&role.random, 20000));
    }
    role_end(&role);
}
