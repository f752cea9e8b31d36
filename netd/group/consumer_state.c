/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of the new consumer protocol to records and back; see state.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "group/assign.h"
#include "group/consumer.h"
#include "group/state.h"

/* ---- encoding ---- */

static int encode_set(struct kafka_arena *arena, const struct partition_set *set,
                      struct kafka_consumer_group_state_topic **ret_topics, uint32_t *ret_count)
{
    uint32_t count = partition_set_topics(set);
    struct kafka_consumer_group_state_topic *topics =
        kafka_consumer_group_state_topic_array(arena, count);
    int32_t *partitions = kafka_arena_alloc(arena, set->count, sizeof(*partitions));
    uint32_t at = 0;
    if (!topics || !partitions)
        return -ENOMEM;
    for (uint32_t t = 0; t < count; t++) {
        uint32_t end = partition_set_topic_end(set, at);
        topics[t].topic_id = set->list[at].topic;
        topics[t].partitions = partitions + at;
        topics[t].partitions_count = end - at;
        for (; at < end; at++)
            partitions[at] = set->list[at].partition;
    }
    *ret_topics = topics;
    *ret_count = count;
    return 0;
}

static int encode_protocols(struct kafka_arena *arena, const struct consumer_member *member,
                            struct kafka_consumer_group_state_member *to)
{
    to->is_classic = member->is_classic;
    to->session_timeout_ms = member->session_timeout_ms;
    to->protocols = kafka_consumer_group_state_protocol_array(arena, member->protocols_count);
    if (!to->protocols)
        return -ENOMEM;
    to->protocols_count = member->protocols_count;
    for (uint32_t i = 0; i < member->protocols_count; i++) {
        to->protocols[i].name = member->protocols[i].name;
        to->protocols[i].metadata = member->protocols[i].metadata;
    }
    return 0;
}

static int encode_member(struct kafka_arena *arena, const struct consumer_member *member,
                         struct kafka_consumer_group_state_member *to)
{
    to->id = member->id;
    to->instance_id = member->instance_id;
    to->rack_id = member->rack_id;
    to->client_id = member->client_id;
    to->client_host = member->client_host;
    to->rebalance_timeout_ms = member->rebalance_timeout_ms;
    to->names = member->subscription.names;
    to->names_count = member->subscription.names_count;
    if (member->subscription.regex)
        to->pattern = member->subscription.regex->text;
    if (member->assignor)
        to->assignor = kafka_string_of(member->assignor->name);
    to->epoch = member->epoch;
    to->previous_epoch = member->previous_epoch;
    to->state = (int8_t)member->state;
    int result = encode_set(arena, &member->assigned, &to->assigned, &to->assigned_count);
    if (result == 0)
        result = encode_set(arena, &member->revoking, &to->revoking, &to->revoking_count);
    if (result == 0 && !partition_set_equal(&member->assigned, &member->target))
        result = encode_set(arena, &member->target, &to->target, &to->target_count);
    return result < 0 ? result : encode_protocols(arena, member, to);
}

int consumer_state_encode(const struct group *group, struct kafka_arena *arena,
                          struct kafka_writer *writer, int16_t version)
{
    const struct consumer_group *consumer = group->consumer;
    const struct consumer_member *member;
    struct kafka_consumer_group_state state;
    int result = 0;
    kafka_consumer_group_state_init(&state);
    state.epoch = consumer->epoch;
    const struct group_config config = group_config_to_keep(group);
    state.session_timeout_ms = config.session_timeout_ms;
    state.heartbeat_interval_ms = config.heartbeat_interval_ms;
    state.assignment_epoch = consumer->assignment_epoch;
    state.topics_digest = (int64_t)consumer->topics.digest;
    state.members = kafka_consumer_group_state_member_array(arena, consumer->member_count);
    if (!state.members)
        return -ENOMEM;
    TAILQ_FOREACH(member, &consumer->members, link)
    if (result == 0)
        result = encode_member(arena, member, &state.members[state.members_count++]);
    return result < 0 ? result : kafka_consumer_group_state_encode(writer, version, &state);
}

/* ---- decoding ---- */

