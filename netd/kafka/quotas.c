/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeClientQuotas and AlterClientQuotas. What is right of an alteration is put into the store
 * in one commit, on a worker; each of its parts that is not has its own error, in Kafka's words.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "loop.h"

static const char *const part_names[BECK_QUOTA_PARTS] = {"user", "client-id", "ip"};

static const struct {
    const char *name;
    double most; /* of one that is a whole number; 0: it is none */
    const char *type;
} kinds[BECK_QUOTA_KINDS] = {
    [BECK_QUOTA_PRODUCER_BYTE_RATE] = {"producer_byte_rate", 9223372036854775807.0, "LONG"},
    [BECK_QUOTA_CONSUMER_BYTE_RATE] = {"consumer_byte_rate", 9223372036854775807.0, "LONG"},
    [BECK_QUOTA_REQUEST_PERCENTAGE] = {"request_percentage", 0, NULL},
    [BECK_QUOTA_CONTROLLER_MUTATION_RATE] = {"controller_mutation_rate", 0, NULL},
    [BECK_QUOTA_CONNECTION_CREATION_RATE] = {"connection_creation_rate", 2147483647.0, "INT"},
};

/* How far above a whole number one may be, as with Kafka. */
#define EPSILON 1e-6

/* Where a name is among those of parts; BECK_QUOTA_PARTS: nowhere. */
static unsigned find_part(struct kafka_string name)
{
    unsigned i = 0;
    while (i < BECK_QUOTA_PARTS && !kafka_string_equal(name, kafka_string_of(part_names[i])))
        i++;
    return i;
}

static unsigned find_kind(struct kafka_string name)
{
    unsigned i = 0;
    while (i < BECK_QUOTA_KINDS && !kafka_string_equal(name, kafka_string_of(kinds[i].name)))
        i++;
    return i;
}

/* A name of the client's in a sentence. */
#define NAME(string) (int)((string).length < 256 ? (string).length : 256), (string).data

/* ---- DescribeClientQuotas ---- */

enum { MATCH_EXACT, MATCH_DEFAULT, MATCH_ANY };

static bool part_matches(const struct beck_quota_name *part,
                         const struct kafka_describe_client_quotas_request_component *asked)
{
    switch (asked->match_type) {
    case MATCH_EXACT:
        return part->match == BECK_QUOTA_NAMED && part->size == asked->match.length &&
               memcmp(part->bytes, asked->match.data, part->size) == 0;
    case MATCH_DEFAULT:
        return part->match == BECK_QUOTA_DEFAULT;
    default:
        return part->match != BECK_QUOTA_NOT_GIVEN;
    }
}

static unsigned count_parts(const struct beck_quota *quota)
{
    unsigned count = 0;
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++)
        count += quota->parts[i].match != BECK_QUOTA_NOT_GIVEN;
    return count;
}

static bool matches(const struct beck_quota *quota,
                    const struct kafka_describe_client_quotas_request *body)
{
    for (uint32_t i = 0; i < body->components_count; i++)
        if (!part_matches(&quota->parts[find_part(body->components[i].entity_type)],
                          &body->components[i]))
            return false;
    return !body->strict || count_parts(quota) == body->components_count;
}

static int16_t refuse_filter(struct request *request, int16_t code, const char *why)
{
    struct kafka_describe_client_quotas_response *response = request->response;
    response->error_message = kafka_string_of(why);
    return code;
}

static int16_t check_match(struct request *request,
                           const struct kafka_describe_client_quotas_request_component *asked)
{
    struct kafka_arena *arena = &request->arena;
    bool is_named = asked->match.data;
    if (asked->match_type < MATCH_EXACT || asked->match_type > MATCH_ANY)
        return refuse_filter(request, KAFKA_INVALID_REQUEST,
                             kafka_arena_printf(arena, "Unknown match type %d", asked->match_type));
    if (is_named == (asked->match_type == MATCH_EXACT))
        return KAFKA_NONE;
    static const char *const whys[] = {
        "Request specified MATCH_TYPE_EXACT, but set match string to null.",
        "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
        "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.",
    };
    return refuse_filter(request, KAFKA_INVALID_REQUEST, whys[asked->match_type]);
}

