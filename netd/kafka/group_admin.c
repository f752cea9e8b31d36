/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at groups, and deleting them: FindCoordinator, DescribeGroups, ListGroups, DeleteGroups.
 */
#include "kafka/groups.h"

#include <string.h>
#include <strings.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/operations.h"
#include "listener.h"

#define VERSION_NOT_FOUND 6 /* the first DescribeGroups that says so with an error */

/* ---- FindCoordinator: it is always this broker ---- */

enum {
    KEY_GROUP = 0,
    KEY_TRANSACTION = 1,
};

void find_coordinator_handle(struct request *request)
{
    const struct kafka_find_coordinator_request *body = request->body;
    struct kafka_find_coordinator_response *response = request->response;
    char host[BROKER_HOST_BYTES + 1];
    uint16_t port;
    bool known = body->key_type == KEY_GROUP || body->key_type == KEY_TRANSACTION;
    listener_advertise(request->connection, host, sizeof(host), &port);
    struct kafka_string name = {0};
    uint32_t count = body->coordinator_keys_count;
    response->coordinators =
        kafka_find_coordinator_response_coordinator_array(&request->arena, count);
    response->coordinators_count = count;
    response->error_code = known ? KAFKA_NONE : KAFKA_INVALID_REQUEST;
    if (!response->coordinators || !copy_text(request, kafka_string_of(host), &name))
        request->response = NULL;
    response->node_id = BROKER_NODE_ID;
    response->host = name;
    response->port = port;
    for (uint32_t i = 0; request->response && i < count; i++) {
        struct kafka_find_coordinator_response_coordinator *one = &response->coordinators[i];
        one->error_code = response->error_code;
        one->node_id = BROKER_NODE_ID;
        one->host = name;
        one->port = port;
        if (!copy_text(request, body->coordinator_keys[i], &one->key))
            request->response = NULL;
    }
    request_ready(request);
}

/* ---- DescribeGroups ---- */

static bool describe_members(struct request *request, const struct group *group,
                             struct kafka_describe_groups_response_group *answer)
{
    const struct group_member *member;
    answer->members =
        kafka_describe_groups_response_member_array(&request->arena, group->member_count);
    if (!answer->members)
        return false;
    TAILQ_FOREACH(member, &group->members, link)
    {
        struct kafka_describe_groups_response_member *to =
            &answer->members[answer->members_count++];
        /* What members want and have is said of a stable group only: else it is about to change. */
        struct kafka_bytes none = {.data = ""};
        bool stable = group->state == GROUP_STABLE;
        if (!copy_text(request, member->id, &to->member_id) ||
            !copy_text(request, member->instance_id, &to->group_instance_id) ||
            !copy_text(request, member->client_id, &to->client_id) ||
            !copy_text(request, member->client_host, &to->client_host) ||
            !copy_bytes(request, stable ? group_member_metadata(member) : none,
                        &to->member_metadata) ||
            !copy_bytes(request, stable ? member->assignment : none, &to->member_assignment))
            return false;
    }
    return true;
}

static bool describe_group(struct request *request, struct kafka_string id,
                           struct kafka_describe_groups_response_group *answer)
{
    const struct group *group = coordinator_find(&groups_of(request)->coordinator, id);
    answer->group_id = id;
    if (!group || group->state == GROUP_DEAD || group->consumer) {
        const char *what = group && group->consumer ? "is not a classic group" : "not found";
        answer->group_state = kafka_string_of("Dead");
        if (request->version >= VERSION_NOT_FOUND) {
            answer->error_code = KAFKA_GROUP_ID_NOT_FOUND;
            answer->error_message = kafka_string_of(kafka_arena_printf(
                &request->arena, "Group %.*s %s.", (int)id.length, id.data, what));
        }
        return true;
    }
    answer->group_state = kafka_string_of(group_state_name(group));
    return copy_text(request, group->protocol_type, &answer->protocol_type) &&
           (group->state != GROUP_STABLE ||
            copy_text(request, group->protocol_name, &answer->protocol_data)) &&
           describe_members(request, group, answer);
}

static void describe_groups(struct request *request)
{
    const struct kafka_describe_groups_request *body = request->body;
    struct kafka_describe_groups_response *response = request->response;
    (void)groups_begin(groups_of(request));
    response->groups =
        kafka_describe_groups_response_group_array(&request->arena, body->groups_count);
    for (uint32_t i = 0; response->groups && i < body->groups_count; i++) {
        response->groups_count++;
        if (body->include_authorized_operations)
            response->groups[i].authorized_operations = KAFKA_GROUP_OPERATIONS;
        if (!describe_group(request, body->groups[i], &response->groups[i]))
            response->groups = NULL;
    }
    if (!response->groups)
        request->response = NULL;
    groups_end(groups_of(request));
    request_return(request);
}

