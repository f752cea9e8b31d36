/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeConfigs and ListConfigResources: what is configured of topics, groups and the broker. A
 * topic's configuration is the store's matter; the broker's is what it was started with, and the
 * defaults for topics, which the store keeps and clients may change (alter_configs.c).
 *
 * Both run on a worker: they read the store's database.
 */
#include "kafka/configs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kafka/errors.h"
#include "kafka/group_configs.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"
#include "loop.h"

/* The type that old versions of the protocol know as none. */
#define TYPE_STRING 2

struct description {
    struct request *request;
    const struct kafka_describe_configs_request_resource *asked;
    struct kafka_describe_configs_response_result *answer;
    uint32_t room;                    /* of answer->configs */
    const struct group_config *group; /* what is configured for it, if it is one */
};

static struct kafka_string copy_of(struct request *request, const char *text)
{
    return kafka_string_of(kafka_arena_copy(&request->arena, text, strlen(text)));
}

/* ---- describing ---- */

/* A list of no names is all of them, as null is: some clients send the one, some the other. */
static bool is_wanted(const struct description *description, const char *name)
{
    const struct kafka_describe_configs_request_resource *asked = description->asked;
    if (asked->configuration_keys_count == 0)
        return true;
    for (uint32_t i = 0; i < asked->configuration_keys_count; i++)
        if (kafka_string_equal(asked->configuration_keys[i], kafka_string_of(name)))
            return true;
    return false;
}

/* One more entry of the answer. NULL: no memory. */
static struct kafka_describe_configs_response_config *add_config(struct description *description)
{
    struct kafka_describe_configs_response_result *answer = description->answer;
    if (answer->configs_count == description->room) {
        uint32_t more = description->room ? 2 * description->room : 64;
        struct kafka_describe_configs_response_config *configs =
            kafka_describe_configs_response_config_array(&description->request->arena, more);
        if (!configs)
            return NULL;
        if (description->room > 0)
            memcpy(configs, answer->configs, description->room * sizeof(*configs));
        answer->configs = configs;
        description->room = more;
    }
    return &answer->configs[answer->configs_count++];
}

/* Where a value would come from if what is above it were not set: best first, the value in force
 * among them. */
static int add_synonyms(struct request *request,
                        struct kafka_describe_configs_response_config *config,
                        const char *default_value)
{
    const struct kafka_describe_configs_request *body = request->body;
    if (!body->include_synonyms)
        return 0;
    config->synonyms = kafka_describe_configs_response_synonym_array(&request->arena, 2);
    if (!config->synonyms)
        return -ENOMEM;
    if (config->config_source != SOURCE_DEFAULT)
        config->synonyms[config->synonyms_count++] =
            (struct kafka_describe_configs_response_synonym){config->name, config->value,
                                                             config->config_source};
    config->synonyms[config->synonyms_count++] = (struct kafka_describe_configs_response_synonym){
        config->name, kafka_string_of(default_value), SOURCE_DEFAULT};
    return 0;
}

/* What is set for the store is this broker's own to who names it, for he can take it back: clients
 * that know no way to change one value write all of that source again. */
static int8_t source_for(const struct description *description,
                         const struct beck_config_entry *entry)
{
    bool names_it = description->asked->resource_type == RESOURCE_BROKER &&
                    description->asked->resource_name.length > 0;
    return names_it && entry->source == BECK_CONFIG_FROM_STORE ? SOURCE_DYNAMIC_BROKER
                                                               : config_source_of(entry);
}

static int describe_entry(struct description *description, const struct beck_config_entry *entry,
                          const char *name)
{
    struct request *request = description->request;
    const struct kafka_describe_configs_request *body = request->body;
    if (!is_wanted(description, name))
        return 0;
    struct kafka_describe_configs_response_config *config = add_config(description);
    if (!config)
        return -ENOMEM;
    config->name = kafka_string_of(name);
    config->value = copy_of(request, entry->value);
    config->config_source = source_for(description, entry);
    config->config_type = (int8_t)entry->type;
    if (body->include_documentation)
        config->documentation = kafka_string_of(entry->documentation);
    if (!config->value.data)
        return -ENOMEM;
    return add_synonyms(request, config, entry->default_value);
}

