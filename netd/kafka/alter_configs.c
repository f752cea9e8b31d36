/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterConfigs and IncrementalAlterConfigs: changing what is configured of topics, groups and the
 * broker. Each resource is changed or refused on its own, all of its changes or none.
 *
 * Topics and the broker are changed on a worker, as the store's database is written; groups by the
 * first loop, after the others.
 */
#include <errno.h>
#include <string.h>

#include "kafka/configs.h"
#include "kafka/doubles.h"
#include "kafka/errors.h"
#include "kafka/group_configs.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"
#include "loop.h"

/* What is to be changed of one resource; the two APIs differ in little. */
struct alteration {
    struct request *request;
    int8_t type;
    struct kafka_string name;
    struct beck_config_change *changes;
    uint32_t count;
    unsigned flags;
    const char *refusal; /* NULL: it can be tried */
    int16_t *ret_code;   /* in the answer, as is the message */
    struct kafka_string *ret_message;
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
    const char *copy = kafka_arena_copy(&request->arena, message, strlen(message));
    return (struct outcome){code, kafka_string_of(copy)};
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
        if (entry.source != BECK_CONFIG_FROM_STORE || !config_broker_name(entry.name) ||
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
    if (!config_is_this_broker(alteration->name))
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

/* Does it, if there is memory for it: else all of the answer is none. */
static void alter(struct alteration *alteration, uint32_t resources)
{
    struct request *request = alteration->request;
    bool is_group = alteration->type == RESOURCE_GROUP;
    struct group_alterations *later = is_group ? later_of(request, resources) : NULL;
    if (!is_whole(alteration) || !check_changes(alteration) || (is_group && !later)) {
        request->response = NULL;
    } else if (alteration->refusal) {
        *alteration->ret_code = KAFKA_INVALID_REQUEST;
        *alteration->ret_message = kafka_string_of(alteration->refusal);
    } else if (is_group) {
        later->list[later->count++] = (struct group_alteration){
            .all = later,
            .group_id = alteration->name,
            .changes = alteration->changes,
            .count = alteration->count,
            .flags = alteration->flags,
            .error_code = alteration->ret_code,
            .error_message = alteration->ret_message,
        };
    } else {
        struct outcome outcome = alter_resource(alteration);
        *alteration->ret_code = outcome.code;
        *alteration->ret_message = outcome.message;
    }
}

/* Which resources a request has more than once: by type and name. NULL: no memory. */
static const enum occurrence *find_doubles(struct request *request, const struct alteration *list,
                                           uint32_t count)
{
    struct kafka_arena *arena = &request->arena;
    struct kafka_string *keys = kafka_arena_alloc(arena, count, sizeof(*keys));
    for (uint32_t i = 0; keys && i < count; i++) {
        struct kafka_string name = list[i].name;
        char *key = kafka_arena_alloc(arena, (size_t)name.length + 1, 1);
        if (!key)
            return NULL;
        key[0] = (char)list[i].type;
        if (name.length > 0)
            memcpy(key + 1, name.data, name.length);
        keys[i] = (struct kafka_string){key, name.length + 1};
    }
    return keys ? doubles_find(arena, keys, count) : NULL;
}

static void alter_all(struct request *request, struct alteration *list, uint32_t count)
{
    const enum occurrence *occurs = find_doubles(request, list, count);
    if (!occurs)
        request->response = NULL;
    for (uint32_t i = 0; request->response && i < count; i++) {
        if (occurs[i] != OCCURS_ONCE)
            list[i].refusal = "Each resource must appear at most once.";
        alter(&list[i], count);
    }
}

static void alter_configs(struct request *request)
{
    const struct kafka_alter_configs_request *body = request->body;
    struct kafka_alter_configs_response *response = request->response;
    uint32_t count = body->resources_count;
    unsigned flags = BECK_ALTER_REPLACE | (body->validate_only ? BECK_ALTER_VALIDATE_ONLY : 0);
    struct alteration *list = kafka_arena_alloc(&request->arena, count, sizeof(*list));
    response->responses = kafka_alter_configs_response_resource_array(&request->arena, count);
    response->responses_count = count;
    if (!list || !response->responses) {
        request->response = NULL;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_alter_configs_request_resource *asked = &body->resources[i];
        struct kafka_alter_configs_response_resource *answer = &response->responses[i];
        answer->resource_type = asked->resource_type;
        answer->resource_name = asked->resource_name;
        list[i] = alteration_begin(request, asked->resource_type, asked->resource_name,
                                   asked->configs_count, flags);
        list[i].ret_code = &answer->error_code;
        list[i].ret_message = &answer->error_message;
        for (uint32_t c = 0; c < asked->configs_count; c++)
            alteration_add(&list[i], asked->configs[c].name, asked->configs[c].value,
                           BECK_CONFIG_SET);
    }
    alter_all(request, list, count);
}

void alter_configs_handle(struct request *request)
{
    request->returned = others_are_altered;
    request_submit(request, alter_configs);
}

static void incremental_alter_configs(struct request *request)
{
    const struct kafka_incremental_alter_configs_request *body = request->body;
    struct kafka_incremental_alter_configs_response *response = request->response;
    uint32_t count = body->resources_count;
    unsigned flags = body->validate_only ? BECK_ALTER_VALIDATE_ONLY : 0;
    struct alteration *list = kafka_arena_alloc(&request->arena, count, sizeof(*list));
    response->responses =
        kafka_incremental_alter_configs_response_resource_array(&request->arena, count);
    response->responses_count = count;
    if (!list || !response->responses) {
        request->response = NULL;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_incremental_alter_configs_request_resource *asked = &body->resources[i];
        struct kafka_incremental_alter_configs_response_resource *answer = &response->responses[i];
        answer->resource_type = asked->resource_type;
        answer->resource_name = asked->resource_name;
        list[i] = alteration_begin(request, asked->resource_type, asked->resource_name,
                                   asked->configs_count, flags);
        list[i].ret_code = &answer->error_code;
        list[i].ret_message = &answer->error_message;
        for (uint32_t c = 0; c < asked->configs_count; c++)
            alteration_add(&list[i], asked->configs[c].name, asked->configs[c].value,
                           (enum beck_config_operation)asked->configs[c].config_operation);
    }
    alter_all(request, list, count);
}

void incremental_alter_configs_handle(struct request *request)
{
    request->returned = others_are_altered;
    request_submit(request, incremental_alter_configs);
}
