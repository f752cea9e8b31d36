/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of a topic or of a broker. librdkafka 2.0 has no IncrementalAlterConfigs, only
 * AlterConfigs, which replaces all that is set: so what is set is read, changed and written back
 * whole. A change that somebody else makes in between is undone by that, and secrets cannot be
 * read: where there are some, nothing is changed.
 */
#include "cluster_admin.h"

#include "parse.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cluster_configs_done(struct cluster_admin *admin)
{
    free(admin->entries);
    admin->entries = NULL;
    admin->entry_count = 0;
    if (admin->described != NULL)
        rd_kafka_event_destroy(admin->described);
    admin->described = NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool has_node(const struct rd_kafka_metadata *metadata, const char *text)
{
    int64_t number;
    bool found = false;

    if (!parse_number(text, 0, INT32_MAX, &number))
        return false;
    for (int i = 0; i < metadata->broker_cnt; i++)
        found |= metadata->brokers[i].id == number;
    return found;
}

/* Which broker is meant, where it is not a topic. */
static int find_node(struct cluster_admin *admin, struct beck_error *error)
{
    const struct rd_kafka_metadata *metadata = admin->metadata;

    if (admin->tool->node == NULL && metadata->broker_cnt != 1)
        return report(error, -EINVAL, "the cluster has %d brokers: name one with --node",
                      metadata->broker_cnt);
    if (admin->tool->node != NULL && !has_node(metadata, admin->tool->node))
        return report(error, -ENOENT, "the cluster has no broker %s, or it is not there",
                      admin->tool->node);
    if (admin->tool->node != NULL)
        (void)snprintf(admin->node, sizeof(admin->node), "%s", admin->tool->node);
    else
        (void)snprintf(admin->node, sizeof(admin->node), "%d", (int)metadata->brokers[0].id);
    return 0;
}

static rd_kafka_ConfigResource_t *resource_of(struct cluster_admin *admin, const char *topic,
                                              struct beck_error *error)
{
    rd_kafka_ResourceType_t type = topic ? RD_KAFKA_RESOURCE_TOPIC : RD_KAFKA_RESOURCE_BROKER;

    if (topic == NULL && find_node(admin, error) < 0)
        return NULL;
    return rd_kafka_ConfigResource_new(type, topic ? topic : admin->node);
}

static int compare_entries(const void *a, const void *b)
{
    const rd_kafka_ConfigEntry_t *const *left = a;
    const rd_kafka_ConfigEntry_t *const *right = b;
    return strcmp(rd_kafka_ConfigEntry_name(*left), rd_kafka_ConfigEntry_name(*right));
}

static int resource_error(const rd_kafka_ConfigResource_t *resource, struct beck_error *error)
{
    rd_kafka_resp_err_t wrong = rd_kafka_ConfigResource_error(resource);
    const char *why = rd_kafka_ConfigResource_error_string(resource);
    const char *name = rd_kafka_ConfigResource_name(resource);
    bool topic = rd_kafka_ConfigResource_type(resource) == RD_KAFKA_RESOURCE_TOPIC;

    if (!wrong)
        return 0;
    int result = cluster_error(error, wrong, "%s %s", topic ? "topic" : "broker", name);
    return why == NULL ? result
                       : report(error, result, "%s %s: %s", topic ? "topic" : "broker", name, why);
}

/* Take over what the answer has, in the order of names. */
static int take_entries(struct cluster_admin *admin, struct beck_error *error)
{
    size_t count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(admin->described), &count);

    if (count != 1)
        return report(error, -EPROTO, "%s answered for %zu configurations, not one",
                      cluster_name(admin->tool), count);
    int result = resource_error(resources[0], error);
    if (result < 0)
        return result;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    admin->entries = calloc(count + 1, sizeof(const rd_kafka_ConfigEntry_t *));
    if (admin->entries == NULL)
        return report(error, -ENOMEM, "not enough memory");
    for (size_t i = 0; i < count; i++)
        admin->entries[i] = entries[i];
    admin->entry_count = count;
    qsort(admin->entries, count, sizeof(const rd_kafka_ConfigEntry_t *), compare_entries);
    return 0;
}

static int describe(struct cluster_admin *admin, const char *topic, struct beck_error *error)
{
    cluster_configs_done(admin);
    rd_kafka_ConfigResource_t *resource = resource_of(admin, topic, error);
    if (resource == NULL)
        return -EINVAL;
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, false);
    rd_kafka_DescribeConfigs(admin->client, &resource, 1, options, admin->queue);
    int result = cluster_await(admin, &admin->described, error);
    if (result == 0)
        result = take_entries(admin, error);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return result;
}

