/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes do until they are killed: append, read, make and delete topics, maintain. */
#include "role.h"

#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITER_RECORDS_MAX 5
#define WRITER_VALUE_MAX   3000

static const struct beck_store_options options = {.map_bytes = KILL_MAP_BYTES};

void fault(struct ledger *ledger, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "kill test, process %d: ", getpid());
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    atomic_fetch_add(&ledger->failures, 1);
}

uint64_t digest_add(uint64_t digest, int64_t offset, const struct stamp *stamp)
{
    digest = (digest ^ (uint64_t)offset) * UINT64_C(0x9e3779b97f4a7c15);
    digest = (digest ^ stamp->writer) * UINT64_C(0x9e3779b97f4a7c15);
    return (digest ^ stamp->sequence ^ ((uint64_t)stamp->index << 32)) *
           UINT64_C(0x9e3779b97f4a7c15);
}

bool role_begin(struct role *role, struct ledger *ledger, unsigned seed)
{
    *role = (struct role){.ledger = ledger, .random = seed};
    if (beck_store_open(ledger->path, 0, &options, &role->store, &role->error) < 0) {
        fault(ledger, "opening: %s", role->error.message);
        return false;
    }
    for (int32_t i = 0; i < LEDGER_PARTITIONS; i++) {
        if (beck_partition_open(role->store, KILL_TOPIC, i, &role->partitions[i], &role->error) <
            0) {
            fault(ledger, "opening partition %d: %s", i, role->error.message);
            return false;
        }
    }
    return true;
}

void role_end(struct role *role)
{
    for (uint32_t i = 0; i < LEDGER_PARTITIONS; i++)
        beck_partition_close(role->partitions[i]);
    beck_store_close(role->store);
}

/* ---- writers ------------------------------------------------------------------------------- */

static int build_batch(struct role *role, struct beck_batch_builder *builder, uint32_t writer,
                       uint32_t sequence, const void **ret_batch, size_t *ret_size)
{
    static char value[WRITER_VALUE_MAX + sizeof(struct stamp)];
    struct stamp stamp = {.writer = writer,
                          .sequence = sequence,
                          .count = 1 + random_below(&role->random, WRITER_RECORDS_MAX)};
    beck_batch_builder_reset(builder);
    for (; stamp.index < stamp.count; stamp.index++) {
        struct beck_record record = {.key_size = -1, .value = value};
        record.value_size =
            (int32_t)(sizeof(stamp) + random_below(&role->random, WRITER_VALUE_MAX));
        memcpy(value, &stamp, sizeof(stamp));
        int r = beck_batch_builder_add(builder, &record);
        if (r < 0)
            return r;
    }
    return beck_batch_builder_finish(builder, ret_batch, ret_size, &role->error);
}

/* One batch to one partition. Returns false when that failed. */
static bool write_one(struct role *role, struct beck_batch_builder *builder, uint32_t writer)
{
    uint32_t p = random_below(&role->random, LEDGER_PARTITIONS);
    struct writer_ledger *own = &role->ledger->writers[writer];
    enum beck_acks acks = random_below(&role->random, 8) == 0 ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    uint32_t count = atomic_load(&own->count[p]);
    uint32_t sequence = atomic_load(&own->sent[p]) + 1;
    struct beck_append_result result;
    const void *batch;
    size_t size;
    if (count == LEDGER_ACKS)
        return true;
    int r = build_batch(role, builder, writer, sequence, &batch, &size);
    atomic_store(&own->sent[p], sequence);
    if (r == 0)
        r = beck_append(role->partitions[p], batch, size, acks, &result, &role->error);
    if (r == 0 && acks == BECK_ACKS_ALL)
        r = beck_sync(role->partitions[p], result.next_offset, &role->error);
    if (r < 0) {
        fault(role->ledger, "writer %u: %s", writer, role->error.message);
        return false;
    }
    own->acknowledged[p][count] = (struct acknowledged){sequence, result.base_offset};
    atomic_store(&own->count[p], count + 1);
    return true;
}

