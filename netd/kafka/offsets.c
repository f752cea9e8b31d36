/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetCommit, OffsetFetch and OffsetDelete. Whether somebody may commit is the coordinator's to
 * say; the offsets themselves are the store's, durable when the answer goes out.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "kafka/errors.h"
#include "kafka/groups.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"

#define VERSION_FETCH_ALL 2 /* the first OffsetFetch that can ask for all topics */
#define VERSION_GROUPS    8 /* the first that asks for several groups */
#define VERSION_EPOCHS    9 /* the first of both that says a member's epoch */

/* What a commit or a look-up of an offset answers. */
static int16_t offset_error_of(int result)
{
    switch (-result) {
    case EMSGSIZE:
        return KAFKA_OFFSET_METADATA_TOO_LARGE;
    case ERANGE:
        return KAFKA_OFFSET_OUT_OF_RANGE;
    case EINVAL:
        return KAFKA_INVALID_REQUEST;
    case EBUSY: /* clients try again */
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    default:
        return kafka_error_of(result);
    }
}

/* ---- OffsetCommit ---- */

struct commit_call {
    struct commit commit;
    struct request *request;
};

static void answer_commit(struct request *request, const struct commit *commit, int16_t error)
{
    struct kafka_offset_commit_response *response = request->response;
    uint32_t at = 0;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        struct kafka_offset_commit_response_topic *topic = &response->topics[i];
        for (uint32_t p = 0; p < topic->partitions_count; p++, at++)
            topic->partitions[p].error_code =
                error != KAFKA_NONE ? error : offset_error_of(commit->offsets[at].result);
    }
    request_return(request);
}

static void committed(struct commit *commit)
{
    struct commit_call *call =
        (struct commit_call *)((char *)commit - offsetof(struct commit_call, commit));
    answer_commit(call->request, commit, KAFKA_NONE);
}

static void commit_offsets(struct request *request)
{
    const struct kafka_offset_commit_request *body = request->body;
    struct commit_call *call = request->context;
    struct groups *groups = groups_of(request);
    const struct group_caller caller = {
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .generation = body->generation_id_or_member_epoch,
        .is_before_848 = request->version < VERSION_EPOCHS,
    };
    int16_t error = coordinator_may_commit(groups_begin(groups), &caller);
    groups_end(groups);
    if (error != KAFKA_NONE || call->commit.count == 0)
        answer_commit(request, &call->commit, error);
    else
        commits_add(&groups->commits, &call->commit);
}

static int64_t date_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Answer and offsets of one topic. */
static int prepare_topic(struct request *request,
                         const struct kafka_offset_commit_request_topic *asked,
                         struct kafka_offset_commit_response_topic *answer,
                         struct beck_offset_commit **next)
{
    const struct kafka_offset_commit_request *body = request->body;
    const char *name = topic_text(&request->arena, asked->name);
    int64_t expire_ms = -1;
    if (body->retention_time_ms >= 0 &&
        __builtin_add_overflow(date_ms(), body->retention_time_ms, &expire_ms))
        expire_ms = INT64_MAX;
    answer->name = asked->name;
    answer->partitions =
        kafka_offset_commit_response_partition_array(&request->arena, asked->partitions_count);
    answer->partitions_count = asked->partitions_count;
    if (!name || !answer->partitions)
        return -ENOMEM;
    for (uint32_t i = 0; i < asked->partitions_count; i++) {
        const struct kafka_offset_commit_request_partition *from = &asked->partitions[i];
        answer->partitions[i].partition_index = from->partition_index;
        *(*next)++ = (struct beck_offset_commit){
            .group = body->group_id.data,
            .group_size = body->group_id.length,
            .topic = name,
            .partition = from->partition_index,
            .offset = from->committed_offset,
            .leader_epoch = from->committed_leader_epoch,
            .metadata = from->committed_metadata.data,
            .metadata_size = from->committed_metadata.length,
            .expire_ms = expire_ms,
            .flags = BECK_OFFSET_BEYOND_END,
        };
    }
    return 0;
}

static int prepare_commit(struct request *request, struct commit_call *call)
{
    const struct kafka_offset_commit_request *body = request->body;
    struct kafka_offset_commit_response *response = request->response;
    uint32_t count = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    struct beck_offset_commit *next = kafka_arena_alloc(&request->arena, count, sizeof(*next));
    response->topics =
        kafka_offset_commit_response_topic_array(&request->arena, body->topics_count);
    response->topics_count = body->topics_count;
    if (!next || !response->topics)
        return -ENOMEM;
    *call = (struct commit_call){
        .request = request,
        .commit = {.offsets = next, .count = count, .done = committed},
    };
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < body->topics_count; i++)
        result = prepare_topic(request, &body->topics[i], &response->topics[i], &next);
    return result;
}

