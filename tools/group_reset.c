/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck group reset: first every partition's new offset is found and printed, then, where it was
 * asked for, all are committed at once. Offsets that the log does not have become the nearest that
 * it has.
 */
#include "group.h"

#include "parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t partition;
    int64_t old_offset; /* -1: none */
    int64_t new_offset; /* -1: it stays as it is */
};

struct plan {
    struct beck_store *store;
    const char *group;
    const struct group_reset *reset;
    struct item *items;
    size_t count;
    size_t room;
    struct beck_offset *offset; /* room for one, which is large */
};

/* ---- which partitions --------------------------------------------------------------------- */

static int plan_add(struct plan *plan, const char *topic, int32_t partition, int64_t old_offset)
{
    if (plan->count == plan->room) {
        size_t room = plan->room ? 2 * plan->room : 64;
        struct item *grown = reallocarray(plan->items, room, sizeof(*grown));
        if (grown == NULL)
            return tool_failed("out of memory");
        plan->items = grown;
        plan->room = room;
    }
    struct item *item = &plan->items[plan->count++];
    *item = (struct item){.partition = partition, .old_offset = old_offset, .new_offset = -1};
    (void)snprintf(item->topic, sizeof(item->topic), "%s", topic);
    return TOOL_OK;
}

/* A partition by name, with what the group has for it. */
static int plan_add_named(struct plan *plan, const char *topic, int32_t partition)
{
    struct beck_error error;
    int result = beck_offset_fetch(plan->store, plan->group, strlen(plan->group), topic, partition,
                                   plan->offset, &error);

    if (result < 0)
        return tool_failed_error(&error);
    return plan_add(plan, topic, partition, result == 1 ? plan->offset->offset : -1);
}

/* "0,2" */
static int add_partitions(struct tool *tool, struct plan *plan, const struct beck_topic *topic,
                          char *list)
{
    int64_t number;

    for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
        if (!parse_number(word, 0, INT32_MAX, &number))
            return tool_misused(tool, "'%s' is no partition number", word);
        if (number >= topic->partition_count)
            return tool_failed("topic %s has no partition %" PRId64 ": it has 0 to %u", topic->name,
                               number, topic->partition_count - 1);
        int code = plan_add_named(plan, topic->name, (int32_t)number);
        if (code != TOOL_OK)
            return code;
    }
    return TOOL_OK;
}

/* TOPIC, or TOPIC:PARTITION,... */
static int add_topic(struct tool *tool, struct plan *plan, char *text)
{
    struct beck_topic topic;
    char *colon = strchr(text, ':');

    if (colon != NULL)
        *colon = '\0';
    int code = tool_find_topic(plan->store, text, &topic);
    if (code == TOOL_OK && colon != NULL)
        return add_partitions(tool, plan, &topic, colon + 1);
    for (uint32_t i = 0; code == TOOL_OK && i < topic.partition_count; i++)
        code = plan_add_named(plan, topic.name, (int32_t)i);
    return code;
}

/* All that the group has. */
static int add_committed(struct plan *plan)
{
    struct beck_error error;
    int result;

    memset(plan->offset, 0, sizeof(*plan->offset));
    while ((result = beck_offset_next(plan->store, plan->group, strlen(plan->group), plan->offset,
                                      &error)) > 0) {
        int code =
            plan_add(plan, plan->offset->topic, plan->offset->partition, plan->offset->offset);
        if (code != TOOL_OK)
            return code;
    }
    if (result < 0)
        return tool_failed_error(&error);
    return plan->count > 0 ? TOOL_OK
                           : tool_failed("group %s has no offsets; name a topic", plan->group);
}

/* ---- where to ----------------------------------------------------------------------------- */