static int describe_topic(struct description *description)
{
    struct request *request = description->request;
    struct beck_store *store = request->loop->broker->store;
    const char *name = topic_text(&request->arena, description->asked->resource_name);
    struct beck_config_entry entry;
    struct beck_topic topic;
    int result = name ? 1 : -ENOMEM;
    if (result < 0)
        return result;
    if (!beck_topic_name_valid(name) || beck_topic_find(store, name, &topic, NULL) < 0) {
        description->answer->error_code = beck_topic_name_valid(name)
                                              ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                              : KAFKA_INVALID_TOPIC_EXCEPTION;
        description->answer->error_message = kafka_string_of(
            kafka_arena_printf(&request->arena, "there is no topic '%.249s'", name));
        return 0;
    }
    for (uint32_t i = 0; beck_topic_config(store, name, i, &entry, NULL) == 1; i++)
        if (describe_entry(description, &entry, entry.name) < 0)
            return -ENOMEM;
    return 0;
}

/* What UIs look for, and is as it is. */
static const struct {
    const char *name;
    const char *value;
} fixed_entries[] = {
    {"broker.id", "1"},
    {"default.replication.factor", "1"},
    {"inter.broker.protocol.version", "3.9-IV0"},
    {"log.message.format.version", "3.0-IV1"},
    {"node.id", "1"},
    {"offsets.topic.replication.factor", "1"},
    {"process.roles", "broker,controller"},
    {"transaction.state.log.replication.factor", "1"},
};

static int describe_fixed(struct description *description, const char *name, const char *value)
{
    if (!is_wanted(description, name))
        return 0;
    struct kafka_describe_configs_response_config *config = add_config(description);
    if (!config)
        return -ENOMEM;
    config->name = kafka_string_of(name);
    config->value = kafka_string_of(value);
    config->read_only = true;
    config->config_source = SOURCE_STATIC_BROKER;
    config->config_type = TYPE_STRING;
    return add_synonyms(description->request, config, value);
}

/* An entry of the daemon's own. */
static int describe_setting(struct description *description, const struct broker_config *settings,
                            size_t index)
{
    struct request *request = description->request;
    const struct kafka_describe_configs_request *body = request->body;
    const struct setting *setting = settings_entry_at(index);
    char value[CONFIG_VALUE_BYTES + 1];
    if (!is_wanted(description, setting->name))
        return 0;
    struct kafka_describe_configs_response_config *config = add_config(description);
    if (!config)
        return -ENOMEM;
    settings_value(settings, index, value);
    config->name = kafka_string_of(setting->name);
    config->value = copy_of(request, value);
    config->read_only = true;
    config->config_source =
        settings_is_set(settings, index) ? SOURCE_STATIC_BROKER : SOURCE_DEFAULT;
    config->config_type = (int8_t)setting->type;
    if (body->include_documentation)
        config->documentation = kafka_string_of(setting->documentation);
    if (!config->value.data)
        return -ENOMEM;
    return add_synonyms(request, config, setting->default_value);
}

const char *config_broker_name(const char *store_name)
{
    const struct setting *setting;
    for (size_t i = 0; (setting = settings_entry_at(i)); i++)
        if (setting->store_name && strcmp(setting->store_name, store_name) == 0 &&
            setting->type != BECK_CONFIG_INT)
            return setting->name;
    for (size_t i = 0; (setting = settings_entry_at(i)); i++)
        if (setting->store_name && strcmp(setting->store_name, store_name) == 0)
            return setting->name;
    return NULL;
}

static int describe_broker(struct description *description)
{
    struct broker *broker = description->request->loop->broker;
    const struct broker_config *settings = broker->config;
    struct beck_config_entry entry;
    int result = 0;
    for (size_t i = 0; result == 0 && settings_entry_at(i); i++)
        if (!settings_entry_at(i)->store_name)
            result = describe_setting(description, settings, i);
    for (size_t i = 0; result == 0 && i < sizeof(fixed_entries) / sizeof(fixed_entries[0]); i++)
        result = describe_fixed(description, fixed_entries[i].name, fixed_entries[i].value);
    for (uint32_t i = 0; result == 0 && beck_store_config(broker->store, i, &entry, NULL) == 1;
         i++) {
        const char *name = config_broker_name(entry.name);
        if (name)
            result = describe_entry(description, &entry, name);
    }
    return result;
}

bool config_is_this_broker(struct kafka_string name)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", BROKER_NODE_ID);
    return name.length == 0 ||
           (name.length == (uint32_t)n && memcmp(name.data, text, (size_t)n) == 0);
}

