/* SPDX-License-Identifier: Apache-2.0 */
/* What must be there after a cut, what may be, and what must not. */
#include "power.h"

#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct checked {
    struct power *power;
    struct beck_store *store;
    const struct topic *topic;
    struct log *log;
    uint32_t at;
    int32_t partition;
};

/* Below which offset must all be there? */
static int64_t promised(const struct log *log, uint32_t at)
{
    int64_t offset = 0;
    for (uint32_t i = 0; i < log->promise_count; i++)
        if (log->promises[i].when <= at && log->promises[i].offset > offset)
            offset = log->promises[i].offset;
    return offset;
}

static int64_t highest_used(const struct log *log, uint32_t at)
{
    int64_t highest = log->used_before;
    for (uint32_t i = 0; i < log->offer_count; i++)
        if (log->offers[i].when <= at && log->offers[i].offset > highest)
            highest = log->offers[i].offset;
    return highest;
}

/* The place in `offers` of each key's last record, counted from 1. */
struct last {
    uint32_t there[POWER_KEYS];
    uint32_t missing[POWER_KEYS];
};

/* The records that were offered before the one at an offset were compacted away. */
static void pass_over(const struct checked *c, struct last *last, int64_t offset)
{
    struct log *log = c->log;
    for (; c->topic->is_compacted && log->found < log->offer_count &&
           log->offers[log->found].offset < offset;
         log->found++)
        last->missing[log->offers[log->found].key] = log->found + 1;
}

/* A record that is not there has one of the same key behind it that is. */
static void check_last(const struct checked *c, const struct last *last)
{
    for (uint32_t key = 0; key < POWER_KEYS; key++)
        if (last->missing[key] > last->there[key])
            power_fail(c->power, "%s-%d: offset %" PRId64 ", the last with key %u, is missing",
                       c->topic->name, c->partition, c->log->offers[last->missing[key] - 1].offset,
                       key);
}

/* The records that are there are the first of those that were offered; where the topic is
 * compacted, without some that later ones have made obsolete. */
static void check_records(struct checked *c, struct beck_partition *partition, int64_t log_start)
{
    struct beck_error error;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct last last = {0};
    struct log *log = c->log;
    const char *name = c->topic->name;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    if (beck_reader_seek(reader, log_start, &error) < 0)
        power_fail(c->power, "%s-%d: from %" PRId64 " on: %s", name, c->partition, log_start,
                   error.message);
    log->found = 0;
    while (log->found < log->offer_count && log->offers[log->found].offset < log_start)
        log->found++;
    while (must(beck_reader_next(reader, &record, &error), &error) == 1) {
        uint64_t number;
        memcpy(&number, record.value, sizeof(number));
        pass_over(c, &last, record.offset);
        if (log->found == log->offer_count)
            power_fail(c->power, "%s-%d: offset %" PRId64 " was never given out", name,
                       c->partition, record.offset);
        const struct offer *due = &log->offers[log->found++];
        if (record.offset != due->offset || number != due->number)
            power_fail(c->power,
                       "%s-%d: offset %" PRId64 " has record %" PRIu64 ", where %" PRId64
                       " is due with %" PRIu64,
                       name, c->partition, record.offset, number, due->offset, due->number);
        last.there[due->key] = log->found;
    }
    beck_reader_free(reader);
    check_last(c, &last);
    if (log->found < log->offer_count && log->offers[log->found].offset < promised(log, c->at))
        power_fail(c->power, "%s-%d: offset %" PRId64 " was synced and is lost", name, c->partition,
                   log->offers[log->found].offset);
}

static void check_log_start(const struct checked *c, int64_t log_start)
{
    const struct log *log = c->log;
    int64_t least = 0;
    int64_t most = 0;
    for (uint32_t i = 0; i < log->trim_count; i++) {
        if (log->trims[i].end <= c->at)
            least = log->trims[i].offset;
        if (log->trims[i].begin <= c->at)
            most = log->trims[i].offset;
    }
    if (log_start < least || log_start > most)
        power_fail(c->power,
                   "%s-%d: the log starts at %" PRId64 ", and not at %" PRId64 " to %" PRId64,
                   c->topic->name, c->partition, log_start, least, most);
}

/* The group's offset is the last that was committed, or one that was being committed; and no record
 * before it is lost. */