static int offset_at_time(struct beck_partition *partition, int64_t time_ms, int64_t end,
                          int64_t *ret_offset)
{
    struct beck_error error;
    int64_t timestamp_ms;

    *ret_offset = end;
    int result = beck_offset_for_time(partition, time_ms, BECK_READ_UNCOMMITTED, ret_offset,
                                      &timestamp_ms, &error);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

/* Adding two numbers without going beyond what a number can be. */
static int64_t shifted(int64_t offset, int64_t by)
{
    int64_t sum;
    return __builtin_add_overflow(offset, by, &sum) ? (by > 0 ? INT64_MAX : 0) : sum;
}

static int find_target(const struct group_reset *reset, struct beck_partition *partition,
                       struct item *item)
{
    struct beck_partition_state state;
    struct beck_error error;
    int64_t offset = reset->number;
    int code = TOOL_OK;

    if (beck_partition_state(partition, &state, &error) < 0)
        return tool_failed_error(&error);
    if (reset->target == GROUP_BY_SHIFT && item->old_offset < 0)
        return TOOL_OK;
    if (reset->target == GROUP_TO_BEGINNING)
        offset = state.log_start_offset;
    else if (reset->target == GROUP_TO_END)
        offset = state.high_watermark;
    else if (reset->target == GROUP_TO_TIME)
        code = offset_at_time(partition, reset->number, state.high_watermark, &offset);
    else if (reset->target == GROUP_BY_SHIFT)
        offset = shifted(item->old_offset, reset->number);
    if (offset > state.high_watermark)
        offset = state.high_watermark;
    if (offset < state.log_start_offset)
        offset = state.log_start_offset;
    item->new_offset = offset;
    return code;
}

static int find_targets(struct plan *plan)
{
    int code = TOOL_OK;

    for (size_t i = 0; code == TOOL_OK && i < plan->count; i++) {
        struct item *item = &plan->items[i];
        struct beck_partition *partition = NULL;
        struct beck_error error;
        if (beck_partition_open(plan->store, item->topic, item->partition, &partition, &error) < 0)
            return tool_failed_error(&error);
        code = find_target(plan->reset, partition, item);
        (void)beck_partition_close(partition);
    }
    return code;
}

/* ---- telling, and doing ------------------------------------------------------------------- */

static void print_plan(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct item *item = &plan->items[i];
        (void)printf("reset %s %d from ", item->topic, (int)item->partition);
        if (item->old_offset < 0)
            (void)printf("none");
        else
            (void)printf("%" PRId64, item->old_offset);
        if (item->new_offset < 0)
            (void)printf(" to none: nothing to shift\n");
        else
            (void)printf(" to %" PRId64 "\n", item->new_offset);
    }
}

static int commit_plan(struct plan *plan)
{
    struct beck_offset_commit *commits = calloc(plan->count, sizeof(*commits));
    struct beck_error error;
    size_t count = 0;
    int code = TOOL_OK;

    if (commits == NULL)
        return tool_failed("out of memory");
    for (size_t i = 0; i < plan->count; i++) {
        const struct item *item = &plan->items[i];
        if (item->new_offset >= 0)
            commits[count++] = (struct beck_offset_commit){
                .group = plan->group,
                .group_size = strlen(plan->group),
                .topic = item->topic,
                .partition = item->partition,
                .offset = item->new_offset,
                .leader_epoch = -1,
                .expire_ms = -1,
            };
    }
    int result = beck_offsets_commit(plan->store, commits, count, &error);
    if (result < 0 || (size_t)result < count)
        code = tool_failed_error(&error);
    free(commits);
    return code;
}

static int perform(struct tool *tool, struct plan *plan, char **topics, int count)
{
    int code = TOOL_OK;

    for (int i = 0; code == TOOL_OK && i < count; i++)
        code = add_topic(tool, plan, topics[i]);
    if (code == TOOL_OK && count == 0)
        code = add_committed(plan);
    if (code == TOOL_OK)
        code = find_targets(plan);
    if (code == TOOL_OK && plan->reset->execute)
        code = commit_plan(plan);
    if (code != TOOL_OK)
        return code;
    print_plan(plan);
    if (!plan->reset->execute)
        (void)printf("nothing was changed: --execute does it\n");
    return TOOL_OK;
}

int group_reset(struct tool *tool, struct beck_store *store, const struct group_reset *reset,
                char **names, int count)
{
    struct plan plan = {.store = store, .reset = reset};
    bool found = false;

    if (count == 0)
        return tool_misused(tool, "which group?");
    if (reset->target == GROUP_TO_NOWHERE)
        return tool_misused(tool, "where to? -o WHERE or --shift N");
    plan.group = names[0];
    struct beck_group *group = calloc(1, sizeof(*group));
    plan.offset = calloc(1, sizeof(*plan.offset));
    int code = group == NULL || plan.offset == NULL ? tool_failed("out of memory")
                                                    : group_find(store, names[0], group, &found);
    if (code == TOOL_OK && found && reset->execute)
        code = group_refuse_live(store, group);
    if (code == TOOL_OK)
        code = perform(tool, &plan, names + 1, count - 1);
    free(plan.items);
    free(plan.offset);
    free(group);
    return code;
}
