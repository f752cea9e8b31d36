/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for stores and clusters: opening, actions, and lists of groups and offsets. */
#include "admin.h"

#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int admin_open(const struct tool *tool, enum tool_access access, struct admin **ret_admin)
{
    struct beck_error error;

    if (tool->brokers == NULL)
        return admin_of_store(tool, access, ret_admin);
    return admin_of_cluster(tool, ret_admin, &error) < 0 ? tool_failed_error(&error) : TOOL_OK;
}

struct admin *admin_close(struct admin *admin)
{
    if (admin != NULL)
        admin->ops->close(admin);
    return NULL;
}

/* "create, list or show" */
static void join_names(const struct admin_action *actions, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (const struct admin_action *at = actions; at->name != NULL && used < size; at++) {
        const char *before = at == actions ? "" : at[1].name == NULL ? " or " : ", ";
        int added = snprintf(text + used, size - used, "%s%s", before, at->name);
        used += added > 0 ? (size_t)added : 0;
    }
}

int admin_perform(struct tool *tool, const struct admin_action *actions, const char *what,
                  const void *options, int argc, char **argv)
{
    struct admin *admin = NULL;
    char names[256];

    join_names(actions, names, sizeof(names));
    if (argc < 1)
        return tool_misused(tool, "what about %s? %s", what, names);
    for (const struct admin_action *at = actions; at->name != NULL; at++) {
        if (strcmp(at->name, argv[0]) != 0)
            continue;
        int code = admin_open(tool, at->access, &admin);
        if (code == TOOL_OK)
            code = at->run(tool, admin, options, argv + 1, argc - 1);
        (void)admin_close(admin);
        return code;
    }
    return tool_misused(tool, "'%s' is none of %s", argv[0], names);
}

int admin_find_topic(struct admin *admin, const char *name, struct admin_topic *ret_topic)
{
    struct beck_error error;

    if (!beck_topic_name_valid(name))
        return tool_failed("'%s' cannot be a topic: a name has 1 to %d of [a-zA-Z0-9._-]", name,
                           BECK_TOPIC_NAME_BYTES);
    int result = admin->ops->topic_find(admin, name, ret_topic, &error);
    if (result == -ENOENT)
        return tool_failed("there is no topic %s (make it with: beck topic create %s)", name, name);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

/* ---- lists -------------------------------------------------------------------------------- */

/* Room for one more: the array, or NULL where there is no memory. */
static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    size_t wanted = *room ? 2 * *room : 16;
    void *grown = reallocarray(items, wanted, size);
    if (grown != NULL)
        *room = wanted;
    return grown;
}

struct admin_group *admin_groups_add(struct admin_groups *groups, const char *name, size_t size)
{
    void *grown = grow(groups->items, groups->count, &groups->room, sizeof(*groups->items));
    char *copy = grown != NULL ? malloc(size + 1) : NULL;

    if (grown != NULL)
        groups->items = grown;
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, name, size);
    copy[size] = '\0';
    struct admin_group *group = &groups->items[groups->count++];
    *group = (struct admin_group){.name = copy, .name_size = size, .empty_since_ms = -1};
    return group;
}

static int compare_groups(const void *a, const void *b)
{
    const struct admin_group *left = a;
    const struct admin_group *right = b;
    size_t size = left->name_size < right->name_size ? left->name_size : right->name_size;

    int order = memcmp(left->name, right->name, size);
    return order != 0 ? order
                      : (left->name_size > right->name_size) - (left->name_size < right->name_size);
}

int admin_list_groups(struct admin *admin, struct admin_groups *ret_groups,
                      struct beck_error *error)
{
    *ret_groups = (struct admin_groups){0};
    int result = admin->ops->groups(admin, ret_groups, error);
    if (ret_groups->count > 1)
        qsort(ret_groups->items, ret_groups->count, sizeof(*ret_groups->items), compare_groups);
    return result;
}

void admin_groups_done(struct admin_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++)
        free(groups->items[i].name);
    free(groups->items);
}

struct admin_offset *admin_offsets_add(struct admin_offsets *offsets, const char *topic,
                                       int32_t partition)
{
    void *grown = grow(offsets->items, offsets->count, &offsets->room, sizeof(*offsets->items));

    if (grown == NULL)
        return NULL;
    offsets->items = grown;
    struct admin_offset *offset = &offsets->items[offsets->count++];
    *offset = (struct admin_offset){
        .partition = partition,
        .leader_epoch = -1,
        .offset = -1,
        .commit_ms = -1,
        .expire_ms = -1,
        .target = -1,
        .end = -1,
        .record_ms = -1,
    };
    (void)snprintf(offset->topic, sizeof(offset->topic), "%s", topic);
    return offset;
}

struct admin_offset *admin_offsets_find(const struct admin_offsets *offsets, const char *topic,
                                        int32_t partition)
{
    for (size_t i = 0; i < offsets->count; i++) {
        if (offsets->items[i].partition == partition && strcmp(offsets->items[i].topic, topic) == 0)
            return &offsets->items[i];
    }
    return NULL;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct admin_offset *left = a;
    const struct admin_offset *right = b;

    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

int admin_group_offsets(struct admin *admin, const char *group, struct admin_offsets *ret_offsets,
                        struct beck_error *error)
{
    *ret_offsets = (struct admin_offsets){0};
    int result = admin->ops->offsets(admin, group, ret_offsets, error);
    if (ret_offsets->count > 1)
        qsort(ret_offsets->items, ret_offsets->count, sizeof(*ret_offsets->items), compare_offsets);
    return result;
}

void admin_offsets_done(struct admin_offsets *offsets)
{
    for (size_t i = 0; i < offsets->count; i++)
        free(offsets->items[i].metadata);
    free(offsets->items);
    *offsets = (struct admin_offsets){0};
}

void admin_members_free(struct admin_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(members[i].id);
        free(members[i].client);
        free(members[i].host);
        admin_offsets_done(&members[i].partitions);
    }
    free(members);
}