static int16_t check_filter(struct request *request)
{
    const struct kafka_describe_client_quotas_request *body = request->body;
    struct kafka_arena *arena = &request->arena;
    unsigned seen = 0;
    for (uint32_t i = 0; i < body->components_count; i++) {
        struct kafka_string type = body->components[i].entity_type;
        unsigned part = find_part(type);
        if (type.length == 0)
            return refuse_filter(request, KAFKA_INVALID_REQUEST, "Invalid empty entity type.");
        if (part == BECK_QUOTA_PARTS)
            return refuse_filter(
                request, KAFKA_UNSUPPORTED_VERSION,
                kafka_arena_printf(arena, "Unsupported entity type %.*s", NAME(type)));
        if (seen & 1U << part)
            return refuse_filter(
                request, KAFKA_INVALID_REQUEST,
                kafka_arena_printf(arena,
                                   "Entity type %.*s cannot appear more than once in the filter.",
                                   NAME(type)));
        seen |= 1U << part;
        int16_t code = check_match(request, &body->components[i]);
        if (code != KAFKA_NONE)
            return code;
    }
    if (seen & 1U << BECK_QUOTA_IP && seen != 1U << BECK_QUOTA_IP)
        return refuse_filter(request, KAFKA_INVALID_REQUEST,
                             "Invalid entity filter component combination. IP filter component "
                             "should not be used with user or clientId filter component.");
    return KAFKA_NONE;
}

/* The name of a part for an answer; null for the default. -ENOMEM. */
static int copy_name(struct kafka_arena *arena, const struct beck_quota_name *name,
                     struct kafka_string *ret)
{
    *ret = (struct kafka_string){0};
    if (name->match != BECK_QUOTA_NAMED)
        return 0;
    ret->data = kafka_arena_copy(arena, name->bytes, name->size);
    ret->length = (uint32_t)name->size;
    return ret->data ? 0 : -ENOMEM;
}

static int describe_one(struct kafka_arena *arena, const struct beck_quota *quota,
                        struct kafka_describe_client_quotas_response_entry *entry)
{
    entry->entity = kafka_describe_client_quotas_response_entity_array(arena, count_parts(quota));
    entry->values = kafka_describe_client_quotas_response_value_array(arena, BECK_QUOTA_KINDS);
    if (!entry->entity || !entry->values)
        return -ENOMEM;
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++) {
        if (quota->parts[i].match == BECK_QUOTA_NOT_GIVEN)
            continue;
        struct kafka_describe_client_quotas_response_entity *entity =
            &entry->entity[entry->entity_count++];
        entity->entity_type = kafka_string_of(part_names[i]);
        if (copy_name(arena, &quota->parts[i], &entity->entity_name) < 0)
            return -ENOMEM;
    }
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++) {
        if (!(quota->set & 1U << i))
            continue;
        entry->values[entry->values_count].key = kafka_string_of(kinds[i].name);
        entry->values[entry->values_count++].value = quota->values[i];
    }
    return 0;
}

/* Under the lock of who changes the table. */
static int describe_all(struct request *request, const struct quota_table *table)
{
    const struct kafka_describe_client_quotas_request *body = request->body;
    struct kafka_describe_client_quotas_response *response = request->response;
    uint32_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += matches(&table->list[i]->quota, body);
    response->entries = kafka_describe_client_quotas_response_entry_array(&request->arena, count);
    for (size_t i = 0; response->entries && i < table->count; i++)
        if (matches(&table->list[i]->quota, body) &&
            describe_one(&request->arena, &table->list[i]->quota,
                         &response->entries[response->entries_count++]) < 0)
            return -ENOMEM;
    return response->entries ? 0 : -ENOMEM;
}

static void describe_client_quotas(struct request *request)
{
    struct kafka_describe_client_quotas_response *response = request->response;
    struct quotas *quotas = &request->loop->broker->quotas;
    response->error_code = check_filter(request);
    if (response->error_code != KAFKA_NONE)
        return;
    response->error_message = kafka_string_of(""); /* not null, with Kafka */
    pthread_mutex_lock(&quotas->changes);
    if (describe_all(request, &quotas->table) < 0)
        request->response = NULL;
    pthread_mutex_unlock(&quotas->changes);
}

void describe_client_quotas_handle(struct request *request)
{
    request_submit(request, describe_client_quotas);
}

/* ---- AlterClientQuotas ---- */

/* One entry of a request. */
struct alteration {
    struct kafka_arena *arena;
    const struct kafka_alter_client_quotas_request_entry *asked;
    struct kafka_alter_client_quotas_response_entry *answer;
    struct beck_quota *quota; /* what is to be, where nothing is wrong */
};

#define refuse(alteration, ...)                                                                    \
    refuse_with(alteration, kafka_arena_printf((alteration)->arena, __VA_ARGS__))

static int16_t refuse_with(struct alteration *alteration, const char *why)
{
    alteration->answer->error_message = kafka_string_of(why);
    return KAFKA_INVALID_REQUEST;
}