void describe_groups_handle(struct request *request)
{
    request_call(request, describe_groups);
}

/* ---- ListGroups ---- */

struct listing {
    struct request *request;
    uint32_t room;
};

/* Whatever the case: Java's admin client asks for "Classic", and is told "classic". */
static bool is_asked_for(const struct kafka_string *filter, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (filter[i].length == strlen(name) &&
            strncasecmp(filter[i].data, name, strlen(name)) == 0)
            return true;
    return count == 0;
}

static bool list_group(void *context, struct group *group)
{
    struct listing *listing = context;
    struct request *request = listing->request;
    const struct kafka_list_groups_request *body = request->body;
    struct kafka_list_groups_response *response = request->response;
    const char *state = group_state_name(group);
    const char *type = group_type_name(group);
    if (group->state == GROUP_DEAD ||
        !is_asked_for(body->states_filter, body->states_filter_count, state) ||
        !is_asked_for(body->types_filter, body->types_filter_count, type))
        return true;
    struct kafka_list_groups_response_group *to = &response->groups[response->groups_count++];
    to->group_state = kafka_string_of(state);
    to->group_type = kafka_string_of(type);
    if (copy_text(request, group->id, &to->group_id) &&
        copy_text(request, group->protocol_type, &to->protocol_type))
        return true;
    request->response = NULL;
    return false;
}

static void list_groups(struct request *request)
{
    struct kafka_list_groups_response *response = request->response;
    struct listing listing = {.request = request};
    struct coordinator *coordinator = groups_begin(groups_of(request));
    const struct group_ids *ids = request->context;
    coordinator_match(coordinator, ids->list, ids->count, ids->read_ms);
    response->groups =
        kafka_list_groups_response_group_array(&request->arena, (uint32_t)coordinator->group_count);
    if (response->groups)
        coordinator_walk(coordinator, list_group, &listing);
    else
        request->response = NULL;
    groups_end(groups_of(request));
    request_return(request);
}

/* On a worker: tools make groups, too, and groups expire. */
static void read_group_ids(struct request *request)
{
    if (group_ids_read(request->loop->broker->store, &request->arena, request->context) < 0)
        request->response = NULL;
}

static void group_ids_were_read(struct request *request)
{
    if (request->response)
        request_call(request, list_groups);
}

void list_groups_handle(struct request *request)
{
    request->context = kafka_arena_alloc(&request->arena, 1, sizeof(struct group_ids));
    if (!request->context) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    request->returned = group_ids_were_read;
    request_submit(request, read_group_ids);
}

/* ---- DeleteGroups ---- */

struct deletion {
    struct request *request;
    unsigned waits; /* groups whose deletion is not durable yet, and one while we look */
};

static void deletion_unhold(struct deletion *deletion)
{
    if (--deletion->waits == 0)
        request_return(deletion->request);
}

static void deleted(struct group_save *save)
{
    struct deletion *deletion = save->context;
    struct kafka_delete_groups_response *response = deletion->request->response;
    for (uint32_t i = 0; save->result < 0 && i < response->results_count; i++)
        if (kafka_string_equal(response->results[i].group_id, save->group_id))
            response->results[i].error_code = kafka_error_of(save->result);
    deletion_unhold(deletion);
}

static void delete_groups(struct request *request)
{
    struct deletion *deletion = request->context;
    struct kafka_delete_groups_response *response = request->response;
    struct groups *groups = groups_of(request);
    struct coordinator *coordinator = groups_begin(groups);
    for (uint32_t i = 0; i < response->results_count; i++) {
        struct kafka_delete_groups_response_result *result = &response->results[i];
        result->error_code = coordinator_delete(coordinator, result->group_id);
        if (result->error_code != KAFKA_NONE)
            continue;
        deletion->waits++;
        groups->latest->then = deleted;
        groups->latest->context = deletion;
    }
    groups_end(groups);
    deletion_unhold(deletion);
}

void delete_groups_handle(struct request *request)
{
    const struct kafka_delete_groups_request *body = request->body;
    struct kafka_delete_groups_response *response = request->response;
    struct deletion *deletion = kafka_arena_alloc(&request->arena, 1, sizeof(*deletion));
    uint32_t count = body->groups_names_count;
    response->results = kafka_delete_groups_response_result_array(&request->arena, count);
    if (!deletion || !response->results) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        response->results[i].group_id = body->groups_names[i];
    response->results_count = count;
    *deletion = (struct deletion){.request = request, .waits = 1};
    request->context = deletion;
    request_call(request, delete_groups);
}
