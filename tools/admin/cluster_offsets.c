/* SPDX-License-Identifier: Apache-2.0 */
/* What groups of a broker or cluster committed, and changing it. */
#include "cluster_admin.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What an answer says of a group's partitions, and whether that is an error. */
static int check_partitions(const rd_kafka_group_result_t *group, struct beck_error *error)
{
    const rd_kafka_error_t *wrong = rd_kafka_group_result_error(group);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(group);

    if (wrong != NULL)
        return cluster_error(error, rd_kafka_error_code(wrong), "group %s",
                             rd_kafka_group_result_name(group));
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        if (list->elems[i].err)
            return cluster_error(error, list->elems[i].err, "group %s, topic %s partition %d",
                                 rd_kafka_group_result_name(group), list->elems[i].topic,
                                 (int)list->elems[i].partition);
    }
    return 0;
}

int cluster_check_groups(const rd_kafka_group_result_t **groups, size_t count,
                         struct beck_error *error)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++)
        result = check_partitions(groups[i], error);
    return result;
}

/* What is to be asked of a group, or what it said. */
struct asked {
    const char *group;
    struct admin_offsets *found;
    rd_kafka_topic_partition_list_t *wanted;
};

/* ---- what is committed -------------------------------------------------------------------- */

static int take_offset(struct admin_offsets *offsets, const rd_kafka_topic_partition_t *from)
{
    if (from->offset < 0 || !beck_topic_name_valid(from->topic))
        return 0; /* nothing is committed */
    struct admin_offset *offset = admin_offsets_add(offsets, from->topic, from->partition);
    if (offset == NULL)
        return -ENOMEM;
    offset->offset = from->offset;
    if (from->metadata_size == 0)
        return 0;
    offset->metadata = malloc(from->metadata_size);
    if (offset->metadata == NULL)
        return -ENOMEM;
    memcpy(offset->metadata, from->metadata, from->metadata_size);
    offset->metadata_size = from->metadata_size;
    return 0;
}

static void send_question(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                          void *context)
{
    const struct asked *asked = context;

    rd_kafka_ListConsumerGroupOffsets_t *wanted =
        rd_kafka_ListConsumerGroupOffsets_new(asked->group, NULL);
    rd_kafka_ListConsumerGroupOffsets(admin->client, &wanted, 1, options, admin->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
}

static int take_offsets(rd_kafka_event_t *answer, void *context, struct beck_error *error)
{
    const struct asked *asked = context;
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(answer), &count);

    int result = cluster_check_groups(groups, count, error);
    for (size_t i = 0; result == 0 && i < count; i++) {
        const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[i]);
        for (int k = 0; result == 0 && list != NULL && k < list->cnt; k++) {
            if (take_offset(asked->found, &list->elems[k]) < 0)
                result = report(error, -ENOMEM, "not enough memory");
        }
    }
    return result;
}

int cluster_offsets(struct admin *base, const char *group, struct admin_offsets *offsets,
                    struct beck_error *error)
{
    struct asked asked = {.group = group, .found = offsets};
    const struct cluster_request request = {
        RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        send_question,
        take_offsets,
        &asked,
    };
    return cluster_ask((struct cluster_admin *)base, &request, error);
}

/* ---- changing ----------------------------------------------------------------------------- */

static void send_commit(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                        void *context)
{
    const struct asked *asked = context;

    rd_kafka_AlterConsumerGroupOffsets_t *wanted =
        rd_kafka_AlterConsumerGroupOffsets_new(asked->group, asked->wanted);
    rd_kafka_AlterConsumerGroupOffsets(admin->client, &wanted, 1, options, admin->queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
}

static int take_commit(rd_kafka_event_t *answer, void *context, struct beck_error *error)
{
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(answer), &count);

    (void)context;
    return cluster_check_groups(groups, count, error);
}

int cluster_commit(struct admin *base, const char *group, const struct admin_offsets *offsets,
                   struct beck_error *error)
{
    struct asked asked = {group, NULL, rd_kafka_topic_partition_list_new((int)offsets->count)};
    const struct cluster_request request = {
        RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
        send_commit,
        take_commit,
        &asked,
    };
    int result = 0;

    for (size_t i = 0; i < offsets->count; i++) {
        const struct admin_offset *offset = &offsets->items[i];
        if (offset->target >= 0)
            rd_kafka_topic_partition_list_add(asked.wanted, offset->topic, offset->partition)
                ->offset = offset->target;
    }
    if (asked.wanted->cnt > 0)
        result = cluster_ask((struct cluster_admin *)base, &request, error);
    rd_kafka_topic_partition_list_destroy(asked.wanted);
    return result;
}

static void send_deletion(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                          void *context)
{
    const struct asked *asked = context;

    rd_kafka_DeleteConsumerGroupOffsets_t *wanted =
        rd_kafka_DeleteConsumerGroupOffsets_new(asked->group, asked->wanted);
    rd_kafka_DeleteConsumerGroupOffsets(admin->client, &wanted, 1, options, admin->queue);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(wanted);
}

static int take_deletion(rd_kafka_event_t *answer, void *context, struct beck_error *error)
{
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
        rd_kafka_event_DeleteConsumerGroupOffsets_result(answer), &count);

    (void)context;
    return cluster_check_groups(groups, count, error);
}

int cluster_forget(struct admin *base, const char *group, const struct admin_offsets *offsets,
                   struct beck_error *error)
{
    struct asked asked = {group, NULL, rd_kafka_topic_partition_list_new((int)offsets->count)};
    const struct cluster_request request = {
        RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS,
        send_deletion,
        take_deletion,
        &asked,
    };

    for (size_t i = 0; i < offsets->count; i++)
        rd_kafka_topic_partition_list_add(asked.wanted, offsets->items[i].topic,
                                          offsets->items[i].partition);
    int result = cluster_ask((struct cluster_admin *)base, &request, error);
    rd_kafka_topic_partition_list_destroy(asked.wanted);
    return result;
}
