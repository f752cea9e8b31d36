/* SPDX-License-Identifier: Apache-2.0
 *
 * The classic protocol: joining, generations, syncing, heartbeats, leaving, as Kafka's coordinator
 * does it (KIP-62, KIP-134, KIP-345, KIP-394, KIP-559, KIP-814).
 *
 *     EMPTY -> PREPARING -> COMPLETING -> STABLE
 *       ^          |  ^----------'----------'   somebody comes, goes, or wants something else
 *       '----------'                            nobody is left
 *
 * Every change of who is a member ends in rebalance_begin() or rebalance_try(). A `done` callback
 * is the last thing that is done with a join or sync.
 */
#include "group/classic.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "group/consumer.h"
#include "kafka/errors.h"

#define MEMBER_ID_BYTES (GROUP_UUID_BYTES + 1) /* "-" and it, behind the client's or instance's */
#define AGAIN_MS        1000                   /* until what could not be done is tried again */

static void rebalance_begin(struct group *group);
static void rebalance_try(struct group *group);

static struct coordinator *coordinator_of(const struct group *group)
{
    return group->coordinator;
}

/* ---- answers ------------------------------------------------------------------------------ */

static void join_refuse(struct group_join *join, int16_t error, struct kafka_string member_id)
{
    join->answer = (struct group_join_answer){
        .error = error, .generation = -1, .member_id = member_id, .leader_id = {.data = ""}};
    join->done(join);
}

/* Tell a member of the generation that there is. */
static void join_accept(struct group_member *member)
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

static void sync_refuse(struct group_sync *sync, int16_t error)
{
    sync->answer = (struct group_sync_answer){.error = error, .assignment = {.data = ""}};
    sync->done(sync);
}

static void sync_accept(struct group_member *member, struct group_sync *sync)
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
static void member_dismiss(struct group_member *member, int16_t error)
{
    struct group_join *join = member->join;
    struct group_sync *sync = member->sync;
    member->join = NULL;
    member->sync = NULL;
    if (join)
        join_refuse(join, error, member->id);
    if (sync)
        sync_refuse(sync, error);
}

/* ---- sessions ----------------------------------------------------------------------------- */

static void member_expire(struct timer *timer);

static int64_t member_patience_ms(const struct group_member *member)
{
    return member->is_new && member->join ? GROUP_SESSION_TIMEOUT_JOINING_MS
                                          : member->session_timeout_ms;
}

static void member_heard(struct group_member *member)
{
    struct coordinator *coordinator = coordinator_of(member->group);
    member->session.fire = member_expire;
    member->heard_ms = coordinator->now_ms;
    int64_t due_ms = member->heard_ms + member_patience_ms(member);
    /* A timer that comes too early looks again: most heartbeats need not touch it. */
    if (member->session.place == 0 || member->session.due_ms > due_ms)
        timer_set(&coordinator->timers, &member->session, due_ms);
}

void classic_watch(struct group_member *member)
{
    member_heard(member);
}

/* Takes a member out of the group and frees it. */
static void member_drop(struct group_member *member, int16_t error)
{
    struct group *group = member->group;
    member_dismiss(member, error);
    group_remove(group, member);
    if (group->leader == member)
        group->leader = TAILQ_FIRST(&group->members);
    coordinator_of(group)->member_count--;
    group_member_free(member);
}

/* The same, and what follows for the group. */
static void member_remove(struct group_member *member, int16_t error)
{
    struct group *group = member->group;
    bool took_part = !member->is_pending;
    member_drop(member, error);
    if (took_part && (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING))
        rebalance_begin(group);
    else if (group->state == GROUP_PREPARING)
        rebalance_try(group);
}

