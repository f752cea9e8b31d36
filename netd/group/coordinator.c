/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of groups, time, and saves; see coordinator.h. What members do is in classic.c.
 */
#include "group/coordinator.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "group/classic.h"
#include "group/consumer.h"
#include "group/state.h"
#include "kafka/errors.h"

void coordinator_init(struct coordinator *coordinator,
                      const struct coordinator_environment *environment,
                      const struct coordinator_settings *settings)
{
    *coordinator = (struct coordinator){
        .environment = *environment, .settings = *settings, .dropped_ms = INT64_MIN};
}

/* ---- the table ---- */

static int compare_groups(const void *left, const void *right)
{
    const struct group *a = left;
    const struct group *b = right;
    return text_compare(a->id, b->id);
}

struct group *coordinator_find(const struct coordinator *coordinator, struct kafka_string group_id)
{
    const struct group key = {.id = group_id};
    void *const *found = tfind(&key, &coordinator->groups, compare_groups);
    return found ? *found : NULL;
}

static void group_free(struct group *group)
{
    assert(TAILQ_EMPTY(&group->members) && TAILQ_EMPTY(&group->pending) && group->saves == 0);
    assert(TAILQ_EMPTY(&group->waits));
    consumer_end(group);
    timer_cancel(&group->coordinator->timers, &group->rebalance);
    timer_cancel(&group->coordinator->timers, &group->synced);
    text_free(&group->id);
    text_free(&group->protocol_type);
    text_free(&group->protocol_name);
    free(group);
}

struct group *coordinator_make(struct coordinator *coordinator, struct kafka_string group_id)
{
    struct group *group = coordinator_find(coordinator, group_id);
    if (group)
        return group;
    group = calloc(1, sizeof(*group));
    if (!group)
        return NULL;
    group->coordinator = coordinator;
    group->empty_since_ms = coordinator->date_ms;
    group->touched_ms = coordinator->now_ms;
    group->rebalance.fire = classic_rebalance_due;
    group->synced.fire = classic_sync_due;
    TAILQ_INIT(&group->members);
    TAILQ_INIT(&group->pending);
    TAILQ_INIT(&group->waits);
    if (text_copy(group_id, &group->id) < 0 ||
        coordinator_reserve(coordinator, coordinator->group_count + 1, coordinator->member_count) <
            0 ||
        !tsearch(group, &coordinator->groups, compare_groups)) {
        group_free(group);
        return NULL;
    }
    coordinator->group_count++;
    return group;
}

void coordinator_drop(struct group *group)
{
    struct coordinator *coordinator = group->coordinator;
    tdelete(group, &coordinator->groups, compare_groups);
    coordinator->group_count--;
    coordinator->dropped_ms = coordinator->now_ms;
    group_free(group);
}

int coordinator_reserve(struct coordinator *coordinator, size_t groups, size_t members)
{
    /* Two of each, at most. */
    return timers_reserve(&coordinator->timers, 2 * groups + 2 * members + 1);
}

struct walk {
    bool (*visit)(void *context, struct group *group);
    void *context;
    bool over;
};

static void walk_node(const void *node, VISIT when, void *closure)
{
    struct walk *walk = closure;
    if (!walk->over && (when == postorder || when == leaf))
        walk->over = !walk->visit(walk->context, *(struct group *const *)node);
}

void coordinator_walk(const struct coordinator *coordinator,
                      bool (*visit)(void *context, struct group *group), void *context)
{
    struct walk walk = {.visit = visit, .context = context};
    twalk_r(coordinator->groups, walk_node, &walk);
}

/* ---- time ---- */

void coordinator_tick(struct coordinator *coordinator, int64_t now_ms, int64_t date_ms)
{
    coordinator->now_ms = now_ms;
    coordinator->date_ms = date_ms;
    timers_run(&coordinator->timers, now_ms);
}

int64_t coordinator_next_ms(const struct coordinator *coordinator)
{
    return timers_next_ms(&coordinator->timers);
}

/* ---- saves ---- */

