/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources: topics' and the
 * broker's configuration. A topic's is the store's matter; the broker's is what it was started
 * with, and the defaults for topics, which the store keeps and clients may change.
 *
 * All run on a worker: they read or write the store's database.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kafka/config_source.h"
#include "kafka/doubles.h"
#include "kafka/errors.h"
#include "kafka/group_configs.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"
#include "loop.h"

/* What can be configured, in the protocol's numbers. */
enum {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_BROKER_LOGGER = 8,
    RESOURCE_GROUP = 32,
};

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

/* The broker's name for an entry of the store; NULL: it has none but the store's own. */
static const char *broker_name_of(const char *store_name)
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
        const char *name = broker_name_of(entry.name);
        if (name)
            result = describe_entry(description, &entry, name);
    }
    return result;
}

static bool is_this_broker(struct kafka_string name)
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
        if (is_this_broker(answer->resource_name))
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

/* ---- altering ---- */

/* What is to be changed of one resource; the two APIs differ in little. */
struct alteration {
    struct request *request;
    int8_t type;
    struct kafka_string name;
    struct beck_config_change *changes;
    uint32_t count;
    unsigned flags;
    const char *refusal; /* NULL: it can be tried */
};

/* Of groups: done by the first loop, after the others. */
static struct group_alterations *later_of(struct request *request, uint32_t room)
{
    struct group_alterations *later = request->context;
    if (later)
        return later;
    later = kafka_arena_alloc(&request->arena, 1, sizeof(*later));
    if (later)
        later->list = kafka_arena_alloc(&request->arena, room, sizeof(*later->list));
    if (!later || !later->list)
        return NULL;
    later->request = request;
    request->context = later;
    return later;
}

static void alter_later(struct request *request)
{
    group_configs_alter(request->context);
}

static void others_are_altered(struct request *request)
{
    if (request->response && request->context)
        request_call(request, alter_later);
}

struct outcome {
    int16_t code;
    struct kafka_string message;
};

/* What is asked for of one resource, without its changes. */
static struct alteration alteration_begin(struct request *request, int8_t type,
                                          struct kafka_string name, uint32_t count, unsigned flags)
{
    return (struct alteration){
        .request = request,
        .type = type,
        .name = name,
        .changes = kafka_arena_alloc(&request->arena, count, sizeof(struct beck_config_change)),
        .flags = flags,
    };
}

static void alteration_add(struct alteration *alteration, struct kafka_string name,
                           struct kafka_string value, enum beck_config_operation operation)
{
    struct kafka_arena *arena = &alteration->request->arena;
    if (!value.data && operation != BECK_CONFIG_RESET && !alteration->refusal)
        alteration->refusal = kafka_arena_printf(arena, "Null value not supported for : %.*s",
                                                 (int)name.length, name.data);
    if (alteration->changes)
        alteration->changes[alteration->count++] = (struct beck_config_change){
            .name = topic_text(arena, name),
            .value = topic_text(arena, value),
            .operation = operation,
        };
}

/* False: there was no memory for some text of it. */
static bool is_whole(const struct alteration *alteration)
{
    for (uint32_t i = 0; alteration->changes && i < alteration->count; i++)
        if (!alteration->changes[i].name || !alteration->changes[i].value)
            return false;
    return alteration->changes;
}

static struct outcome refused(struct request *request, int16_t code, const char *message)
{
    return (struct outcome){code, copy_of(request, message)};
}

static int16_t alter_code(int result)
{
    return result == -EINVAL || result == -EMSGSIZE ? KAFKA_INVALID_CONFIG : kafka_error_of(result);
}

/* An entry under the broker's name as the store has it. NULL: it is the daemon's own. */
static const char *store_name_of(const char *broker_name)
{
    const struct setting *setting;
    for (size_t i = 0; (setting = settings_entry_at(i)); i++)
        if (strcmp(setting->name, broker_name) == 0)
            return setting->store_name;
    return NULL;
}

static bool is_changed(const struct alteration *alteration, const char *store_name)
{
    for (uint32_t i = 0; i < alteration->count; i++)
        if (strcmp(alteration->changes[i].name, store_name) == 0)
            return true;
    return false;
}

/* What is to be replaced is what the broker has names for: that is reset where it is not named.
 * What else the store has set stays. */
