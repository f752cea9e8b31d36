/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker or cluster that is administered over the network, by librdkafka: clients, requests and
 * their answers, and what is asked of partitions. It uses what librdkafka 2.0 has.
 */
#include "cluster_admin.h"

#include "parse.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_SLACK_MS = 5000 }; /* for librdkafka to find out that the time is over */

/* ---- clients ------------------------------------------------------------------------------ */

/* It is a member of no group. But librdkafka 2.0 tells the group that it might be one of where the
 * coordinator of another does not answer for it, whether it has one or not. */
static int make_client(const struct tool *tool, const char *isolation, rd_kafka_t **ret_client,
                       struct beck_error *error)
{
    /* Ages want one record of each partition: an answer has no more than one batch. */
    const struct cluster_setting settings[] = {
        {"group.id", "beck"},
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},
        {"isolation.level", isolation},
        {"fetch.message.max.bytes", "1"},
        {"fetch.wait.max.ms", "10"},
        {NULL, NULL},
    };
    return cluster_client_new(tool, RD_KAFKA_CONSUMER, settings, NULL, ret_client, error);
}

static int connect_anew(struct cluster_admin *admin, struct beck_error *error)
{
    rd_kafka_t *client = NULL;

    int result = make_client(admin->tool, "read_uncommitted", &client, error);
    if (result < 0)
        return result;
    if (admin->queue != NULL)
        rd_kafka_queue_destroy(admin->queue);
    if (admin->client != NULL)
        rd_kafka_destroy(admin->client);
    admin->client = client;
    admin->queue = rd_kafka_queue_new(client);
    return 0;
}

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

static int ask_once(struct cluster_admin *admin, const struct cluster_request *request,
                    struct beck_error *error)
{
    rd_kafka_event_t *answer = NULL;

    rd_kafka_AdminOptions_t *options = cluster_options(admin, request->what, false);
    request->send(admin, options, request->context);
    int result = cluster_await(admin, &answer, error);
    if (result == 0) {
        result = request->take(answer, request->context, error);
        rd_kafka_event_destroy(answer);
    }
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

int cluster_ask(struct cluster_admin *admin, const struct cluster_request *request,
                struct beck_error *error)
{
    int64_t since_ms = parse_now_ms();
    int result;

    for (;;) {
        result = ask_once(admin, request, error);
        if (result != -EAGAIN || !cluster_again(since_ms))
            return result;
        /* A client does not ask again who coordinates the group. */
        result = connect_anew(admin, error);
        if (result < 0)
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

const struct rd_kafka_metadata_partition *cluster_partition(const struct cluster_admin *admin,
                                                            const char *topic, int32_t number)
{
    for (int i = 0; i < admin->metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *known = &admin->metadata->topics[i];
        for (int k = 0; strcmp(known->topic, topic) == 0 && k < known->partition_cnt; k++) {
            if (known->partitions[k].id == number)
                return &known->partitions[k];
        }
    }
    return NULL;
}

int cluster_check_leader(const struct cluster_admin *admin, const char *topic, int32_t number,
                         struct beck_error *error)
{
    const struct rd_kafka_metadata_partition *known = cluster_partition(admin, topic, number);

    if (known == NULL || known->leader >= 0)
        return 0; /* what is not there is for a broker to say */
    return report(error, -EAGAIN,
                  "topic %s partition %d has no leader: no broker that has it is there", topic,
                  (int)number);
}

/* Those that somebody can be asked about; the first one of the others is in `error`. */
static int list_of(const struct cluster_admin *admin, const struct admin_offsets *offsets,
                   int64_t at, rd_kafka_topic_partition_list_t **ret_list, struct beck_error *error)
{
    struct beck_error later;
    int result = 0;

    *ret_list = rd_kafka_topic_partition_list_new((int)offsets->count);
    for (size_t i = 0; i < offsets->count; i++) {
        const struct admin_offset *offset = &offsets->items[i];
        int found = cluster_check_leader(admin, offset->topic, offset->partition,
                                         result < 0 ? &later : error);
        if (found == 0)
            rd_kafka_topic_partition_list_add(*ret_list, offset->topic, offset->partition)->offset =
                at;
        else if (result == 0)
            result = found;
    }
    return result;
}

static int ask_offsets(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *asked,
                       struct admin_offsets *offsets, struct beck_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(asked);
    int result = 0;

    rd_kafka_resp_err_t wrong = rd_kafka_offsets_for_times(client, list, CLUSTER_PATIENCE_MS);
    if (wrong)
        result = cluster_error(error, wrong, "cannot ask where partitions begin and end");
    for (int i = 0; !wrong && i < list->cnt; i++) { /* librdkafka may order them anew */
        const rd_kafka_topic_partition_t *found = &list->elems[i];
        struct admin_offset *offset = admin_offsets_find(offsets, found->topic, found->partition);
        offset->target = !found->err && found->offset >= 0 ? found->offset : -1;
        if (found->err && result == 0)
            result = cluster_error(error, found->err, "topic %s partition %d", found->topic,
                                   (int)found->partition);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

int cluster_offsets_at(const struct cluster_admin *admin, rd_kafka_t *client,
                       struct admin_offsets *offsets, int64_t at, struct beck_error *error)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    struct beck_error later;
    int64_t since_ms = parse_now_ms();
    int asked = 0;

    for (size_t i = 0; i < offsets->count; i++)
        offsets->items[i].target = -1;
    int result = list_of(admin, offsets, at, &list, error);
    do
        asked = list->cnt > 0 ? ask_offsets(client, list, offsets, result < 0 ? &later : error) : 0;
    while (asked == -EAGAIN && cluster_again(since_ms));
    rd_kafka_topic_partition_list_destroy(list);
    return result < 0 ? result : asked;
}

int cluster_seek_time(struct admin *base, struct admin_offsets *offsets, int64_t time_ms,
                      struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    int result = cluster_offsets_at(admin, admin->client, offsets, time_ms, error);
    for (size_t i = 0; i < offsets->count; i++) {
        if (offsets->items[i].target < 0)
            offsets->items[i].target = offsets->items[i].end;
    }
    return result;
}

/* ---- the administration ------------------------------------------------------------------- */

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
    int result = connect_anew(admin, error);
    if (result == 0)
        result = cluster_read_metadata(admin, error); /* is anybody there? */
    if (result < 0) {
        cluster_close(&admin->base);
        return result;
    }
    *ret_admin = &admin->base;
    return 0;
}
