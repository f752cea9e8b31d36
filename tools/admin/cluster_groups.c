/* SPDX-License-Identifier: Apache-2.0 */
/* What groups there are in a broker or cluster, of all protocol types, Connect's too. */
#include "cluster_admin.h"

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

static void send_listing(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                         void *context)
{
    (void)context;
    rd_kafka_ListConsumerGroups(admin->client, options, admin->queue);
}

static int take_listings(rd_kafka_event_t *event, void *context, struct beck_error *error)
{
    struct admin_groups *groups = context;
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
    const struct cluster_request request = {
        RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
        send_listing,
        take_listings,
        groups,
    };
    return cluster_ask(admin, &request, error);
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

/* ---- changing ----------------------------------------------------------------------------- */

static void send_deletion(struct cluster_admin *admin, const rd_kafka_AdminOptions_t *options,
                          void *context)
{
    const char *group = context;

    rd_kafka_DeleteGroup_t *wanted = rd_kafka_DeleteGroup_new(group);
    rd_kafka_DeleteGroups(admin->client, &wanted, 1, options, admin->queue);
    rd_kafka_DeleteGroup_destroy(wanted);
}

static int take_deletion(rd_kafka_event_t *answer, void *context, struct beck_error *error)
{
    size_t count;
    const rd_kafka_group_result_t **groups =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(answer), &count);

    (void)context;
    return cluster_check_groups(groups, count, error);
}

int cluster_group_delete(struct admin *base, const char *group, struct beck_error *error)
{
    const struct cluster_request request = {
        RD_KAFKA_ADMIN_OP_DELETEGROUPS,
        send_deletion,
        take_deletion,
        (void *)(uintptr_t)group,
    };
    return cluster_ask((struct cluster_admin *)base, &request, error);
}

int cluster_evict(struct admin *base, const char *group, struct beck_error *error)
{
    (void)base;
    return report(error, -ENOTSUP,
                  "group %s: members can be made to leave at the beckd of a store only, not by -b",
                  group);
}