/* One part of whom it is for. One that is given twice is the last. */
static int16_t take_part(struct alteration *alteration, struct kafka_string type,
                         struct kafka_string name)
{
    unsigned part = find_part(type);
    if (part == BECK_QUOTA_PARTS)
        return refuse(alteration, "Unhandled client quota entity type: %.*s", NAME(type));
    if (name.data && name.length == 0)
        return refuse(alteration, "Empty %s not supported", part_names[part]);
    if (name.length > BECK_QUOTA_NAME_BYTES)
        return refuse(alteration, "The name of a %s has at most %d bytes here", part_names[part],
                      BECK_QUOTA_NAME_BYTES);
    struct beck_quota_name *to = &alteration->quota->parts[part];
    *to = (struct beck_quota_name){.match = name.data ? BECK_QUOTA_NAMED : BECK_QUOTA_DEFAULT};
    if (!name.data)
        return KAFKA_NONE;
    to->size = name.length;
    memcpy(to->bytes, name.data, name.length);
    return KAFKA_NONE;
}

/* Names of hosts are not looked up: who has one now may not have it later. */
static int16_t check_address(struct alteration *alteration)
{
    const struct beck_quota_name *name = &alteration->quota->parts[BECK_QUOTA_IP];
    uint8_t address[QUOTA_ADDRESS_BYTES];
    if (name->match == BECK_QUOTA_NOT_GIVEN)
        return KAFKA_NONE;
    if (count_parts(alteration->quota) > 1)
        return refuse(alteration, "Invalid quota entity combination, IP entity should not be "
                                  "combined with User or ClientId");
    if (name->match == BECK_QUOTA_NAMED &&
        (memchr(name->bytes, '\0', name->size) || !quota_address_parse(name->bytes, address)))
        return refuse(alteration, "%s is not a valid IP address (names are not looked up)",
                      name->bytes);
    return KAFKA_NONE;
}

static int16_t take_whom(struct alteration *alteration)
{
    if (alteration->asked->entity_count == 0)
        return refuse(alteration, "Invalid empty client quota entity");
    for (uint32_t i = 0; i < alteration->asked->entity_count; i++) {
        int16_t code = take_part(alteration, alteration->asked->entity[i].entity_type,
                                 alteration->asked->entity[i].entity_name);
        if (code != KAFKA_NONE)
            return code;
    }
    return check_address(alteration);
}

static int16_t check_value(struct alteration *alteration, unsigned kind, double value)
{
    const char *name = kinds[kind].name;
    if (isnan(value))
        return refuse(alteration, "Quota %s must be a number", name);
    if (value <= 0)
        return refuse(alteration, "Quota %s must be greater than 0", name);
    if (!kinds[kind].type)
        return KAFKA_NONE;
    if (value > kinds[kind].most)
        return refuse(alteration, "Proposed value for %s is too large for a%s %s.", name,
                      kinds[kind].type[0] == 'I' ? "n" : "", kinds[kind].type);
    if (value - floor(value) > EPSILON)
        return refuse(alteration, "%s cannot be a fractional value.", name);
    return KAFKA_NONE;
}

static int16_t take_ops(struct alteration *alteration)
{
    struct beck_quota *quota = alteration->quota;
    bool is_for_address = quota->parts[BECK_QUOTA_IP].match != BECK_QUOTA_NOT_GIVEN;
    unsigned seen = 0;
    for (uint32_t i = 0; i < alteration->asked->ops_count; i++) {
        const struct kafka_alter_client_quotas_request_op *op = &alteration->asked->ops[i];
        unsigned kind = find_kind(op->key);
        bool is_known = kind < BECK_QUOTA_KINDS &&
                        (kind == BECK_QUOTA_CONNECTION_CREATION_RATE) == is_for_address;
        if (kind < BECK_QUOTA_KINDS && seen & 1U << kind)
            return refuse(alteration, "Duplicate quota key %s", kinds[kind].name);
        if (kind < BECK_QUOTA_KINDS)
            seen |= 1U << kind;
        if (!is_known && !op->remove)
            return refuse(alteration, "Invalid configuration key %.*s", NAME(op->key));
        if (!is_known)
            continue; /* it is not set, and need not be removed */
        int16_t code = op->remove ? KAFKA_NONE : check_value(alteration, kind, op->value);
        if (code != KAFKA_NONE)
            return code;
        quota->set = op->remove ? quota->set & ~(1U << kind) : quota->set | 1U << kind;
        quota->values[kind] = op->remove ? 0 : op->value;
    }
    return KAFKA_NONE;
}

/* By whom they are for, then as they stand in the request. */
static int compare(const void *a, const void *b)
{
    const struct alteration *x = *(struct alteration *const *)a;
    const struct alteration *y = *(struct alteration *const *)b;
    int order = quota_compare(x->quota, y->quota);
    return order != 0 ? order : x < y ? -1 : x > y;
}