void offset_commit_handle(struct request *request)
{
    struct commit_call *call = kafka_arena_alloc(&request->arena, 1, sizeof(*call));
    if (!call || prepare_commit(request, call) < 0) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    request->context = call;
    request_call(request, commit_offsets);
}

/* ---- OffsetFetch ---- */

struct found_group {
    struct request *request;
    struct kafka_string id;
    struct kafka_offset_fetch_response_topic *topics;
    uint32_t topics_count;
    struct beck_offset *offset; /* for the store's answers */
};

static bool take_offset(struct found_group *group, struct kafka_offset_fetch_response_partition *to)
{
    const struct beck_offset *offset = group->offset;
    *to = (struct kafka_offset_fetch_response_partition){
        .partition_index = offset->partition,
        .committed_offset = offset->offset,
        .committed_leader_epoch = offset->leader_epoch,
    };
    return copy_text(group->request,
                     (struct kafka_string){offset->metadata, (uint32_t)offset->metadata_size},
                     &to->metadata);
}

/* The offsets of the partitions that are asked for; nothing committed is no error. */
static int find_some(struct found_group *group,
                     const struct kafka_offset_fetch_request_topic *asked,
                     struct kafka_offset_fetch_response_topic *topic)
{
    struct kafka_arena *arena = &group->request->arena;
    struct beck_store *store = group->request->loop->broker->store;
    const char *name = topic_text(arena, asked->name);
    topic->name = asked->name;
    topic->partitions_count = asked->partition_indexes_count;
    topic->partitions = kafka_offset_fetch_response_partition_array(arena, topic->partitions_count);
    if (!name || !topic->partitions)
        return -ENOMEM;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        struct kafka_offset_fetch_response_partition *to = &topic->partitions[i];
        *to = (struct kafka_offset_fetch_response_partition){
            .partition_index = asked->partition_indexes[i],
            .committed_offset = -1,
            .committed_leader_epoch = -1,
            .metadata = {.data = ""},
        };
        int result = beck_offset_fetch(store, group->id.data, group->id.length, name,
                                       to->partition_index, group->offset, NULL);
        if (result < 0)
            to->error_code = offset_error_of(result);
        else if (result == 1 && !take_offset(group, to))
            return -ENOMEM;
    }
    return 0;
}

/* Room for one more topic, or partition of it: twice as much each time it runs out. */
static void *one_more(struct kafka_arena *arena, void *list, uint32_t count, size_t size)
{
    if (count & (count - 1) || (count == 0 && list))
        return list;
    void *grown = kafka_arena_alloc(arena, count ? 2 * count : 1, size);
    if (grown && count)
        memcpy(grown, list, count * size);
    return grown;
}

static int add_offset(struct found_group *group)
{
    struct kafka_arena *arena = &group->request->arena;
    struct kafka_string name = kafka_string_of(group->offset->topic);
    struct kafka_offset_fetch_response_topic *topic =
        group->topics_count > 0 ? &group->topics[group->topics_count - 1] : NULL;
    if (!topic || !kafka_string_equal(topic->name, name)) {
        group->topics = one_more(arena, group->topics, group->topics_count, sizeof(*group->topics));
        if (!group->topics)
            return -ENOMEM;
        topic = &group->topics[group->topics_count++];
        kafka_offset_fetch_response_topic_init(topic);
        if (!copy_text(group->request, name, &topic->name))
            return -ENOMEM;
    }
    topic->partitions =
        one_more(arena, topic->partitions, topic->partitions_count, sizeof(*topic->partitions));
    if (!topic->partitions || !take_offset(group, &topic->partitions[topic->partitions_count]))
        return -ENOMEM;
    topic->partitions_count++;
    return 0;
}

/* All offsets of a group. They come by topic. */
static int find_all(struct found_group *group)
{
    struct beck_store *store = group->request->loop->broker->store;
    int result = 1;
    memset(group->offset, 0, sizeof(*group->offset));
    while (result == 1 || result == -EBADMSG) {
        result = beck_offset_next(store, group->id.data, group->id.length, group->offset, NULL);
        if (result == 1 && add_offset(group) < 0)
            return -ENOMEM;
    }
    return result;
}

