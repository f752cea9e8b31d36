/* SPDX-License-Identifier: Apache-2.0
 *
 * The classic protocol: sessions, rebalances, generations, as Kafka's coordinator does it (KIP-62,
 * KIP-134, KIP-345, KIP-394, KIP-559, KIP-814). Joining is in classic_join.c, members' other calls
 * in classic_calls.c.
 *
 *     EMPTY -> PREPARING -> COMPLETING -> STABLE
 *       ^          |  ^----------'----------'   somebody comes, goes, or wants something else
 *       '----------'                            nobody is left
 *
 * Every change of who is a member ends in classic_rebalance() or classic_rebalance_try(). A `done`
 * callback is the last thing that is done with a join or sync.
 */
#include "group/classic.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "group/classic_steps.h"
#include "group/coordinator.h"
#include "kafka/errors.h"

#define AGAIN_MS 1000 /* until what could not be done is tried again */

/* ---- answers ------------------------------------------------------------------------------ */

void classic_join_refuse(struct group_join *join, int16_t error, struct kafka_string member_id)
{
    join->answer = (struct group_join_answer){
        .error = error, .generation = -1, .member_id = member_id, .leader_id = {.data = ""}};
    join->done(join);
}

/* Tell a member of the generation that there is. */
void classic_join_accept(struct group_member *member)
{
    struct group *group = member->group;
    struct group_join *join = member->join;
    bool leads = group->leader == member;
    member->join = NULL;
    join->answer = (struct group_join_answer){
        .generation = group->generation,
        .protocol_type = group->protocol_type,
        .protocol_name = group->protocol_name,
        .leader_id = group->leader->id,
        .member_id = member->id,
        .group = leads ? group : NULL,
    };
    join->done(join);
}

void classic_sync_refuse(struct group_sync *sync, int16_t error)
{
    sync->answer = (struct group_sync_answer){.error = error, .assignment = {.data = ""}};
    sync->done(sync);
}

void classic_sync_accept(struct group_member *member, struct group_sync *sync)
{
    struct group *group = member->group;
    sync->answer = (struct group_sync_answer){
        .protocol_type = group->protocol_type,
        .protocol_name = group->protocol_name,
        .assignment = member->assignment,
    };
    sync->done(sync);
}

/* Whoever waits for something of this member is told that it will not come. */
void classic_dismiss(struct group_member *member, int16_t error)
{
    struct group_join *join = member->join;
    struct group_sync *sync = member->sync;
    member->join = NULL;
    member->sync = NULL;
    if (join)
        classic_join_refuse(join, error, member->id);
    if (sync)
        classic_sync_refuse(sync, error);
}

/* ---- sessions ----------------------------------------------------------------------------- */

static void member_expire(struct timer *timer);

static int64_t member_patience_ms(const struct group_member *member)
{
    return member->is_new && member->join ? GROUP_SESSION_TIMEOUT_JOINING_MS
                                          : member->session_timeout_ms;
}

void classic_watch(struct group_member *member)
{
    struct coordinator *coordinator = member->group->coordinator;
    member->session.fire = member_expire;
    member->heard_ms = coordinator->now_ms;
    int64_t due_ms = member->heard_ms + member_patience_ms(member);
    /* A timer that comes too early looks again: most heartbeats need not touch it. */
    if (member->session.place == 0 || member->session.due_ms > due_ms)
        timer_set(&coordinator->timers, &member->session, due_ms);
}

/* Takes a member out of the group and frees it. */
void classic_drop(struct group_member *member, int16_t error)
{
    struct group *group = member->group;
    classic_dismiss(member, error);
    group_remove(group, member);
    if (group->leader == member)
        group->leader = TAILQ_FIRST(&group->members);
    group->coordinator->member_count--;
    group_member_free(member);
}

/* The same, and what follows for the group. */
void classic_remove(struct group_member *member, int16_t error)
{
    struct group *group = member->group;
    bool took_part = !member->is_pending;
    classic_drop(member, error);
    if (took_part && (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING))
        classic_rebalance(group);
    else if (group->state == GROUP_PREPARING)
        classic_rebalance_try(group);
}

static void member_expire(struct timer *timer)
{
    struct group_member *member =
        (struct group_member *)((char *)timer - offsetof(struct group_member, session));
    struct coordinator *coordinator = member->group->coordinator;
    int64_t due_ms = member->heard_ms + member_patience_ms(member);
    bool waits = !member->is_new && (member->join || member->sync);
    if (waits) /* for us: it cannot send anything */
        timer_set(&coordinator->timers, timer, coordinator->now_ms + member->session_timeout_ms);
    else if (due_ms > coordinator->now_ms)
        timer_set(&coordinator->timers, timer, due_ms);
    else
        classic_remove(member, KAFKA_UNKNOWN_MEMBER_ID);
}

