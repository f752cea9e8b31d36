/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group/assign.h"

#define DATE_MS INT64_C(1763719200000)

static void save(void *context, struct group *group, struct kafka_bytes state, unsigned number)
{
    struct world *world = context;
    assert_true(world->save_count < WORLD_SAVES);
    world->saves[world->save_count].group = group;
    world->saves[world->save_count].save = number;
    world->saves[world->save_count++].state = state;
}

static void make_random(void *context, uint8_t to[16])
{
    struct world *world = context;
    memset(to, 0, 16);
    world->randomness++;
    memcpy(to + 10, &world->randomness, 6);
}

/* ---- topics, sorted by name ---- */

static int compare_topics(const void *left, const void *right)
{
    return strcmp(((const struct group_topic *)left)->name,
                  ((const struct group_topic *)right)->name);
}

void world_topic(struct world *world, const char *name, uint32_t partitions)
{
    unsigned i = 0;
    while (i < world->topic_count && strcmp(world->topics[i].name, name) != 0)
        i++;
    assert_true(i < WORLD_TOPICS);
    struct group_topic *topic = &world->topics[i];
    (void)snprintf(topic->name, sizeof(topic->name), "%s", name);
    memset(&topic->id, 0, sizeof(topic->id));
    memcpy(topic->id.bytes, name, strlen(name) < 16 ? strlen(name) : 16);
    topic->partition_count = partitions;
    if (i == world->topic_count)
        world->topic_count++;
    if (partitions == 0)
        *topic = world->topics[--world->topic_count];
    qsort(world->topics, world->topic_count, sizeof(*world->topics), compare_topics);
    world->topics_generation++;
}

static uint64_t topics_generation(void *context)
{
    return ((const struct world *)context)->topics_generation;
}

static int find_topic(void *context, struct kafka_string name, struct group_topic *ret_topic)
{
    const struct world *world = context;
    for (unsigned i = 0; i < world->topic_count; i++) {
        if (!kafka_string_equal(name, kafka_string_of(world->topics[i].name)))
            continue;
        *ret_topic = world->topics[i];
        return 0;
    }
    return -ENOENT;
}

static int next_topic(void *context, const char *after, struct group_topic *ret_topic)
{
    const struct world *world = context;
    for (unsigned i = 0; i < world->topic_count; i++) {
        if (strcmp(world->topics[i].name, after) <= 0)
            continue;
        *ret_topic = world->topics[i];
        return 1;
    }
    return 0;
}

static void begin(struct world *world, int32_t delay_ms)
{
    const struct coordinator_environment environment = {
        .context = world,
        .save = save,
        .random = make_random,
        .topics = {world, topics_generation, find_topic, next_topic},
    };
    const struct coordinator_settings settings = {
        .group_min_session_timeout_ms = 6000,
        .group_max_session_timeout_ms = 1800000,
        .group_initial_rebalance_delay_ms = delay_ms,
        .group_max_size = 4,
        .consumer_heartbeat_interval_ms = 5000,
        .consumer_session_timeout_ms = 45000,
        .consumer_max_size = 4,
        .consumer_assignors = {assignor_find(kafka_string_of("uniform")),
                               assignor_find(kafka_string_of("range"))},
        .consumer_assignors_count = 2,
        .may_upgrade = true,
        .may_downgrade = true,
    };
    coordinator_init(&world->coordinator, &environment, &settings);
    world_pass(world, 1);
}

void world_begin(struct world *world, int32_t delay_ms)
{
    *world = (struct world){.now_ms = 1000};
    begin(world, delay_ms);
}

void world_end(struct world *world)
{
    coordinator_stop(&world->coordinator);
    world_saved(world, 0);
    coordinator_done(&world->coordinator);
    bytes_free(&world->kept);
}

