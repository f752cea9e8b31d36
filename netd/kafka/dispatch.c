/* SPDX-License-Identifier: Apache-2.0
 *
 * Header, version, body, handler; see dispatch.h. As in Kafka, only ApiVersions has an answer for a
 * version that is not served; any other such request ends the connection.
 */
#include "kafka/dispatch.h"

#include <errno.h>

#include "connection.h"
#include "kafka/handlers.h"
#include "loop.h"
#include "throttle.h"

struct handler {
    int16_t key;
    bool keeps_body; /* the body is used after the handler returned: its bytes are copied */
    bool looks;      /* it need not be done for a client that is gone, and may wait */
    void (*handle)(struct request *request);
};

static const struct handler handlers[] = {
    {KAFKA_API_PRODUCE, false, false, produce_handle},
    {KAFKA_API_FETCH, false, true, fetch_handle},
    {KAFKA_API_LIST_OFFSETS, true, true, list_offsets_handle},
    {KAFKA_API_METADATA, true, true, metadata_handle},
    {KAFKA_API_API_VERSIONS, false, true, api_versions_handle},
    {KAFKA_API_OFFSET_COMMIT, true, false, offset_commit_handle},
    {KAFKA_API_OFFSET_FETCH, true, true, offset_fetch_handle},
    {KAFKA_API_FIND_COORDINATOR, true, true, find_coordinator_handle},
    {KAFKA_API_JOIN_GROUP, true, false, join_group_handle},
    {KAFKA_API_HEARTBEAT, true, false, heartbeat_handle},
    {KAFKA_API_LEAVE_GROUP, true, false, leave_group_handle},
    {KAFKA_API_SYNC_GROUP, true, false, sync_group_handle},
    {KAFKA_API_DESCRIBE_GROUPS, true, true, describe_groups_handle},
    {KAFKA_API_LIST_GROUPS, true, true, list_groups_handle},
    {KAFKA_API_CREATE_TOPICS, true, false, create_topics_handle},
    {KAFKA_API_DELETE_TOPICS, true, false, delete_topics_handle},
    {KAFKA_API_INIT_PRODUCER_ID, true, false, init_producer_id_handle},
    {KAFKA_API_DESCRIBE_TOPIC_PARTITIONS, true, true, describe_topic_partitions_handle},
    {KAFKA_API_DESCRIBE_PRODUCERS, true, true, describe_producers_handle},
    {KAFKA_API_DELETE_GROUPS, true, false, delete_groups_handle},
    {KAFKA_API_OFFSET_DELETE, true, false, offset_delete_handle},
    {KAFKA_API_CONSUMER_GROUP_HEARTBEAT, true, false, consumer_group_heartbeat_handle},
    {KAFKA_API_CONSUMER_GROUP_DESCRIBE, true, true, consumer_group_describe_handle},
    {KAFKA_API_DELETE_RECORDS, true, false, delete_records_handle},
    {KAFKA_API_DESCRIBE_CONFIGS, true, true, describe_configs_handle},
    {KAFKA_API_ALTER_CONFIGS, true, false, alter_configs_handle},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, true, false, incremental_alter_configs_handle},
    {KAFKA_API_LIST_CONFIG_RESOURCES, true, true, list_config_resources_handle},
    {KAFKA_API_CREATE_PARTITIONS, true, false, create_partitions_handle},
    {KAFKA_API_OFFSET_FOR_LEADER_EPOCH, true, true, offset_for_leader_epoch_handle},
    {KAFKA_API_DESCRIBE_CLUSTER, false, true, describe_cluster_handle},
    {KAFKA_API_DESCRIBE_LOG_DIRS, true, true, describe_log_dirs_handle},
    {KAFKA_API_ELECT_LEADERS, true, false, elect_leaders_handle},
    {KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, true, false, alter_partition_reassignments_handle},
    {KAFKA_API_LIST_PARTITION_REASSIGNMENTS, false, true, list_partition_reassignments_handle},
    {KAFKA_API_DESCRIBE_ACLS, false, true, describe_acls_handle},
    {KAFKA_API_CREATE_ACLS, false, false, create_acls_handle},
    {KAFKA_API_DELETE_ACLS, false, false, delete_acls_handle},
    {KAFKA_API_DESCRIBE_CLIENT_QUOTAS, true, true, describe_client_quotas_handle},
    {KAFKA_API_ALTER_CLIENT_QUOTAS, true, false, alter_client_quotas_handle},
};

