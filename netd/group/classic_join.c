/* SPDX-License-Identifier: Apache-2.0
 *
 * The classic protocol: who joins, in all the ways in which that is done: with no id, with one that
 * was given just now (KIP-394), again, as a static member that was started anew (KIP-345).
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "group/classic.h"
#include "group/classic_steps.h"
#include "group/consumer.h"
#include "group/coordinator.h"
#include "kafka/errors.h"

#define MEMBER_ID_BYTES (GROUP_UUID_BYTES + 1) /* "-" and it, behind the client's or instance's */

static bool group_is_full(const struct group *group)
{
    return group->member_count + group->pending_count >=
           (uint32_t)group->coordinator->settings.group_max_size;
}

int classic_make_member_id(struct group *group, const struct group_join *join,
                           struct kafka_string *ret_id)
{
    struct kafka_string begin = join->instance_id.data ? join->instance_id : join->client_id;
    char uuid[GROUP_UUID_BYTES + 1];
    char text[KAFKA_STRING_MAX_BYTES + MEMBER_ID_BYTES];
    if (begin.length > KAFKA_STRING_MAX_BYTES - MEMBER_ID_BYTES)
        begin.length = KAFKA_STRING_MAX_BYTES - MEMBER_ID_BYTES;
    coordinator_uuid(group->coordinator, uuid);
    int n = snprintf(text, sizeof(text), "%.*s-%s", (int)begin.length, begin.data ? begin.data : "",
                     uuid);
    assert(n > 0 && (size_t)n < sizeof(text));
    return text_copy((struct kafka_string){text, (uint32_t)n}, ret_id);
}

/* Make a member of that id, in no state yet but being there. NULL: no memory. */
static struct group_member *member_make(struct group *group, struct kafka_string id,
                                        const struct group_join *join, bool is_pending)
{
    struct coordinator *coordinator = group->coordinator;
    if (coordinator_reserve(coordinator, coordinator->group_count, coordinator->member_count + 1) <
        0)
        return NULL;
    struct group_member *member = group_member_new(group, id, join);
    if (!member)
        return NULL;
    member->is_pending = is_pending;
    member->is_new = true;
    if (group_add(group, member) < 0) {
        group_member_free(member);
        return NULL;
    }
    coordinator->member_count++;
    return member;
}

/* A member wants to join a generation: the next one begins, if it is not on its way already. */
static void member_await(struct group_member *member, struct group_join *join)
{
    struct group *group = member->group;
    struct group_join *before = member->join;
    member->join = join;
    if (before)
        classic_join_refuse(before, KAFKA_UNKNOWN_MEMBER_ID, member->id);
    classic_watch(member);
    if (member->is_new)
        group->has_joined = true;
    if (group->state == GROUP_PREPARING)
        classic_rebalance_try(group);
    else
        classic_rebalance(group);
}

