/* SPDX-License-Identifier: Apache-2.0
 *
 * ACLs and quotas: there is no authorizer, and nobody is throttled. Both are answered as a broker
 * without them does.
 */
#include "kafka/errors.h"
#include "kafka/handlers.h"

#define NO_AUTHORIZER "No Authorizer is configured on the broker"
#define NO_QUOTAS     "Quotas are not kept by this broker."

void describe_acls_handle(struct request *request)
{
    struct kafka_describe_acls_response *response = request->response;
    response->error_code = KAFKA_SECURITY_DISABLED;
    response->error_message = kafka_string_of(NO_AUTHORIZER);
    request_ready(request);
}

void create_acls_handle(struct request *request)
{
    const struct kafka_create_acls_request *body = request->body;
    struct kafka_create_acls_response *response = request->response;
    response->results =
        kafka_create_acls_response_result_array(&request->arena, body->creations_count);
    response->results_count = body->creations_count;
    for (uint32_t i = 0; response->results && i < body->creations_count; i++) {
        response->results[i].error_code = KAFKA_SECURITY_DISABLED;
        response->results[i].error_message = kafka_string_of(NO_AUTHORIZER);
    }
    if (!response->results)
        request->response = NULL;
    request_ready(request);
}

void delete_acls_handle(struct request *request)
{
    const struct kafka_delete_acls_request *body = request->body;
    struct kafka_delete_acls_response *response = request->response;
    response->filter_results =
        kafka_delete_acls_response_filter_result_array(&request->arena, body->filters_count);
    response->filter_results_count = body->filters_count;
    for (uint32_t i = 0; response->filter_results && i < body->filters_count; i++) {
        response->filter_results[i].error_code = KAFKA_SECURITY_DISABLED;
        response->filter_results[i].error_message = kafka_string_of(NO_AUTHORIZER);
    }
    if (!response->filter_results)
        request->response = NULL;
    request_ready(request);
}

/* ---- quotas: none are set, and none can be; all else is answered as Kafka does ---- */

static const char *const entity_types[] = {"user", "client-id", "ip", NULL};
static const char *const quota_keys[] = {"producer_byte_rate",       "consumer_byte_rate",
                                         "request_percentage",       "controller_mutation_rate",
                                         "connection_creation_rate", NULL};

static bool is_among(const char *const *names, struct kafka_string name)
{
    for (; *names; names++)
        if (kafka_string_equal(name, kafka_string_of(*names)))
            return true;
    return false;
}

void describe_client_quotas_handle(struct request *request)
{
    const struct kafka_describe_client_quotas_request *body = request->body;
    struct kafka_describe_client_quotas_response *response = request->response;
    response->entries = kafka_describe_client_quotas_response_entry_array(&request->arena, 0);
    if (!response->entries)
        request->response = NULL;
    for (uint32_t i = 0; i < body->components_count && request->response; i++) {
        if (is_among(entity_types, body->components[i].entity_type))
            continue;
        response->error_code = KAFKA_UNSUPPORTED_VERSION;
        response->error_message = kafka_string_of("Unsupported entity type");
        response->entries = NULL;
    }
    request_ready(request);
}

/* Whom an entry is about, again in the answer. */
static bool copy_entity(struct request *request,
                        const struct kafka_alter_client_quotas_request_entry *from,
                        struct kafka_alter_client_quotas_response_entry *to)
{
    to->entity =
        kafka_alter_client_quotas_response_entity_array(&request->arena, from->entity_count);
    to->entity_count = from->entity_count;
    for (uint32_t i = 0; to->entity && i < from->entity_count; i++) {
        to->entity[i].entity_type = from->entity[i].entity_type;
        to->entity[i].entity_name = from->entity[i].entity_name;
    }
    return to->entity;
}

/* The error of an entry, and why. Removing what is not set is no error. */
static int16_t alter_quota(const struct kafka_alter_client_quotas_request_entry *asked,
                           const char **ret_why)
{
    for (uint32_t i = 0; i < asked->entity_count; i++) {
        if (!is_among(entity_types, asked->entity[i].entity_type)) {
            *ret_why = "Unhandled client quota entity type";
            return KAFKA_INVALID_REQUEST;
        }
    }
    for (uint32_t i = 0; i < asked->ops_count; i++) {
        if (!is_among(quota_keys, asked->ops[i].key)) {
            *ret_why = "Invalid configuration key";
            return KAFKA_INVALID_REQUEST;
        }
        if (!asked->ops[i].remove) {
            *ret_why = NO_QUOTAS;
            return KAFKA_UNSUPPORTED_VERSION;
        }
    }
    return KAFKA_NONE;
}

void alter_client_quotas_handle(struct request *request)
{
    const struct kafka_alter_client_quotas_request *body = request->body;
    struct kafka_alter_client_quotas_response *response = request->response;
    response->entries =
        kafka_alter_client_quotas_response_entry_array(&request->arena, body->entries_count);
    response->entries_count = body->entries_count;
    for (uint32_t i = 0; response->entries && i < body->entries_count; i++) {
        const char *why = NULL;
        response->entries[i].error_code = alter_quota(&body->entries[i], &why);
        response->entries[i].error_message = kafka_string_of(why);
        if (!copy_entity(request, &body->entries[i], &response->entries[i]))
            response->entries = NULL;
    }
    if (!response->entries)
        request->response = NULL;
    request_ready(request);
}
