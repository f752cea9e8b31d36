/* SPDX-License-Identifier: Apache-2.0 */
/* The store against the ledger: nothing acknowledged is missing, nothing is there twice or was
 * never sent, batches are whole and in order, and what was read once is read again. */
#include "ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct beck_store_options options = {.map_bytes = KILL_MAP_BYTES};

/* A walk through one partition. */
struct walk {
    struct ledger *ledger;
    int32_t partition;
    uint32_t last[LEDGER_WRITERS];         /* sequence of each writer's last batch */
    uint32_t acknowledged[LEDGER_WRITERS]; /* of each writer's, met so far */
    struct stamp batch;                    /* of which a record is due; count 0: none */
    int64_t next_offset;
    uint64_t digest;
    unsigned readers_met;
};

static void walk_batch(struct walk *walk, const struct stamp *stamp, int64_t offset)
{
    struct ledger *ledger = walk->ledger;
    const struct writer_ledger *writer = &ledger->writers[stamp->writer];
    int32_t p = walk->partition;
    if (stamp->index != 0)
        fault(ledger, "partition %d offset %" PRId64 ": begins with record %u of a batch", p,
              offset, stamp->index);
    if (stamp->sequence <= walk->last[stamp->writer])
        fault(ledger, "partition %d offset %" PRId64 ": writer %u batch %u comes after %u", p,
              offset, stamp->writer, stamp->sequence, walk->last[stamp->writer]);
    if (stamp->sequence > atomic_load(&writer->sent[p]))
        fault(ledger, "partition %d offset %" PRId64 ": writer %u never sent batch %u", p, offset,
              stamp->writer, stamp->sequence);
    walk->last[stamp->writer] = stamp->sequence;
    uint32_t *at = &walk->acknowledged[stamp->writer];
    if (*at == atomic_load(&writer->count[p]))
        return;
    const struct acknowledged *due = &writer->acknowledged[p][*at];
    if (due->sequence < stamp->sequence) {
        fault(ledger, "partition %d offset %" PRId64 ": writer %u batch %u is lost", p, offset,
              stamp->writer, due->sequence);
        while (*at < atomic_load(&writer->count[p]) &&
               writer->acknowledged[p][*at].sequence < stamp->sequence)
            (*at)++;
    } else if (due->sequence == stamp->sequence) {
        if (due->base_offset != offset)
            fault(ledger, "partition %d: writer %u batch %u is at %" PRId64 ", not %" PRId64, p,
                  stamp->writer, stamp->sequence, offset, due->base_offset);
        (*at)++;
    }
}

static void walk_readers(struct walk *walk)
{
    for (uint32_t i = 0; i < LEDGER_READERS; i++) {
        const struct reader_ledger *reader = &walk->ledger->readers[i];
        const struct seen *seen = &reader->seen[atomic_load(&reader->turn) & 1];
        if ((int32_t)(i % LEDGER_PARTITIONS) != walk->partition ||
            seen->next_offset != walk->next_offset)
            continue;
        walk->readers_met |= 1U << i;
        if (seen->digest != walk->digest)
            fault(walk->ledger, "partition %d: what reader %u saw before %" PRId64 " has changed",
                  walk->partition, i, seen->next_offset);
    }
}

static void walk_record(struct walk *walk, const struct beck_record *record)
{
    struct stamp stamp;
    memcpy(&stamp, record->value, sizeof(stamp));
    if (stamp.writer >= LEDGER_WRITERS) {
        fault(walk->ledger, "partition %d offset %" PRId64 ": is none of ours", walk->partition,
              record->offset);
        return;
    }
    if (record->offset != walk->next_offset && !is_jump(walk->next_offset, record->offset))
        fault(walk->ledger, "partition %d: offset %" PRId64 " where %" PRId64 " is due",
              walk->partition, record->offset, walk->next_offset);
    if (walk->batch.count == 0) {
        walk_batch(walk, &stamp, record->offset);
    } else if (stamp.writer != walk->batch.writer || stamp.sequence != walk->batch.sequence ||
               stamp.index != walk->batch.index) {
        fault(walk->ledger, "partition %d offset %" PRId64 ": a batch is not whole",
              walk->partition, record->offset);
    }
    stamp.index++;
    walk->batch = stamp;
    if (stamp.index == stamp.count)
        walk->batch.count = 0;
    stamp.index--;
    walk->digest = digest_add(walk->digest, record->offset, &stamp);
    walk->next_offset = record->offset + 1;
    walk_readers(walk);
}