static void check_commits(struct checked *c)
{
    static struct beck_offset offset;
    struct beck_error error;
    const struct log *log = c->log;
    bool good = true;
    int r = (int)must(
        beck_offset_fetch(c->store, "g", 1, c->topic->name, c->partition, &offset, &error), &error);
    for (uint32_t i = 0; i < log->commit_count; i++) {
        const struct committed *one = &log->commits[i];
        bool is_it = r == 1 && offset.offset == one->offset;
        if (one->begin <= c->at)
            good = is_it || (good && one->end > c->at);
    }
    if (!good)
        power_fail(c->power, "%s-%d: the committed offset is %" PRId64, c->topic->name,
                   c->partition, r == 1 ? offset.offset : -1);
    if (r == 1 && log->found < log->offer_count && log->offers[log->found].offset < offset.offset)
        power_fail(c->power, "%s-%d: %" PRId64 " was committed, and %" PRId64 " is lost",
                   c->topic->name, c->partition, offset.offset, log->offers[log->found].offset);
}

/* What a producer sent last is known, where it is there. */
static void check_idempotent(struct checked *c, struct beck_partition *partition)
{
    struct beck_error error;
    struct beck_append_result result;
    const struct idempotent *own = &c->log->idempotent;
    if (own->size == 0 || own->when > c->at || own->base_offset >= promised(c->log, c->at))
        return;
    must(beck_append(partition, own->bytes, own->size, BECK_ACKS_LEADER, &result, &error), &error);
    if (!result.duplicate || result.base_offset != own->base_offset)
        power_fail(c->power,
                   "%s-%d: a batch that was sent again is there twice, at %" PRId64 " and %" PRId64,
                   c->topic->name, c->partition, own->base_offset, result.base_offset);
}

/* Who has records of the epoch before is told that none that he may have is of it still to come. */
static void check_epoch(struct checked *c, struct beck_partition *partition, int32_t epoch,
                        int64_t used)
{
    struct beck_error error;
    int32_t ended = -1;
    int64_t end = -1;
    if (c->log->epoch < 0 || c->topic->create_end > c->at)
        return;
    must(beck_partition_epoch_end(partition, c->log->epoch, &ended, &end, &error), &error);
    if (ended == c->log->epoch && epoch > ended && end <= used)
        power_fail(c->power, "%s-%d: epoch %d ended at %" PRId64 ", and %" PRId64 " was used",
                   c->topic->name, c->partition, ended, end, used);
}

/* Send a batch once more. `there`: it must be known; else it must be taken for a new one. */
static void send_again(const struct checked *c, struct beck_partition *partition,
                       const struct offer *offer, bool there, int64_t used)
{
    struct beck_error error;
    struct beck_append_result result;
    struct beck_record records[4];
    const struct sender sender = {.producer_id = POWER_PRODUCER_ID + offer->producer,
                                  .sequence = offer->sequence};
    for (uint32_t i = 0; i < offer->sent; i++)
        records[i] =
            (struct beck_record){.key = "key", .key_size = 3, .value = "again", .value_size = 5};
    int r = append_as(partition, &sender, records, offer->sent, BECK_ACKS_LEADER, &result, &error);
    if (r < 0)
        power_fail(c->power, "%s-%d: sequence %d of producer %d again: %s", c->topic->name,
                   c->partition, offer->sequence, offer->producer, error.message);
    if (result.duplicate != there ||
        (there ? result.base_offset != offer->offset : result.base_offset <= used))
        power_fail(c->power,
                   "%s-%d: sequence %d of producer %d, %s at %" PRId64 ", is %s at %" PRId64,
                   c->topic->name, c->partition, offer->sequence, offer->producer,
                   there ? "which is there" : "which was lost", offer->offset,
                   result.duplicate ? "known" : "appended", result.base_offset);
}

/* What is known of producers is what is in the log: no less, and no more. */
static void check_producers(const struct checked *c, struct beck_partition *partition, int64_t used)
{
    const struct log *log = c->log;
    for (int32_t producer = 1; producer <= POWER_PRODUCERS; producer++) {
        uint32_t at = log->found;
        const struct offer *last = NULL;
        for (int known = 0; known < 5 && (last = power_sent(log, at, producer)); known++) {
            at = (uint32_t)(last - log->offers);
            send_again(c, partition, last, true, used);
        }
        for (at = log->found; at < log->offer_count; at++)
            if (log->offers[at].sent > 0 && log->offers[at].producer == producer) {
                send_again(c, partition, &log->offers[at], false, used);
                break;
            }
    }
}