static void member_expire(struct timer *timer)
{
    struct group_member *member =
        (struct group_member *)((char *)timer - offsetof(struct group_member, session));
    struct coordinator *coordinator = coordinator_of(member->group);
    int64_t due_ms = member->heard_ms + member_patience_ms(member);
    bool waits = !member->is_new && (member->join || member->sync);
    if (waits) /* for us: it cannot send anything */
        timer_set(&coordinator->timers, timer, coordinator->now_ms + member->session_timeout_ms);
    else if (due_ms > coordinator->now_ms)
        timer_set(&coordinator->timers, timer, due_ms);
    else
        member_remove(member, KAFKA_UNKNOWN_MEMBER_ID);
}

/* ---- rebalances --------------------------------------------------------------------------- */

/* Those who wait for the assignments of a generation that is over join again. */
static void syncs_refuse(struct group *group, int16_t error)
{
    struct group_member *member;
    group->assigning = 0;
    TAILQ_FOREACH(member, &group->members, link)
    {
        struct group_sync *sync = member->sync;
        bytes_free(&member->assignment);
        member->sync = NULL;
        if (sync) {
            member_heard(member);
            sync_refuse(sync, error);
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
            member_drop(member, KAFKA_UNKNOWN_MEMBER_ID);
        member = next;
    }
}

static void become_empty(struct group *group)
{
    group->state = GROUP_EMPTY;
    group->leader = NULL;
    group->empty_since_ms = coordinator_of(group)->date_ms;
    text_free(&group->protocol_name);
    /* Where it cannot be kept, members that are gone come back at the next start, and expire. */
    (void)group_save(group);
}

static void generation_begin(struct group *group)
{
    struct coordinator *coordinator = coordinator_of(group);
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
            member_heard(member);
            join_accept(member);
        }
    }
}

static void rebalance_complete(struct group *group)
{
    struct coordinator *coordinator = coordinator_of(group);
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

static void rebalance_try(struct group *group)
{
    if (!group->is_initial && all_have_joined(group))
        rebalance_complete(group);
}

static int32_t shorter_ms(int64_t a, int64_t b)
{
    return (int32_t)(a < b ? a : b);
}

/* Wait for the members to join. The first ones of a group are given a while to be several. */
static void rebalance_begin(struct group *group)
{
    struct coordinator *coordinator = coordinator_of(group);
    int32_t delay_ms = coordinator->settings.group_initial_rebalance_delay_ms;
    int32_t timeout_ms = group_rebalance_timeout_ms(group);
    bool first = group->state == GROUP_EMPTY;
    if (group->state == GROUP_COMPLETING)
        syncs_refuse(group, KAFKA_REBALANCE_IN_PROGRESS);
    timer_cancel(&coordinator->timers, &group->synced);
    group->state = GROUP_PREPARING;
    group->empty_since_ms = 0;
    group->is_initial = first && delay_ms > 0;
    group->has_joined = false;
    if (group->is_initial) {
        delay_ms = shorter_ms(delay_ms, timeout_ms);
        group->initial_left_ms = timeout_ms - delay_ms;
        timeout_ms = delay_ms;
    }
    timer_set(&coordinator->timers, &group->rebalance, coordinator->now_ms + timeout_ms);
    rebalance_try(group);
}

void classic_rebalance_due(struct timer *timer)
{
    struct group *group = (struct group *)((char *)timer - offsetof(struct group, rebalance));
    struct coordinator *coordinator = coordinator_of(group);
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
            member_drop(member, KAFKA_UNKNOWN_MEMBER_ID);
            dropped = true;
        }
        member = next;
    }
    if (dropped && (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING))
        rebalance_begin(group);
}

/* ---- joining ------------------------------------------------------------------------------ */

static bool group_is_full(const struct group *group)
{
    return group->member_count + group->pending_count >=
           (uint32_t)coordinator_of(group)->settings.group_max_size;
}

