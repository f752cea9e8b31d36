/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of the classic protocol in a group of the new one, and making the one of the other while
 * they are there. Their JoinGroup says what they subscribe and what they have, in the metadata of
 * protocol type "consumer"; SyncGroup tells them what they may have; Heartbeat, when to come again.
 * Their generation is their epoch.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "group/classic.h"
#include "group/consumer.h"
#include "kafka/errors.h"

#define METADATA_ARENA_BYTES ((size_t)16 << 20)
#define METADATA_VERSION     3 /* the last that we know; later ones begin alike */

/* ---- the consumers' metadata ---- */

struct metadata {
    struct kafka_arena arena;
    struct kafka_consumer_subscription said;
    struct partition_set owned;
};

static void metadata_done(struct metadata *metadata)
{
    partition_set_done(&metadata->owned);
    kafka_arena_done(&metadata->arena);
}

/* Adds partitions of a topic that is named. One that is not there any more is nobody's. */
static int add_partitions(const struct group *group, struct partition_set *set,
                          struct kafka_string name, const int32_t *partitions, uint32_t count)
{
    const struct topics_source *source = &group->coordinator->environment.topics;
    struct group_topic topic;
    if (count > CONSUMER_PARTITIONS_MAX || set->count > CONSUMER_PARTITIONS_MAX - count)
        return -EBADMSG;
    int result = source->find(source->context, name, &topic);
    if (result == -ENOENT || result == -EINVAL)
        return 0;
    if (result < 0)
        return result;
    struct topic_partition *grown =
        reallocarray(set->list, (size_t)set->count + count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    set->list = grown;
    for (uint32_t i = 0; i < count; i++)
        set->list[set->count++] =
            (struct topic_partition){.topic = topic.id, .partition = partitions[i]};
    return 0;
}

/* 0, -EBADMSG, -ENOMEM or what the store says. Freed by the caller in any case. */
static int metadata_read(struct metadata *metadata, const struct group *group,
                         struct kafka_bytes bytes)
{
    struct kafka_reader reader;
    *metadata = (struct metadata){0};
    kafka_arena_init(&metadata->arena, METADATA_ARENA_BYTES);
    kafka_reader_init(&reader, bytes.data, bytes.length);
    int16_t version = kafka_read_int16(&reader);
    if (reader.error || version < 0)
        return -EBADMSG;
    int result = kafka_consumer_subscription_decode(
        &reader, version > METADATA_VERSION ? METADATA_VERSION : version, &metadata->arena,
        &metadata->said);
    if (result == 0 && (metadata->said.topics_count > CONSUMER_NAMES_MAX ||
                        metadata->said.owned_partitions_count > CONSUMER_NAMES_MAX))
        result = -EBADMSG;
    for (uint32_t i = 0; result == 0 && i < metadata->said.owned_partitions_count; i++) {
        const struct kafka_consumer_subscription_owned *owned = &metadata->said.owned_partitions[i];
        result = add_partitions(group, &metadata->owned, owned->topic, owned->partitions,
                                owned->partitions_count);
    }
    if (result == 0)
        partition_set_sort(&metadata->owned);
    return result;
}

static int16_t metadata_version(struct kafka_bytes bytes)
{
    struct kafka_reader reader;
    kafka_reader_init(&reader, bytes.data, bytes.length);
    int16_t version = kafka_read_int16(&reader);
    return reader.error || version < 0  ? 0
           : version > METADATA_VERSION ? METADATA_VERSION
                                        : version;
}

static int assignment_read(const struct group *group, struct kafka_bytes bytes,
                           struct partition_set *ret_set)
{
    struct kafka_consumer_assignment said;
    struct kafka_arena arena;
    struct kafka_reader reader;
    if (bytes.length == 0)
        return 0;
    kafka_arena_init(&arena, METADATA_ARENA_BYTES);
    kafka_reader_init(&reader, bytes.data, bytes.length);
    int16_t version = kafka_read_int16(&reader);
    int result = reader.error || version < 0 ? -EBADMSG : 0;
    if (result == 0)
        result = kafka_consumer_assignment_decode(
            &reader, version > METADATA_VERSION ? METADATA_VERSION : version, &arena, &said);
    if (result == 0 && said.assigned_partitions_count > CONSUMER_NAMES_MAX)
        result = -EBADMSG;
    for (uint32_t i = 0; result == 0 && i < said.assigned_partitions_count; i++)
        result = add_partitions(group, ret_set, said.assigned_partitions[i].topic,
                                said.assigned_partitions[i].partitions,
                                said.assigned_partitions[i].partitions_count);
    if (result == 0)
        partition_set_sort(ret_set);
    kafka_arena_done(&arena);
    return result;
}

static int fill_assignment(const struct consumer_member *member, struct kafka_arena *arena,
                           struct kafka_consumer_assignment *to)
{
    const struct partition_set *set = &member->assigned;
    int32_t *partitions = kafka_arena_alloc(arena, set->count, sizeof(*partitions));
    to->assigned_partitions =
        kafka_consumer_assignment_assigned_array(arena, partition_set_topics(set));
    if (!to->assigned_partitions || !partitions)
        return -ENOMEM;
    for (uint32_t at = 0; at < set->count;) {
        const struct group_topic *topic =
            topics_by_id(&member->group->consumer->topics, &set->list[at].topic);
        uint32_t begin = at;
        for (uint32_t end = partition_set_topic_end(set, at); at < end; at++)
            partitions[at] = set->list[at].partition;
        if (!topic) /* it was deleted */
            continue;
        struct kafka_consumer_assignment_assigned *one =
            &to->assigned_partitions[to->assigned_partitions_count++];
        one->topic = kafka_string_of(topic->name);
        one->partitions = partitions + begin;
        one->partitions_count = at - begin;
    }
    return 0;
}

/* What a member may have, in its own words. The caller frees it. */
static int assignment_write(const struct consumer_member *member, struct kafka_bytes *ret_bytes)
{
    int16_t version = metadata_version(member->protocols[0].metadata);
    struct kafka_consumer_assignment assignment;
    struct kafka_arena arena;
    struct kafka_writer writer;
    kafka_arena_init(&arena, METADATA_ARENA_BYTES);
    kafka_writer_init(&writer);
    kafka_consumer_assignment_init(&assignment);
    int result = fill_assignment(member, &arena, &assignment);
    kafka_write_int16(&writer, version);
    if (result == 0)
        result = kafka_consumer_assignment_encode(&writer, version, &assignment);
    kafka_arena_done(&arena);
    if (result < 0)
        kafka_writer_done(&writer);
    else
        *ret_bytes = (struct kafka_bytes){writer.data, (uint32_t)writer.size};
    return result;
}

/* ---- joining ---- */

static void join_refuse(struct group_join *join, int16_t error)
{
    struct kafka_string made_id = join->made_id;
    join->answer = (struct group_join_answer){
        .error = error,
        .generation = -1,
        .member_id = made_id.data ? made_id : join->member_id,
        .leader_id = {.data = ""},
    };
    join->done(join);
    text_free(&made_id);
}

static void join_end(struct group_wait *wait, int result)
{
    struct group_join *join =
        (struct group_join *)((char *)wait - offsetof(struct group_join, wait));
    struct kafka_string made_id = join->made_id;
    if (result < 0) {
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    join->done(join);
    text_free(&made_id);
}

static bool knows(const struct group_protocol *protocols, uint32_t count, struct kafka_string name)
{
    for (uint32_t i = 0; i < count; i++)
        if (kafka_string_equal(protocols[i].name, name))
            return true;
    return false;
}

/* Is there a protocol that all classic members know, this one too? */
static bool is_supported(const struct group *group, const struct group_join *join)
{
    const struct consumer_member *member;
    if (!kafka_string_equal(join->protocol_type, kafka_string_of("consumer")))
        return false;
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        bool all = true;
        TAILQ_FOREACH(member, &group->consumer->members, link)
        if (member->is_classic)
            all &= knows(member->protocols, member->protocols_count, join->protocols[i].name);
        if (all)
            return true;
    }
    return false;
}

static size_t size_of(const struct group_join *join)
{
    size_t size = (size_t)join->client_id.length + join->instance_id.length;
    for (uint32_t i = 0; i < join->protocols_count; i++)
        size += join->protocols[i].name.length + (size_t)join->protocols[i].metadata.length;
    /* The first is looked into: names are in it. */
    return size + (join->protocols_count > 0 ? join->protocols[0].metadata.length : 0);
}

static int take_protocols(struct consumer_member *member, const struct group_protocol *protocols,
                          uint32_t count)
{
    struct group_protocol *copies = calloc((size_t)count + 1, sizeof(*copies));
    if (!copies)
        return -ENOMEM;
    consumer_member_modernize(member);
    member->protocols = copies;
    member->is_classic = true;
    member->group->consumer->classic_count++;
    for (uint32_t i = 0; i < count; i++) {
        member->protocols_count++;
        if (text_copy(protocols[i].name, &copies[i].name) < 0 ||
            bytes_copy(protocols[i].metadata, &copies[i].metadata) < 0)
            return -ENOMEM;
    }
    member->group->is_changed = true;
    return 0;
}

static int member_take(struct consumer_member *member, const struct group_join *join,
                       const struct metadata *metadata, bool is_new)
{
    struct group *group = member->group;
    struct subscription subscription = {0};
    int result = take_protocols(member, join->protocols, join->protocols_count);
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    if (result == 0)
        result = consumer_text_set(group, &member->rack_id, metadata->said.rack_id);
    if (result == 0)
        result = consumer_text_set(group, &member->client_id, join->client_id);
    if (result == 0)
        result = consumer_text_set(group, &member->client_host, join->client_host);
    if (result == 0)
        result =
            subscription_init(&group->consumer->topics, metadata->said.topics,
                              metadata->said.topics_count, (struct kafka_string){0}, &subscription);
    if (result == 0 && (consumer_member_subscribe(member, &subscription) || is_new))
        consumer_raise(group);
    return result;
}

/* A member that is known, or one that is to be made with the id that the join has. */
static void join_take(struct group *group, struct consumer_member *member, struct group_join *join,
                      struct kafka_string id)
{
    struct metadata metadata;
    bool is_new = !member;
    bool replaces = member && !member->is_classic && join->member_id.length == 0;
    int result = metadata_read(&metadata, group, join->protocols[0].metadata);
    if (result == 0 && is_new) {
        member = consumer_member_new(group, id, join->instance_id);
        result = member ? 0 : -ENOMEM;
    }
    if (result == 0)
        result = member_take(member, join, &metadata, is_new);
    if (result == 0)
        result = consumer_reconcile(member, &metadata.owned);
    metadata_done(&metadata);
    if (result < 0) {
        if (is_new && member)
            consumer_member_remove(member);
        consumer_settle(group);
        join_refuse(join, result == -EBADMSG ? KAFKA_INCONSISTENT_GROUP_PROTOCOL
                                             : KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    consumer_member_heard(member);
    consumer_member_hurry(member); /* to sync */
    join->answer = (struct group_join_answer){
        .generation = member->epoch,
        .protocol_type = join->protocol_type, /* the same, and stays */
        .protocol_name = join->protocols[0].name,
        .leader_id = {.data = ""},
        .member_id = id,
    };
    join->wait.end = join_end;
    if (replaces) /* what it was before may have been the last new one */
        (void)consumer_downgrade(group);
    group_await(group, &join->wait);
}

void consumer_join(struct group *group, struct group_join *join)
{
    const struct coordinator *coordinator = group->coordinator;
    struct consumer_member *member = NULL;
    struct kafka_string id = join->member_id;
    bool is_new = id.length == 0;
    int16_t error = KAFKA_NONE;
    join->made_id = (struct kafka_string){0};
    if (join->protocols_count == 0 || !is_supported(group, join))
        error = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    else if (is_new && classic_make_member_id(group, join, &join->made_id) < 0)
        error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_NONE && is_new) {
        id = join->made_id;
        member = consumer_find_instance(group, join->instance_id);
        if (member && consumer_member_rename(member, id) < 0)
            error = KAFKA_COORDINATOR_NOT_AVAILABLE; /* it takes the place of its former self */
        else if (!member && !join->instance_id.data && join->wants_known_id)
            error = KAFKA_MEMBER_ID_REQUIRED;
    } else if (error == KAFKA_NONE && join->instance_id.data) {
        error = consumer_identify(group, id, join->instance_id, &member);
    } else if (error == KAFKA_NONE) {
        member = consumer_find(group, id); /* or one that was given its id just now */
    }
    if (error == KAFKA_NONE && !member &&
        group->consumer->member_count >= (uint32_t)coordinator->settings.consumer_max_size)
        error = KAFKA_GROUP_MAX_SIZE_REACHED;
    if (error == KAFKA_NONE && !consumer_has_room(group, size_of(join)))
        error = KAFKA_GROUP_MAX_SIZE_REACHED;
    if (error == KAFKA_NONE)
        join_take(group, member, join, id);
    else
        join_refuse(join, error);
}

/* ---- the others ---- */

static int16_t identify(const struct group *group, struct kafka_string id,
                        struct kafka_string instance_id, int32_t generation,
                        struct consumer_member **ret_member)
{
    int16_t error = consumer_identify(group, id, instance_id, ret_member);
    if (error == KAFKA_NONE && !(*ret_member)->is_classic)
        error = KAFKA_UNKNOWN_MEMBER_ID;
    if (error == KAFKA_NONE && (*ret_member)->epoch != generation)
        error = KAFKA_ILLEGAL_GENERATION;
    return error;
}

/* It has to join again, in time. */
static int16_t call_again(struct consumer_member *member)
{
    if (member->rebalance.place == 0)
        consumer_member_hurry(member);
    return KAFKA_REBALANCE_IN_PROGRESS;
}

static void sync_end(struct group_wait *wait, int result)
{
    struct group_sync *sync =
        (struct group_sync *)((char *)wait - offsetof(struct group_sync, wait));
    struct kafka_bytes made = sync->made;
    if (result < 0)
        sync->answer = (struct group_sync_answer){.error = KAFKA_COORDINATOR_NOT_AVAILABLE,
                                                  .assignment = {.data = ""}};
    sync->done(sync);
    bytes_free(&made);
}

static bool differs(struct kafka_string said, struct kafka_string ours)
{
    return said.data && !kafka_string_equal(said, ours);
}

void consumer_sync(struct group *group, struct group_sync *sync)
{
    struct consumer_member *member = NULL;
    int16_t error = identify(group, sync->member_id, sync->instance_id, sync->generation, &member);
    sync->made = (struct kafka_bytes){0};
    if (error == KAFKA_NONE && (differs(sync->protocol_type, group->protocol_type) ||
                                differs(sync->protocol_name, member->protocols[0].name)))
        error = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (error == KAFKA_NONE && member->state != CONSUMER_UNREVOKED &&
        member->epoch != group->consumer->epoch)
        error = call_again(member);
    if (error == KAFKA_NONE && assignment_write(member, &sync->made) < 0)
        error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (error != KAFKA_NONE) {
        sync->answer = (struct group_sync_answer){.error = error, .assignment = {.data = ""}};
        sync->done(sync);
        return;
    }
    consumer_member_heard(member);
    consumer_member_patient(member);
    sync->answer = (struct group_sync_answer){
        .protocol_type = sync->protocol_type,
        .protocol_name = sync->protocol_name,
        .assignment = sync->made,
    };
    sync->wait.end = sync_end;
    group_await(group, &sync->wait);
}

int16_t consumer_heartbeat(struct group *group, const struct group_caller *caller)
{
    struct consumer_member *member = NULL;
    int16_t error =
        identify(group, caller->member_id, caller->instance_id, caller->generation, &member);
    if (error != KAFKA_NONE)
        return error;
    consumer_member_heard(member);
    (void)consumer_look(group); /* or else the next heartbeat does */
    bool again = member->epoch != group->consumer->epoch || member->state == CONSUMER_UNREVOKED ||
                 (member->state == CONSUMER_UNRELEASED && !consumer_is_blocked(member));
    return again ? call_again(member) : KAFKA_NONE;
}

/* Members of either protocol: administrators take them out by it. */
int16_t consumer_leave(struct group *group, const struct group_caller *caller)
{
    struct consumer_member *member = NULL;
    int16_t error = KAFKA_NONE;
    if (caller->member_id.length == 0 && caller->instance_id.data) {
        member = consumer_find_instance(group, caller->instance_id);
        error = member ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
    } else {
        error = consumer_identify(group, caller->member_id, caller->instance_id, &member);
    }
    if (error != KAFKA_NONE)
        return error;
    consumer_member_remove(member);
    consumer_settle(group);
    return KAFKA_NONE;
}

int16_t consumer_may_commit(struct group *group, const struct group_caller *caller)
{
    struct consumer_member *member = NULL;
    if (caller->generation < 0 && group->consumer->member_count == 0)
        return KAFKA_NONE;
    int16_t error = consumer_identify(group, caller->member_id, caller->instance_id, &member);
    if (error != KAFKA_NONE)
        return error;
    if (!member->is_classic && caller->is_before_848)
        return KAFKA_UNSUPPORTED_VERSION;
    if (caller->generation == member->epoch)
        return KAFKA_NONE;
    return member->is_classic ? KAFKA_ILLEGAL_GENERATION : KAFKA_STALE_MEMBER_EPOCH;
}

int16_t coordinator_may_fetch(struct coordinator *coordinator, const struct group_caller *caller)
{
    const struct group *group = coordinator_find(coordinator, caller->group_id);
    bool claims_nothing = !caller->member_id.data && caller->generation < 0;
    if (!group || !group->consumer || claims_nothing)
        return KAFKA_NONE;
    const struct consumer_member *member = consumer_find(group, caller->member_id);
    if (!member)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (caller->generation == member->epoch)
        return KAFKA_NONE;
    return member->is_classic ? KAFKA_ILLEGAL_GENERATION : KAFKA_STALE_MEMBER_EPOCH;
}

/* ---- from one protocol to the other ---- */

/* What the member said for the chosen protocol, or else for its first. */
static struct kafka_bytes metadata_of(const struct group_member *member)
{
    struct kafka_bytes metadata = group_member_metadata(member);
    return metadata.length > 0 || member->protocols_count == 0 ? metadata
                                                               : member->protocols[0].metadata;
}

static int upgrade_member(struct group *group, const struct group_member *from)
{
    struct consumer_member *member = NULL;
    struct metadata metadata;
    const struct group_join join = {
        .client_id = from->client_id,
        .client_host = from->client_host,
        .protocols = from->protocols,
        .protocols_count = from->protocols_count,
        .session_timeout_ms = from->session_timeout_ms,
        .rebalance_timeout_ms = from->rebalance_timeout_ms,
    };
    int result = metadata_read(&metadata, group, metadata_of(from));
    if (result == 0) {
        member = consumer_member_new(group, from->id, from->instance_id);
        result = member ? member_take(member, &join, &metadata, false) : -ENOMEM;
    }
    if (result == 0)
        result = assignment_read(group, from->assignment, &member->assigned);
    if (result == 0 &&
        from->assignment.length == 0) /* a rebalance took it: what it has of before */
        partition_set_move(&member->assigned, &metadata.owned);
    if (result == 0)
        result = partition_set_copy(&member->assigned, &member->target);
    if (result == 0) {
        member->epoch = group->generation;
        member->previous_epoch = group->generation;
        consumer_member_heard(member);
    }
    metadata_done(&metadata);
    return result;
}

/* Has a partition two members? In the middle of a rebalance it may look so. */
static bool has_doubles(const struct group *group)
{
    const struct consumer_member *a;
    const struct consumer_member *b;
    TAILQ_FOREACH(a, &group->consumer->members, link)
    for (b = TAILQ_NEXT(a, link); b; b = TAILQ_NEXT(b, link))
        if (partition_set_meet(&a->assigned, &b->assigned))
            return true;
    return false;
}

static bool may_upgrade(const struct group *group)
{
    const struct coordinator_settings *settings = &group->coordinator->settings;
    return settings->may_upgrade &&
           kafka_string_equal(group->protocol_type, kafka_string_of("consumer")) &&
           group->member_count <= (uint32_t)settings->consumer_max_size;
}

int16_t consumer_upgrade(struct group *group)
{
    const struct group_member *member;
    enum group_state state = group->state;
    int32_t generation = group->generation;
    if (!may_upgrade(group))
        return KAFKA_GROUP_ID_NOT_FOUND;
    int result = consumer_begin(group);
    if (result < 0)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    TAILQ_FOREACH(member, &group->members, link)
    if (result == 0)
        result = upgrade_member(group, member);
    if (result == 0 && has_doubles(group))
        result = -EAGAIN;
    if (result < 0) {
        consumer_end(group);
        group->state = state;
        group->generation = generation;
        group->is_changed = false;
        return result == -EBADMSG ? KAFKA_GROUP_ID_NOT_FOUND : KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    group->consumer->epoch = generation;
    group->consumer->assignment_epoch = generation;
    classic_end(group, KAFKA_REBALANCE_IN_PROGRESS);
    return KAFKA_NONE;
}

/* A member as the classic protocol has it, in no list yet. NULL: no memory. */
static struct group_member *downgrade_member(const struct consumer_member *member)
{
    const struct group_join join = {
        .instance_id = member->instance_id,
        .client_id = member->client_id,
        .client_host = member->client_host,
        .protocols = member->protocols,
        .protocols_count = member->protocols_count,
        .session_timeout_ms = member->session_timeout_ms,
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
    };
    struct group_member *to = group_member_new(member->group, member->id, &join);
    if (to && assignment_write(member, &to->assignment) < 0) {
        group_member_free(to);
        to = NULL;
    }
    return to;
}

static bool may_downgrade(const struct group *group)
{
    const struct coordinator_settings *settings = &group->coordinator->settings;
    const struct consumer_group *consumer = group->consumer;
    return settings->may_downgrade && consumer->member_count > 0 &&
           consumer->member_count == consumer->classic_count &&
           consumer->member_count <= (uint32_t)settings->group_max_size;
}

/* What members know as their generation. The group's epoch has risen since, for somebody left. */
static int32_t latest_epoch(const struct group *group)
{
    const struct consumer_member *member;
    int32_t latest = 0;
    TAILQ_FOREACH(member, &group->consumer->members, link)
    if (member->epoch > latest)
        latest = member->epoch;
    return latest;
}

bool consumer_downgrade(struct group *group)
{
    struct group_members members = TAILQ_HEAD_INITIALIZER(members);
    const struct consumer_member *member;
    struct group_member *to;
    bool complete = true;
    if (!may_downgrade(group))
        return false;
    int32_t generation = latest_epoch(group);
    TAILQ_FOREACH(member, &group->consumer->members, link)
    {
        to = downgrade_member(member);
        complete &= to != NULL;
        if (to)
            TAILQ_INSERT_TAIL(&members, to, link);
    }
    if (complete)
        consumer_end(group);
    while ((to = TAILQ_FIRST(&members))) {
        TAILQ_REMOVE(&members, to, link);
        /* Nodes were freed just now, so that there is memory for as many. */
        if (!complete || classic_adopt(group, to) < 0)
            group_member_free(to);
    }
    if (complete) {
        classic_begin(group);
        /* Until the next one begins, members go on in the generation that they know: they are
         * called to join again, and may commit before they let go. What was kept has the group's
         * own number, for who came back to that would not be called. */
        group->generation = generation;
    }
    return complete;
}
