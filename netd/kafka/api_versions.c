/* SPDX-License-Identifier: Apache-2.0
 *
 * ApiVersions: what is served, read from the codec's own table, so that it is what is there.
 */
#include "kafka/errors.h"
#include "kafka/handlers.h"

static void list_apis(struct request *request, const struct kafka_api *only)
{
    struct kafka_api_versions_response *response = request->response;
    struct kafka_api_versions_response_api_key *keys =
        kafka_api_versions_response_api_key_array(&request->arena, (uint32_t)kafka_apis_count);
    if (!keys) {
        request->response = NULL;
        return;
    }
    uint32_t count = 0;
    for (size_t i = 0; i < kafka_apis_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        if (!api->advertised || (only && api != only))
            continue;
        keys[count].api_key = api->key;
        keys[count].min_version = api->min_version;
        keys[count].max_version = api->max_version;
        count++;
    }
    response->api_keys = keys;
    response->api_keys_count = count;
}

void api_versions_handle(struct request *request)
{
    list_apis(request, NULL);
    request_ready(request);
}

void api_versions_refuse(struct request *request)
{
    request->version = 0;
    struct kafka_api_versions_response *response =
        kafka_arena_alloc(&request->arena, 1, sizeof(*response));
    request->response = response;
    if (response) {
        kafka_api_versions_response_init(response);
        response->error_code = KAFKA_UNSUPPORTED_VERSION;
        list_apis(request, request->api);
    }
    request_ready(request);
}
