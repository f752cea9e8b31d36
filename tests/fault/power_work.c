/* SPDX-License-Identifier: Apache-2.0 */
/* What is done before power is cut, and what is promised while it is done. */
#include "power.h"

#include "check.h"
#include "forge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES ((uint32_t)4000)
#define LARGE_BYTES ((uint32_t)400000)

static uint32_t now(const struct power *power)
{
    return disk_calls(power->disk);
}

static void *room_for(void *memory, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return memory;
    *room = *room ? 2 * *room : 64;
    void *larger = reallocarray(memory, *room, size);
    if (!larger)
        abort();
    return larger;
}

static void note_offer(struct power *power, struct log *log, int64_t offset, uint64_t number,
                       uint32_t key)
{
    log->offers = room_for(log->offers, log->offer_count, &log->offer_room, sizeof(struct offer));
    log->offers[log->offer_count++] =
        (struct offer){.offset = offset, .number = number, .key = key, .when = now(power)};
    power->offered++;
}

static void note_promise(struct power *power, struct log *log, int64_t offset)
{
    log->promises =
        room_for(log->promises, log->promise_count, &log->promise_room, sizeof(struct log_promise));
    log->promises[log->promise_count++] = (struct log_promise){offset, now(power)};
}

/* A topic that exists; NULL: there is none. */
static struct topic *any_topic(struct power *power)
{
    uint32_t first = random_below(&power->random, POWER_TOPICS);
    for (uint32_t i = 0; i < POWER_TOPICS; i++) {
        struct topic *topic = &power->topics[(first + i) % POWER_TOPICS];
        if (topic->name[0] && topic->create_end != NEVER && topic->delete_begin == NEVER)
            return topic;
    }
    return NULL;
}

/* ---- one step each ------------------------------------------------------------------------- */

/* Append the records, for one of the producers or for none. */
static void send(struct power *power, struct log *log, struct beck_partition *partition,
                 const struct beck_record *records, uint32_t count, bool all,
                 struct beck_append_result *ret_result)
{
    struct beck_error error;
    enum beck_acks acks = all ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    int32_t producer = (int32_t)random_below(&power->random, POWER_PRODUCERS + 1);
    const struct offer *last = power_sent(log, log->offer_count, producer);
    struct sender sender = {.producer_id = POWER_PRODUCER_ID + producer};
    sender.sequence = last ? last->sequence + (int32_t)last->sent : 0;
    if (producer == 0)
        must(beck_produce(partition, records, count, acks, ret_result, &error), &error);
    else
        must(append_as(partition, &sender, records, count, acks, ret_result, &error), &error);
    if (producer != 0 && all)
        must(beck_sync(partition, ret_result->next_offset, &error), &error);
    uint32_t first = log->offer_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key;
        memcpy(&key, records[i].key, sizeof(key));
        note_offer(power, log, ret_result->base_offset + i, power->next_number++, key);
    }
    if (producer != 0) {
        log->offers[first].sent = count;
        log->offers[first].producer = producer;
        log->offers[first].sequence = sender.sequence;
    }
}

/* One batch of some records, each of which begins with its number. */
static void append(struct power *power, struct topic *topic, uint32_t p, bool large)
{
    static char value[LARGE_BYTES];
    struct beck_record records[4];
    uint32_t keys[4];
    struct beck_append_result result;
    struct log *log = &topic->logs[p];
    uint32_t count = large ? 1 : 1 + random_below(&power->random, 4);
    bool all = random_below(&power->random, 4) == 0;
    struct beck_partition *partition =
        must_open_partition(power->fixture.store, topic->name, (int32_t)p);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = 8 + random_below(&power->random, (large ? LARGE_BYTES : VALUE_BYTES) / 4);
        uint64_t number = power->next_number + i;
        char *at = value + (large ? 0 : i * VALUE_BYTES);
        memcpy(at, &number, sizeof(number));
        keys[i] = random_below(&power->random, POWER_KEYS);
        records[i] = (struct beck_record){.key = &keys[i],
                                          .key_size = sizeof(keys[i]),
                                          .value = at,
                                          .value_size = (int32_t)size,
                                          .timestamp_ms = FIXTURE_TIME};
        if (large)
            records[i].value_size = (int32_t)LARGE_BYTES;
    }
    send(power, log, partition, records, count, all, &result);
    if (all)
        note_promise(power, log, result.next_offset);
    beck_partition_close(partition);
}

