/* SPDX-License-Identifier: Apache-2.0 */
#include "consumer_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct partition_set set_of(const char *text, struct topic_partition *list)
{
    struct partition_set set = {.list = list};
    while (*text) {
        char *end;
        list[set.count] = (struct topic_partition){.topic = {{(uint8_t)text[0]}}};
        list[set.count++].partition = (int32_t)strtol(text + 1, &end, 10);
        text = *end == ' ' ? end + 1 : end;
    }
    partition_set_sort(&set);
    return set;
}

void set_text(const struct partition_set *set, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (uint32_t i = 0; i < set->count; i++)
        n += (size_t)snprintf(to + n, size - n, "%s%c%d", i > 0 ? " " : "",
                              set->list[i].topic.bytes[0], set->list[i].partition);
    assert_true(n < size);
}

struct member member_new(struct world *world, const char *id, const char *topics)
{
    return (struct member){.world = world, .id = id, .topics = topics};
}

static void answered(struct group_beat *beat)
{
    struct member *member = (struct member *)((char *)beat - offsetof(struct member, beat));
    member->answers++;
    member->error = beat->answer.error;
    member->was_told = beat->answer.assignment;
    if (beat->answer.error == KAFKA_NONE)
        member->epoch = beat->answer.epoch;
    if (beat->answer.assignment)
        set_text(beat->answer.assignment, member->has, sizeof(member->has));
}

static void send(struct member *member, bool everything, int32_t epoch, const char *owned)
{
    uint32_t count = 0;
    assert_int_equal(member->sent++, member->answers); /* one at a time, as clients do */
    for (const char *topic = member->topics; topic && *topic; topic++) {
        member->letters[count][0] = *topic;
        member->names[count] = kafka_string_of(member->letters[count]);
        count++;
    }
    if (owned)
        member->owned = set_of(owned, member->list);
    member->beat = (struct group_beat){
        .group_id = kafka_string_of("g"),
        .member_id = kafka_string_of(member->id),
        .instance_id = kafka_string_of(member->instance),
        .client_id = kafka_string_of("client"),
        .client_host = kafka_string_of("/127.0.0.1"),
        .epoch = epoch,
        .rebalance_timeout_ms = everything ? REBALANCE_MS : -1,
        .names = everything && member->topics ? member->names : NULL,
        .names_count = everything ? count : 0,
        .pattern = kafka_string_of(everything ? member->pattern : NULL),
        .assignor = kafka_string_of(everything ? member->assignor : NULL),
        .owned = owned ? &member->owned : NULL,
        .done = answered,
    };
    coordinator_beat(&member->world->coordinator, &member->beat);
}

void member_join(struct member *member)
{
    send(member, true, CONSUMER_EPOCH_JOIN, "");
}

void member_beat(struct member *member)
{
    send(member, false, member->epoch, NULL);
}

void member_beat_owning(struct member *member, const char *owned)
{
    send(member, false, member->epoch, owned);
}

void member_tell_all(struct member *member, const char *owned)
{
    send(member, true, member->epoch, owned);
}

void member_leave(struct member *member, int32_t epoch)
{
    send(member, false, epoch, NULL);
}

void member_joined(struct member *member)
{
    member_join(member);
    world_saved(member->world, 0);
    assert_int_equal(member->error, KAFKA_NONE);
}

void member_settle(struct member *member)
{
    char has[sizeof(member->has)];
    (void)snprintf(has, sizeof(has), "%s", member->has);
    member_beat_owning(member, has);
    world_saved(member->world, 0);
    assert_int_equal(member->error, KAFKA_NONE);
}

void world_settle(struct world *world)
{
    while (world->save_count > 0)
        world_saved(world, 0);
}

struct group *world_group(struct world *world)
{
    struct group *group = coordinator_find(&world->coordinator, kafka_string_of("g"));
    assert_non_null(group);
    return group;
}
