/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a cluster's administration share: cluster_admin.c, cluster_topics.c,
 * cluster_configs.c, cluster_groups.c, cluster_members.c and cluster_offsets.c.
 */
#ifndef ADMIN_CLUSTER_ADMIN_H
#define ADMIN_CLUSTER_ADMIN_H

#include "admin.h"
#include "cluster.h"

enum { CLUSTER_NODE_TEXT = 16, CLUSTER_REPLICAS_TEXT = 256 };

struct cluster_admin {
    struct admin base;
    const struct tool *tool;
    rd_kafka_t *client;      /* reads uncommitted records: partitions end at the high watermark */
    rd_kafka_t *reader;      /* reads committed ones; made when first needed */
    rd_kafka_queue_t *queue; /* of the client: for answers */
    const struct rd_kafka_metadata *metadata;
    char
        node[CLUSTER_NODE_TEXT]; /* the broker whose configuration is meant; empty: not known yet */
    rd_kafka_event_t *described; /* configuration, and of what: */
    const rd_kafka_ConfigEntry_t **entries; /* by name */
    size_t entry_count;
    struct admin_offsets bounds; /* of the topic that figures were asked of last */
    struct admin_offsets stable;
    char replicas[CLUSTER_REPLICAS_TEXT];
    char in_sync[CLUSTER_REPLICAS_TEXT];
};

/* Options for a request; the caller destroys them. */
rd_kafka_AdminOptions_t *cluster_options(const struct cluster_admin *admin,
                                         rd_kafka_admin_op_t what, bool dry_run);

/* Wait for the answer to the request that was just made. */
int cluster_await(struct cluster_admin *admin, rd_kafka_event_t **ret_event,
                  struct beck_error *error);

/* A request to a group's coordinator, with `context` for both. It is made again while the
 * coordinator moves to another broker, or reads what groups there are. */
struct cluster_request {
    rd_kafka_admin_op_t what;
    void (*send)(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                 void *context);
    int (*take)(rd_kafka_event_t *answer, void *context, struct beck_error *error);
    void *context;
};

int cluster_ask(struct cluster_admin *admin, const struct cluster_request *request,
                struct beck_error *error);

int cluster_read_metadata(struct cluster_admin *admin, struct beck_error *error);

/* The client that reads committed records. */
int cluster_reader(struct cluster_admin *admin, rd_kafka_t **ret_reader, struct beck_error *error);

/* What the cluster says of a partition, as it was when the administration began; may be NULL. */
const struct rd_kafka_metadata_partition *cluster_partition(const struct cluster_admin *admin,
                                                            const char *topic, int32_t number);

/* Is there a broker to be asked about a partition? -EAGAIN. */
int cluster_check_leader(const struct cluster_admin *admin, const char *topic, int32_t number,
                         struct beck_error *error);

/*
 * Ask where partitions are at: `at` is a time, or one of these two. Sets `target` of each; -1:
 * there is nothing so late, or where it fails, it could not be asked. `client` decides whether open
 * transactions count.
 */
enum { CLUSTER_AT_END = -1, CLUSTER_AT_START = -2 };
int cluster_offsets_at(const struct cluster_admin *admin, rd_kafka_t *client,
                       struct admin_offsets *offsets, int64_t at, struct beck_error *error);

/* What an answer says of groups and their partitions, and whether that is an error. */
int cluster_check_groups(const rd_kafka_group_result_t **groups, size_t count,
                         struct beck_error *error);

/* Operations; see admin.h. */
int cluster_topic_next(struct admin *base, const char *after, struct admin_topic *ret_topic,
                       struct beck_error *error);
int cluster_topic_find(struct admin *base, const char *name, struct admin_topic *ret_topic,
                       struct beck_error *error);
int cluster_topic_create(struct admin *base, const struct admin_new_topic *wanted,
                         struct beck_error *error);
int cluster_topic_delete(struct admin *base, const char *name, struct beck_error *error);
int cluster_topic_grow(struct admin *base, const char *name, uint32_t partition_count, bool dry_run,
                       struct beck_error *error);
int cluster_trim(struct admin *base, const char *topic, int32_t partition, int64_t before,
                 int64_t *ret_start, struct beck_error *error);
int cluster_figures(struct admin *base, const struct admin_topic *topic, int32_t partition,
                    struct table_figures *ret_figures, struct beck_error *error);

void cluster_configs_done(struct cluster_admin *admin);
int cluster_config(struct admin *base, const char *topic, uint32_t index,
                   struct admin_config *ret_config, struct beck_error *error);
int cluster_alter(struct admin *base, const char *topic, const struct beck_config_change *changes,
                  size_t count, bool dry_run, struct beck_error *error);

int cluster_groups(struct admin *base, struct admin_groups *groups, struct beck_error *error);
int cluster_group_find(struct admin *base, const char *name, struct admin_group *ret_group,
                       struct beck_error *error);
int cluster_members(struct admin *base, const char *group, struct admin_member **ret_members,
                    size_t *ret_count, struct beck_error *error);
int cluster_group_delete(struct admin *base, const char *group, struct beck_error *error);
int cluster_offsets(struct admin *base, const char *group, struct admin_offsets *offsets,
                    struct beck_error *error);
int cluster_commit(struct admin *base, const char *group, const struct admin_offsets *offsets,
                   struct beck_error *error);
int cluster_evict(struct admin *base, const char *group, struct beck_error *error);
int cluster_forget(struct admin *base, const char *group, const struct admin_offsets *offsets,
                   struct beck_error *error);

int cluster_look(struct admin *base, struct admin_offsets *offsets, bool ages,
                 struct beck_error *error);
int cluster_seek_time(struct admin *base, struct admin_offsets *offsets, int64_t time_ms,
                      struct beck_error *error);

#endif