/* The next batch of a producer that is told when it sends one again. */
static void append_idempotent(struct power *power, struct topic *topic, uint32_t p)
{
    static struct forge forge;
    struct beck_error error;
    struct beck_append_result result;
    struct log *log = &topic->logs[p];
    struct idempotent *own = &log->idempotent;
    uint64_t number = power->next_number++;
    uint32_t key = random_below(&power->random, POWER_KEYS);
    const struct beck_record record = {
        .key = &key, .key_size = sizeof(key), .value = &number, .value_size = 8};
    if (own->size == 0)
        *own = (struct idempotent){.producer_id = power_producer_id(power)};
    forge_begin(&forge);
    forge_record(&forge, &record, 0, 0);
    forge.header.producer_id = own->producer_id;
    forge.header.producer_epoch = 0;
    forge.header.base_sequence = own->sequence++;
    forge_seal(&forge);
    CHECK(forge.size <= sizeof(own->bytes));
    struct beck_partition *partition =
        must_open_partition(power->fixture.store, topic->name, (int32_t)p);
    must(beck_append(partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &error),
         &error);
    beck_partition_close(partition);
    memcpy(own->bytes, forge.bytes, forge.size);
    own->size = forge.size;
    own->base_offset = result.base_offset;
    own->when = now(power);
    note_offer(power, log, result.base_offset, number, key);
}

static void commit(struct power *power, struct topic *topic, uint32_t p)
{
    struct beck_error error;
    struct log *log = &topic->logs[p];
    struct beck_partition *partition =
        must_open_partition(power->fixture.store, topic->name, (int32_t)p);
    int64_t end = must_state(partition).next_offset;
    beck_partition_close(partition);
    struct beck_offset_commit offset = {.group = "g",
                                        .group_size = 1,
                                        .topic = topic->name,
                                        .partition = (int32_t)p,
                                        .offset =
                                            end > 3 ? end - random_below(&power->random, 3) : end,
                                        .leader_epoch = -1,
                                        .expire_ms = -1};
    if (log->commit_count == COMMITS)
        return;
    struct committed *own = &log->commits[log->commit_count++];
    *own = (struct committed){offset.offset, now(power), NEVER};
    must(beck_offsets_commit(power->fixture.store, &offset, 1, &error), &error);
    own->end = now(power);
    note_promise(power, log, offset.offset);
}

/* Trim the log to a record that is synced. */
static void trim(struct power *power, struct topic *topic, uint32_t p)
{
    struct beck_error error;
    struct log *log = &topic->logs[p];
    int64_t start;
    if (log->trim_count == COMMITS || log->offer_count == 0)
        return;
    int64_t offset = log->offers[random_below(&power->random, log->offer_count)].offset;
    struct beck_partition *partition =
        must_open_partition(power->fixture.store, topic->name, (int32_t)p);
    must(beck_sync(partition, offset + 1, &error), &error);
    note_promise(power, log, offset + 1);
    struct beck_partition_state state = must_state(partition);
    if (offset > state.log_start_offset && offset <= state.high_watermark) {
        struct committed *own = &log->trims[log->trim_count++];
        *own = (struct committed){offset, now(power), NEVER};
        must(beck_trim(partition, offset, &start, &error), &error);
        own->end = now(power);
    }
    beck_partition_close(partition);
}