int classic_make_member_id(struct group *group, const struct group_join *join,
                           struct kafka_string *ret_id)
{
    struct kafka_string begin = join->instance_id.data ? join->instance_id : join->client_id;
    char uuid[GROUP_UUID_BYTES + 1];
    char text[KAFKA_STRING_MAX_BYTES + MEMBER_ID_BYTES];
    if (begin.length > KAFKA_STRING_MAX_BYTES - MEMBER_ID_BYTES)
        begin.length = KAFKA_STRING_MAX_BYTES - MEMBER_ID_BYTES;
    coordinator_uuid(coordinator_of(group), uuid);
    int n = snprintf(text, sizeof(text), "%.*s-%s", (int)begin.length, begin.data ? begin.data : "",
                     uuid);
    assert(n > 0 && (size_t)n < sizeof(text));
    return text_copy((struct kafka_string){text, (uint32_t)n}, ret_id);
}

/* Make a member of that id, in no state yet but being there. NULL: no memory. */
static struct group_member *member_make(struct group *group, struct kafka_string id,
                                        const struct group_join *join, bool is_pending)
{
    struct coordinator *coordinator = coordinator_of(group);
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
        join_refuse(before, KAFKA_UNKNOWN_MEMBER_ID, member->id);
    member_heard(member);
    if (member->is_new)
        group->has_joined = true;
    if (group->state == GROUP_PREPARING)
        rebalance_try(group);
    else
        rebalance_begin(group);
}