/* A batch with the producer's id and its next sequence, kept where it survives us. */
static int prepare_pending(struct role *role, struct beck_batch_builder *builder, uint32_t writer,
                           uint32_t p)
{
    struct writer_ledger *own = &role->ledger->writers[writer];
    struct pending *pending = &own->pending[p];
    struct batch_header header;
    const void *batch;
    size_t size;
    uint32_t sequence = atomic_load(&own->sent[p]) + 1;
    int r = build_batch(role, builder, writer, sequence, &batch, &size);
    if (r < 0)
        return r;
    memcpy(pending->bytes, batch, size);
    r = batch_header_read(pending->bytes, size, &header, &role->error);
    if (r < 0)
        return r;
    header.producer_id = 1000 + writer;
    header.producer_epoch = 0;
    header.base_sequence = pending->base_sequence;
    batch_header_write(pending->bytes, &header);
    header.crc = batch_crc(pending->bytes, size);
    batch_header_write(pending->bytes, &header);
    pending->records = beck_batch_builder_count(builder);
    atomic_store(&own->sent[p], sequence);
    atomic_store(&pending->size, (unsigned)size);
    return 0;
}

/* Send one batch of a producer with an id, or again the one before. */
static bool resend_one(struct role *role, struct beck_batch_builder *builder, uint32_t writer)
{
    uint32_t p = random_below(&role->random, LEDGER_PARTITIONS);
    struct writer_ledger *own = &role->ledger->writers[writer];
    struct pending *pending = &own->pending[p];
    struct beck_append_result result;
    uint32_t count = atomic_load(&own->count[p]);
    uint32_t sent = atomic_load(&own->sent[p]);
    if (count == LEDGER_ACKS)
        return true;
    /* It may have been killed after it noted the acknowledgement. */
    bool known = count > 0 && own->acknowledged[p][count - 1].sequence == sent;
    int r = 0;
    if (atomic_load(&pending->size) == 0) {
        r = prepare_pending(role, builder, writer, p);
        known = false;
        sent++;
    }
    if (r == 0 && !known)
        r = beck_append(role->partitions[p], pending->bytes, atomic_load(&pending->size),
                        BECK_ACKS_LEADER, &result, &role->error);
    if (r < 0) {
        fault(role->ledger, "producer %u, partition %u: %s", writer, p, role->error.message);
        return false;
    }
    if (!known) {
        own->acknowledged[p][count] = (struct acknowledged){sent, result.base_offset};
        atomic_store(&own->count[p], count + 1);
    }
    struct batch_header header;
    if (batch_header_read(pending->bytes, atomic_load(&pending->size), &header, NULL) == 0)
        pending->base_sequence = header.base_sequence + (int32_t)pending->records;
    atomic_store(&pending->size, 0);
    return true;
}

/* Append to a topic that a maker may be about to delete: that it is gone is no fault. */
static void write_made(struct role *role)
{
    struct beck_partition *partition = NULL;
    struct beck_record record = {.key_size = -1, .value = "also", .value_size = 4};
    struct beck_append_result result;
    uint32_t maker = random_below(&role->random, LEDGER_MAKERS);
    char name[32];
    (void)snprintf(name, sizeof(name), "made-%u-%u", maker,
                   atomic_load(&role->ledger->makers[maker].number));
    int r = beck_partition_open(role->store, name, 0, &partition, &role->error);
    for (int i = 0; r == 0 && i < 20; i++)
        r = beck_produce(partition, &record, 1, i % 4 ? BECK_ACKS_LEADER : BECK_ACKS_ALL, &result,
                         &role->error);
    if (r < 0 && r != -ENOENT && r != -ESTALE)
        fault(role->ledger, "appending to %s: %s", name, role->error.message);
    beck_partition_close(partition);
}

