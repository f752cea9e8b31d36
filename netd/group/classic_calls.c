/* SPDX-License-Identifier: Apache-2.0
 *
 * The classic protocol: what members call once they have joined: syncing, heartbeats, leaving,
 * committing.
 */
#include <stddef.h>

#include "group/classic.h"
#include "group/classic_steps.h"
#include "group/consumer.h"
#include "group/coordinator.h"
#include "kafka/errors.h"

/* ---- syncing ------------------------------------------------------------------------------ */

static bool is_other(struct kafka_string said, struct kafka_string ours)
{
    return said.data && !kafka_string_equal(said, ours);
}

/* No group of members can have an empty name, though offsets may be committed for it. */
static int16_t check_there(const struct group *group, struct kafka_string id)
{
    if (id.length == 0)
        return KAFKA_INVALID_GROUP_ID;
    return group ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
}

static int16_t sync_check(const struct group *group, const struct group_sync *sync,
                          struct group_member **ret_member)
{
    int16_t there = check_there(group, sync->group_id);
    if (there != KAFKA_NONE)
        return there;
    if (group->state == GROUP_DEAD || group->coordinator->is_stopping)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    int16_t error = classic_find_member(group, sync->member_id, sync->instance_id, ret_member);
    if (error != KAFKA_NONE)
        return error;
    if (sync->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (is_other(sync->protocol_type, group->protocol_type) ||
        is_other(sync->protocol_name, group->protocol_name))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

/* Take over what the leader decided. Who is not in it has nothing. */
static int assign(struct group *group, const struct group_sync *sync)
{
    struct group_member *member;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < sync->assignments_count; i++) {
        member = group_find(group, sync->assignments[i].member_id);
        if (!member)
            continue;
        bytes_free(&member->assignment);
        result = bytes_copy(sync->assignments[i].assignment, &member->assignment);
    }
    TAILQ_FOREACH(member, &group->members, link)
    if (result == 0 && !member->assignment.data)
        result = bytes_copy((struct kafka_bytes){.data = ""}, &member->assignment);
    return result;
}

static bool all_have_synced(const struct group *group)
{
    const struct group_member *member;
    TAILQ_FOREACH(member, &group->members, link)
    if (!member->has_synced)
        return false;
    return true;
}

void coordinator_sync(struct coordinator *coordinator, struct group_sync *sync)
{
    struct group *group = coordinator_find(coordinator, sync->group_id);
    struct group_member *member = NULL;
    if (group && group->consumer && group->state != GROUP_DEAD) {
        consumer_sync(group, sync);
        return;
    }
    int16_t error = sync_check(group, sync, &member);
    if (error != KAFKA_NONE) {
        classic_sync_refuse(sync, error);
        return;
    }
    member->has_synced = true;
    classic_watch(member);
    if (all_have_synced(group))
        timer_cancel(&coordinator->timers, &group->synced);
    if (group->state == GROUP_STABLE) {
        classic_sync_accept(member, sync);
        return;
    }
    struct group_sync *before = member->sync;
    member->sync = sync;
    if (before)
        classic_sync_refuse(before, KAFKA_UNKNOWN_MEMBER_ID);
    if (group->leader != member || group->assigning != 0)
        return;
    group->assigning = group->save_count + 1;
    if (assign(group, sync) < 0 || group_save(group) < 0) {
        classic_syncs_refuse(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
        classic_rebalance(group);
    }
}

/* ---- heartbeats, leaving, committing ------------------------------------------------------ */

int16_t coordinator_heartbeat(struct coordinator *coordinator, const struct group_caller *caller)
{
    struct group *group = coordinator_find(coordinator, caller->group_id);
    struct group_member *member;
    int16_t there = check_there(group, caller->group_id);
    if (there != KAFKA_NONE)
        return there;
    if (group->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (group->consumer)
        return consumer_heartbeat(group, caller);
    int16_t error = classic_find_member(group, caller->member_id, caller->instance_id, &member);
    if (error != KAFKA_NONE)
        return error;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    classic_watch(member);
    return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

int16_t coordinator_leave(struct coordinator *coordinator, const struct group_caller *caller)
{
    struct group *group = coordinator_find(coordinator, caller->group_id);
    struct group_member *member;
    int16_t there = check_there(group, caller->group_id);
    if (there != KAFKA_NONE)
        return there;
    if (group->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (group->consumer)
        return consumer_leave(group, caller);
    if (caller->member_id.length == 0 && caller->instance_id.data) {
        member = group_find_instance(group, caller->instance_id);
        if (!member)
            return KAFKA_UNKNOWN_MEMBER_ID;
    } else {
        member = group_find(group, caller->member_id);
        bool pending = member && member->is_pending;
        int16_t error =
            pending ? KAFKA_NONE
                    : classic_find_member(group, caller->member_id, caller->instance_id, &member);
        if (error != KAFKA_NONE)
            return error;
    }
    classic_remove(member, KAFKA_UNKNOWN_MEMBER_ID);
    return KAFKA_NONE;
}

int16_t coordinator_may_commit(struct coordinator *coordinator, const struct group_caller *caller)
{
    struct group *group = coordinator_find(coordinator, caller->group_id);
    struct group_member *member;
    if (!group && caller->generation >= 0)
        return caller->is_before_848 ? KAFKA_ILLEGAL_GENERATION : KAFKA_GROUP_ID_NOT_FOUND;
    if (!group)
        group = coordinator_make(coordinator, caller->group_id);
    if (!group || group->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    group->touched_ms = coordinator->now_ms;
    if (group->consumer)
        return consumer_may_commit(group, caller);
    if (caller->generation < 0 && group->state == GROUP_EMPTY)
        return KAFKA_NONE; /* he does without members, whatever he calls himself */
    int16_t error = classic_find_member(group, caller->member_id, caller->instance_id, &member);
    if (error != KAFKA_NONE)
        return error;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    classic_watch(member);
    return group->state == GROUP_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}
