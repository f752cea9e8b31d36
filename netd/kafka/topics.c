/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateTopics and DeleteTopics. Each topic of a request is done or refused on its own, with a
 * sentence that says why. What was answered as done survives power loss.
 *
 * Runs on a worker: both write the store's database and wait for the disk.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "kafka/configs.h"
#include "kafka/doubles.h"
#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"
#include "loop.h"
#include "throttle.h"

/* From these versions on what is above a quota is refused; before, it is done, and waited for. */
#define VERSION_STRICT_CREATE 6
#define VERSION_STRICT_DELETE 5
/* The first that knows the error. */
#define VERSION_DELETION_DISABLED 3

/* ---- CreateTopics ---- */

struct creation {
    struct request *request;
    const struct kafka_create_topics_request_topic *asked;
    struct kafka_create_topics_response_topic *answer;
    const char *name;
    struct beck_topic_options options;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct creation *creation, int16_t code,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = kafka_arena_vprintf(&creation->request->arena, format, arguments);
    va_end(arguments);
    creation->answer->error_code = code;
    creation->answer->error_message = kafka_string_of(text);
    return -EINVAL;
}

/* Partitions placed by hand: 0, 1, 2, ... each on the one broker. */
static int check_assignments(struct creation *creation)
{
    const struct kafka_create_topics_request_topic *asked = creation->asked;
    if (asked->num_partitions != -1 || asked->replication_factor != -1)
        return refuse(creation, KAFKA_INVALID_REQUEST,
                      "both numPartitions or replicationFactor and replicasAssignments were set");
    for (uint32_t i = 0; i < asked->assignments_count; i++) {
        const struct kafka_create_topics_request_assignment *one = &asked->assignments[i];
        if (one->partition_index != (int32_t)i || one->broker_ids_count != 1 ||
            one->broker_ids[0] != BROKER_NODE_ID)
            return refuse(creation, KAFKA_INVALID_REPLICA_ASSIGNMENT,
                          "partitions are assigned in order, each to broker %d alone",
                          BROKER_NODE_ID);
    }
    creation->options.partition_count = asked->assignments_count;
    return 0;
}

static int check_counts(struct creation *creation)
{
    const struct kafka_create_topics_request_topic *asked = creation->asked;
    if (asked->assignments_count > 0)
        return check_assignments(creation);
    if (asked->num_partitions != -1 && asked->num_partitions <= 0)
        return refuse(creation, KAFKA_INVALID_PARTITIONS,
                      "a topic has at least 1 partition, not %d", asked->num_partitions);
    if (asked->num_partitions > BECK_PARTITIONS_MAX)
        return refuse(creation, KAFKA_INVALID_PARTITIONS,
                      "a store has at most %d partitions, not %d", BECK_PARTITIONS_MAX,
                      asked->num_partitions);
    bool any = creation->request->loop->broker->config->replication_factor_any;
    if (asked->replication_factor != -1 && asked->replication_factor != 1 &&
        !(any && asked->replication_factor > 0))
        return refuse(creation, KAFKA_INVALID_REPLICATION_FACTOR,
                      "replication factor %d, but there is 1 broker", asked->replication_factor);
    int32_t initial = creation->request->loop->broker->config->num_partitions;
    creation->options.partition_count =
        (uint32_t)(asked->num_partitions == -1 ? initial : asked->num_partitions);
    return 0;
}

static int take_configs(struct creation *creation)
{
    const struct kafka_create_topics_request_topic *asked = creation->asked;
    struct kafka_arena *arena = &creation->request->arena;
    struct beck_config *configs = kafka_arena_alloc(arena, asked->configs_count, sizeof(*configs));
    if (!configs)
        return -ENOMEM;
    for (uint32_t i = 0; i < asked->configs_count; i++) {
        struct kafka_string value = asked->configs[i].value;
        configs[i].name = topic_text(arena, asked->configs[i].name);
        configs[i].value = value.data ? topic_text(arena, value) : NULL;
        if (!configs[i].name || (value.data && !configs[i].value))
            return -ENOMEM;
    }
    creation->options.configs = configs;
    creation->options.config_count = asked->configs_count;
    return 0;
}