void world_pass(struct world *world, int64_t ms)
{
    int64_t until_ms = world->now_ms + ms;
    while (coordinator_next_ms(&world->coordinator) <= until_ms) {
        world->now_ms = coordinator_next_ms(&world->coordinator);
        coordinator_tick(&world->coordinator, world->now_ms, DATE_MS + world->now_ms);
    }
    world->now_ms = until_ms;
    coordinator_tick(&world->coordinator, world->now_ms, DATE_MS + world->now_ms);
}

void world_saved(struct world *world, int result)
{
    unsigned count = world->save_count;
    world->save_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (result == 0) {
            bytes_free(&world->kept);
            world->kept = world->saves[i].state;
        } else {
            bytes_free(&world->saves[i].state);
        }
        coordinator_saved(world->saves[i].group, world->saves[i].save, result);
    }
}

void world_restart(struct world *world)
{
    coordinator_stop(&world->coordinator);
    for (unsigned i = 0; i < world->save_count; i++) {
        world->saves[i].group->saves = 0;
        bytes_free(&world->saves[i].state);
    }
    world->save_count = 0;
    coordinator_done(&world->coordinator);
    begin(world, DELAY_MS);
    assert_int_equal(coordinator_load(&world->coordinator, kafka_string_of("g"), world->kept), 0);
}

/* ---- actors ---- */

struct actor actor_new(struct world *world, const char *client)
{
    return (struct actor){.world = world,
                          .client = client,
                          .protocols = "a",
                          .wants = "w",
                          .generation = -1,
                          .rebalance_ms = REBALANCE_MS};
}

static void text_to(char *to, size_t room, struct kafka_string text)
{
    (void)snprintf(to, room, "%.*s", (int)text.length, text.data ? text.data : "");
}

static void joined(struct group_join *join)
{
    struct actor *actor = (struct actor *)((char *)join - offsetof(struct actor, join));
    const struct group_join_answer *answer = &join->answer;
    actor->joins++;
    actor->error = answer->error;
    actor->generation = answer->generation;
    actor->skip = answer->skip_assignment;
    text_to(actor->leader, sizeof(actor->leader), answer->leader_id);
    text_to(actor->protocol, sizeof(actor->protocol), answer->protocol_name);
    text_to(actor->id, sizeof(actor->id), answer->member_id);
    actor->members[0] = '\0';
    const struct group_member *member;
    if (!answer->group)
        return;
    TAILQ_FOREACH(member, &answer->group->members, link)
    {
        struct kafka_bytes metadata = group_member_metadata(member);
        size_t n = strlen(actor->members);
        (void)snprintf(actor->members + n, sizeof(actor->members) - n, "%.*s=%.*s ",
                       (int)member->client_id.length, member->client_id.data, (int)metadata.length,
                       (const char *)metadata.data);
    }
}

static void send_join(struct actor *actor)
{
    struct group_protocol protocols[4];
    static char names[4][2]; /* until they are answered */
    uint32_t count = (uint32_t)strlen(actor->protocols);
    (void)snprintf(actor->asked_id, sizeof(actor->asked_id), "%s", actor->id);
    for (uint32_t i = 0; i < count; i++) {
        names[i][0] = actor->protocols[i];
        names[i][1] = '\0';
        protocols[i] = (struct group_protocol){
            .name = kafka_string_of(names[i]),
            .metadata = {actor->wants,
                         actor->wants_bytes ? actor->wants_bytes : (uint32_t)strlen(actor->wants)},
        };
    }
    actor->join = (struct group_join){
        .group_id = kafka_string_of("g"),
        .member_id = kafka_string_of(actor->asked_id),
        .instance_id = kafka_string_of(actor->instance),
        .client_id = kafka_string_of(actor->client),
        .client_host = kafka_string_of("/127.0.0.1"),
        .protocol_type = kafka_string_of("consumer"),
        .protocols = protocols,
        .protocols_count = count,
        .session_timeout_ms = SESSION_MS,
        .rebalance_timeout_ms = actor->rebalance_ms,
        .wants_known_id = !actor->old,
        .knows_skipping = actor->new,
        .done = joined,
    };
    coordinator_join(&actor->world->coordinator, &actor->join);
}

