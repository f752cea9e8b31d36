/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck group reset: first every partition's new offset is found and printed, then, where it was
 * asked for, all are committed at once. Offsets that the log does not have become the nearest that
 * it has.
 */
#include "group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { FORCE_TRIES = 100 };

/* Adding two numbers without going beyond what a number can be. */
static int64_t shifted(int64_t offset, int64_t by)
{
    int64_t sum;
    return __builtin_add_overflow(offset, by, &sum) ? (by > 0 ? INT64_MAX : 0) : sum;
}

static void find_target(const struct group_reset *reset, struct admin_offset *offset)
{
    int64_t target = reset->number;

    if (reset->target == GROUP_BY_SHIFT && offset->offset < 0)
        return; /* nothing to shift */
    if (reset->target == GROUP_TO_BEGINNING)
        target = offset->start;
    else if (reset->target == GROUP_TO_END)
        target = offset->end;
    else if (reset->target == GROUP_TO_TIME)
        target = offset->target; /* which was looked up */
    else if (reset->target == GROUP_BY_SHIFT)
        target = shifted(offset->offset, reset->number);
    if (target > offset->end)
        target = offset->end;
    if (target < offset->start)
        target = offset->start;
    offset->target = target;
}

static int find_targets(struct admin *admin, const struct group_reset *reset,
                        struct admin_offsets *offsets)
{
    struct beck_error error;

    if (admin_look(admin, offsets, false, &error) < 0)
        return tool_failed_error(&error);
    if (reset->target == GROUP_TO_TIME &&
        admin_seek_time(admin, offsets, reset->number, &error) < 0)
        return tool_failed_error(&error);
    for (size_t i = 0; i < offsets->count; i++)
        find_target(reset, &offsets->items[i]);
    return TOOL_OK;
}

static void print_targets(const struct admin_offsets *offsets)
{
    for (size_t i = 0; i < offsets->count; i++) {
        const struct admin_offset *offset = &offsets->items[i];
        (void)printf("reset %s %d from ", offset->topic, (int)offset->partition);
        if (offset->offset < 0)
            (void)printf("none");
        else
            (void)printf("%" PRId64, offset->offset);
        if (offset->target < 0)
            (void)printf(" to none: nothing to shift\n");
        else
            (void)printf(" to %" PRId64 "\n", offset->target);
    }
}

/*
 * Commit; where it is to be forced, the members are made to leave before. They come back as soon as
 * they hear of it, maybe before the commit: then again.
 */
static int commit(struct admin *admin, const struct group_reset *reset, const char *group,
                  const struct admin_offsets *offsets, struct beck_error *error)
{
    int result = admin_commit(admin, group, offsets, error);

    for (int i = 0; result == -EBUSY && reset->force && i < FORCE_TRIES; i++) {
        result = admin_evict(admin, group, error);
        if (result == 0)
            result = admin_commit(admin, group, offsets, error);
    }
    return result;
}

int group_failed(const char *group, int result, const struct beck_error *error)
{
    if (result == -EBUSY)
        return tool_failed("group %s has members: stop them first", group);
    return tool_failed_error(error);
}

int group_reset(struct tool *tool, struct admin *admin, const struct group_reset *reset,
                char **names, int count)
{
    struct admin_offsets offsets = {0};
    struct beck_error error;

    if (count == 0)
        return tool_misused(tool, "which group?");
    if (reset->target == GROUP_TO_NOWHERE)
        return tool_misused(tool, "where to? -o WHERE or --shift N");
    int code = group_choose(tool, admin, names[0], names + 1, count - 1, &offsets);
    if (code == TOOL_OK)
        code = find_targets(admin, reset, &offsets);
    if (code == TOOL_OK && reset->execute) {
        int result = commit(admin, reset, names[0], &offsets, &error);
        code = result < 0 ? group_failed(names[0], result, &error) : TOOL_OK;
    }
    if (code == TOOL_OK)
        print_targets(&offsets);
    if (code == TOOL_OK && !reset->execute)
        (void)printf("nothing was changed: --execute does it\n");
    admin_offsets_done(&offsets);
    return code;
}