static const char *source_text(rd_kafka_ConfigSource_t source)
{
    switch (source) {
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG:
        return "topic";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG:
        return "broker";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG:
        return "brokers";
    case RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG:
        return "file";
    case RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG:
        return "default";
    default:
        return "unknown";
    }
}

/* What it is where nobody sets it, among what a value could fall back to. */
static const char *default_of(const rd_kafka_ConfigEntry_t *entry)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **synonyms = rd_kafka_ConfigEntry_synonyms(entry, &count);

    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_ConfigEntry_source(synonyms[i]) == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG)
            return rd_kafka_ConfigEntry_value(synonyms[i]);
    }
    return rd_kafka_ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG
               ? rd_kafka_ConfigEntry_value(entry)
               : NULL;
}

/* Was it set for what was asked about, so that AlterConfigs has to name it again? */
static bool is_set(const rd_kafka_ConfigEntry_t *entry, const char *topic)
{
    return rd_kafka_ConfigEntry_source(entry) ==
           (topic != NULL ? RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG
                          : RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG);
}

int cluster_config(struct admin *base, const char *topic, uint32_t index,
                   struct admin_config *ret_config, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    if (index == 0) {
        int result = describe(admin, topic, error);
        if (result < 0)
            return result;
    }
    if (index >= admin->entry_count)
        return 0;
    const rd_kafka_ConfigEntry_t *entry = admin->entries[index];
    rd_kafka_ConfigSource_t source = rd_kafka_ConfigEntry_source(entry);
    *ret_config = (struct admin_config){
        .name = rd_kafka_ConfigEntry_name(entry),
        .value = rd_kafka_ConfigEntry_value(entry),
        .default_value = default_of(entry),
        .source = source_text(source),
        .is_default = !is_set(entry, topic),
        .is_built_in = source == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG,
    };
    return 1;
}

/* ---- changing ----------------------------------------------------------------------------- */

static const struct beck_config_change *find_change(const struct beck_config_change *changes,
                                                    size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(changes[i].name, name) == 0)
            return &changes[i];
    }
    return NULL;
}

/* All that is to be set from now on: what is set and stays, and what is changed. */
static int fill_resource(const struct cluster_admin *admin, const char *topic,
                         const struct beck_config_change *changes, size_t count,
                         rd_kafka_ConfigResource_t *resource, struct beck_error *error)
{
    for (size_t i = 0; i < admin->entry_count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(admin->entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(admin->entries[i]);
        if (!is_set(admin->entries[i], topic) || find_change(changes, count, name) != NULL)
            continue;
        if (value == NULL)
            return report(error, -EPERM,
                          "%s is set and secret: it would be lost, so nothing was changed", name);
        (void)rd_kafka_ConfigResource_set_config(resource, name, value);
    }
    for (size_t i = 0; i < count; i++) {
        if (changes[i].operation == BECK_CONFIG_SET)
            (void)rd_kafka_ConfigResource_set_config(resource, changes[i].name, changes[i].value);
    }
    return 0;
}

/* What is reset has to be known, as with a store. */
static int check_names(const struct cluster_admin *admin, const struct beck_config_change *changes,
                       size_t count, struct beck_error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < admin->entry_count && !known; k++)
            known = strcmp(rd_kafka_ConfigEntry_name(admin->entries[k]), changes[i].name) == 0;
        if (!known && changes[i].operation == BECK_CONFIG_RESET)
            return report(error, -EINVAL, "there is no configuration %s", changes[i].name);
    }
    return 0;
}

static int replace(struct cluster_admin *admin, rd_kafka_ConfigResource_t *resource, bool dry_run,
                   struct beck_error *error)
{
    rd_kafka_event_t *event = NULL;
    size_t count;

    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_ALTERCONFIGS, dry_run);
    rd_kafka_AlterConfigs(admin->client, &resource, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_ConfigResource_t **done = rd_kafka_AlterConfigs_result_resources(
            rd_kafka_event_AlterConfigs_result(event), &count);
        for (size_t i = 0; result == 0 && i < count; i++)
            result = resource_error(done[i], error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

int cluster_alter(struct admin *base, const char *topic, const struct beck_config_change *changes,
                  size_t count, bool dry_run, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    int result = describe(admin, topic, error);
    if (result == 0)
        result = check_names(admin, changes, count, error);
    if (result < 0)
        return result;
    rd_kafka_ConfigResource_t *resource = resource_of(admin, topic, error);
    if (resource == NULL)
        return -EINVAL;
    result = fill_resource(admin, topic, changes, count, resource, error);
    if (result == 0)
        result = replace(admin, resource, dry_run, error);
    rd_kafka_ConfigResource_destroy(resource);
    return result;
}