/* All configurations with their values, as versions from 5 on tell them. */
static int describe_configs(struct creation *creation)
{
    struct beck_store *store = creation->request->loop->broker->store;
    struct kafka_arena *arena = &creation->request->arena;
    struct beck_config_entry entry;
    uint32_t count = 0;
    while (beck_topic_config(store, creation->name, count, &entry, NULL) > 0)
        count++;
    struct kafka_create_topics_response_config *configs =
        kafka_create_topics_response_config_array(arena, count);
    if (!configs)
        return -ENOMEM;
    uint32_t filled = 0;
    while (filled < count && beck_topic_config(store, creation->name, filled, &entry, NULL) > 0) {
        const char *value = kafka_arena_copy(arena, entry.value, strlen(entry.value));
        if (!value)
            return -ENOMEM;
        configs[filled].name = kafka_string_of(entry.name);
        configs[filled].value = kafka_string_of(value);
        configs[filled].config_source = config_source_of(&entry);
        filled++;
    }
    creation->answer->configs = configs;
    creation->answer->configs_count = filled;
    return 0;
}

/* Of a topic that is not made: what was asked for. Clients need the list, for a null one means that
 * they may not see it. */
static int describe_asked(struct creation *creation)
{
    const struct kafka_create_topics_request_topic *asked = creation->asked;
    struct kafka_create_topics_response_config *configs =
        kafka_create_topics_response_config_array(&creation->request->arena, asked->configs_count);
    if (!configs)
        return -ENOMEM;
    for (uint32_t i = 0; i < asked->configs_count; i++) {
        configs[i].name = asked->configs[i].name;
        configs[i].value = asked->configs[i].value;
        configs[i].config_source = SOURCE_TOPIC;
    }
    creation->answer->configs = configs;
    creation->answer->configs_count = asked->configs_count;
    return 0;
}

static int make_topic(struct creation *creation)
{
    if (!throttle_mutation(creation->request, creation->options.partition_count,
                           creation->request->version >= VERSION_STRICT_CREATE))
        return refuse(creation, KAFKA_THROTTLING_QUOTA_EXCEEDED, "%s", KAFKA_THROTTLED_TEXT);
    struct beck_store *store = creation->request->loop->broker->store;
    struct beck_topic topic;
    struct beck_error error = {.message = ""};
    int result = beck_topic_create(store, creation->name, &creation->options, &topic, &error);
    switch (-result) {
    case EEXIST:
        return refuse(creation, KAFKA_TOPIC_ALREADY_EXISTS, "topic '%s' already exists",
                      creation->name);
    case ENOTUNIQ:
        return refuse(creation, KAFKA_INVALID_TOPIC_EXCEPTION, "%s", error.message);
    case EINVAL:
        return refuse(creation, KAFKA_INVALID_CONFIG, "%s", error.message);
    case EMSGSIZE:
        return refuse(creation, KAFKA_INVALID_PARTITIONS, "%s", error.message);
    default:
        break;
    }
    if (result < 0)
        return refuse(creation, kafka_error_of(result), "%s", error.message);
    if (creation->options.validate_only)
        return describe_asked(creation);
    memcpy(creation->answer->topic_id.bytes, topic.id, sizeof(topic.id));
    return describe_configs(creation);
}

/* -ENOMEM, or 0, or another error that is in the answer. */
static int create_topic(struct creation *creation)
{
    struct beck_store *store = creation->request->loop->broker->store;
    const struct kafka_create_topics_request *body = creation->request->body;
    struct beck_topic topic;
    creation->name = topic_text(&creation->request->arena, creation->asked->name);
    if (!creation->name)
        return -ENOMEM;
    if (!beck_topic_name_valid(creation->name))
        return refuse(creation, KAFKA_INVALID_TOPIC_EXCEPTION,
                      "a topic's name is 1 to %d of [a-zA-Z0-9._-], and not . or ..",
                      BECK_TOPIC_NAME_BYTES);
    if (beck_topic_find(store, creation->name, &topic, NULL) >= 0)
        return refuse(creation, KAFKA_TOPIC_ALREADY_EXISTS, "topic '%s' already exists",
                      creation->name);
    int result = check_counts(creation);
    if (result >= 0)
        result = take_configs(creation);
    creation->options.validate_only = body->validate_only;
    creation->options.distinct = true;
    if (result >= 0)
        result = make_topic(creation);
    if (result >= 0) {
        creation->answer->num_partitions = (int32_t)creation->options.partition_count;
        creation->answer->replication_factor = 1;
    }
    return result;
}

