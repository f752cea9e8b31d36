/* SPDX-License-Identifier: Apache-2.0
 *
 * JoinGroup, SyncGroup, Heartbeat and LeaveGroup: what members of a group of the classic protocol
 * say. Decoded here, answered by the coordinator (group/) on the first loop, when it is time.
 */
#include "kafka/groups.h"

#include <string.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"

#define VERSION_PROTOCOLS 5 /* the first SyncGroup that says which protocol it is about */

/* ---- JoinGroup ---- */

struct join_call {
    struct group_join join;
    struct request *request;
};

static bool copy_members(struct request *request, const struct group *group,
                         struct kafka_join_group_response *response)
{
    const struct group_member *member;
    response->members =
        kafka_join_group_response_member_array(&request->arena, group->member_count);
    if (!response->members)
        return false;
    TAILQ_FOREACH(member, &group->members, link)
    {
        struct kafka_join_group_response_member *to = &response->members[response->members_count++];
        if (!copy_text(request, member->id, &to->member_id) ||
            !copy_text(request, member->instance_id, &to->group_instance_id) ||
            !copy_bytes(request, group_member_metadata(member), &to->metadata))
            return false;
    }
    return true;
}

static void joined(struct group_join *join)
{
    struct join_call *call = (struct join_call *)((char *)join - offsetof(struct join_call, join));
    struct request *request = call->request;
    struct kafka_join_group_response *response = request->response;
    const struct group_join_answer *answer = &join->answer;
    response->error_code = answer->error;
    response->generation_id = answer->generation;
    response->skip_assignment = answer->skip_assignment;
    if (!copy_text(request, answer->protocol_type, &response->protocol_type) ||
        !copy_text(request, answer->protocol_name, &response->protocol_name) ||
        !copy_text(request, answer->leader_id, &response->leader) ||
        !copy_text(request, answer->member_id, &response->member_id) ||
        (answer->group && !copy_members(request, answer->group, response)))
        request->response = NULL;
    request_return(request);
}

static void join(struct request *request)
{
    struct join_call *call = request->context;
    struct groups *groups = groups_of(request);
    coordinator_join(groups_begin(groups), &call->join);
    groups_end(groups); /* the request may be answered by now, and gone */
}

struct kafka_string client_host_of(struct request *request)
{
    const char *peer = request->connection->peer;
    const char *colon = strrchr(peer, ':');
    int length = (int)(colon ? (size_t)(colon - peer) : strlen(peer));
    return kafka_string_of(kafka_arena_printf(&request->arena, "/%.*s", length, peer));
}

void join_group_handle(struct request *request)
{
    const struct kafka_join_group_request *body = request->body;
    struct join_call *call = kafka_arena_alloc(&request->arena, 1, sizeof(*call));
    struct group_protocol *protocols =
        kafka_arena_alloc(&request->arena, body->protocols_count, sizeof(*protocols));
    struct kafka_string client_id;
    if (!call || !protocols || !copy_text(request, request->client_id, &client_id)) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    for (uint32_t i = 0; i < body->protocols_count; i++) {
        protocols[i].name = body->protocols[i].name;
        protocols[i].metadata = body->protocols[i].metadata;
    }
    call->request = request;
    call->join = (struct group_join){
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .client_id = client_id,
        .client_host = client_host_of(request),
        .protocol_type = body->protocol_type,
        .protocols = protocols,
        .protocols_count = body->protocols_count,
        .session_timeout_ms = body->session_timeout_ms,
        .rebalance_timeout_ms =
            body->rebalance_timeout_ms >= 0 ? body->rebalance_timeout_ms : body->session_timeout_ms,
        .wants_known_id = request->version >= 4,
        .knows_skipping = request->version >= 9,
        .done = joined,
    };
    request->context = call;
    request_call(request, join);
}

/* ---- SyncGroup ---- */

struct sync_call {
    struct group_sync sync;
    struct request *request;
};

static void synced(struct group_sync *sync)
{
    struct sync_call *call = (struct sync_call *)((char *)sync - offsetof(struct sync_call, sync));
    struct request *request = call->request;
    struct kafka_sync_group_response *response = request->response;
    response->error_code = sync->answer.error;
    if (!copy_text(request, sync->answer.protocol_type, &response->protocol_type) ||
        !copy_text(request, sync->answer.protocol_name, &response->protocol_name) ||
        !copy_bytes(request, sync->answer.assignment, &response->assignment))
        request->response = NULL;
    request_return(request);
}

static void sync_group(struct request *request)
{
    struct sync_call *call = request->context;
    struct groups *groups = groups_of(request);
    coordinator_sync(groups_begin(groups), &call->sync);
    groups_end(groups); /* the request may be answered by now, and gone */
}

void sync_group_handle(struct request *request)
{
    const struct kafka_sync_group_request *body = request->body;
    struct kafka_sync_group_response *response = request->response;
    if (request->version >= VERSION_PROTOCOLS &&
        (!body->protocol_type.data || !body->protocol_name.data)) {
        response->error_code = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        request_ready(request);
        return;
    }
    struct sync_call *call = kafka_arena_alloc(&request->arena, 1, sizeof(*call));
    struct group_assignment *assignments =
        kafka_arena_alloc(&request->arena, body->assignments_count, sizeof(*assignments));
    if (!call || !assignments) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    for (uint32_t i = 0; i < body->assignments_count; i++)
        assignments[i] = (struct group_assignment){body->assignments[i].member_id,
                                                   body->assignments[i].assignment};
    call->request = request;
    call->sync = (struct group_sync){
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .protocol_type = body->protocol_type,
        .protocol_name = body->protocol_name,
        .generation = body->generation_id,
        .assignments = assignments,
        .assignments_count = body->assignments_count,
        .done = synced,
    };
    request->context = call;
    request_call(request, sync_group);
}

/* ---- Heartbeat ---- */

static void heartbeat(struct request *request)
{
    const struct kafka_heartbeat_request *body = request->body;
    struct kafka_heartbeat_response *response = request->response;
    const struct group_caller caller = {
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .generation = body->generation_id,
    };
    response->error_code = coordinator_heartbeat(groups_begin(groups_of(request)), &caller);
    groups_end(groups_of(request));
    request_return(request);
}

void heartbeat_handle(struct request *request)
{
    request_call(request, heartbeat);
}

/* ---- LeaveGroup ---- */

static void leave(struct request *request)
{
    const struct kafka_leave_group_request *body = request->body;
    struct kafka_leave_group_response *response = request->response;
    struct coordinator *coordinator = groups_begin(groups_of(request));
    struct group_caller caller = {.group_id = body->group_id, .member_id = body->member_id};
    if (request->version < 3)
        response->error_code = coordinator_leave(coordinator, &caller);
    for (uint32_t i = 0; i < response->members_count; i++) {
        caller.member_id = body->members[i].member_id;
        caller.instance_id = body->members[i].group_instance_id;
        response->members[i].member_id = caller.member_id;
        response->members[i].group_instance_id = caller.instance_id;
        response->members[i].error_code = coordinator_leave(coordinator, &caller);
    }
    groups_end(groups_of(request));
    request_return(request);
}

void leave_group_handle(struct request *request)
{
    const struct kafka_leave_group_request *body = request->body;
    struct kafka_leave_group_response *response = request->response;
    response->members =
        kafka_leave_group_response_member_array(&request->arena, body->members_count);
    response->members_count = body->members_count;
    if (response->members) {
        request_call(request, leave);
    } else {
        request->response = NULL;
        request_ready(request);
    }
}