void actor_join(struct actor *actor)
{
    int joins = actor->joins;
    send_join(actor);
    if (actor->joins > joins && actor->error == KAFKA_MEMBER_ID_REQUIRED) {
        actor->joins--;
        send_join(actor);
    }
}

static void synced(struct group_sync *sync)
{
    struct actor *actor = (struct actor *)((char *)sync - offsetof(struct actor, sync));
    actor->syncs++;
    actor->error = sync->answer.error;
    actor->assignment_bytes = sync->answer.assignment.length;
    assert_true(actor->assignment_bytes < sizeof(actor->assignment));
    memcpy(actor->assignment, sync->answer.assignment.data, actor->assignment_bytes);
    actor->assignment[actor->assignment_bytes] = '\0';
}

static void send_sync(struct actor *actor, const struct group_assignment *assignments,
                      uint32_t count)
{
    actor->sync = (struct group_sync){
        .group_id = kafka_string_of("g"),
        .member_id = kafka_string_of(actor->id),
        .instance_id = kafka_string_of(actor->instance),
        .generation = actor->generation,
        .assignments = assignments,
        .assignments_count = count,
        .done = synced,
    };
    coordinator_sync(&actor->world->coordinator, &actor->sync);
}

void actor_sync_own(struct actor *actor, const void *data, uint32_t size)
{
    const struct group_assignment own = {.member_id = kafka_string_of(actor->id),
                                         .assignment = {data, size}};
    send_sync(actor, &own, 1);
}

void actor_sync(struct actor *actor, ...)
{
    struct group_assignment assignments[8];
    uint32_t count = 0;
    va_list arguments;
    va_start(arguments, actor);
    for (const struct actor *to; (to = va_arg(arguments, const struct actor *));) {
        const char *text = va_arg(arguments, const char *);
        assignments[count++] = (struct group_assignment){
            .member_id = kafka_string_of(to->id), .assignment = {text, (uint32_t)strlen(text)}};
    }
    va_end(arguments);
    send_sync(actor, assignments, count);
}

static struct group_caller caller_of(const struct actor *actor)
{
    return (struct group_caller){
        .group_id = kafka_string_of("g"),
        .member_id = kafka_string_of(actor->id),
        .instance_id = kafka_string_of(actor->instance),
        .generation = actor->generation,
    };
}

int16_t actor_heartbeat(struct actor *actor)
{
    const struct group_caller caller = caller_of(actor);
    return coordinator_heartbeat(&actor->world->coordinator, &caller);
}

int16_t actor_leave(struct actor *actor)
{
    const struct group_caller caller = caller_of(actor);
    return coordinator_leave(&actor->world->coordinator, &caller);
}

int16_t actor_commit(struct actor *actor)
{
    const struct group_caller caller = caller_of(actor);
    return coordinator_may_commit(&actor->world->coordinator, &caller);
}

void world_of_two(struct world *world, struct actor *leader, struct actor *follower)
{
    actor_join(leader);
    actor_join(follower);
    world_pass(world, DELAY_MS);
    world_pass(world, DELAY_MS);
    assert_int_equal(leader->error, KAFKA_NONE);
    assert_string_equal(leader->leader, leader->id);
    assert_int_equal(leader->generation, 1);
    actor_sync(follower, NULL);
    actor_sync(leader, leader, "one", follower, "two", NULL);
    world_saved(world, 0);
    assert_int_equal(world_state(world), GROUP_STABLE);
    assert_string_equal(follower->assignment, "two");
}

enum group_state world_state(const struct world *world)
{
    const struct group *group = coordinator_find(&world->coordinator, kafka_string_of("g"));
    assert_non_null(group);
    return group->state;
}