int group_save(struct group *group)
{
    struct coordinator *coordinator = group->coordinator;
    struct kafka_bytes state;
    int result = group_state_encode(group, &state);
    if (result < 0)
        return result;
    group->state_bytes = state.length;
    group->saves++;
    group->save_count++;
    coordinator->environment.save(coordinator->environment.context, group, state,
                                  group->save_count);
    return 0;
}

/* Those who wait for that save or an earlier one; they stand in order. */
static void waits_end(struct group *group, unsigned save, int result)
{
    struct group_wait *wait;
    while ((wait = TAILQ_FIRST(&group->waits)) && (int)(wait->save - save) <= 0) {
        TAILQ_REMOVE(&group->waits, wait, link);
        wait->end(wait, result);
    }
}

/* What was asked for holds when it is kept, and is forgotten where it cannot be. */
static void config_saved(struct group *group, unsigned save, int result)
{
    if (!group->is_configuring || (int)(save - group->config_save) < 0)
        return;
    group->is_configuring = false;
    if (result == 0)
        group->config = group->asked;
}

/* A save ended, well or not, and all before it. */
static void save_ends(struct group *group, unsigned save, int result)
{
    config_saved(group, save, result);
    waits_end(group, save, result);
}

void group_settle(struct group *group)
{
    if (!group->is_changed || group->saves > 0 || group->state == GROUP_DEAD ||
        group->coordinator->is_stopping)
        return;
    group->is_changed = false;
    int result = group_save(group);
    if (result < 0) {
        group->is_changed = true; /* the next call tries again */
        save_ends(group, ++group->save_count, result);
    }
}

void group_await(struct group *group, struct group_wait *wait)
{
    if (group->coordinator->is_stopping) {
        wait->end(wait, -ECANCELED);
    } else if (!group->is_changed && group->saves == 0) {
        wait->end(wait, 0);
    } else {
        wait->save = group->save_count + group->is_changed;
        TAILQ_INSERT_TAIL(&group->waits, wait, link);
        group_settle(group);
    }
}

void coordinator_saved(struct group *group, unsigned save, int result)
{
    assert(group->saves > 0);
    group->saves--;
    group->touched_ms = group->coordinator->now_ms;
    if (result < 0 && group->consumer)
        group->is_changed = true;
    save_ends(group, save, result);
    if (group->state != GROUP_DEAD) {
        if (!group->consumer)
            classic_saved(group, save, result);
        if (result == 0 || !TAILQ_EMPTY(&group->waits))
            group_settle(group);
    } else if (group->saves == 0 && result == 0) {
        coordinator_drop(group);
    } else if (group->saves == 0) {
        group->state = GROUP_EMPTY; /* it could not be deleted */
    }
}

