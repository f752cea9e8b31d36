/* SPDX-License-Identifier: Apache-2.0 */
/* Topics of a broker or cluster. */
#include "cluster_admin.h"

#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there is ------------------------------------------------------------------------ */

static int fill_topic(const struct rd_kafka_metadata_topic *topic, struct admin_topic *ret_topic,
                      struct beck_error *error)
{
    if (!beck_topic_name_valid(topic->topic))
        return report(error, -EINVAL, "the broker has a topic of no possible name");
    *ret_topic = (struct admin_topic){.partition_count = (uint32_t)topic->partition_cnt};
    strcpy(ret_topic->name, topic->topic);
    return 1;
}

int cluster_topic_next(struct admin *base, const char *after, struct admin_topic *ret_topic,
                       struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    const struct rd_kafka_metadata_topic *next = NULL;

    int result = cluster_read_metadata(admin, error);
    for (int i = 0; result == 0 && i < admin->metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &admin->metadata->topics[i];
        if (strcmp(topic->topic, after) > 0 && (!next || strcmp(topic->topic, next->topic) < 0))
            next = topic;
    }
    return result < 0 || next == NULL ? result : fill_topic(next, ret_topic, error);
}

static const struct rd_kafka_metadata_topic *find(const struct cluster_admin *admin,
                                                  const char *name)
{
    for (int i = 0; i < admin->metadata->topic_cnt; i++) {
        if (strcmp(admin->metadata->topics[i].topic, name) == 0)
            return &admin->metadata->topics[i];
    }
    return NULL;
}

int cluster_topic_find(struct admin *base, const char *name, struct admin_topic *ret_topic,
                       struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    int result = cluster_read_metadata(admin, error);
    if (result < 0)
        return result;
    const struct rd_kafka_metadata_topic *topic = find(admin, name);
    return topic != NULL
               ? fill_topic(topic, ret_topic, error)
               : report(error, -ENOENT, "%s has no topic %s", cluster_name(admin->tool), name);
}

/* ---- figures ------------------------------------------------------------------------------ */

/* The numbers of brokers, with commas between. */
static void join_numbers(const int32_t *numbers, int count, char *text, size_t size)
{
    size_t used = 0;

    (void)snprintf(text, size, "none");
    for (int i = 0; i < count && used < size; i++) {
        int added = snprintf(text + used, size - used, "%s%d", i > 0 ? "," : "", (int)numbers[i]);
        used += added > 0 ? (size_t)added : 0;
    }
}

/* Those that have a leader: of the others nobody knows more than that. */
static int list_partitions(const struct cluster_admin *admin, struct admin_offsets *offsets,
                           const struct admin_topic *topic, struct beck_error *error)
{
    admin_offsets_done(offsets);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (cluster_check_leader(admin, topic->name, (int32_t)i, error) == 0 &&
            admin_offsets_add(offsets, topic->name, (int32_t)i) == NULL)
            return report(error, -ENOMEM, "not enough memory");
    }
    return 0;
}

/* Of all partitions at once: they are asked for one after the other. */
static int look_at_topic(struct cluster_admin *admin, const struct admin_topic *topic,
                         struct beck_error *error)
{
    rd_kafka_t *reader = NULL;

    int result = list_partitions(admin, &admin->bounds, topic, error);
    if (result == 0)
        result = list_partitions(admin, &admin->stable, topic, error);
    if (result == 0)
        result = cluster_look(&admin->base, &admin->bounds, false, error);
    if (result == 0)
        result = cluster_reader(admin, &reader, error);
    if (result == 0)
        result = cluster_offsets_at(admin, reader, &admin->stable, CLUSTER_AT_END, error);
    return result;
}

static void fill_replicas(struct cluster_admin *admin, const char *topic, int32_t partition,
                          struct table_figures *figures)
{
    const struct rd_kafka_metadata_partition *known = cluster_partition(admin, topic, partition);

    if (known == NULL)
        return;
    join_numbers(known->replicas, known->replica_cnt, admin->replicas, sizeof(admin->replicas));
    join_numbers(known->isrs, known->isr_cnt, admin->in_sync, sizeof(admin->in_sync));
    figures->has_replicas = true;
    figures->leader = known->leader;
    figures->replicas = admin->replicas;
    figures->in_sync = admin->in_sync;
}