static void check_end(struct walk *walk)
{
    struct ledger *ledger = walk->ledger;
    for (uint32_t i = 0; i < LEDGER_WRITERS; i++) {
        uint32_t count = atomic_load(&ledger->writers[i].count[walk->partition]);
        if (walk->acknowledged[i] != count)
            fault(ledger, "partition %d: the last %u acknowledged batches of writer %u are lost",
                  walk->partition, count - walk->acknowledged[i], i);
    }
    for (uint32_t i = 0; i < LEDGER_READERS; i++)
        if ((int32_t)(i % LEDGER_PARTITIONS) == walk->partition && !(walk->readers_met & (1U << i)))
            fault(ledger, "partition %d: reader %u saw what is not there any more", walk->partition,
                  i);
}

static void check_partition(struct ledger *ledger, struct beck_store *store, int32_t number)
{
    struct beck_partition *partition = NULL;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    struct walk walk = {.ledger = ledger, .partition = number};
    int r = beck_partition_open(store, KILL_TOPIC, number, &partition, &error);
    if (r == 0)
        r = beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error);
    if (r == 0)
        r = beck_reader_seek(reader, 0, &error);
    walk_readers(&walk);
    while (r >= 0 && (r = beck_reader_next(reader, &record, &error)) == 1)
        walk_record(&walk, &record);
    if (r < 0)
        fault(ledger, "reading: %s", error.message);
    else
        check_end(&walk);
    beck_reader_free(reader);
    beck_partition_close(partition);
}

static void check_maker(struct ledger *ledger, struct beck_store *store, uint32_t index)
{
    char name[32];
    struct beck_topic topic;
    struct beck_error error;
    struct maker_ledger *maker = &ledger->makers[index];
    unsigned phase = atomic_load(&maker->phase);
    (void)snprintf(name, sizeof(name), "made-%u-%u", index, atomic_load(&maker->number));
    int r = beck_topic_find(store, name, &topic, &error);
    if (r < 0 && (phase == MAKER_CREATED || phase == MAKER_FILLED))
        fault(ledger, "%s was made and is not there: %s", name, error.message);
    if (r == 0 && (phase == MAKER_NONE || phase == MAKER_DELETED))
        fault(ledger, "%s was not made, and is there", name);
    if (r == 0 && phase == MAKER_FILLED) {
        struct beck_partition *partition = NULL;
        struct beck_partition_state state = {0};
        r = beck_partition_open(store, name, 1, &partition, &error);
        if (r == 0)
            r = beck_partition_state(partition, &state, &error);
        if (r < 0 || state.high_watermark < MAKER_RECORDS)
            fault(ledger, "%s has lost records: %s", name, r < 0 ? error.message : "too few");
        beck_partition_close(partition);
    }
}

/* What a group committed is there, and the log reaches it. */
static void check_group(struct ledger *ledger, struct beck_store *store, uint32_t index)
{
    static struct beck_offset offset;
    struct beck_error error;
    const struct group_ledger *group = &ledger->groups[index];
    for (int32_t p = 0; p < LEDGER_PARTITIONS; p++) {
        int r = beck_offset_fetch(store, index == 0 ? "a" : "b", 1, KILL_TOPIC, p, &offset, &error);
        int64_t due = atomic_load(&group->acknowledged[p]);
        int64_t found = r == 1 ? offset.offset : 0;
        if (r < 0)
            fault(ledger, "group %u: %s", index, error.message);
        else if (found != due && found != atomic_load(&group->sent[p]))
            fault(ledger, "group %u has committed %" PRId64 " of partition %d, and not %" PRId64,
                  index, found, p, due);
    }
}

static int tell_damage(void *context, const struct beck_damage *found)
{
    fault(context, "verification: %s %s-%d offset %" PRId64 " byte %" PRId64 ": %s", found->file,
          found->topic, found->partition, found->offset, found->byte, found->what);
    return 0;
}

unsigned check_store(struct ledger *ledger)
{
    struct beck_store *store = NULL;
    struct beck_recovery cut;
    struct beck_verify_totals totals;
    struct beck_error error;
    if (beck_store_open(ledger->path, 0, &options, &store, &error) < 0) {
        fault(ledger, "opening: %s", error.message);
        return atomic_load(&ledger->failures);
    }
    for (int32_t i = 0; i < LEDGER_PARTITIONS; i++)
        check_partition(ledger, store, i);
    check_keyed(ledger, store);
    check_trimmed(ledger, store);
    for (uint32_t i = 0; i < LEDGER_MAKERS; i++)
        check_maker(ledger, store, i);
    for (uint32_t i = 0; i < LEDGER_GROUPS; i++)
        check_group(ledger, store, i);
    if (beck_store_verify(store, NULL, tell_damage, NULL, ledger, &totals, &error) < 0)
        fault(ledger, "verifying: %s", error.message);
    for (uint32_t i = 0; beck_store_recovery(store, i, &cut, NULL) == 1; i++)
        if (strcmp(cut.topic, KILL_TOPIC) == 0 && cut.next_offset < 0)
            fault(ledger, "recovery tells nonsense of partition %d", cut.partition);
    beck_store_close(store);
    return atomic_load(&ledger->failures);
}
