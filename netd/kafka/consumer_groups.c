/* SPDX-License-Identifier: Apache-2.0
 *
 * ConsumerGroupHeartbeat and ConsumerGroupDescribe: the new consumer protocol (KIP-848). Decoded
 * here, answered by the coordinator (group/) on the first loop.
 */
#include <errno.h>

#include "group/assign.h"
#include "group/consumer.h"
#include "kafka/errors.h"
#include "kafka/groups.h"
#include "kafka/handlers.h"
#include "kafka/operations.h"

#define VERSION_MEMBER_ID 1 /* the first in which members make their ids */

/* ---- ConsumerGroupHeartbeat ---- */

struct beat_call {
    struct group_beat beat;
    struct partition_set owned;
    struct request *request;
};

static bool fill_assignment(struct request *request, const struct partition_set *set,
                            struct kafka_consumer_group_heartbeat_response *response)
{
    struct kafka_arena *arena = &request->arena;
    struct kafka_consumer_group_heartbeat_response_assignment *to =
        kafka_consumer_group_heartbeat_response_assignment_array(arena, 1);
    uint32_t count = partition_set_topics(set);
    int32_t *partitions = kafka_arena_alloc(arena, set->count, sizeof(*partitions));
    if (!to || !partitions)
        return false;
    to->topic_partitions = kafka_consumer_group_heartbeat_response_topic_array(arena, count);
    if (!to->topic_partitions)
        return false;
    for (uint32_t at = 0; at < set->count;) {
        struct kafka_consumer_group_heartbeat_response_topic *topic =
            &to->topic_partitions[to->topic_partitions_count++];
        uint32_t end = partition_set_topic_end(set, at);
        topic->topic_id = set->list[at].topic;
        topic->partitions = partitions + at;
        topic->partitions_count = end - at;
        for (; at < end; at++)
            partitions[at] = set->list[at].partition;
    }
    response->assignment = to;
    return true;
}

static void beaten(struct group_beat *beat)
{
    struct beat_call *call = (struct beat_call *)((char *)beat - offsetof(struct beat_call, beat));
    struct request *request = call->request;
    struct kafka_consumer_group_heartbeat_response *response = request->response;
    const struct group_beat_answer *answer = &beat->answer;
    response->error_code = answer->error;
    response->error_message = answer->message; /* lives for ever */
    response->member_epoch = answer->epoch;
    response->heartbeat_interval_ms = answer->interval_ms;
    if (!copy_text(request, answer->member_id, &response->member_id) ||
        (answer->assignment && !fill_assignment(request, answer->assignment, response)))
        request->response = NULL;
    request_return(request);
}

static void beat(struct request *request)
{
    struct beat_call *call = request->context;
    struct groups *groups = groups_of(request);
    coordinator_beat(groups_begin(groups), &call->beat);
    groups_end(groups); /* the request may be answered by now, and gone */
}

static int read_owned(struct request *request, struct beat_call *call)
{
    const struct kafka_consumer_group_heartbeat_request *body = request->body;
    struct partition_set *owned = &call->owned;
    size_t count = 0;
    if (!body->topic_partitions)
        return 0;
    for (uint32_t i = 0; i < body->topic_partitions_count; i++)
        count += body->topic_partitions[i].partitions_count;
    owned->list = kafka_arena_alloc(&request->arena, count, sizeof(*owned->list));
    if (!owned->list)
        return -ENOMEM;
    for (uint32_t i = 0; i < body->topic_partitions_count; i++)
        for (uint32_t p = 0; p < body->topic_partitions[i].partitions_count; p++)
            owned->list[owned->count++] = (struct topic_partition){
                .topic = body->topic_partitions[i].topic_id,
                .partition = body->topic_partitions[i].partitions[p],
            };
    partition_set_sort(owned);
    call->beat.owned = owned;
    return 0;
}

void consumer_group_heartbeat_handle(struct request *request)
{
    const struct kafka_consumer_group_heartbeat_request *body = request->body;
    struct beat_call *call = kafka_arena_alloc(&request->arena, 1, sizeof(*call));
    struct kafka_string client_id;
    if (!call || !copy_text(request, request->client_id, &client_id)) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    call->request = request;
    call->beat = (struct group_beat){
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->instance_id,
        .rack_id = body->rack_id,
        .client_id = client_id.data ? client_id : kafka_string_of(""),
        .client_host = client_host_of(request),
        .epoch = body->member_epoch,
        .rebalance_timeout_ms = body->rebalance_timeout_ms,
        .names = body->subscribed_topic_names,
        .names_count = body->subscribed_topic_names_count,
        .pattern = body->subscribed_topic_regex,
        .assignor = body->server_assignor,
        .needs_id = request->version >= VERSION_MEMBER_ID,
        .done = beaten,
    };
    request->context = call;
    if (call->beat.client_host.data && read_owned(request, call) == 0) {
        request_call(request, beat);
    } else {
        request->response = NULL;
        request_ready(request);
    }
}