static int describe_group_entry(struct description *description, size_t index)
{
    struct request *request = description->request;
    const struct kafka_describe_configs_request *body = request->body;
    const struct group_config_entry *entry = group_config_entry(index);
    int32_t value = group_config_value(description->group, index);
    int32_t initial = group_config_default(&request->loop->broker->groups, index);
    if (!is_wanted(description, entry->name))
        return 0;
    struct kafka_describe_configs_response_config *config = add_config(description);
    const char *text = kafka_arena_printf(&request->arena, "%d", value > 0 ? value : initial);
    const char *initial_text = kafka_arena_printf(&request->arena, "%d", initial);
    if (!config || !text || !initial_text)
        return -ENOMEM;
    config->name = kafka_string_of(entry->name);
    config->value = kafka_string_of(text);
    config->config_source = value > 0 ? SOURCE_GROUP : SOURCE_DEFAULT;
    config->config_type = BECK_CONFIG_INT;
    if (body->include_documentation)
        config->documentation = kafka_string_of(entry->documentation);
    return add_synonyms(request, config, initial_text);
}

static int describe_group(struct description *description)
{
    if (description->asked->resource_name.length == 0) {
        description->answer->error_code = KAFKA_INVALID_REQUEST;
        description->answer->error_message = kafka_string_of("Group name must not be empty");
        return 0;
    }
    for (size_t i = 0; group_config_entry(i); i++)
        if (describe_group_entry(description, i) < 0)
            return -ENOMEM;
    return 0;
}

static int describe_resource(struct description *description)
{
    struct kafka_describe_configs_response_result *answer = description->answer;
    struct kafka_arena *arena = &description->request->arena;
    answer->resource_type = description->asked->resource_type;
    answer->resource_name = description->asked->resource_name;
    switch (answer->resource_type) {
    case RESOURCE_TOPIC:
        return describe_topic(description);
    case RESOURCE_BROKER:
        if (config_is_this_broker(answer->resource_name))
            return describe_broker(description);
        answer->error_code = KAFKA_INVALID_REQUEST;
        answer->error_message =
            kafka_string_of(kafka_arena_printf(arena, "the only broker is %d", BROKER_NODE_ID));
        return 0;
    case RESOURCE_BROKER_LOGGER:
        return 0; /* nothing of it can be set */
    case RESOURCE_GROUP:
        return describe_group(description);
    default:
        answer->error_code = KAFKA_INVALID_REQUEST;
        answer->error_message = kafka_string_of(
            kafka_arena_printf(arena, "resources of type %d are not known", answer->resource_type));
        return 0;
    }
}

static void describe_configs(struct request *request)
{
    const struct kafka_describe_configs_request *body = request->body;
    struct kafka_describe_configs_response *response = request->response;
    response->results =
        kafka_describe_configs_response_result_array(&request->arena, body->resources_count);
    for (uint32_t i = 0; response->results && i < body->resources_count; i++) {
        const struct group_config *groups = request->context;
        struct description description = {.request = request,
                                          .asked = &body->resources[i],
                                          .answer = &response->results[response->results_count++],
                                          .group = groups ? &groups[i] : NULL};
        if (describe_resource(&description) < 0)
            response->results = NULL;
    }
    if (!response->results)
        request->response = NULL;
}

/* On the first loop: what the coordinator knows of the groups among the resources. */
static void find_group_configs(struct request *request)
{
    const struct kafka_describe_configs_request *body = request->body;
    const struct coordinator *coordinator = &groups_of(request)->coordinator;
    struct group_config *configs =
        kafka_arena_alloc(&request->arena, body->resources_count, sizeof(*configs));
    for (uint32_t i = 0; configs && i < body->resources_count; i++) {
        const struct kafka_describe_configs_request_resource *asked = &body->resources[i];
        const struct group *group = asked->resource_type == RESOURCE_GROUP
                                        ? coordinator_find(coordinator, asked->resource_name)
                                        : NULL;
        if (group)
            configs[i] = group->config;
    }
    request->context = configs;
    if (!configs)
        request->response = NULL;
    request_return(request);
}

static void group_configs_were_found(struct request *request)
{
    if (request->response)
        request_submit(request, describe_configs);
}