/* Of those for the same clients the first counts. -ENOMEM. */
static int refuse_duplicates(struct alteration *list, uint32_t count, struct kafka_arena *arena)
{
    struct alteration **sorted = kafka_arena_alloc(arena, count, sizeof(struct alteration *));
    size_t good = 0;
    if (!sorted)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].answer->error_code == KAFKA_NONE)
            sorted[good++] = &list[i];
    qsort(sorted, good, sizeof(struct alteration *), compare);
    for (size_t i = 1; i < good; i++)
        if (quota_compare(sorted[i - 1]->quota, sorted[i]->quota) == 0)
            sorted[i]->answer->error_code = refuse(sorted[i], "Ignoring duplicate entity");
    return 0;
}

/* What is to be, where it is not what there is already. The number of those. Under the lock of who
 * changes the table. */
static size_t take_all_ops(struct alteration *list, uint32_t count, const struct quota_table *table,
                           struct beck_quota *ret_changed)
{
    size_t changed = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].answer->error_code != KAFKA_NONE)
            continue;
        struct beck_quota *quota = list[i].quota;
        const struct quota_entry *present = quota_table_find(table, quota);
        if (present)
            *quota = present->quota;
        list[i].answer->error_code = take_ops(&list[i]);
        bool is_same = present ? memcmp(quota, &present->quota, sizeof(*quota)) == 0 : !quota->set;
        if (list[i].answer->error_code == KAFKA_NONE && !is_same)
            ret_changed[changed++] = *quota;
    }
    return changed;
}

/* The store takes them all, or none. */
static void put(struct request *request, const struct beck_quota *changed, size_t count)
{
    const struct kafka_alter_client_quotas_request *body = request->body;
    struct kafka_alter_client_quotas_response *response = request->response;
    struct beck_error error = {.message = ""};
    if (count == 0 || body->validate_only)
        return;
    int result = quotas_set(&request->loop->broker->quotas, changed, count, &error);
    const char *why =
        result < 0 ? kafka_arena_copy(&request->arena, error.message, strlen(error.message)) : NULL;
    for (uint32_t i = 0; result < 0 && i < response->entries_count; i++) {
        if (response->entries[i].error_code != KAFKA_NONE)
            continue;
        response->entries[i].error_code =
            result == -EMSGSIZE ? KAFKA_INVALID_REQUEST : kafka_error_of(result);
        response->entries[i].error_message = kafka_string_of(why);
    }
}

/* Whom an entry is about, again in the answer. */
static int copy_entity(struct alteration *alteration)
{
    const struct kafka_alter_client_quotas_request_entry *from = alteration->asked;
    struct kafka_alter_client_quotas_response_entry *to = alteration->answer;
    to->entity =
        kafka_alter_client_quotas_response_entity_array(alteration->arena, from->entity_count);
    to->entity_count = from->entity_count;
    for (uint32_t i = 0; to->entity && i < from->entity_count; i++) {
        to->entity[i].entity_type = from->entity[i].entity_type;
        to->entity[i].entity_name = from->entity[i].entity_name;
    }
    return to->entity ? 0 : -ENOMEM;
}

/* The alterations, as far as whom they are for. -ENOMEM. */
static int take_all_whom(struct request *request, struct alteration *list)
{
    const struct kafka_alter_client_quotas_request *body = request->body;
    struct kafka_alter_client_quotas_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    struct beck_quota *quotas = kafka_arena_alloc(arena, body->entries_count, sizeof(*quotas));
    response->entries = kafka_alter_client_quotas_response_entry_array(arena, body->entries_count);
    if (!list || !quotas || !response->entries)
        return -ENOMEM;
    response->entries_count = body->entries_count;
    for (uint32_t i = 0; i < body->entries_count; i++) {
        list[i] = (struct alteration){arena, &body->entries[i], &response->entries[i], &quotas[i]};
        if (copy_entity(&list[i]) < 0)
            return -ENOMEM;
        response->entries[i].error_code = take_whom(&list[i]);
    }
    return refuse_duplicates(list, body->entries_count, arena);
}

static void alter_client_quotas(struct request *request)
{
    const struct kafka_alter_client_quotas_request *body = request->body;
    struct quotas *quotas = &request->loop->broker->quotas;
    uint32_t count = body->entries_count;
    struct alteration *list = kafka_arena_alloc(&request->arena, count, sizeof(*list));
    struct beck_quota *changed = kafka_arena_alloc(&request->arena, count, sizeof(*changed));
    if (!changed || take_all_whom(request, list) < 0) {
        request->response = NULL;
        return;
    }
    pthread_mutex_lock(&quotas->changes);
    put(request, changed, take_all_ops(list, count, &quotas->table, changed));
    pthread_mutex_unlock(&quotas->changes);
}

void alter_client_quotas_handle(struct request *request)
{
    request_submit(request, alter_client_quotas);
}
