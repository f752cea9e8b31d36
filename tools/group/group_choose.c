/* SPDX-License-Identifier: Apache-2.0 */
/* Which partitions of a group are meant: TOPIC, TOPIC:PARTITION,... or all that it committed. */
#include "group.h"

#include "parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A partition by name, with what the group has for it; that one goes over. */
static int add_one(struct admin_offsets *chosen, struct admin_offsets *committed, const char *topic,
                   int32_t partition)
{
    if (admin_offsets_find(chosen, topic, partition) != NULL)
        return TOOL_OK; /* named twice */
    struct admin_offset *offset = admin_offsets_add(chosen, topic, partition);
    if (offset == NULL)
        return tool_failed("not enough memory");
    struct admin_offset *known = admin_offsets_find(committed, topic, partition);
    if (known == NULL)
        return TOOL_OK;
    *offset = *known;
    known->metadata = NULL;
    return TOOL_OK;
}

/* "0,2" */
static int add_list(struct tool *tool, struct admin_offsets *chosen,
                    struct admin_offsets *committed, const struct admin_topic *topic, char *list)
{
    int64_t number;

    for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
        if (!parse_number(word, 0, INT32_MAX, &number))
            return tool_misused(tool, "'%s' is no partition number", word);
        if (number >= topic->partition_count)
            return tool_failed("topic %s has no partition %" PRId64 ": it has 0 to %u", topic->name,
                               number, topic->partition_count - 1);
        int code = add_one(chosen, committed, topic->name, (int32_t)number);
        if (code != TOOL_OK)
            return code;
    }
    return TOOL_OK;
}

/* TOPIC, or TOPIC:PARTITION,... */
static int add_topic(struct tool *tool, struct admin *admin, struct admin_offsets *chosen,
                     struct admin_offsets *committed, char *text)
{
    struct admin_topic topic;
    char *colon = strchr(text, ':');

    if (colon != NULL)
        *colon = '\0';
    int code = admin_find_topic(admin, text, &topic);
    if (code == TOOL_OK && colon != NULL)
        return add_list(tool, chosen, committed, &topic, colon + 1);
    for (uint32_t i = 0; code == TOOL_OK && i < topic.partition_count; i++)
        code = add_one(chosen, committed, topic.name, (int32_t)i);
    return code;
}

int group_choose(struct tool *tool, struct admin *admin, const char *group, char **names, int count,
                 struct admin_offsets *ret_offsets)
{
    struct admin_offsets committed = {0};
    struct admin_offsets chosen = {0};
    struct beck_error error;
    int code = TOOL_OK;

    int result = admin_group_offsets(admin, group, &committed, &error);
    if (result < 0 && result != -ENOENT)
        code = tool_failed_error(&error);
    for (int i = 0; code == TOOL_OK && i < count; i++)
        code = add_topic(tool, admin, &chosen, &committed, names[i]);
    if (code == TOOL_OK && count == 0 && committed.count == 0)
        code = tool_failed("group %s has no offsets; name a topic", group);
    struct admin_offsets *other = count == 0 ? &chosen : &committed;
    *ret_offsets = count == 0 ? committed : chosen;
    admin_offsets_done(other);
    if (code != TOOL_OK)
        admin_offsets_done(ret_offsets);
    return code;
}