/* Is the caller the member that he says he is? The error, or 0 and the member. */
int16_t classic_find_member(const struct group *group, struct kafka_string member_id,
                            struct kafka_string instance_id, struct group_member **ret_member)
{
    if (instance_id.data) {
        struct group_member *same = group_find_instance(group, instance_id);
        if (!same)
            return KAFKA_UNKNOWN_MEMBER_ID;
        if (!kafka_string_equal(same->id, member_id))
            return KAFKA_FENCED_INSTANCE_ID;
    }
    struct group_member *member = group_find(group, member_id);
    if (!member || member->is_pending)
        return KAFKA_UNKNOWN_MEMBER_ID;
    *ret_member = member;
    return KAFKA_NONE;
}

/* ---- rebalances --------------------------------------------------------------------------- */

/* Those who wait for the assignments of a generation that is over join again. */
void classic_syncs_refuse(struct group *group, int16_t error)
{
    struct group_member *member;
    group->assigning = 0;
    TAILQ_FOREACH(member, &group->members, link)
    {
        struct group_sync *sync = member->sync;
        bytes_free(&member->assignment);
        member->sync = NULL;
        if (sync) {
            classic_watch(member);
            classic_sync_refuse(sync, error);
        }
    }
}

static bool all_have_joined(const struct group *group)
{
    const struct group_member *member;
    TAILQ_FOREACH(member, &group->members, link)
    if (!member->join)
        return false;
    return group->pending_count == 0;
}