void run_writer(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_batch_builder *builder = NULL;
    uint32_t next_ms;
    static const enum beck_compression codecs[] = {BECK_COMPRESSION_NONE, BECK_COMPRESSION_LZ4};
    if (!role_begin(&role, ledger, seed))
        return;
    if (beck_batch_builder_new(codecs[seed % 2], 1 << 20, &builder, &role.error) < 0)
        return;
    bool resends = index >= LEDGER_WRITERS - LEDGER_RESENDERS;
    while (goes_on(&role) &&
           (resends ? resend_one(&role, builder, index) : write_one(&role, builder, index))) {
        if (random_below(&role.random, 200) == 0)
            (void)beck_store_maintain(role.store, false, &next_ms, NULL);
        if (random_below(&role.random, 50) == 0)
            write_made(&role);
        if (random_below(&role.random, 5) == 0 || ledger->gap_usec > 0)
            usleep(random_below(&role.random, ledger->gap_usec + 2000));
    }
    beck_batch_builder_free(builder);
    role_end(&role);
}

void run_producer(struct ledger *ledger, uint32_t index, unsigned seed)
{
    run_writer(ledger, LEDGER_WRITERS - 1 - index, seed);
}

/* ---- readers ------------------------------------------------------------------------------- */

static void note_seen(struct reader_ledger *own, struct seen seen)
{
    unsigned turn = atomic_load(&own->turn) + 1;
    own->seen[turn & 1] = seen;
    atomic_store(&own->turn, turn);
}

/* Read up to the end. Returns 0, or what failed. */
static int read_on(struct role *role, struct beck_reader *reader, struct seen *seen)
{
    struct beck_record record;
    struct stamp stamp;
    int r;
    while ((r = beck_reader_next(reader, &record, &role->error)) == 1) {
        if (record.offset != seen->next_offset && !is_jump(seen->next_offset, record.offset)) {
            fault(role->ledger, "a reader was given offset %lld after %lld",
                  (long long)record.offset, (long long)seen->next_offset - 1);
            return -EPROTO;
        }
        memcpy(&stamp, record.value, sizeof(stamp));
        seen->digest = digest_add(seen->digest, record.offset, &stamp);
        seen->next_offset = record.offset + 1;
    }
    return r;
}

/* Each follows one partition, from where it, or the one before it, came to. */
void run_reader(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct beck_reader *reader = NULL;
    struct reader_ledger *own = &ledger->readers[index];
    if (!role_begin(&role, ledger, seed))
        return;
    struct beck_partition *partition = role.partitions[index % LEDGER_PARTITIONS];
    struct seen seen = own->seen[atomic_load(&own->turn) & 1];
    int r = beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &role.error);
    if (r == 0)
        r = beck_reader_seek(reader, seen.next_offset, &role.error);
    while (r >= 0 && goes_on(&role)) {
        r = read_on(&role, reader, &seen);
        note_seen(own, seen);
        if (r == 0)
            r = beck_partition_wait(partition, seen.next_offset, BECK_READ_UNCOMMITTED, 500,
                                    &role.error);
    }
    if (r < 0 && r != -EPROTO)
        fault(ledger, "reader %u: %s", index, role.error.message);
    beck_reader_free(reader);
    role_end(&role);
}

/* ---- makers of topics ---------------------------------------------------------------------- */

static int maker_fill(struct role *role, const char *name)
{
    struct beck_partition *partition = NULL;
    struct beck_append_result result;
    struct beck_record record = {.key_size = -1, .value = "made", .value_size = 4};
    int r = beck_partition_open(role->store, name, 1, &partition, &role->error);
    for (int i = 0; r == 0 && i < MAKER_RECORDS; i++)
        r = beck_produce(partition, &record, 1, BECK_ACKS_ALL, &result, &role->error);
    beck_partition_close(partition);
    return r;
}