static int find_topics(struct found_group *group,
                       const struct kafka_offset_fetch_request_topic *asked, uint32_t count)
{
    int result = 0;
    group->topics = kafka_offset_fetch_response_topic_array(&group->request->arena, count);
    if (!group->topics)
        return -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < count; i++)
        result = find_some(group, &asked[i], &group->topics[group->topics_count++]);
    return result;
}

/* What a group committed for those topics. What fails is said to who asked about this group; there
 * are no topics then. 0, or -ENOMEM. */
static int find_group(struct found_group *group,
                      const struct kafka_offset_fetch_request_topic *asked, uint32_t count,
                      int16_t *ret_error)
{
    bool all = !asked && group->request->version >= VERSION_FETCH_ALL;
    int result = all ? find_all(group) : find_topics(group, asked, count);
    if (result < 0 && result != -ENOMEM) {
        *ret_error = offset_error_of(result);
        group->topics_count = 0;
        result = 0;
    }
    return result;
}

struct fetch_call {
    struct commit commit; /* of nothing: done when those before it are */
    struct request *request;
    int16_t *errors; /* of those who may not; NULL: nobody says that he is a member */
};

/* Versions before 8 ask about one group. */
static int fetch_group(struct request *request, struct beck_offset *offset)
{
    const struct kafka_offset_fetch_request *body = request->body;
    struct kafka_offset_fetch_response *response = request->response;
    struct found_group group = {.request = request, .id = body->group_id, .offset = offset};
    int result = find_group(&group, body->topics, body->topics_count, &response->error_code);
    response->topics = group.topics;
    response->topics_count = group.topics_count;
    return result;
}

static int fetch_groups(struct request *request, struct beck_offset *offset)
{
    const struct kafka_offset_fetch_request *body = request->body;
    struct kafka_offset_fetch_response *response = request->response;
    const struct fetch_call *call = request->context;
    response->groups = kafka_offset_fetch_response_group_array(&request->arena, body->groups_count);
    int result = response->groups ? 0 : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < body->groups_count; i++) {
        const struct kafka_offset_fetch_request_group *asked = &body->groups[i];
        struct kafka_offset_fetch_response_group *answer =
            &response->groups[response->groups_count++];
        struct found_group group = {.request = request, .id = asked->group_id, .offset = offset};
        answer->group_id = asked->group_id;
        answer->error_code = call->errors ? call->errors[i] : KAFKA_NONE;
        if (answer->error_code == KAFKA_NONE)
            result = find_group(&group, asked->topics, asked->topics_count, &answer->error_code);
        answer->topics = group.topics;
        answer->topics_count = group.topics_count;
    }
    return result;
}

/* On a worker. */
static void fetch_offsets(struct request *request)
{
    struct beck_offset offset = {.partition = 0};
    int result = request->version >= VERSION_GROUPS ? fetch_groups(request, &offset)
                                                    : fetch_group(request, &offset);
    if (result < 0)
        request->response = NULL;
}

/* On the first loop: are those who say that they are members? */
static void check_members(struct request *request)
{
    const struct kafka_offset_fetch_request *body = request->body;
    struct coordinator *coordinator = groups_begin(groups_of(request));
    struct fetch_call *call = request->context;
    for (uint32_t i = 0; i < body->groups_count; i++) {
        const struct group_caller caller = {
            .group_id = body->groups[i].group_id,
            .member_id = body->groups[i].member_id,
            .generation = body->groups[i].member_epoch,
        };
        call->errors[i] = coordinator_may_fetch(coordinator, &caller);
    }
    groups_end(groups_of(request));
    request_return(request);
}

static void earlier_are_kept(struct commit *commit)
{
    struct fetch_call *call =
        (struct fetch_call *)((char *)commit - offsetof(struct fetch_call, commit));
    request_return(call->request);
}

/* On the first loop, where those commits have come before. */
static void await_commits(struct request *request)
{
    struct fetch_call *call = request->context;
    commits_add(&groups_of(request)->commits, &call->commit);
}

static void commits_awaited(struct request *request)
{
    request_submit(request, fetch_offsets);
}

/* Has the client sent a commit before, on this connection, without waiting for its answer? */
static bool follows_commit(const struct request *request)
{
    const struct request *earlier;
    if (!request->connection)
        return false;
    TAILQ_FOREACH(earlier, &request->connection->requests, link)
    {
        if (earlier == request)
            break;
        if (!earlier->ready && earlier->api->key == KAFKA_API_OFFSET_COMMIT)
            return true;
    }
    return false;
}

/* What a client committed it finds, in the order in which it asked. */
static void fetch_in_order(struct request *request)
{
    if (!follows_commit(request)) {
        request_submit(request, fetch_offsets);
        return;
    }
    request->returned = commits_awaited;
    request_call(request, await_commits);
}