static void alter(struct power *power, const struct topic *topic)
{
    struct beck_error error;
    struct beck_config_change change = {.name = "max.message.bytes",
                                        .value =
                                            random_below(&power->random, 2) ? "900000" : "950000"};
    must(beck_topic_alter(power->fixture.store, topic->name, &change, 1, 0, &error), &error);
}

static int64_t log_start(const struct power *power, const struct topic *topic, uint32_t p)
{
    struct beck_partition *partition =
        must_open_partition(power->fixture.store, topic->name, (int32_t)p);
    int64_t start = must_state(partition).log_start_offset;
    beck_partition_close(partition);
    return start;
}

/* What maintenance has removed since `begin`. */
static void note_retention(struct power *power, uint32_t begin)
{
    for (struct topic *topic = power->topics; topic < power->topics + POWER_TOPICS; topic++) {
        bool is_there = topic->name[0] && topic->delete_begin == NEVER;
        for (uint32_t p = 0; is_there && topic->is_retained && p < POWER_PARTITIONS; p++) {
            struct log *log = &topic->logs[p];
            int64_t start = log_start(power, topic, p);
            int64_t before = log->trim_count > 0 ? log->trims[log->trim_count - 1].offset : 0;
            if (start == before)
                continue;
            CHECK(log->trim_count < COMMITS);
            log->trims[log->trim_count++] = (struct committed){start, begin, now(power)};
        }
    }
}

static void maintain(struct power *power)
{
    uint32_t next_ms;
    struct beck_error error;
    uint32_t begin = now(power);
    must(beck_store_maintain(power->fixture.store, true, &next_ms, &error), &error);
    note_retention(power, begin);
}

/* Let the topic have less room than it takes, for a while. */
static void retain(struct power *power, struct topic *topic)
{
    struct beck_error error;
    struct beck_config_change change = {.name = "retention.bytes",
                                        .value = random_below(&power->random, 3) ? "1048576" : "0"};
    if (topic->is_compacted)
        return;
    topic->is_retained = true;
    must(beck_topic_alter(power->fixture.store, topic->name, &change, 1, 0, &error), &error);
    maintain(power);
    change = (struct beck_config_change){.name = "retention.bytes", .operation = BECK_CONFIG_RESET};
    must(beck_topic_alter(power->fixture.store, topic->name, &change, 1, 0, &error), &error);
}

static void clean(struct power *power)
{
    uint32_t next_ms;
    struct beck_error error;
    must(beck_store_clean(power->fixture.store, NULL, NULL, &next_ms, &error), &error);
}

/* Some segments more, which are compacted. */
static void compact(struct power *power, struct topic *topic, uint32_t p)
{
    for (uint32_t i = 1 + random_below(&power->random, 6); topic->is_compacted && i > 0; i--)
        append(power, topic, p, true);
    maintain(power);
    clean(power);
}

static void sync_log(struct power *power, struct topic *topic, uint32_t p)
{
    struct beck_error error;
    struct beck_partition *partition =
        must_open_partition(power->fixture.store, topic->name, (int32_t)p);
    int64_t end = must_state(partition).next_offset;
    must(beck_sync(partition, end, &error), &error);
    note_promise(power, &topic->logs[p], end);
    beck_partition_close(partition);
}

static void create(struct power *power)
{
    struct beck_error error;
    struct topic *topic = power->topics;
    while (topic < power->topics + POWER_TOPICS && topic->name[0])
        topic++;
    if (topic == power->topics + POWER_TOPICS)
        return;
    (void)snprintf(topic->name, sizeof(topic->name), "topic-%u", power->topics_made++);
    topic->create_begin = now(power);
    topic->create_end = topic->delete_begin = topic->delete_end = NEVER;
    for (uint32_t p = 0; p < POWER_PARTITIONS; p++)
        topic->logs[p].used_before = topic->logs[p].epoch = -1;
    topic->is_retained = false;
    topic->is_compacted = random_below(&power->random, 2);
    const struct beck_config configs[] = {{"segment.bytes", "1048576"},
                                          {"cleanup.policy", "compact"},
                                          {"min.cleanable.dirty.ratio", "0"}};
    const struct beck_topic_options options = {.partition_count = POWER_PARTITIONS,
                                               .configs = configs,
                                               .config_count = topic->is_compacted ? 3 : 1};
    must(beck_topic_create(power->fixture.store, topic->name, &options, NULL, &error), &error);
    topic->create_end = now(power);
}