void run_maker(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct maker_ledger *own = &ledger->makers[index];
    struct beck_topic_options topic = {.partition_count = 2};
    if (!role_begin(&role, ledger, seed))
        return;
    for (int r = 0; r == 0 && goes_on(&role);) {
        char name[32];
        unsigned number = atomic_load(&own->number);
        (void)snprintf(name, sizeof(name), "made-%u-%u", index, number);
        switch ((enum maker_phase)atomic_load(&own->phase)) {
        case MAKER_NONE:
        case MAKER_DELETED:
            atomic_store(&own->phase, MAKER_CREATING);
            __attribute__((fallthrough));
        case MAKER_CREATING:
            r = beck_topic_create(role.store, name, &topic, NULL, &role.error);
            r = r == -EEXIST ? 0 : r; /* the one before was killed after it was made */
            atomic_store(&own->phase, r == 0 ? MAKER_CREATED : MAKER_CREATING);
            break;
        case MAKER_CREATED:
            r = maker_fill(&role, name);
            atomic_store(&own->phase, MAKER_FILLED);
            break;
        case MAKER_FILLED:
            usleep(random_below(&role.random, 20000));
            atomic_store(&own->phase, MAKER_DELETING);
            __attribute__((fallthrough));
        case MAKER_DELETING:
            r = beck_topic_delete(role.store, name, &role.error);
            r = r == -ENOENT ? 0 : r;
            atomic_store(&own->number, number + 1);
            atomic_store(&own->phase, MAKER_NONE);
            break;
        }
        if (r < 0)
            fault(ledger, "maker of %s: %s", name, role.error.message);
    }
    role_end(&role);
}

/* ---- groups -------------------------------------------------------------------------------- */

/* What the one before committed when it was killed, or did not. */
static int group_begin(struct role *role, struct group_ledger *own, const char *name)
{
    static struct beck_offset offset;
    int r = 0;
    for (int32_t p = 0; r >= 0 && p < LEDGER_PARTITIONS; p++) {
        r = beck_offset_fetch(role->store, name, 1, KILL_TOPIC, p, &offset, &role->error);
        if (r == 1 && offset.offset == atomic_load(&own->sent[p]))
            atomic_store(&own->acknowledged[p], offset.offset);
    }
    return r < 0 ? r : 1;
}

/* Commits offsets that rise, in each partition. */
void run_group(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    struct group_ledger *own = &ledger->groups[index];
    const char *name = index == 0 ? "a" : "b";
    if (!role_begin(&role, ledger, seed))
        return;
    int r = group_begin(&role, own, name);
    while (r == 1 && goes_on(&role)) {
        struct beck_partition_state state;
        uint32_t p = random_below(&role.random, LEDGER_PARTITIONS);
        r = beck_partition_state(role.partitions[p], &state, &role.error);
        struct beck_offset_commit commit = {.group = name,
                                            .group_size = 1,
                                            .topic = KILL_TOPIC,
                                            .partition = (int32_t)p,
                                            .offset = state.next_offset,
                                            .leader_epoch = -1,
                                            .expire_ms = -1};
        atomic_store(&own->sent[p], commit.offset);
        if (r == 0)
            r = beck_offsets_commit(role.store, &commit, 1, &role.error);
        if (r == 1)
            atomic_store(&own->acknowledged[p], commit.offset);
        usleep(random_below(&role.random, 3000));
    }
    if (r < 0)
        fault(ledger, "group %s: %s", name, role.error.message);
    role_end(&role);
}

void run_maintainer(struct ledger *ledger, uint32_t index, unsigned seed)
{
    struct role role;
    uint32_t next_ms;
    (void)index;
    if (!role_begin(&role, ledger, seed))
        return;
    while (goes_on(&role)) {
        bool all = random_below(&role.random, 4) == 0;
        if (beck_store_maintain(role.store, all, &next_ms, &role.error) < 0)
            fault(ledger, "maintenance: %s", role.error.message);
        if (random_below(&role.random, 10) == 0 &&
            beck_store_clean(role.store, NULL, NULL, &next_ms, &role.error) < 0)
            fault(ledger, "cleaning: %s", role.error.message);
        usleep(random_below(&role.random, 20000));
    }
    role_end(&role);
}