static void member_add(struct group *group, struct kafka_string id, struct group_join *join)
{
    struct kafka_string type = {0};
    struct group_member *member = NULL;
    if (group->member_count > 0 || text_copy(join->protocol_type, &type) == 0)
        member = member_make(group, id, join, false);
    if (!member) {
        text_free(&type);
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
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
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
    else if (!member) /* others took its place, or it was taken out */
        join_refuse(join, KAFKA_FENCED_INSTANCE_ID, join->member_id);
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
    member_dismiss(member, KAFKA_FENCED_INSTANCE_ID);
    bool done = text_copy(member->id, &join->former_id) == 0 &&
                text_copy(id, &join->made_id) == 0 && group_member_rename(member, id) == 0 &&
                group_member_update(member, join) == 0;
    if (done && group->state == GROUP_STABLE &&
        kafka_string_equal(group_choose_protocol(group), group->protocol_name)) {
        /* Nobody else has to hear of it. It is told its id when that is kept: after a restart it
         * would be fenced with one that is not known. */
        member_heard(member);
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
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
}

static void join_new(struct group *group, struct group_join *join)
{
    struct group_member *same = group_find_instance(group, join->instance_id);
    struct kafka_string id;
    if (!same && group_is_full(group)) {
        join_refuse(join, KAFKA_GROUP_MAX_SIZE_REACHED, join->member_id);
    } else if (classic_make_member_id(group, join, &id) < 0) {
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
    } else {
        if (same) {
            static_member_replace(same, id, join);
        } else if (join->instance_id.data || !join->wants_known_id) {
            member_add(group, id, join);
        } else {
            struct group_member *member = member_make(group, id, join, true);
            if (member)
                member_heard(member);
            join_refuse(join, member ? KAFKA_MEMBER_ID_REQUIRED : KAFKA_COORDINATOR_NOT_AVAILABLE,
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
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    member_drop(pending, KAFKA_NONE);
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
        member_heard(member);
        join_accept(member);
        return;
    }
    if (group_member_update(member, join) < 0)
        join_refuse(join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
    else
        member_await(member, join);
}

/* Is the caller the member that he says he is? The error, or 0 and the member. */
static int16_t find_member(const struct group *group, struct kafka_string member_id,
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
        join_refuse(join, error, join->member_id);
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
    error = find_member(group, join->member_id, join->instance_id, &member);
    if (error != KAFKA_NONE)
        join_refuse(join, error, join->member_id);
    else
        join_again(member, join);
}

/* ---- syncing ------------------------------------------------------------------------------ */

static bool is_other(struct kafka_string said, struct kafka_string ours)
{
    return said.data && !kafka_string_equal(said, ours);
}

static int16_t sync_check(const struct group *group, const struct group_sync *sync,
                          struct group_member **ret_member)
{
    if (!group)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (group->state == GROUP_DEAD || group->coordinator->is_stopping)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    int16_t error = find_member(group, sync->member_id, sync->instance_id, ret_member);
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
        sync_refuse(sync, error);
        return;
    }
    member->has_synced = true;
    member_heard(member);
    if (all_have_synced(group))
        timer_cancel(&coordinator->timers, &group->synced);
    if (group->state == GROUP_STABLE) {
        sync_accept(member, sync);
        return;
    }
    struct group_sync *before = member->sync;
    member->sync = sync;
    if (before)
        sync_refuse(before, KAFKA_UNKNOWN_MEMBER_ID);
    if (group->leader != member || group->assigning != 0)
        return;
    group->assigning = group->save_count + 1;
    if (assign(group, sync) < 0 || group_save(group) < 0) {
        syncs_refuse(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
        rebalance_begin(group);
    }
}

void classic_saved(struct group *group, unsigned save, int result)
{
    struct group_member *member;
    if (group->state != GROUP_COMPLETING || group->assigning != save)
        return; /* it went on without */
    group->assigning = 0;
    if (result < 0) {
        syncs_refuse(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
        rebalance_begin(group);
        return;
    }
    group->state = GROUP_STABLE;
    TAILQ_FOREACH(member, &group->members, link)
    {
        struct group_sync *sync = member->sync;
        member->sync = NULL;
        if (sync) {
            member_heard(member);
            sync_accept(member, sync);
        }
    }
}

/* ---- heartbeats, leaving, committing ------------------------------------------------------ */

int16_t coordinator_heartbeat(struct coordinator *coordinator, const struct group_caller *caller)
{
    struct group *group = coordinator_find(coordinator, caller->group_id);
    struct group_member *member;
    if (!group)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (group->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (group->consumer)
        return consumer_heartbeat(group, caller);
    int16_t error = find_member(group, caller->member_id, caller->instance_id, &member);
    if (error != KAFKA_NONE)
        return error;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    member_heard(member);
    return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

int16_t coordinator_leave(struct coordinator *coordinator, const struct group_caller *caller)
{
    struct group *group = coordinator_find(coordinator, caller->group_id);
    struct group_member *member;
    if (!group)
        return KAFKA_UNKNOWN_MEMBER_ID;
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
        int16_t error = pending
                            ? KAFKA_NONE
                            : find_member(group, caller->member_id, caller->instance_id, &member);
        if (error != KAFKA_NONE)
            return error;
    }
    member_remove(member, KAFKA_UNKNOWN_MEMBER_ID);
    return KAFKA_NONE;
}

int16_t coordinator_may_commit(struct coordinator *coordinator, const struct group_caller *caller)
{
    struct group *group = coordinator_find(coordinator, caller->group_id);
    struct group_member *member;
    if (!group && caller->generation >= 0)
        return KAFKA_ILLEGAL_GENERATION;
    if (!group)
        group = coordinator_make(coordinator, caller->group_id);
    if (!group || group->state == GROUP_DEAD)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (group->consumer)
        return consumer_may_commit(group, caller);
    if (caller->generation < 0 && group->state == GROUP_EMPTY)
        return KAFKA_NONE; /* he does without members, whatever he calls himself */
    int16_t error = find_member(group, caller->member_id, caller->instance_id, &member);
    if (error != KAFKA_NONE)
        return error;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    member_heard(member);
    return group->state == GROUP_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

/* ---- from the new protocol and to it ------------------------------------------------------ */

static void dismiss_all(struct group *group, int16_t error)
{
    struct group_member *member;
    TAILQ_FOREACH(member, &group->members, link)
    member_dismiss(member, error);
}

void classic_end(struct group *group, int16_t error)
{
    struct coordinator *coordinator = coordinator_of(group);
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
    coordinator_of(group)->member_count++;
    member_heard(member);
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
    rebalance_begin(group);
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
        coordinator_of(group)->member_count--;
        group_member_free(member);
    }
}

void classic_clear(struct group *group)
{
    clear_list(group, &group->members);
    clear_list(group, &group->pending);
    group->leader = NULL;
}