static const enum occurrence *occurrences(struct kafka_arena *arena,
                                          const struct kafka_create_topics_request *body)
{
    struct kafka_string *names = kafka_arena_alloc(arena, body->topics_count, sizeof(*names));
    for (uint32_t i = 0; names && i < body->topics_count; i++)
        names[i] = body->topics[i].name;
    return names ? doubles_find(arena, names, body->topics_count) : NULL;
}

/* Which one of several of the same name is meant? None is made, and there is one answer. */
static void create_topics(struct request *request)
{
    const struct kafka_create_topics_request *body = request->body;
    struct kafka_create_topics_response *response = request->response;
    const enum occurrence *occurs = occurrences(&request->arena, body);
    response->topics =
        kafka_create_topics_response_topic_array(&request->arena, body->topics_count);
    for (uint32_t i = 0; occurs && response->topics && i < body->topics_count; i++) {
        if (occurs[i] == OCCURS_AGAIN)
            continue;
        struct creation creation = {.request = request,
                                    .asked = &body->topics[i],
                                    .answer = &response->topics[response->topics_count++]};
        creation.answer->name = creation.asked->name;
        if (occurs[i] == OCCURS_FIRST)
            refuse(&creation, KAFKA_INVALID_REQUEST, "Duplicate topic name.");
        else if (create_topic(&creation) == -ENOMEM)
            response->topics = NULL;
    }
    if (!occurs || !response->topics)
        request->response = NULL;
}

void create_topics_handle(struct request *request)
{
    request_submit(request, create_topics);
}

/* ---- DeleteTopics ---- */

/* What is to be deleted: by name, or, where that is null, by id. */
struct deletion {
    struct request *request;
    struct kafka_delete_topics_request_topic asked;
    struct kafka_delete_topics_response_topic *answer;
};

static int16_t refuse_deletion(struct deletion *deletion, int16_t code, const char *message)
{
    struct kafka_arena *arena = &deletion->request->arena;
    deletion->answer->error_code = code;
    if (message[0])
        deletion->answer->error_message =
            kafka_string_of(kafka_arena_copy(arena, message, strlen(message)));
    return code;
}

/* What is wrong with the question, whatever topics there are. */
static int16_t check_deletion(struct deletion *deletion, enum occurrence occurs)
{
    const struct request *request = deletion->request;
    bool by_id = !deletion->asked.name.data;
    if (!request->loop->broker->config->delete_topic_enable)
        return refuse_deletion(deletion,
                               request->version < VERSION_DELETION_DISABLED
                                   ? KAFKA_INVALID_REQUEST
                                   : KAFKA_TOPIC_DELETION_DISABLED,
                               "Topic deletion is disabled.");
    if (by_id && kafka_uuid_is_zero(&deletion->asked.topic_id))
        return refuse_deletion(deletion, KAFKA_INVALID_REQUEST,
                               "Neither topic name nor id were specified.");
    if (!by_id && !kafka_uuid_is_zero(&deletion->asked.topic_id))
        return refuse_deletion(deletion, KAFKA_INVALID_REQUEST,
                               "You may not specify both topic name and topic id.");
    if (occurs == OCCURS_FIRST)
        return refuse_deletion(deletion, KAFKA_INVALID_REQUEST,
                               by_id ? "Duplicate topic id." : "Duplicate topic name.");
    return KAFKA_NONE;
}

static int find_topic(struct deletion *deletion, struct beck_topic *ret_topic,
                      struct beck_error *error)
{
    struct beck_store *store = deletion->request->loop->broker->store;
    if (!deletion->asked.name.data)
        return beck_topic_find_id(store, deletion->asked.topic_id.bytes, ret_topic, error);
    const char *name = topic_text(&deletion->request->arena, deletion->asked.name);
    if (!name)
        return -ENOMEM;
    return beck_topic_name_valid(name) ? beck_topic_find(store, name, ret_topic, error) : -ENOENT;
}

