/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker or cluster that is administered over the network, by librdkafka: clients, requests and
 * their answers, and what is asked of partitions. It uses what librdkafka 2.0 has.
 */
#include "cluster_admin.h"

#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_SLACK_MS = 5000 }; /* for librdkafka to find out that the time is over */

/* ---- requests ----------------------------------------------------------------------------- */

rd_kafka_AdminOptions_t *cluster_options(const struct cluster_admin *admin,
                                         rd_kafka_admin_op_t what, bool dry_run)
{
    char why[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->client, what);

    (void)rd_kafka_AdminOptions_set_request_timeout(options, CLUSTER_PATIENCE_MS, why, sizeof(why));
    if (what == RD_KAFKA_ADMIN_OP_CREATETOPICS || what == RD_KAFKA_ADMIN_OP_CREATEPARTITIONS ||
        what == RD_KAFKA_ADMIN_OP_DELETETOPICS || what == RD_KAFKA_ADMIN_OP_DELETERECORDS)
        (void)rd_kafka_AdminOptions_set_operation_timeout(options, CLUSTER_PATIENCE_MS, why,
                                                          sizeof(why));
    if (dry_run)
        (void)rd_kafka_AdminOptions_set_validate_only(options, 1, why, sizeof(why));
    return options;
}

int cluster_await(struct cluster_admin *admin, rd_kafka_event_t **ret_event,
                  struct beck_error *error)
{
    for (;;) {
        rd_kafka_event_t *event =
            rd_kafka_queue_poll(admin->queue, CLUSTER_PATIENCE_MS + ANSWER_SLACK_MS);
        if (event == NULL)
            return report(error, -ETIMEDOUT, "%s does not answer", cluster_name(admin->tool));
        if (rd_kafka_event_type(event) ==
            RD_KAFKA_EVENT_ERROR) { /* of the client, not this one's */
            rd_kafka_event_destroy(event);
            continue;
        }
        rd_kafka_resp_err_t wrong = rd_kafka_event_error(event);
        if (!wrong) {
            *ret_event = event;
            return 0;
        }
        int result = cluster_error(error, wrong, "%s", cluster_name(admin->tool));
        rd_kafka_event_destroy(event);
        return result;
    }
}

int cluster_read_metadata(struct cluster_admin *admin, struct beck_error *error)
{
    if (admin->metadata != NULL)
        return 0;
    rd_kafka_resp_err_t wrong =
        rd_kafka_metadata(admin->client, 1, NULL, &admin->metadata, CLUSTER_PATIENCE_MS);
    return wrong ? cluster_error(error, wrong, "%s: cannot list the topics",
                                 cluster_name(admin->tool))
                 : 0;
}

/* ---- where partitions are at -------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *list_of(const struct admin_offsets *offsets)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)offsets->count);

    for (size_t i = 0; i < offsets->count; i++)
        rd_kafka_topic_partition_list_add(list, offsets->items[i].topic,
                                          offsets->items[i].partition);
    return list;
}

int cluster_offsets_at(rd_kafka_t *client, struct admin_offsets *offsets, int64_t at,
                       struct beck_error *error)
{
    int result = 0;

    if (offsets->count == 0)
        return 0;
    rd_kafka_topic_partition_list_t *list = list_of(offsets);
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = at;
    rd_kafka_resp_err_t wrong = rd_kafka_offsets_for_times(client, list, CLUSTER_PATIENCE_MS);
    for (int i = 0; !wrong && i < list->cnt; i++)
        wrong = list->elems[i].err;
    if (wrong)
        result = cluster_error(error, wrong, "cannot ask where partitions begin and end");
    for (int i = 0; result == 0 && i < list->cnt; i++) { /* librdkafka may order them anew */
        const rd_kafka_topic_partition_t *found = &list->elems[i];
        admin_offsets_find(offsets, found->topic, found->partition)->target =
            found->offset >= 0 ? found->offset : -1;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

int cluster_seek_time(struct admin *base, struct admin_offsets *offsets, int64_t time_ms,
                      struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    int result = cluster_offsets_at(admin->client, offsets, time_ms, error);
    for (size_t i = 0; i < offsets->count; i++) {
        if (offsets->items[i].target < 0)
            offsets->items[i].target = offsets->items[i].end;
    }
    return result;
}

/* ---- clients ------------------------------------------------------------------------------ */

static int make_client(const struct tool *tool, const char *isolation, rd_kafka_t **ret_client,
                       struct beck_error *error)
{
    /* Ages want one record of each partition: an answer has no more than one batch. */
    const struct cluster_setting settings[] = {
        {"enable.partition.eof", "true"}, {"enable.auto.commit", "false"},
        {"isolation.level", isolation},   {"fetch.message.max.bytes", "1"},
        {"fetch.wait.max.ms", "10"},      {NULL, NULL},
    };
    return cluster_client_new(tool, RD_KAFKA_CONSUMER, settings, NULL, ret_client, error);
}

int cluster_reader(struct cluster_admin *admin, rd_kafka_t **ret_reader, struct beck_error *error)
{
    int result = admin->reader != NULL
                     ? 0
                     : make_client(admin->tool, "read_committed", &admin->reader, error);
    if (result == 0)
        *ret_reader = admin->reader;
    return result;
}

static void cluster_close(struct admin *base)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    cluster_configs_done(admin);
    admin_offsets_done(&admin->bounds);
    admin_offsets_done(&admin->stable);
    if (admin->metadata != NULL)
        rd_kafka_metadata_destroy(admin->metadata);
    if (admin->queue != NULL)
        rd_kafka_queue_destroy(admin->queue);
    if (admin->reader != NULL)
        rd_kafka_destroy(admin->reader);
    if (admin->client != NULL)
        rd_kafka_destroy(admin->client);
    free(admin);
}

static const struct admin_ops cluster_ops = {
    .close = cluster_close,
    .topic_next = cluster_topic_next,
    .topic_find = cluster_topic_find,
    .topic_create = cluster_topic_create,
    .topic_delete = cluster_topic_delete,
    .topic_grow = cluster_topic_grow,
    .trim = cluster_trim,
    .figures = cluster_figures,
    .config = cluster_config,
    .alter = cluster_alter,
    .groups = cluster_groups,
    .group_find = cluster_group_find,
    .members = cluster_members,
    .group_delete = cluster_group_delete,
    .offsets = cluster_offsets,
    .look = cluster_look,
    .seek_time = cluster_seek_time,
    .commit = cluster_commit,
    .evict = cluster_evict,
    .forget = cluster_forget,
};

int admin_of_cluster(const struct tool *tool, struct admin **ret_admin, struct beck_error *error)
{
    struct cluster_admin *admin = calloc(1, sizeof(*admin));

    if (admin == NULL)
        return report(error, -ENOMEM, "not enough memory");
    admin->base.ops = &cluster_ops;
    admin->tool = tool;
    int result = make_client(tool, "read_uncommitted", &admin->client, error);
    if (result == 0) {
        admin->queue = rd_kafka_queue_new(admin->client);
        result = cluster_read_metadata(admin, error); /* is anybody there? */
    }
    if (result < 0) {
        cluster_close(&admin->base);
        return result;
    }
    *ret_admin = &admin->base;
    return 0;
}
