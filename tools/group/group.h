/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of beck group share. Groups may have any bytes in their names; those that do not
 * print are shown as \xNN, and a name on the command line is what it is.
 */
#ifndef TOOLS_GROUP_H
#define TOOLS_GROUP_H

#include "admin.h"
#include "tool.h"

/*
 * The partitions that are named as TOPIC or TOPIC:PARTITION,... each, with what the group committed
 * for them; without names, all that it committed. Says what fails, and returns an exit code.
 */
int group_choose(struct tool *tool, struct admin *admin, const char *group, char **names, int count,
                 struct admin_offsets *ret_offsets);

/* Say what a change of a group failed with. */
int group_failed(const char *group, int result, const struct beck_error *error);

/* Where offsets are to be reset to. */
enum group_target {
    GROUP_TO_NOWHERE,
    GROUP_TO_BEGINNING,
    GROUP_TO_END,
    GROUP_TO_OFFSET,
    GROUP_TO_TIME,
    GROUP_BY_SHIFT,
};

struct group_reset {
    enum group_target target;
    int64_t number; /* offset, time in ms, or shift */
    bool execute;
    bool force; /* also where there are members */
};

/* beck group reset GROUP [TOPIC[:PARTITION,...]]... */
int group_reset(struct tool *tool, struct admin *admin, const struct group_reset *reset,
                char **names, int count);

#endif