static const struct handler *find_handler(int16_t key)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        if (handlers[i].key == key)
            return &handlers[i];
    return NULL;
}

/* Body and response, in the request's arena. 0, -EBADMSG, -EMSGSIZE or -ENOMEM. */
static int prepare(struct request *request, const struct handler *handler,
                   struct kafka_reader *reader)
{
    const struct kafka_api *api = request->api;
    if (handler->keeps_body) {
        size_t size = kafka_reader_left(reader);
        void *copy = kafka_arena_copy(&request->arena, reader->at, size);
        if (!copy)
            return -ENOMEM;
        kafka_reader_init(reader, copy, size);
    }
    request->body = kafka_arena_alloc(&request->arena, 1, api->request.size);
    request->response = kafka_arena_alloc(&request->arena, 1, api->response.size);
    if (!request->body || !request->response)
        return -ENOMEM;
    api->response.init(request->response);
    return api->request.decode(reader, request->version, &request->arena, request->body);
}

static struct request *enqueue(struct connection *connection, const struct kafka_api *api,
                               const struct kafka_request_header *header)
{
    struct request *request = request_new(connection->loop, connection);
    if (!request) {
        connection_end(connection, "no memory for a request");
        return NULL;
    }
    request->api = api;
    request->version = header->request_api_version;
    request->correlation_id = header->correlation_id;
    request->client_id = header->client_id;
    TAILQ_INSERT_TAIL(&connection->requests, request, link);
    connection->request_count++;
    return request;
}

static void refuse_version(struct connection *connection, const struct kafka_api *api,
                           const struct kafka_request_header *header)
{
    if (api->key != KAFKA_API_API_VERSIONS) {
        connection_end(connection, "asked for version %d of %s, which is served from %d to %d",
                       header->request_api_version, api->name, api->min_version, api->max_version);
        return;
    }
    struct request *request = enqueue(connection, api, header);
    if (request)
        api_versions_refuse(request);
}

void dispatch(struct connection *connection, const uint8_t *data, size_t size)
{
    struct kafka_reader reader;
    struct kafka_request_header header;
    const struct kafka_api *api = NULL;
    kafka_reader_init(&reader, data, size);
    if (kafka_request_header_read(&reader, &header, &api) < 0) {
        connection_end(connection, "sent %zu bytes that are no request", size);
        return;
    }
    const struct handler *handler = api ? find_handler(api->key) : NULL;
    if (!handler) {
        connection_end(connection, "asked for API %d, which is not served", header.request_api_key);
        return;
    }
    if (!kafka_api_serves(api, header.request_api_version)) {
        refuse_version(connection, api, &header);
        return;
    }
    struct request *request = enqueue(connection, api, &header);
    if (!request)
        return;
    if (prepare(request, handler, &reader) < 0) {
        connection_end(connection, "sent a malformed request (%s version %d, %zu bytes)", api->name,
                       header.request_api_version, size);
        return;
    }
    request->looks = handler->looks;
    if (request_count_body(request) < 0) {
        connection_end(
            connection,
            "no memory for its request, which takes %zu bytes (queued.max.request.bytes is "
            "%lld)",
            request->body_bytes,
            (long long)connection->loop->broker->config->queued_max_request_bytes);
        return;
    }
    if (quotas_limit_clients(&connection->loop->broker->quotas))
        throttle_handle(request, handler->handle, size);
    else
        handler->handle(request);
}
