/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of beck group share. Groups may have any bytes in their names; those that do not
 * print are shown as \xNN, and a name on the command line is what it is.
 */
#ifndef TOOLS_GROUP_H
#define TOOLS_GROUP_H

#include "tool.h"

enum { GROUP_NAME_TEXT = 4 * BECK_GROUP_ID_BYTES + 1 };

/* A group's name as it is printed. Valid until the next call. */
const char *group_name_text(const char *id, size_t size);

/* Look a group up. `*ret_found`: there is one. Says so and returns an exit code when it fails. */
int group_find(struct beck_store *store, const char *name, struct beck_group *ret_group,
               bool *ret_found);

/* Refuse to change a group that has members now: a beckd runs, and its record says so. */
int group_refuse_live(struct beck_store *store, const struct beck_group *group);

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
};

/* beck group reset GROUP [TOPIC[:PARTITION,...]]... */
int group_reset(struct tool *tool, struct beck_store *store, const struct group_reset *reset,
                char **names, int count);

#endif
