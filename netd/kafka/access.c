/* SPDX-License-Identifier: Apache-2.0
 *
 * ACLs: there is no authorizer, and they are answered as a broker without one does.
 */
#include "kafka/errors.h"
#include "kafka/handlers.h"

#define NO_AUTHORIZER "No Authorizer is configured on the broker"

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