/* -ENOMEM, or 0: the answer says how it went. */
static int delete_topic(struct deletion *deletion)
{
    struct request *request = deletion->request;
    struct kafka_delete_topics_response_topic *answer = deletion->answer;
    struct beck_topic topic;
    struct beck_error error = {.message = ""};
    int result = find_topic(deletion, &topic, &error);
    if (result == -ENOMEM)
        return result;
    if (result >= 0) {
        const char *text = kafka_arena_copy(&request->arena, topic.name, strlen(topic.name));
        if (!text)
            return -ENOMEM;
        answer->name = kafka_string_of(text);
        memcpy(answer->topic_id.bytes, topic.id, sizeof(topic.id));
        if (!throttle_mutation(request, topic.partition_count,
                               request->version >= VERSION_STRICT_DELETE)) {
            refuse_deletion(deletion, KAFKA_THROTTLING_QUOTA_EXCEEDED, KAFKA_THROTTLED_TEXT);
            return 0;
        }
        result = beck_topic_delete(request->loop->broker->store, topic.name, &error);
    }
    if (result < 0)
        refuse_deletion(deletion,
                        !deletion->asked.name.data && result == -ENOENT ? KAFKA_UNKNOWN_TOPIC_ID
                                                                        : kafka_error_of(result),
                        error.message);
    return 0;
}

/* Versions before 6 have a list of names, later ones a list of names or ids. */
static void take_deletions(struct request *request, struct kafka_delete_topics_request_topic *all)
{
    const struct kafka_delete_topics_request *body = request->body;
    for (uint32_t i = 0; i < body->topic_names_count; i++)
        all[i].name = body->topic_names[i];
    if (body->topics_count > 0)
        memcpy(all + body->topic_names_count, body->topics, body->topics_count * sizeof(*all));
}

/* By names and by ids: what is named both ways is found by one of them only. */
static const enum occurrence *deletion_occurrences(
    struct kafka_arena *arena, const struct kafka_delete_topics_request_topic *all, uint32_t count)
{
    struct kafka_string *keys = kafka_arena_alloc(arena, count, 2 * sizeof(*keys));
    struct kafka_string *ids = keys + count;
    for (uint32_t i = 0; keys && i < count; i++) {
        const struct kafka_delete_topics_request_topic *one = &all[i];
        bool has_id = !kafka_uuid_is_zero(&one->topic_id);
        if (one->name.data && !has_id)
            keys[i] = one->name;
        else if (!one->name.data && has_id)
            ids[i] = (struct kafka_string){(const char *)one->topic_id.bytes,
                                           sizeof(one->topic_id.bytes)};
    }
    if (!keys)
        return NULL;
    const enum occurrence *names_occur = doubles_find(arena, keys, count);
    const enum occurrence *ids_occur = doubles_find(arena, ids, count);
    enum occurrence *occurs = kafka_arena_alloc(arena, count, sizeof(*occurs));
    if (!names_occur || !ids_occur || !occurs)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        occurs[i] = keys[i].data ? names_occur[i] : ids_occur[i];
    return occurs;
}

static void delete_topics(struct request *request)
{
    const struct kafka_delete_topics_request *body = request->body;
    struct kafka_delete_topics_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    uint32_t count = body->topic_names_count + body->topics_count;
    struct kafka_delete_topics_request_topic *all = kafka_arena_alloc(arena, count, sizeof(*all));
    if (all)
        take_deletions(request, all);
    const enum occurrence *occurs = all ? deletion_occurrences(arena, all, count) : NULL;
    response->responses = kafka_delete_topics_response_topic_array(arena, count);
    for (uint32_t i = 0; occurs && response->responses && i < count; i++) {
        if (occurs[i] == OCCURS_AGAIN)
            continue;
        struct deletion deletion = {.request = request,
                                    .asked = all[i],
                                    .answer = &response->responses[response->responses_count++]};
        deletion.answer->name = all[i].name;
        deletion.answer->topic_id = all[i].topic_id;
        if (check_deletion(&deletion, occurs[i]) == KAFKA_NONE && delete_topic(&deletion) < 0)
            response->responses = NULL;
    }
    if (!occurs || !response->responses)
        request->response = NULL;
}

void delete_topics_handle(struct request *request)
{
    request_submit(request, delete_topics);
}
