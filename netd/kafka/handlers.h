/* SPDX-License-Identifier: Apache-2.0
 *
 * What serves each API, one file a family. A handler is called on the loop with a decoded body and
 * an initialised response, and either calls request_ready() or arranges that it is called (see
 * request.h). A response of NULL means that there was no memory for it: the connection ends.
 */
#ifndef BECK_NETD_KAFKA_HANDLERS_H
#define BECK_NETD_KAFKA_HANDLERS_H

#include "codec/messages.h"
#include "request.h"

void api_versions_handle(struct request *request);
/* The answer to a version of ApiVersions that is not known: version 0, with the error that makes
 * the client ask again. */
void api_versions_refuse(struct request *request);
void metadata_handle(struct request *request);
void produce_handle(struct request *request);
void fetch_handle(struct request *request);
void list_offsets_handle(struct request *request);
void create_topics_handle(struct request *request);
void delete_topics_handle(struct request *request);
void init_producer_id_handle(struct request *request);
void describe_topic_partitions_handle(struct request *request);
void describe_producers_handle(struct request *request);
void find_coordinator_handle(struct request *request);
void join_group_handle(struct request *request);
void sync_group_handle(struct request *request);
void heartbeat_handle(struct request *request);
void leave_group_handle(struct request *request);
void describe_groups_handle(struct request *request);
void list_groups_handle(struct request *request);
void delete_groups_handle(struct request *request);
void offset_commit_handle(struct request *request);
void offset_fetch_handle(struct request *request);
void offset_delete_handle(struct request *request);
void consumer_group_heartbeat_handle(struct request *request);
void consumer_group_describe_handle(struct request *request);
void delete_records_handle(struct request *request);
void describe_configs_handle(struct request *request);
void alter_configs_handle(struct request *request);
void incremental_alter_configs_handle(struct request *request);
void list_config_resources_handle(struct request *request);
void create_partitions_handle(struct request *request);
void offset_for_leader_epoch_handle(struct request *request);
void describe_cluster_handle(struct request *request);
void describe_log_dirs_handle(struct request *request);
void elect_leaders_handle(struct request *request);
void alter_partition_reassignments_handle(struct request *request);
void list_partition_reassignments_handle(struct request *request);
void describe_acls_handle(struct request *request);
void create_acls_handle(struct request *request);
void delete_acls_handle(struct request *request);
void describe_client_quotas_handle(struct request *request);
void alter_client_quotas_handle(struct request *request);

#endif