static int reset_others(struct alteration *alteration)
{
    struct request *request = alteration->request;
    struct beck_store *store = request->loop->broker->store;
    struct beck_config_entry entry;
    size_t room = alteration->count;
    while (settings_entry_at(room - alteration->count))
        room++;
    struct beck_config_change *changes = kafka_arena_alloc(&request->arena, room, sizeof(*changes));
    if (!changes)
        return -ENOMEM;
    uint32_t count = alteration->count;
    memcpy(changes, alteration->changes, count * sizeof(*changes));
    for (uint32_t i = 0; count < room && beck_store_config(store, i, &entry, NULL) == 1; i++) {
        if (entry.source != BECK_CONFIG_FROM_STORE || !broker_name_of(entry.name) ||
            is_changed(alteration, entry.name))
            continue;
        char *name = kafka_arena_printf(&request->arena, "%s", entry.name);
        if (!name)
            return -ENOMEM;
        changes[count++] =
            (struct beck_config_change){.name = name, .operation = BECK_CONFIG_RESET};
    }
    alteration->changes = changes;
    alteration->count = count;
    alteration->flags &= ~(unsigned)BECK_ALTER_REPLACE;
    return 0;
}

static struct outcome alter_broker(struct alteration *alteration)
{
    struct request *request = alteration->request;
    struct beck_error error = {.message = ""};
    if (!is_this_broker(alteration->name))
        return refused(request, KAFKA_INVALID_REQUEST, "there is no such broker");
    for (uint32_t i = 0; i < alteration->count; i++) {
        const char *name = store_name_of(alteration->changes[i].name);
        if (!name)
            return (struct outcome){
                KAFKA_INVALID_REQUEST,
                kafka_string_of(kafka_arena_printf(
                    &request->arena,
                    "%.64s cannot be changed while the broker runs; see beckd.conf(5)",
                    alteration->changes[i].name))};
        alteration->changes[i].name = name;
    }
    int result = alteration->flags & BECK_ALTER_REPLACE ? reset_others(alteration) : 0;
    if (result == 0)
        result = beck_store_alter(request->loop->broker->store, alteration->changes,
                                  alteration->count, alteration->flags, &error);
    return result < 0 ? refused(request, alter_code(result), error.message)
                      : (struct outcome){KAFKA_NONE, {0}};
}

static struct outcome alter_resource(struct alteration *alteration)
{
    struct request *request = alteration->request;
    struct beck_error error = {.message = ""};
    if (alteration->type == RESOURCE_BROKER)
        return alter_broker(alteration);
    if (alteration->type != RESOURCE_TOPIC)
        return refused(request, KAFKA_INVALID_REQUEST,
                       "only topics, groups and the broker can be altered");
    const char *name = topic_text(&request->arena, alteration->name);
    if (!name || !beck_topic_name_valid(name))
        return refused(request, KAFKA_INVALID_TOPIC_EXCEPTION, "no topic can have that name");
    int result = beck_topic_alter(request->loop->broker->store, name, alteration->changes,
                                  alteration->count, alteration->flags, &error);
    return result < 0 ? refused(request, alter_code(result), error.message)
                      : (struct outcome){KAFKA_NONE, {0}};
}

/* The resources of a request, by type and name, for doubles_find(). */
static int name_resource(struct request *request, int8_t type, struct kafka_string name,
                         struct kafka_string *ret_key)
{
    char *key = kafka_arena_alloc(&request->arena, (size_t)name.length + 1, 1);
    if (!key)
        return -ENOMEM;
    key[0] = (char)type;
    if (name.length > 0)
        memcpy(key + 1, name.data, name.length);
    *ret_key = (struct kafka_string){key, name.length + 1};
    return 0;
}

/* False: there was no memory to find out whether it changes something twice. */
static bool check_changes(struct alteration *alteration)
{
    struct kafka_arena *arena = &alteration->request->arena;
    struct kafka_string *names = kafka_arena_alloc(arena, alteration->count, sizeof(*names));
    for (uint32_t i = 0; names && i < alteration->count; i++)
        names[i] = kafka_string_of(alteration->changes[i].name);
    const enum occurrence *occurs = names ? doubles_find(arena, names, alteration->count) : NULL;
    for (uint32_t i = 0; occurs && !alteration->refusal && i < alteration->count; i++)
        if (occurs[i] != OCCURS_ONCE)
            alteration->refusal = "Error due to duplicate config keys";
    return occurs != NULL;
}

/* The same, if there is memory for it: else all of the answer is none. */
static void alter(struct alteration *alteration, uint32_t resources, int16_t *ret_code,
                  struct kafka_string *ret_message)
{
    struct request *request = alteration->request;
    bool is_group = alteration->type == RESOURCE_GROUP;
    struct group_alterations *later = is_group ? later_of(request, resources) : NULL;
    if (!is_whole(alteration) || !check_changes(alteration) || (is_group && !later)) {
        request->response = NULL;
    } else if (alteration->refusal) {
        *ret_code = KAFKA_INVALID_REQUEST;
        *ret_message = kafka_string_of(alteration->refusal);
    } else if (is_group) {
        later->list[later->count++] = (struct group_alteration){
            .all = later,
            .group_id = alteration->name,
            .changes = alteration->changes,
            .count = alteration->count,
            .flags = alteration->flags,
            .error_code = ret_code,
            .error_message = ret_message,
        };
    } else {
        struct outcome outcome = alter_resource(alteration);
        *ret_code = outcome.code;
        *ret_message = outcome.message;
    }
}