static void delete_topic(struct power *power, struct topic *topic)
{
    struct beck_error error;
    topic->delete_begin = now(power);
    must(beck_topic_delete(power->fixture.store, topic->name, &error), &error);
    topic->delete_end = now(power);
}

int64_t power_producer_id(struct power *power)
{
    int64_t id;
    struct beck_error error;
    must(beck_producer_id_new(power->fixture.store, &id, &error), &error);
    power_check_producer_id(power, id, now(power));
    uint32_t next = power->producer_count++ % ELEMENTS(power->producer_ids);
    power->producer_ids[next] = id;
    power->producer_when[next] = now(power);
    return id;
}

/* ---- the run ------------------------------------------------------------------------------- */

static void open_store(struct power *power)
{
    power->open_begin = now(power);
    power->close_begin = NEVER;
    power->fixture.store = must_open(power->fixture.path, BECK_OPEN_CREATE);
    power->open_end = now(power);
    if (power->made_when == NEVER)
        power->made_when = now(power);
}

static void close_store(struct power *power)
{
    power->close_begin = now(power);
    fixture_close(&power->fixture);
}

/* What the opening found is there for good, whoever reads it may act on it. */
static void note_found(struct power *power)
{
    for (uint32_t i = 0; i < POWER_TOPICS; i++) {
        struct topic *topic = &power->topics[i];
        for (uint32_t p = 0; topic->name[0] && p < POWER_PARTITIONS; p++) {
            struct log *log = &topic->logs[p];
            if (log->offer_count > 0)
                note_promise(power, log, log->offers[log->offer_count - 1].offset + 1);
        }
    }
}

static void step(struct power *power)
{
    struct topic *topic = any_topic(power);
    uint32_t p = random_below(&power->random, POWER_PARTITIONS);
    uint32_t choice = random_below(&power->random, 100);
    if (!topic || choice < 4)
        create(power);
    else if (choice < 47)
        append(power, topic, p, false);
    else if (choice < 55)
        append_idempotent(power, topic, p);
    else if (choice < 65)
        append(power, topic, p, true);
    else if (choice < 71)
        sync_log(power, topic, p);
    else if (choice < 77)
        commit(power, topic, p);
    else if (choice < 84)
        maintain(power);
    else if (choice < 86)
        delete_topic(power, topic);
    else if (choice < 88)
        (void)power_producer_id(power);
    else if (choice < 90)
        alter(power, topic);
    else if (choice < 92)
        trim(power, topic, p);
    else if (choice < 96)
        compact(power, topic, p);
    else if (choice < 98)
        retain(power, topic);
    else if (power->close_begin == NEVER) {
        close_store(power);
        open_store(power);
    }
}

static void note_epochs(struct power *power)
{
    for (uint32_t i = 0; i < POWER_TOPICS; i++) {
        struct topic *topic = &power->topics[i];
        for (int32_t p = 0; topic->name[0] && topic->delete_begin == NEVER && p < POWER_PARTITIONS;
             p++) {
            struct beck_partition *partition =
                must_open_partition(power->fixture.store, topic->name, p);
            topic->logs[p].epoch = must_state(partition).leader_epoch;
            beck_partition_close(partition);
        }
    }
}

void power_work(struct power *power)
{
    uint32_t steps = random_below(&power->random, 40);
    calls.boot = ++power->boot;
    disk_watch(power->disk);
    open_store(power);
    note_found(power);
    note_epochs(power);
    for (uint32_t i = 0; i < steps; i++)
        step(power);
    note_epochs(power);
    close_store(power);
    disk_unwatch();
}
