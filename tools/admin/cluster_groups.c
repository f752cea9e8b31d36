/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of a broker or cluster, and what they committed. Groups of all protocol types are listed,
 * Connect's too. How old the first unread records are is read from the partitions, all at once and
 * one batch of each.
 */
#include "cluster_admin.h"

#include "parse.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there is ------------------------------------------------------------------------ */

static enum admin_members members_of(rd_kafka_consumer_group_state_t state)
{
    return state == RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY ||
                   state == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD
               ? ADMIN_MEMBERS_NONE
               : ADMIN_MEMBERS_SOME;
}

static struct admin_group *find_in(const struct admin_groups *groups, const char *name)
{
    for (size_t i = 0; i < groups->count; i++) {
        if (strcmp(groups->items[i].name, name) == 0)
            return &groups->items[i];
    }
    return NULL;
}

static int take_listings(rd_kafka_event_t *event, struct admin_groups *groups,
                         struct beck_error *error)
{
    const rd_kafka_ListConsumerGroups_result_t *answer =
        rd_kafka_event_ListConsumerGroups_result(event);
    size_t count;

    const rd_kafka_error_t **wrong = rd_kafka_ListConsumerGroups_result_errors(answer, &count);
    if (count > 0)
        return cluster_error(error, rd_kafka_error_code(wrong[0]), "cannot list the groups");
    const rd_kafka_ConsumerGroupListing_t **listings =
        rd_kafka_ListConsumerGroups_result_valid(answer, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConsumerGroupListing_group_id(listings[i]);
        struct admin_group *group = admin_groups_add(groups, name, strlen(name));
        if (group == NULL)
            return report(error, -ENOMEM, "not enough memory");
        group->members = members_of(rd_kafka_ConsumerGroupListing_state(listings[i]));
        if (!rd_kafka_ConsumerGroupListing_is_simple_consumer_group(listings[i]))
            strcpy(group->protocol, "consumer");
    }
    return 0;
}

/* Consumer groups, of both protocols. */
static int list_consumer_groups(struct cluster_admin *admin, struct admin_groups *groups,
                                struct beck_error *error)
{
    rd_kafka_event_t *event = NULL;

    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, false);
    rd_kafka_ListConsumerGroups(admin->client, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        result = take_listings(event, groups, error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

/* Those of other protocols too, which the newer call leaves out. */
static int list_other_groups(struct cluster_admin *admin, struct admin_groups *groups,
                             struct beck_error *error)
{
    const struct rd_kafka_group_list *list = NULL;
    int result = 0;

    rd_kafka_resp_err_t wrong =
        rd_kafka_list_groups(admin->client, NULL, &list, CLUSTER_PATIENCE_MS);
    if (wrong && wrong != RD_KAFKA_RESP_ERR__PARTIAL)
        return cluster_error(error, wrong, "cannot list the groups");
    for (int i = 0; result == 0 && list != NULL && i < list->group_cnt; i++) {
        const struct rd_kafka_group_info *info = &list->groups[i];
        if (find_in(groups, info->group) != NULL)
            continue;
        struct admin_group *group = admin_groups_add(groups, info->group, strlen(info->group));
        if (group == NULL) {
            result = report(error, -ENOMEM, "not enough memory");
            break;
        }
        group->members = info->member_cnt > 0 ? ADMIN_MEMBERS_SOME : ADMIN_MEMBERS_NONE;
        if (info->protocol_type != NULL)
            (void)snprintf(group->protocol, sizeof(group->protocol), "%s", info->protocol_type);
    }
    if (list != NULL)
        rd_kafka_group_list_destroy(list);
    return result;
}

int cluster_groups(struct admin *base, struct admin_groups *groups, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;

    int result = list_consumer_groups(admin, groups, error);
    return result < 0 ? result : list_other_groups(admin, groups, error);
}

int cluster_group_find(struct admin *base, const char *name, struct admin_group *ret_group,
                       struct beck_error *error)
{
    struct admin_groups groups = {0};

    int result = cluster_groups(base, &groups, error);
    struct admin_group *found = result == 0 ? find_in(&groups, name) : NULL;
    if (found != NULL) {
        *ret_group = *found;
        found->name = NULL;
    }
    admin_groups_done(&groups);
    return result < 0 ? result : found != NULL;
}

/* ---- members ------------------------------------------------------------------------------ */

static int take_member(const rd_kafka_MemberDescription_t *from, struct admin_member *to)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(from);
    const rd_kafka_topic_partition_list_t *list =
        assignment != NULL ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;

    to->id = strdup(rd_kafka_MemberDescription_consumer_id(from));
    to->client = strdup(rd_kafka_MemberDescription_client_id(from));
    to->host = strdup(rd_kafka_MemberDescription_host(from));
    if (to->id == NULL || to->client == NULL || to->host == NULL)
        return -ENOMEM;
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        if (admin_offsets_add(&to->partitions, list->elems[i].topic, list->elems[i].partition) ==
            NULL)
            return -ENOMEM;
    }
    return 0;
}

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct admin_member *)a)->id, ((const struct admin_member *)b)->id);
}