/* A leader who joined; else the first member who did. False: none did. */
static bool elect_leader(struct group *group)
{
    struct group_member *member;
    if (group->leader && group->leader->join)
        return true;
    TAILQ_FOREACH(member, &group->members, link)
    {
        if (member->join) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

/* Who is not static and did not join in time is no member any more. */
static void drop_absent(struct group *group)
{
    struct group_member *member = TAILQ_FIRST(&group->members);
    while (member) {
        struct group_member *next = TAILQ_NEXT(member, link);
        if (!member->join && !member->instance_id.data)
            classic_drop(member, KAFKA_UNKNOWN_MEMBER_ID);
        member = next;
    }
}

static void become_empty(struct group *group)
{
    group->state = GROUP_EMPTY;
    group->leader = NULL;
    group->empty_since_ms = group->coordinator->date_ms;
    text_free(&group->protocol_name);
    /* Where it cannot be kept, members that are gone come back at the next start, and expire. */
    (void)group_save(group);
}

static void generation_begin(struct group *group)
{
    struct coordinator *coordinator = group->coordinator;
    struct kafka_string chosen;
    struct group_member *member;
    if (text_copy(group_choose_protocol(group), &chosen) < 0) {
        timer_set(&coordinator->timers, &group->rebalance,
                  coordinator->now_ms + AGAIN_MS); /* no memory: again later */
        return;
    }
    text_free(&group->protocol_name);
    group->protocol_name = chosen;
    group->state = GROUP_COMPLETING;
    timer_set(&coordinator->timers, &group->synced,
              coordinator->now_ms + group_rebalance_timeout_ms(group));
    TAILQ_FOREACH(member, &group->members, link)
    {
        bytes_free(&member->assignment);
        member->has_synced = false;
        member->is_new = false;
        if (member->join) {
            classic_watch(member);
            classic_join_accept(member);
        }
    }
}

static void rebalance_complete(struct group *group)
{
    struct coordinator *coordinator = group->coordinator;
    timer_cancel(&coordinator->timers, &group->rebalance);
    group->is_initial = false;
    drop_absent(group);
    if (group->member_count > 0 && !elect_leader(group)) {
        /* All are static, and none is here: their sessions will end, or they come. Who gives
         * himself no time to join must not have us look again without an end. */
        int32_t again_ms = group_rebalance_timeout_ms(group);
        timer_set(&coordinator->timers, &group->rebalance,
                  coordinator->now_ms + (again_ms < AGAIN_MS ? AGAIN_MS : again_ms));
        return;
    }
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
    if (group->member_count == 0)
        become_empty(group);
    else
        generation_begin(group);
}

void classic_rebalance_try(struct group *group)
{
    if (!group->is_initial && all_have_joined(group))
        rebalance_complete(group);
}

static int32_t shorter_ms(int64_t a, int64_t b)
{
    return (int32_t)(a < b ? a : b);
}

/* Until the first generation is kept, the store knows of no members, and what it has of a group
 * that has long been empty would expire just when it is wanted: it is in use from now on. */
static void keep_in_use(struct group *group)
{
    group->empty_since_ms = group->coordinator->date_ms;
    (void)group_save(group); /* or else it may expire */
}

/* Wait for the members to join. The first ones of a group are given a while to be several. */
void classic_rebalance(struct group *group)
{
    struct coordinator *coordinator = group->coordinator;
    int32_t delay_ms = coordinator->settings.group_initial_rebalance_delay_ms;
    int32_t timeout_ms = group_rebalance_timeout_ms(group);
    bool first = group->state == GROUP_EMPTY;
    if (group->state == GROUP_COMPLETING)
        classic_syncs_refuse(group, KAFKA_REBALANCE_IN_PROGRESS);
    timer_cancel(&coordinator->timers, &group->synced);
    group->state = GROUP_PREPARING;
    if (first)
        keep_in_use(group);
    group->empty_since_ms = 0;
    group->is_initial = first && delay_ms > 0;
    group->has_joined = false;
    if (group->is_initial) {
        delay_ms = shorter_ms(delay_ms, timeout_ms);
        group->initial_left_ms = timeout_ms - delay_ms;
        timeout_ms = delay_ms;
    }
    timer_set(&coordinator->timers, &group->rebalance, coordinator->now_ms + timeout_ms);
    classic_rebalance_try(group);
}

void classic_rebalance_due(struct timer *timer)
{
    struct group *group = (struct group *)((char *)timer - offsetof(struct group, rebalance));
    struct coordinator *coordinator = group->coordinator;
    if (group->is_initial && group->has_joined && group->initial_left_ms > 0) {
        int32_t delay_ms = shorter_ms(coordinator->settings.group_initial_rebalance_delay_ms,
                                      group->initial_left_ms);
        group->has_joined = false;
        group->initial_left_ms -= delay_ms;
        timer_set(&coordinator->timers, timer, coordinator->now_ms + delay_ms);
        return;
    }
    rebalance_complete(group);
}

/* Who did not sync in time is out. */
void classic_sync_due(struct timer *timer)
{
    struct group *group = (struct group *)((char *)timer - offsetof(struct group, synced));
    struct group_member *member = TAILQ_FIRST(&group->members);
    bool dropped = false;
    while (member) {
        struct group_member *next = TAILQ_NEXT(member, link);
        if (!member->has_synced) {
            classic_drop(member, KAFKA_UNKNOWN_MEMBER_ID);
            dropped = true;
        }
        member = next;
    }
    if (dropped && (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING))
        classic_rebalance(group);
}

void classic_saved(struct group *group, unsigned save, int result)
{
    struct group_member *member;
    if (group->state != GROUP_COMPLETING || group->assigning != save)
        return; /* it went on without */
    group->assigning = 0;
    if (result < 0) {
        /* What is too large will be so again: they are not to try for ever. */
        classic_syncs_refuse(group, result == -EMSGSIZE ? KAFKA_UNKNOWN_SERVER_ERROR
                                                        : KAFKA_COORDINATOR_NOT_AVAILABLE);
        classic_rebalance(group);
        return;
    }
    group->state = GROUP_STABLE;
    TAILQ_FOREACH(member, &group->members, link)
    {
        struct group_sync *sync = member->sync;
        member->sync = NULL;
        if (sync) {
            classic_watch(member);
            classic_sync_accept(member, sync);
        }
    }
}

/* ---- from the new protocol and to it ------------------------------------------------------ */

static void dismiss_all(struct group *group, int16_t error)
{
    struct group_member *member;
    TAILQ_FOREACH(member, &group->members, link)
    classic_dismiss(member, error);
}

void classic_end(struct group *group, int16_t error)
{
    struct coordinator *coordinator = group->coordinator;
    timer_cancel(&coordinator->timers, &group->rebalance);
    timer_cancel(&coordinator->timers, &group->synced);
    group->is_initial = false;
    group->assigning = 0;
    dismiss_all(group, error);
    classic_clear(group);
    text_free(&group->protocol_name);
}

int classic_adopt(struct group *group, struct group_member *member)
{
    int result = group_add(group, member);
    if (result < 0)
        return result;
    group->coordinator->member_count++;
    classic_watch(member);
    return 0;
}

void classic_begin(struct group *group)
{
    struct kafka_string chosen;
    group->leader = TAILQ_FIRST(&group->members);
    group->state = GROUP_STABLE;
    if (text_copy(group_choose_protocol(group), &chosen) == 0) {
        text_free(&group->protocol_name);
        group->protocol_name = chosen;
    }
    (void)group_save(group); /* or else they come back as what they were, and join anew */
    group->is_changed = false;
    classic_rebalance(group);
}

/* ---- the end ------------------------------------------------------------------------------ */

void classic_stop(struct group *group)
{
    dismiss_all(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void clear_list(struct group *group, struct group_members *members)
{
    struct group_member *member;
    while ((member = TAILQ_FIRST(members))) {
        assert(!member->join && !member->sync);
        group_remove(group, member);
        group->coordinator->member_count--;
        group_member_free(member);
    }
}

void classic_clear(struct group *group)
{
    clear_list(group, &group->members);
    clear_list(group, &group->pending);
    group->leader = NULL;
}