/* What is in the log, and what is known of it. */
static void check_contents(struct checked *c, struct beck_partition *partition, int64_t log_start,
                           int64_t used)
{
    check_records(c, partition, log_start);
    check_commits(c);
    check_idempotent(c, partition);
    check_producers(c, partition, used);
}

static void check_log(struct checked *c)
{
    const struct power *power = c->power;
    struct beck_error error;
    struct beck_append_result result;
    struct beck_record one = {.key = "key", .key_size = 3, .value = "next", .value_size = 4};
    struct beck_partition *partition = must_open_partition(c->store, c->topic->name, c->partition);
    struct beck_partition_state state = must_state(partition);
    int64_t used = highest_used(c->log, c->at);
    if (state.next_offset <= used)
        power_fail(power, "%s-%d: offset %" PRId64 " comes next, and %" PRId64 " was used",
                   c->topic->name, c->partition, state.next_offset, used);
    bool was_open = power->open_end <= c->at && c->at < power->close_begin;
    if (c->topic->create_end <= c->at &&
        state.leader_epoch < c->log->epoch + (was_open && c->log->epoch >= 0))
        power_fail(power, "%s-%d: the leader epoch is %d after %d", c->topic->name, c->partition,
                   state.leader_epoch, c->log->epoch);
    check_epoch(c, partition, state.leader_epoch, used);
    /* Without the index, what power loss has torn is not told from damage. */
    if (!power->index_is_lost) {
        check_log_start(c, state.log_start_offset);
        check_contents(c, partition, state.log_start_offset, used);
    }
    must(beck_produce(partition, &one, 1, BECK_ACKS_ALL, &result, &error), &error);
    if (result.base_offset <= used)
        power_fail(power, "%s-%d: offset %" PRId64 " was given out again", c->topic->name,
                   c->partition, result.base_offset);
    beck_partition_close(partition);
}

static void check_topic(struct checked *c)
{
    struct beck_topic found;
    struct beck_error error;
    const struct topic *topic = c->topic;
    int r = beck_topic_find(c->store, topic->name, &found, &error);
    if (r < 0 && r != -ENOENT)
        power_fail(c->power, "%s", error.message);
    if (r < 0 && topic->create_end <= c->at && topic->delete_begin > c->at)
        power_fail(c->power, "topic %s was made, and is lost", topic->name);
    if (r == 0 && (topic->create_begin > c->at || topic->delete_end <= c->at))
        power_fail(c->power, "topic %s was deleted, or not made yet, and is there", topic->name);
    for (c->partition = 0; c->partition < POWER_PARTITIONS; c->partition++) {
        c->log = (struct log *)(uintptr_t)&topic->logs[c->partition];
        c->log->found = NEVER;
        if (r == 0)
            check_log(c);
    }
}

void power_check_producer_id(const struct power *power, int64_t id, uint32_t at)
{
    for (uint32_t i = 0; i < ELEMENTS(power->producer_ids) && i < power->producer_count; i++)
        if (power->producer_when[i] <= at && power->producer_ids[i] >= id)
            power_fail(power, "producer id %" PRId64 " after %" PRId64, id, power->producer_ids[i]);
}

void power_check(struct power *power, const char *path, uint32_t at)
{
    struct beck_damage damage;
    struct beck_error error;
    int64_t id;
    struct checked c = {.power = power, .at = at};
    int r = beck_store_open(path, power->made_when <= at ? 0 : BECK_OPEN_CREATE, &fixture_options,
                            &c.store, &error);
    if (r < 0)
        power_fail(power, "%s", error.message);
    for (uint32_t i = 0; i < POWER_TOPICS; i++) {
        c.topic = &power->topics[i];
        if (c.topic->name[0])
            check_topic(&c);
    }
    must(beck_producer_id_new(c.store, &id, &error), &error);
    power_check_producer_id(power, id, at);
    if (!power->index_is_lost && verify_count(c.store, &damage) != 0)
        power_fail(power, "%s byte %" PRId64 ": %s", damage.file, damage.byte, damage.what);
    beck_store_close(c.store);
}