int cluster_figures(struct admin *base, const struct admin_topic *topic, int32_t partition,
                    struct table_figures *ret_figures, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    struct table_figures figures = {.leader = -1};

    fill_replicas(admin, topic->name, partition, &figures);
    *ret_figures = figures;
    if (cluster_check_leader(admin, topic->name, partition, error) < 0)
        return 0;
    if (admin_offsets_find(&admin->bounds, topic->name, partition) == NULL) {
        int result = look_at_topic(admin, topic, error);
        if (result < 0)
            return result;
    }
    const struct admin_offset *bounds = admin_offsets_find(&admin->bounds, topic->name, partition);
    const struct admin_offset *stable = admin_offsets_find(&admin->stable, topic->name, partition);
    ret_figures->has_bounds = true;
    ret_figures->start = bounds->start;
    ret_figures->end = bounds->end;
    ret_figures->stable = stable->target;
    return 0;
}

/* ---- changing ----------------------------------------------------------------------------- */

/* Whether all went well with the topics of an answer. */
static int check_topics(const rd_kafka_topic_result_t **topics, size_t count,
                        struct beck_error *error)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t wrong = rd_kafka_topic_result_error(topics[i]);
        const char *why = rd_kafka_topic_result_error_string(topics[i]);
        if (!wrong)
            continue;
        int result = cluster_error(error, wrong, "topic %s", rd_kafka_topic_result_name(topics[i]));
        return why == NULL ? result
                           : report(error, result, "topic %s: %s",
                                    rd_kafka_topic_result_name(topics[i]), why);
    }
    return 0;
}

static rd_kafka_NewTopic_t *new_topic(const struct admin_new_topic *wanted,
                                      struct beck_error *error)
{
    char why[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(wanted->name, (int)wanted->partition_count,
                                                       wanted->replicas, why, sizeof(why));

    if (topic == NULL) {
        (void)report(error, -EINVAL, "topic %s: %s", wanted->name, why);
        return NULL;
    }
    for (size_t i = 0; i < wanted->config_count; i++)
        (void)rd_kafka_NewTopic_set_config(topic, wanted->configs[i].name,
                                           wanted->configs[i].value);
    return topic;
}

int cluster_topic_create(struct admin *base, const struct admin_new_topic *wanted,
                         struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;
    size_t count;

    rd_kafka_NewTopic_t *topic = new_topic(wanted, error);
    if (topic == NULL)
        return -EINVAL;
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS, false);
    rd_kafka_CreateTopics(admin->client, &topic, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_topic_result_t **topics =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        result = check_topics(topics, count, error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return result;
}

int cluster_topic_delete(struct admin *base, const char *name, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;
    size_t count;

    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_DELETETOPICS, false);
    rd_kafka_DeleteTopics(admin->client, &topic, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_topic_result_t **topics =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        result = check_topics(topics, count, error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteTopic_destroy(topic);
    return result;
}

int cluster_topic_grow(struct admin *base, const char *name, uint32_t partition_count, bool dry_run,
                       struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;
    size_t count;
    char why[256];

    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(name, partition_count, why, sizeof(why));
    if (wanted == NULL)
        return report(error, -EINVAL, "topic %s: %s", name, why);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, dry_run);
    rd_kafka_CreatePartitions(admin->client, &wanted, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_topic_result_t **topics = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
        result = check_topics(topics, count, error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewPartitions_destroy(wanted);
    return result;
}

int cluster_trim(struct admin *base, const char *topic, int32_t partition, int64_t before,
                 int64_t *ret_start, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;

    int result = cluster_check_leader(admin, topic, partition, error);
    if (result < 0)
        return result;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        before < 0 ? RD_KAFKA_OFFSET_END : before;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_DELETERECORDS, false);
    rd_kafka_DeleteRecords(admin->client, &wanted, 1, options, admin->queue);
    result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_topic_partition_list_t *done =
            rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
        if (done->elems[0].err)
            result = cluster_error(error, done->elems[0].err, "topic %s partition %d", topic,
                                   (int)partition);
        else
            *ret_start = done->elems[0].offset;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}