/* ---- ConsumerGroupDescribe ---- */

/* Topics that are gone are left out: nobody knows their names. */
static bool describe_set(struct request *request, const struct group *group,
                         const struct partition_set *set,
                         struct kafka_consumer_group_describe_response_assignment *to)
{
    struct kafka_arena *arena = &request->arena;
    int32_t *partitions = kafka_arena_alloc(arena, set->count, sizeof(*partitions));
    to->topic_partitions =
        kafka_consumer_group_describe_response_topic_array(arena, partition_set_topics(set));
    if (!to->topic_partitions || !partitions)
        return false;
    for (uint32_t at = 0; at < set->count;) {
        const struct group_topic *found =
            topics_by_id(&group->consumer->topics, &set->list[at].topic);
        uint32_t begin = at;
        for (uint32_t end = partition_set_topic_end(set, at); at < end; at++)
            partitions[at] = set->list[at].partition;
        if (!found)
            continue;
        struct kafka_consumer_group_describe_response_topic *topic =
            &to->topic_partitions[to->topic_partitions_count++];
        topic->topic_id = found->id;
        topic->partitions = partitions + begin;
        topic->partitions_count = at - begin;
        if (!copy_text(request, kafka_string_of(found->name), &topic->topic_name))
            return false;
    }
    return true;
}

static bool describe_member(struct request *request, const struct consumer_member *member,
                            struct kafka_consumer_group_describe_response_member *to)
{
    const struct subscription *subscription = &member->subscription;
    to->subscribed_topic_names = kafka_arena_alloc(&request->arena, subscription->names_count,
                                                   sizeof(*to->subscribed_topic_names));
    if (!to->subscribed_topic_names)
        return false;
    for (uint32_t i = 0; i < subscription->names_count; i++)
        if (!copy_text(request, subscription->names[i],
                       &to->subscribed_topic_names[to->subscribed_topic_names_count++]))
            return false;
    to->member_epoch = member->epoch;
    to->member_type = !member->is_classic;
    return copy_text(request, member->id, &to->member_id) &&
           copy_text(request, member->instance_id, &to->instance_id) &&
           copy_text(request, member->rack_id, &to->rack_id) &&
           copy_text(request, member->client_id, &to->client_id) &&
           copy_text(request, member->client_host, &to->client_host) &&
           (!subscription->regex ||
            copy_text(request, subscription->regex->text, &to->subscribed_topic_regex)) &&
           describe_set(request, member->group, &member->assigned, &to->assignment) &&
           describe_set(request, member->group, &member->target, &to->target_assignment);
}

static bool describe_group(struct request *request, struct kafka_string id,
                           struct kafka_consumer_group_describe_response_group *answer)
{
    const struct kafka_consumer_group_describe_request *body = request->body;
    const struct group *group = coordinator_find(&groups_of(request)->coordinator, id);
    const struct consumer_member *member;
    answer->group_id = id;
    if (!group || group->state == GROUP_DEAD || !group->consumer) {
        const char *what =
            group && group->state != GROUP_DEAD ? "is not a consumer group" : "not found";
        answer->error_code = KAFKA_GROUP_ID_NOT_FOUND;
        answer->error_message = kafka_string_of(
            kafka_arena_printf(&request->arena, "Group %.*s %s.", (int)id.length, id.data, what));
        return true;
    }
    answer->group_state = kafka_string_of(group_state_name(group));
    if (body->include_authorized_operations)
        answer->authorized_operations = KAFKA_GROUP_OPERATIONS;
    answer->group_epoch = group->consumer->epoch;
    answer->assignment_epoch = group->consumer->assignment_epoch;
    answer->assignor_name = kafka_string_of(consumer_assignor(group)->name);
    answer->members = kafka_consumer_group_describe_response_member_array(
        &request->arena, group->consumer->member_count);
    if (!answer->members)
        return false;
    TAILQ_FOREACH(member, &group->consumer->members, link)
    if (!describe_member(request, member, &answer->members[answer->members_count++]))
        return false;
    return true;
}

static void describe(struct request *request)
{
    const struct kafka_consumer_group_describe_request *body = request->body;
    struct kafka_consumer_group_describe_response *response = request->response;
    (void)groups_begin(groups_of(request));
    response->groups =
        kafka_consumer_group_describe_response_group_array(&request->arena, body->group_ids_count);
    for (uint32_t i = 0; response->groups && i < body->group_ids_count; i++) {
        response->groups_count++;
        if (!describe_group(request, body->group_ids[i], &response->groups[i]))
            response->groups = NULL;
    }
    if (!response->groups)
        request->response = NULL;
    groups_end(groups_of(request));
    request_return(request);
}

void consumer_group_describe_handle(struct request *request)
{
    request_call(request, describe);
}