static int take_members(rd_kafka_event_t *event, struct admin_member **ret_members,
                        size_t *ret_count, struct beck_error *error)
{
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);

    if (count != 1 || rd_kafka_ConsumerGroupDescription_error(groups[0]) != NULL)
        return 0; /* a group of the new protocol is not described so */
    count = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
    struct admin_member *members = calloc(count + 1, sizeof(*members));
    if (members == NULL)
        return report(error, -ENOMEM, "not enough memory");
    for (size_t i = 0; i < count; i++) {
        if (take_member(rd_kafka_ConsumerGroupDescription_member(groups[0], i), &members[i]) < 0) {
            admin_members_free(members, count);
            return report(error, -ENOMEM, "not enough memory");
        }
    }
    qsort(members, count, sizeof(*members), compare_members);
    *ret_members = members;
    *ret_count = count;
    return 0;
}

int cluster_members(struct admin *base, const char *group, struct admin_member **ret_members,
                    size_t *ret_count, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;

    *ret_members = NULL;
    *ret_count = 0;
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, false);
    rd_kafka_DescribeConsumerGroups(admin->client, &group, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        result = take_members(event, ret_members, ret_count, error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

/* ---- offsets ------------------------------------------------------------------------------ */

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

static int take_offsets(rd_kafka_event_t *event, struct admin_offsets *offsets,
                        struct beck_error *error)
{
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        int result = check_partitions(groups[i], error);
        const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[i]);
        for (int k = 0; result == 0 && list != NULL && k < list->cnt; k++) {
            if (take_offset(offsets, &list->elems[k]) < 0)
                result = report(error, -ENOMEM, "not enough memory");
        }
        if (result < 0)
            return result;
    }
    return 0;
}

int cluster_offsets(struct admin *base, const char *group, struct admin_offsets *offsets,
                    struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;

    rd_kafka_ListConsumerGroupOffsets_t *wanted =
        rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, false);
    rd_kafka_ListConsumerGroupOffsets(admin->client, &wanted, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        result = take_offsets(event, offsets, error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
    return result;
}

/* ---- changing ----------------------------------------------------------------------------- */

int cluster_group_delete(struct admin *base, const char *group, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;
    size_t count;

    rd_kafka_DeleteGroup_t *wanted = rd_kafka_DeleteGroup_new(group);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_DELETEGROUPS, false);
    rd_kafka_DeleteGroups(admin->client, &wanted, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_group_result_t **groups =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
        for (size_t i = 0; result == 0 && i < count; i++)
            result = check_partitions(groups[i], error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteGroup_destroy(wanted);
    return result;
}

int cluster_commit(struct admin *base, const char *group, const struct admin_offsets *offsets,
                   struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;
    size_t count;
    int result = 0;

    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)offsets->count);
    for (size_t i = 0; i < offsets->count; i++) {
        const struct admin_offset *offset = &offsets->items[i];
        if (offset->target >= 0)
            rd_kafka_topic_partition_list_add(list, offset->topic, offset->partition)->offset =
                offset->target;
    }
    rd_kafka_AlterConsumerGroupOffsets_t *wanted =
        rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, false);
    if (list->cnt > 0) {
        rd_kafka_AlterConsumerGroupOffsets(admin->client, &wanted, 1, options, admin->queue);
        result = cluster_await(admin, &event, error);
    }
    if (event != NULL) {
        const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
            rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
        for (size_t i = 0; result == 0 && i < count; i++)
            result = check_partitions(groups[i], error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

int cluster_evict(struct admin *base, const char *group, struct beck_error *error)
{
    (void)base;
    return report(error, -ENOTSUP,
                  "group %s: members can be made to leave at the beckd of a store only, not by -b",
                  group);
}

int cluster_forget(struct admin *base, const char *group, const struct admin_offsets *offsets,
                   struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    rd_kafka_event_t *event = NULL;
    size_t count;

    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)offsets->count);
    for (size_t i = 0; i < offsets->count; i++)
        rd_kafka_topic_partition_list_add(list, offsets->items[i].topic,
                                          offsets->items[i].partition);
    rd_kafka_DeleteConsumerGroupOffsets_t *wanted =
        rd_kafka_DeleteConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        cluster_options(admin, RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, false);
    rd_kafka_DeleteConsumerGroupOffsets(admin->client, &wanted, 1, options, admin->queue);
    int result = cluster_await(admin, &event, error);
    if (result == 0) {
        const rd_kafka_group_result_t **groups = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
            rd_kafka_event_DeleteConsumerGroupOffsets_result(event), &count);
        for (size_t i = 0; result == 0 && i < count; i++)
            result = check_partitions(groups[i], error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}
