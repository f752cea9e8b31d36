/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a group of a broker or cluster. Consumers' groups are described by the coordinator,
 * with what each member has; librdkafka 2.0 can ask for those of the classic protocol only, and
 * says of others that they are dead. Groups of other protocols, Connect's say, have members too.
 */
#include "cluster_admin.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    const char *group;
    struct admin_member *members;
    size_t count;
    bool is_unknown; /* to those that librdkafka asks */
    bool is_other;   /* its protocol is not consumers' */
};

static int name_member(struct admin_member *member, const char *id, const char *client,
                       const char *host)
{
    member->id = strdup(id);
    member->client = strdup(client);
    member->host = strdup(host);
    return member->id != NULL && member->client != NULL && member->host != NULL ? 0 : -ENOMEM;
}

static int take_member(const rd_kafka_MemberDescription_t *from, struct admin_member *to)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(from);
    const rd_kafka_topic_partition_list_t *list =
        assignment != NULL ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;

    if (name_member(to, rd_kafka_MemberDescription_consumer_id(from),
                    rd_kafka_MemberDescription_client_id(from),
                    rd_kafka_MemberDescription_host(from)) < 0)
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

static void send_question(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                          void *context)
{
    struct asked *asked = context;
    rd_kafka_DescribeConsumerGroups(admin->client, &asked->group, 1, options, admin->queue);
}

static int take_members(rd_kafka_event_t *answer, void *context, struct beck_error *error)
{
    struct asked *asked = context;
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(answer), &count);

    if (count != 1)
        return report(error, -EIO, "group %s: the answer is of %zu groups", asked->group, count);
    const rd_kafka_error_t *wrong = rd_kafka_ConsumerGroupDescription_error(groups[0]);
    asked->is_other = wrong != NULL && rd_kafka_error_code(wrong) == RD_KAFKA_RESP_ERR__INVALID_ARG;
    asked->is_unknown = wrong != NULL
                            ? rd_kafka_error_code(wrong) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND
                            : rd_kafka_ConsumerGroupDescription_state(groups[0]) ==
                                  RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
    if (asked->is_other || asked->is_unknown)
        return 0;
    if (wrong != NULL)
        return cluster_error(error, rd_kafka_error_code(wrong), "group %s", asked->group);
    count = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
    asked->members = calloc(count + 1, sizeof(*asked->members));
    if (asked->members == NULL)
        return report(error, -ENOMEM, "not enough memory");
    asked->count = count;
    for (size_t i = 0; i < count; i++) {
        if (take_member(rd_kafka_ConsumerGroupDescription_member(groups[0], i),
                        &asked->members[i]) < 0)
            return report(error, -ENOMEM, "not enough memory");
    }
    qsort(asked->members, count, sizeof(*asked->members), compare_members);
    return 0;
}

/* Of a group of another protocol: what its members have is for its own programs to read. */
static int list_others(const struct cluster_admin *admin, struct asked *asked,
                       struct beck_error *error)
{
    const struct rd_kafka_group_list *list = NULL;
    const struct rd_kafka_group_info *info = NULL;
    int result = 0;

    rd_kafka_resp_err_t wrong =
        rd_kafka_list_groups(admin->client, asked->group, &list, CLUSTER_PATIENCE_MS);
    if (wrong)
        return cluster_error(error, wrong, "group %s", asked->group);
    if (list->group_cnt > 0)
        info = &list->groups[0];
    asked->members =
        calloc(info != NULL ? (size_t)info->member_cnt + 1 : 1, sizeof(*asked->members));
    for (int i = 0; asked->members != NULL && info != NULL && i < info->member_cnt; i++) {
        struct admin_member *member = &asked->members[asked->count++];
        if (name_member(member, info->members[i].member_id, info->members[i].client_id,
                        info->members[i].client_host) < 0)
            result = -ENOMEM;
    }
    rd_kafka_group_list_destroy(list);
    if (asked->members == NULL || result < 0)
        return report(error, -ENOMEM, "not enough memory");
    qsort(asked->members, asked->count, sizeof(*asked->members), compare_members);
    return 0;
}

int cluster_members(struct admin *base, const char *group, struct admin_member **ret_members,
                    size_t *ret_count, struct beck_error *error)
{
    struct cluster_admin *admin = (struct cluster_admin *)base;
    struct asked asked = {.group = group};
    const struct cluster_request request = {
        RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
        send_question,
        take_members,
        &asked,
    };

    int result = cluster_ask(admin, &request, error);
    if (result == 0 && asked.is_other)
        result = list_others(admin, &asked, error);
    if (result < 0) {
        admin_members_free(asked.members, asked.count);
        return result;
    }
    if (asked.is_unknown)
        (void)report(error, -ENOTSUP, "librdkafka %s cannot ask about Kafka's new group protocol",
                     rd_kafka_version_str());
    *ret_members = asked.members;
    *ret_count = asked.count;
    return !asked.is_unknown;
}