static int decode_set(const struct kafka_consumer_group_state_topic *topics, uint32_t count,
                      struct partition_set *ret_set)
{
    struct partition_set set = {0};
    size_t total = 0;
    for (uint32_t t = 0; t < count; t++)
        total += topics[t].partitions_count;
    set.list = malloc((total + 1) * sizeof(*set.list));
    if (!set.list)
        return -ENOMEM;
    for (uint32_t t = 0; t < count; t++)
        for (uint32_t p = 0; p < topics[t].partitions_count; p++)
            set.list[set.count++] = (struct topic_partition){.topic = topics[t].topic_id,
                                                             .partition = topics[t].partitions[p]};
    partition_set_sort(&set);
    partition_set_move(ret_set, &set);
    return 0;
}

static int decode_sets(struct consumer_member *member,
                       const struct kafka_consumer_group_state_member *from)
{
    int result = decode_set(from->assigned, from->assigned_count, &member->assigned);
    if (result == 0)
        result = decode_set(from->revoking, from->revoking_count, &member->revoking);
    if (result == 0 && from->target)
        result = decode_set(from->target, from->target_count, &member->target);
    else if (result == 0)
        result = partition_set_copy(&member->assigned, &member->target);
    return result;
}

static int decode_protocols(struct consumer_member *member,
                            const struct kafka_consumer_group_state_member *from)
{
    struct group_protocol *copies;
    int result = 0;
    if (!from->is_classic)
        return 0;
    if (from->session_timeout_ms <= 0 || from->protocols_count == 0)
        return -EBADMSG;
    copies = calloc(from->protocols_count, sizeof(*copies));
    if (!copies)
        return -ENOMEM;
    member->protocols = copies;
    member->is_classic = true;
    member->session_timeout_ms = from->session_timeout_ms;
    member->group->consumer->classic_count++;
    for (uint32_t i = 0; result == 0 && i < from->protocols_count; i++) {
        member->protocols_count++;
        result = text_copy(from->protocols[i].name, &copies[i].name);
        if (result == 0)
            result = bytes_copy(from->protocols[i].metadata, &copies[i].metadata);
    }
    return result;
}

static int decode_member(struct group *group, const struct kafka_consumer_group_state_member *from)
{
    if (from->id.length == 0 || from->state < CONSUMER_STABLE ||
        from->state > CONSUMER_UNRELEASED || from->epoch < CONSUMER_EPOCH_LEAVE_STATIC ||
        from->rebalance_timeout_ms < 0 || consumer_find(group, from->id))
        return -EBADMSG;
    struct consumer_member *member = consumer_member_new(group, from->id, from->instance_id);
    if (!member)
        return -ENOMEM;
    member->rebalance_timeout_ms = from->rebalance_timeout_ms;
    member->assignor = assignor_find(from->assignor);
    member->epoch = from->epoch;
    member->previous_epoch = from->previous_epoch;
    member->state = (enum consumer_state)from->state;
    int result = consumer_text_set(group, &member->rack_id, from->rack_id);
    if (result == 0)
        result = consumer_text_set(group, &member->client_id, from->client_id);
    if (result == 0)
        result = consumer_text_set(group, &member->client_host, from->client_host);
    if (result == 0)
        result = subscription_init(&group->consumer->topics, from->names, from->names_count,
                                   from->pattern, &member->subscription);
    if (result == 0)
        result = decode_sets(member, from);
    if (result == 0)
        result = decode_protocols(member, from);
    return result == -EINVAL ? -EBADMSG : result;
}

int consumer_state_decode(struct group *group, struct kafka_arena *arena,
                          struct kafka_reader *reader, int16_t version)
{
    struct kafka_consumer_group_state state;
    int result = kafka_consumer_group_state_decode(reader, version, arena, &state);
    if (result == 0)
        result = consumer_begin(group);
    for (uint32_t i = 0; result == 0 && i < state.members_count; i++)
        result = decode_member(group, &state.members[i]);
    if (result < 0)
        return result;
    group->config = (struct group_config){state.session_timeout_ms, state.heartbeat_interval_ms};
    group->consumer->epoch = state.epoch;
    group->consumer->assignment_epoch = state.assignment_epoch;
    group->consumer->topics.digest = (uint64_t)state.topics_digest;
    group->is_changed = false;
    return 0;
}