void describe_configs_handle(struct request *request)
{
    const struct kafka_describe_configs_request *body = request->body;
    bool groups = false;
    for (uint32_t i = 0; i < body->resources_count; i++)
        groups |= body->resources[i].resource_type == RESOURCE_GROUP;
    if (!groups) {
        request_submit(request, describe_configs);
        return;
    }
    request->returned = group_configs_were_found;
    request_call(request, find_group_configs);
}

/* ---- listing ---- */

/* Version 0 asks for metrics subscriptions, of which there are none; later ones for what they name,
 * or for all. */
static bool is_listed(const struct request *request, int8_t type)
{
    const struct kafka_list_config_resources_request *body = request->body;
    if (request->version == 0)
        return false;
    for (uint32_t i = 0; i < body->resource_types_count; i++)
        if (body->resource_types[i] == type)
            return true;
    return body->resource_types_count == 0;
}

static int add_resource(struct request *request, uint32_t *room, int8_t type, const char *name)
{
    struct kafka_list_config_resources_response *response = request->response;
    if (response->config_resources_count == *room) {
        uint32_t more = *room ? 2 * *room : 64;
        struct kafka_list_config_resources_response_config_resource *resources =
            kafka_list_config_resources_response_config_resource_array(&request->arena, more);
        if (!resources)
            return -ENOMEM;
        if (*room > 0)
            memcpy(resources, response->config_resources, *room * sizeof(*resources));
        response->config_resources = resources;
        *room = more;
    }
    struct kafka_list_config_resources_response_config_resource *resource =
        &response->config_resources[response->config_resources_count++];
    resource->resource_type = type;
    resource->resource_name = copy_of(request, name);
    return resource->resource_name.data ? 0 : -ENOMEM;
}

static void list_config_resources(struct request *request)
{
    struct kafka_list_config_resources_response *response = request->response;
    struct beck_store *store = request->loop->broker->store;
    struct beck_topic topic = {.name = ""};
    struct beck_error error;
    char broker[16];
    uint32_t room = 0;
    int result = 0;
    int found = 1;
    while (is_listed(request, RESOURCE_TOPIC) && result == 0 &&
           (found = beck_topic_next(store, topic.name, &topic, &error)) == 1)
        result = add_resource(request, &room, RESOURCE_TOPIC, topic.name);
    snprintf(broker, sizeof(broker), "%d", BROKER_NODE_ID);
    if (result == 0 && is_listed(request, RESOURCE_BROKER))
        result = add_resource(request, &room, RESOURCE_BROKER, broker);
    if (result == 0 && is_listed(request, RESOURCE_BROKER_LOGGER))
        result = add_resource(request, &room, RESOURCE_BROKER_LOGGER, broker);
    const struct group_ids *groups = request->context;
    for (size_t i = 0; groups && result == 0 && i < groups->count; i++)
        result = add_resource(request, &room, RESOURCE_GROUP, groups->list[i].data);
    if (found < 0)
        response->error_code = kafka_error_of(found);
    if (result < 0)
        request->response = NULL;
}

/* The groups for which something is configured. */
static bool note_configured(void *context, struct group *group)
{
    struct request *request = context;
    struct group_ids *ids = request->context;
    bool is_set = group->config.session_timeout_ms > 0 || group->config.heartbeat_interval_ms > 0;
    if (!is_set || group->state == GROUP_DEAD)
        return true;
    if (!copy_text(request, group->id, &ids->list[ids->count]))
        return false;
    ids->count++;
    return true;
}

/* On the first loop. */
static void find_configured(struct request *request)
{
    const struct coordinator *coordinator = &groups_of(request)->coordinator;
    struct group_ids *ids = kafka_arena_alloc(&request->arena, 1, sizeof(*ids));
    if (ids)
        ids->list =
            kafka_arena_alloc(&request->arena, coordinator->group_count, sizeof(*ids->list));
    if (!ids || !ids->list) {
        request->response = NULL;
    } else {
        request->context = ids;
        coordinator_walk(coordinator, note_configured, request);
    }
    request_return(request);
}

static void configured_were_found(struct request *request)
{
    if (request->response)
        request_submit(request, list_config_resources);
}

void list_config_resources_handle(struct request *request)
{
    if (!is_listed(request, RESOURCE_GROUP)) {
        request_submit(request, list_config_resources);
        return;
    }
    request->returned = configured_were_found;
    request_call(request, find_configured);
}