void offset_fetch_handle(struct request *request)
{
    const struct kafka_offset_fetch_request *body = request->body;
    struct fetch_call *call = kafka_arena_alloc(&request->arena, 1, sizeof(*call));
    bool says = false;
    for (uint32_t i = 0; i < body->groups_count; i++)
        says |= body->groups[i].member_id.data || body->groups[i].member_epoch >= 0;
    if (call) {
        *call = (struct fetch_call){.commit = {.done = earlier_are_kept}, .request = request};
        if (says)
            call->errors =
                kafka_arena_alloc(&request->arena, body->groups_count, sizeof(*call->errors));
    }
    if (!call || (says && !call->errors)) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    request->context = call;
    if (!says) {
        fetch_in_order(request);
        return;
    }
    request->returned = fetch_in_order;
    request_call(request, check_members);
}

/* ---- OffsetDelete ---- */

/* On the first loop: may these offsets go? On a worker then. */
static void delete_offsets(struct request *request)
{
    const struct kafka_offset_delete_request *body = request->body;
    struct kafka_offset_delete_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    uint32_t count = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    struct beck_offset_delete *deletes = kafka_arena_alloc(arena, count, sizeof(*deletes));
    if (!deletes) {
        request->response = NULL;
        return;
    }
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const char *name = topic_text(arena, body->topics[i].name);
        for (uint32_t p = 0; name && p < response->topics[i].partitions_count; p++)
            if (response->topics[i].partitions[p].error_code == KAFKA_NONE)
                deletes[at++] = (struct beck_offset_delete){
                    .topic = name, .partition = body->topics[i].partitions[p].partition_index};
    }
    int result = beck_offsets_delete(request->loop->broker->store, body->group_id.data,
                                     body->group_id.length, deletes, at, NULL);
    if (result < 0)
        response->error_code = kafka_error_of(result);
    at = 0;
    for (uint32_t i = 0; result >= 0 && i < body->topics_count; i++)
        for (uint32_t p = 0; p < response->topics[i].partitions_count; p++)
            if (response->topics[i].partitions[p].error_code == KAFKA_NONE)
                response->topics[i].partitions[p].error_code = kafka_error_of(deletes[at++].result);
}

static void check_deletion(struct request *request)
{
    const struct kafka_offset_delete_request *body = request->body;
    struct kafka_offset_delete_response *response = request->response;
    const struct group *group = coordinator_find(groups_begin(groups_of(request)), body->group_id);
    bool consumers =
        group && (group->state == GROUP_EMPTY ||
                  kafka_string_equal(group->protocol_type, kafka_string_of("consumer")));
    if (!group || group->state == GROUP_DEAD)
        response->error_code = KAFKA_GROUP_ID_NOT_FOUND;
    else if (!consumers)
        response->error_code = KAFKA_NON_EMPTY_GROUP;
    for (uint32_t i = 0; response->error_code == KAFKA_NONE && i < body->topics_count; i++)
        if (group_is_subscribed(group, body->topics[i].name))
            for (uint32_t p = 0; p < response->topics[i].partitions_count; p++)
                response->topics[i].partitions[p].error_code = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
    groups_end(groups_of(request));
    request_return(request);
}

/* Back in the request's loop: the coordinator has said what may go. */
static void deletion_checked(struct request *request)
{
    struct kafka_offset_delete_response *response = request->response;
    if (response->error_code == KAFKA_NONE)
        request_submit(request, delete_offsets);
    else
        response->topics_count = 0;
}

void offset_delete_handle(struct request *request)
{
    const struct kafka_offset_delete_request *body = request->body;
    struct kafka_offset_delete_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    response->topics = kafka_offset_delete_response_topic_array(arena, body->topics_count);
    for (uint32_t i = 0; response->topics && i < body->topics_count; i++) {
        struct kafka_offset_delete_response_topic *topic = &response->topics[i];
        uint32_t count = body->topics[i].partitions_count;
        topic->name = body->topics[i].name;
        topic->partitions = kafka_offset_delete_response_partition_array(arena, count);
        topic->partitions_count = count;
        for (uint32_t p = 0; topic->partitions && p < count; p++)
            topic->partitions[p].partition_index = body->topics[i].partitions[p].partition_index;
        if (!topic->partitions)
            response->topics = NULL;
    }
    response->topics_count = body->topics_count;
    if (!response->topics) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    request->returned = deletion_checked;
    request_call(request, check_deletion);
}