int16_t coordinator_configure(struct coordinator *coordinator, struct kafka_string group_id,
                              const struct group_config *config, struct group_wait *wait)
{
    struct group *group = coordinator_find(coordinator, group_id);
    if (!group)
        group = coordinator_make(coordinator, group_id);
    if (!group || group->state == GROUP_DEAD || coordinator->is_stopping)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (!group->consumer && group->state != GROUP_EMPTY && group->state != GROUP_STABLE)
        return KAFKA_REBALANCE_IN_PROGRESS;
    if (group->is_configuring)
        return KAFKA_REBALANCE_IN_PROGRESS; /* it may still fail, and this one builds on it */
    group->asked = *config;
    group->is_configuring = true;
    group->touched_ms = coordinator->now_ms;
    if (group->consumer) {
        group->is_changed = true;
    } else if (group_save(group) < 0) {
        group->is_configuring = false;
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    group->config_save = group->save_count + group->is_changed;
    group_await(group, wait);
    return KAFKA_NONE;
}

int16_t coordinator_delete(struct coordinator *coordinator, struct kafka_string group_id)
{
    struct group *group = coordinator_find(coordinator, group_id);
    if (!group || group->state == GROUP_DEAD)
        return KAFKA_GROUP_ID_NOT_FOUND;
    if (group->state != GROUP_EMPTY || group->pending_count > 0)
        return KAFKA_NON_EMPTY_GROUP;
    group->state = GROUP_DEAD;
    group->saves++;
    group->save_count++;
    coordinator->environment.save(coordinator->environment.context, group, (struct kafka_bytes){0},
                                  group->save_count);
    return KAFKA_NONE;
}

int coordinator_load(struct coordinator *coordinator, struct kafka_string group_id,
                     struct kafka_bytes state)
{
    struct group *group = coordinator_make(coordinator, group_id);
    if (!group)
        return -ENOMEM;
    int result = group_state_decode(group, state);
    if (result < 0) {
        classic_clear(group);
        coordinator_drop(group);
    } else if (group->consumer) {
        consumer_watch(group);
    }
    return result;
}

/* ---- the store's groups ---- */

struct unknown {
    struct group **groups;
    size_t count;
    int64_t before_ms; /* those that nothing was done to since then */
};

static bool note_unknown(void *context, struct group *group)
{
    struct unknown *unknown = context;
    bool idle = group->state == GROUP_EMPTY && group->pending_count == 0 && group->saves == 0 &&
                !group->is_changed;
    if (idle && !group->is_known && group->touched_ms < unknown->before_ms)
        unknown->groups[unknown->count++] = group;
    group->is_known = false;
    return true;
}

/* One that was deleted since is not made again: which of the missing ones that is, nobody knows. */
static void match_one(struct coordinator *coordinator, struct kafka_string group_id,
                      int64_t read_ms)
{
    struct group *group = coordinator_find(coordinator, group_id);
    if (!group && coordinator->dropped_ms < read_ms) {
        group = coordinator_make(coordinator, group_id);
        if (group)
            group->touched_ms = INT64_MIN; /* by nobody but us */
    }
    if (group)
        group->is_known = true;
}

void coordinator_match(struct coordinator *coordinator, const struct kafka_string *group_ids,
                       size_t count, int64_t read_ms)
{
    for (size_t i = 0; i < count; i++)
        match_one(coordinator, group_ids[i], read_ms);
    struct unknown unknown = {.groups =
                                  calloc(coordinator->group_count + 1, sizeof(struct group *)),
                              .before_ms = read_ms - GROUP_COMMIT_MS};
    if (!unknown.groups)
        return; /* another time */
    coordinator_walk(coordinator, note_unknown, &unknown);
    while (unknown.count > 0)
        coordinator_drop(unknown.groups[--unknown.count]);
    free(unknown.groups);
}

/* ---- the end ---- */

static bool stop_group(void *context, struct group *group)
{
    (void)context;
    waits_end(group, group->save_count + 1, -ECANCELED);
    if (!group->consumer)
        classic_stop(group);
    return true;
}

void coordinator_stop(struct coordinator *coordinator)
{
    coordinator->is_stopping = true;
    coordinator_walk(coordinator, stop_group, NULL);
}

static void free_node(void *node)
{
    struct group *group = node;
    classic_clear(group);
    group_free(group);
}

void coordinator_done(struct coordinator *coordinator)
{
    tdestroy(coordinator->groups, free_node);
    timers_done(&coordinator->timers);
    *coordinator = (struct coordinator){0};
}

/* ---- texts ---- */

void coordinator_uuid(struct coordinator *coordinator, char ret_text[GROUP_UUID_BYTES + 1])
{
    uint8_t r[16];
    coordinator->environment.random(coordinator->environment.context, r);
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    (void)snprintf(ret_text, GROUP_UUID_BYTES + 1,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
                   r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
                   r[14], r[15]);
}

const char *group_type_name(const struct group *group)
{
    return group->consumer ? "consumer" : "classic";
}

const char *group_state_name(const struct group *group)
{
    static const char *const names[] = {
        [GROUP_EMPTY] = "Empty",
        [GROUP_PREPARING] = "PreparingRebalance",
        [GROUP_COMPLETING] = "CompletingRebalance",
        [GROUP_STABLE] = "Stable",
        [GROUP_DEAD] = "Dead",
    };
    return group->consumer && group->state != GROUP_DEAD ? consumer_state_name(group)
                                                         : names[group->state];
}