static void member_add(struct group *group, struct kafka_string id, struct group_join *join)
{
    struct kafka_string type = {0};
    struct group_member *member = NULL;
    if (group->member_count > 0 || text_copy(join->protocol_type, &type) == 0)
        member = member_make(group, id, join, false);
    if (!member) {
        text_free(&type);
        classic_join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    if (type.data) {
        text_free(&group->protocol_type);
        group->protocol_type = type;
    }
    if (!group->leader)
        group->leader = member;
    member_await(member, join);
}

/* Give the answer to a static member that goes on where it was. A leader that knows nothing of
 * skipping would assign anew: it is told that its former self leads. */
static void static_member_accept(struct group_member *member, struct kafka_string former_id,
                                 struct group_join *join)
{
    struct group *group = member->group;
    bool leads = group->leader == member;
    join->answer = (struct group_join_answer){
        .generation = group->generation,
        .protocol_type = group->protocol_type,
        .protocol_name = group->protocol_name,
        .leader_id = leads && !join->knows_skipping ? former_id : group->leader->id,
        .member_id = member->id,
        .skip_assignment = leads && join->knows_skipping,
        .group = leads && join->knows_skipping ? group : NULL,
    };
    join->done(join);
}

/* Its new id is kept, or cannot be. */
static void static_member_kept(struct group_wait *wait, int result)
{
    struct group_join *join =
        (struct group_join *)((char *)wait - offsetof(struct group_join, wait));
    struct group *group = join->group;
    struct kafka_string made_id = join->made_id;
    struct kafka_string former_id = join->former_id;
    struct group_member *member = group->consumer ? NULL : group_find(group, made_id);
    if (result < 0)
        classic_join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
    else if (!member) /* others took its place, or it was taken out */
        classic_join_refuse(join, KAFKA_FENCED_INSTANCE_ID, join->member_id);
    else if (group->state == GROUP_STABLE)
        static_member_accept(member, former_id, join);
    else
        member_await(member, join);
    text_free(&made_id);
    text_free(&former_id);
}

/* A static member has been started anew: it takes the place of what it was before (KIP-345). */
static void static_member_replace(struct group_member *member, struct kafka_string id,
                                  struct group_join *join)
{
    struct group *group = member->group;
    join->group = group;
    join->made_id = join->former_id = (struct kafka_string){0};
    classic_dismiss(member, KAFKA_FENCED_INSTANCE_ID);
    bool done = text_copy(member->id, &join->former_id) == 0 &&
                text_copy(id, &join->made_id) == 0 && group_member_rename(member, id) == 0 &&
                group_member_update(member, join) == 0;
    if (done && group->state == GROUP_STABLE &&
        kafka_string_equal(group_choose_protocol(group), group->protocol_name)) {
        /* Nobody else has to hear of it. It is told its id when that is kept: after a restart it
         * would be fenced with one that is not known. */
        classic_watch(member);
        join->wait.end = static_member_kept;
        if (group_save(group) == 0) {
            group_await(group, &join->wait);
            return;
        }
        done = false;
    }
    text_free(&join->former_id);
    text_free(&join->made_id);
    if (done)
        member_await(member, join);
    else
        classic_join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
}

static void join_new(struct group *group, struct group_join *join)
{
    struct group_member *same = group_find_instance(group, join->instance_id);
    struct kafka_string id;
    if (!same && group_is_full(group)) {
        classic_join_refuse(join, KAFKA_GROUP_MAX_SIZE_REACHED, join->member_id);
    } else if (classic_make_member_id(group, join, &id) < 0) {
        classic_join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
    } else {
        if (same) {
            static_member_replace(same, id, join);
        } else if (join->instance_id.data || !join->wants_known_id) {
            member_add(group, id, join);
        } else {
            struct group_member *member = member_make(group, id, join, true);
            if (member)
                classic_watch(member);
            classic_join_refuse(join,
                                member ? KAFKA_MEMBER_ID_REQUIRED : KAFKA_COORDINATOR_NOT_AVAILABLE,
                                member ? member->id : join->member_id);
        }
        text_free(&id);
    }
}

/* Who was given an id joins with it. */
static void join_pending(struct group_member *pending, struct group_join *join)
{
    struct group *group = pending->group;
    struct kafka_string id;
    if (text_copy(pending->id, &id) < 0) {
        classic_join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    classic_drop(pending, KAFKA_NONE);
    member_add(group, id, join);
    text_free(&id);
}

static void join_again(struct group_member *member, struct group_join *join)
{
    struct group *group = member->group;
    bool same = group_member_wants(member, join);
    bool leads = group->leader == member;
    bool known =
        same && (group->state == GROUP_COMPLETING || (group->state == GROUP_STABLE && !leads));
    if (known) {
        /* It did not get the answer: here it is again. */
        member->join = join;
        classic_watch(member);
        classic_join_accept(member);
        return;
    }
    if (group_member_update(member, join) < 0)
        classic_join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
    else
        member_await(member, join);
}

static int16_t join_check(const struct coordinator *coordinator, const struct group_join *join)
{
    if (join->group_id.length == 0)
        return KAFKA_INVALID_GROUP_ID;
    if (join->protocols_count > GROUP_PROTOCOLS_MAX)
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (join->session_timeout_ms < coordinator->settings.group_min_session_timeout_ms ||
        join->session_timeout_ms > coordinator->settings.group_max_session_timeout_ms)
        return KAFKA_INVALID_SESSION_TIMEOUT;
    return KAFKA_NONE;
}

void coordinator_join(struct coordinator *coordinator, struct group_join *join)
{
    struct group *group = coordinator_find(coordinator, join->group_id);
    struct group_member *member = NULL;
    int16_t error = join_check(coordinator, join);
    bool is_new = join->member_id.length == 0;
    if (error == KAFKA_NONE && !group && !is_new)
        error = KAFKA_UNKNOWN_MEMBER_ID;
    if (error == KAFKA_NONE && !group) {
        group = coordinator_make(coordinator, join->group_id);
        error = group ? KAFKA_NONE : KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    if (error == KAFKA_NONE && (group->state == GROUP_DEAD || coordinator->is_stopping))
        error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_NONE && group->consumer && group->consumer->member_count > 0) {
        consumer_join(group, join);
        return;
    }
    if (error == KAFKA_NONE)
        consumer_end(group); /* nobody is there: it goes on with the classic protocol */
    if (error == KAFKA_NONE && !group_supports(group, join))
        error = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (error != KAFKA_NONE) {
        classic_join_refuse(join, error, join->member_id);
        return;
    }
    if (is_new) {
        join_new(group, join);
        return;
    }
    member = group_find(group, join->member_id);
    if (member && member->is_pending && !join->instance_id.data) {
        join_pending(member, join);
        return;
    }
    error = classic_find_member(group, join->member_id, join->instance_id, &member);
    if (error != KAFKA_NONE)
        classic_join_refuse(join, error, join->member_id);
    else
        join_again(member, join);
}