static const enum occurrence *alter_configs_occurrences(struct request *request)
{
    const struct kafka_alter_configs_request *body = request->body;
    uint32_t count = body->resources_count;
    struct kafka_string *keys = kafka_arena_alloc(&request->arena, count, sizeof(*keys));
    for (uint32_t i = 0; keys && i < count; i++)
        if (name_resource(request, body->resources[i].resource_type,
                          body->resources[i].resource_name, &keys[i]) < 0)
            return NULL;
    return keys ? doubles_find(&request->arena, keys, count) : NULL;
}

static void alter_configs(struct request *request)
{
    const struct kafka_alter_configs_request *body = request->body;
    struct kafka_alter_configs_response *response = request->response;
    unsigned flags = BECK_ALTER_REPLACE | (body->validate_only ? BECK_ALTER_VALIDATE_ONLY : 0);
    response->responses =
        kafka_alter_configs_response_resource_array(&request->arena, body->resources_count);
    const enum occurrence *occurs = alter_configs_occurrences(request);
    if (!response->responses || !occurs)
        request->response = NULL;
    for (uint32_t i = 0; request->response && i < body->resources_count; i++) {
        const struct kafka_alter_configs_request_resource *asked = &body->resources[i];
        struct kafka_alter_configs_response_resource *answer =
            &response->responses[response->responses_count++];
        struct alteration alteration = alteration_begin(
            request, asked->resource_type, asked->resource_name, asked->configs_count, flags);
        if (occurs[i] != OCCURS_ONCE)
            alteration.refusal = "Each resource must appear at most once.";
        for (uint32_t c = 0; c < asked->configs_count; c++)
            alteration_add(&alteration, asked->configs[c].name, asked->configs[c].value,
                           BECK_CONFIG_SET);
        alter(&alteration, body->resources_count, &answer->error_code, &answer->error_message);
        answer->resource_type = asked->resource_type;
        answer->resource_name = asked->resource_name;
    }
}

void alter_configs_handle(struct request *request)
{
    request->returned = others_are_altered;
    request_submit(request, alter_configs);
}

static const enum occurrence *incremental_alter_configs_occurrences(struct request *request)
{
    const struct kafka_incremental_alter_configs_request *body = request->body;
    uint32_t count = body->resources_count;
    struct kafka_string *keys = kafka_arena_alloc(&request->arena, count, sizeof(*keys));
    for (uint32_t i = 0; keys && i < count; i++)
        if (name_resource(request, body->resources[i].resource_type,
                          body->resources[i].resource_name, &keys[i]) < 0)
            return NULL;
    return keys ? doubles_find(&request->arena, keys, count) : NULL;
}

static void incremental_alter_configs(struct request *request)
{
    const struct kafka_incremental_alter_configs_request *body = request->body;
    struct kafka_incremental_alter_configs_response *response = request->response;
    unsigned flags = body->validate_only ? BECK_ALTER_VALIDATE_ONLY : 0;
    response->responses = kafka_incremental_alter_configs_response_resource_array(
        &request->arena, body->resources_count);
    const enum occurrence *occurs = incremental_alter_configs_occurrences(request);
    if (!response->responses || !occurs)
        request->response = NULL;
    for (uint32_t i = 0; request->response && i < body->resources_count; i++) {
        const struct kafka_incremental_alter_configs_request_resource *asked = &body->resources[i];
        struct kafka_incremental_alter_configs_response_resource *answer =
            &response->responses[response->responses_count++];
        struct alteration alteration = alteration_begin(
            request, asked->resource_type, asked->resource_name, asked->configs_count, flags);
        if (occurs[i] != OCCURS_ONCE)
            alteration.refusal = "Each resource must appear at most once.";
        for (uint32_t c = 0; c < asked->configs_count; c++)
            alteration_add(&alteration, asked->configs[c].name, asked->configs[c].value,
                           (enum beck_config_operation)asked->configs[c].config_operation);
        alter(&alteration, body->resources_count, &answer->error_code, &answer->error_message);
        answer->resource_type = asked->resource_type;
        answer->resource_name = asked->resource_name;
    }
}

void incremental_alter_configs_handle(struct request *request)
{
    request->returned = others_are_altered;
    request_submit(request, incremental_alter_configs);
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
