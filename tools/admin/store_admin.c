/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that is administered directly: topics and configuration. Its groups are in
 * store_groups.c.
 */
#include "store_admin.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void store_close(struct admin *base)
{
    struct store_admin *admin = (struct store_admin *)base;

    (void)admin_close(admin->broker);
    (void)beck_store_close(admin->store);
    free(admin);
}

/* ---- topics ------------------------------------------------------------------------------- */

static void fill_topic(const struct beck_topic *record, struct admin_topic *ret_topic)
{
    *ret_topic = (struct admin_topic){
        .partition_count = record->partition_count,
        .has_record = true,
        .record = *record,
    };
    strcpy(ret_topic->name, record->name);
}

static int store_topic_next(struct admin *base, const char *after, struct admin_topic *ret_topic,
                            struct beck_error *error)
{
    struct beck_topic record;

    int result = beck_topic_next(((struct store_admin *)base)->store, after, &record, error);
    if (result > 0)
        fill_topic(&record, ret_topic);
    return result;
}

static int store_topic_find(struct admin *base, const char *name, struct admin_topic *ret_topic,
                            struct beck_error *error)
{
    struct beck_topic record;

    int result = beck_topic_find(((struct store_admin *)base)->store, name, &record, error);
    if (result >= 0)
        fill_topic(&record, ret_topic);
    return result;
}

static int store_topic_create(struct admin *base, const struct admin_new_topic *wanted,
                              struct beck_error *error)
{
    const struct beck_topic_options options = {
        .partition_count = wanted->partition_count,
        .configs = wanted->configs,
        .config_count = wanted->config_count,
        .distinct = true,
    };
    struct beck_topic topic;

    if (wanted->replicas > 1)
        return report(error, -EINVAL, "a store has each record once: one replica, not %d",
                      wanted->replicas);
    return beck_topic_create(((struct store_admin *)base)->store, wanted->name, &options, &topic,
                             error);
}

static int store_topic_delete(struct admin *base, const char *name, struct beck_error *error)
{
    return beck_topic_delete(((struct store_admin *)base)->store, name, error);
}

static int store_topic_grow(struct admin *base, const char *name, uint32_t partition_count,
                            bool dry_run, struct beck_error *error)
{
    struct beck_topic topic;
    return beck_topic_add_partitions(((struct store_admin *)base)->store, name, partition_count,
                                     dry_run, &topic, error);
}

static int store_trim(struct admin *base, const char *topic, int32_t number, int64_t before,
                      int64_t *ret_start, struct beck_error *error)
{
    struct beck_partition *partition = NULL;

    int result =
        beck_partition_open(((struct store_admin *)base)->store, topic, number, &partition, error);
    if (result < 0)
        return result;
    result = beck_trim(partition, before, ret_start, error);
    (void)beck_partition_close(partition);
    return result;
}

static int store_figures(struct admin *base, const struct admin_topic *topic, int32_t partition,
                         struct table_figures *ret_figures, struct beck_error *error)
{
    return table_figures(((struct store_admin *)base)->store, topic->name, partition, ret_figures,
                         error);
}

/* ---- configuration ------------------------------------------------------------------------ */

static const char *type_text(enum beck_config_type type)
{
    switch (type) {
    case BECK_CONFIG_BOOLEAN:
        return "boolean";
    case BECK_CONFIG_INT:
        return "int";
    case BECK_CONFIG_LONG:
        return "long";
    case BECK_CONFIG_DOUBLE:
        return "double";
    case BECK_CONFIG_LIST:
        return "list";
    case BECK_CONFIG_STRING:
    default:
        return "string";
    }
}

static const char *source_text(enum beck_config_source source)
{
    switch (source) {
    case BECK_CONFIG_FROM_TOPIC:
        return "topic";
    case BECK_CONFIG_FROM_STORE:
        return "store";
    case BECK_CONFIG_FROM_DEFAULT:
    default:
        return "default";
    }
}

static int store_config(struct admin *base, const char *topic, uint32_t index,
                        struct admin_config *ret_config, struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct beck_config_entry *entry = &admin->entry;

    int result = topic != NULL ? beck_topic_config(admin->store, topic, index, entry, error)
                               : beck_store_config(admin->store, index, entry, error);
    if (result <= 0)
        return result;
    *ret_config = (struct admin_config){
        .name = entry->name,
        .value = entry->value,
        .default_value = entry->default_value,
        .type = type_text(entry->type),
        .documentation = entry->documentation,
        .source = source_text(entry->source),
        .is_default = entry->is_default,
        .is_built_in = entry->source == BECK_CONFIG_FROM_DEFAULT,
    };
    return 1;
}

static int store_alter(struct admin *base, const char *topic,
                       const struct beck_config_change *changes, size_t count, bool dry_run,
                       struct beck_error *error)
{
    struct beck_store *store = ((struct store_admin *)base)->store;
    unsigned flags = dry_run ? BECK_ALTER_VALIDATE_ONLY : 0;

    return topic != NULL ? beck_topic_alter(store, topic, changes, count, flags, error)
                         : beck_store_alter(store, changes, count, flags, error);
}

/* ---- opening ------------------------------------------------------------------------------ */

static const struct admin_ops store_ops = {
    .close = store_close,
    .topic_next = store_topic_next,
    .topic_find = store_topic_find,
    .topic_create = store_topic_create,
    .topic_delete = store_topic_delete,
    .topic_grow = store_topic_grow,
    .trim = store_trim,
    .figures = store_figures,
    .config = store_config,
    .alter = store_alter,
    .groups = store_groups,
    .group_find = store_group_find,
    .members = store_members,
    .group_delete = store_group_delete,
    .offsets = store_offsets,
    .look = store_look,
    .seek_time = store_seek_time,
    .commit = store_commit,
    .evict = store_evict,
    .forget = store_forget,
};

int admin_of_store(const struct tool *tool, enum tool_access access, struct admin **ret_admin)
{
    struct store_admin *admin = calloc(1, sizeof(*admin));

    if (admin == NULL)
        return tool_failed("not enough memory");
    admin->base.ops = &store_ops;
    admin->tool = tool;
    int code = tool_open(tool, access, &admin->store);
    if (code != TOOL_OK) {
        free(admin);
        return code;
    }
    *ret_admin = &admin->base;
    return TOOL_OK;
}
