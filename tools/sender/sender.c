/* SPDX-License-Identifier: Apache-2.0 */
/* What senders share, whatever they send to. */
#include "sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int sender_init(struct sender *sender, const struct sender_ops *ops, const char *topic,
                uint32_t partition_count)
{
    sender->ops = ops;
    (void)snprintf(sender->topic, sizeof(sender->topic), "%s", topic);
    sender->partition_count = partition_count;
    sender->lanes = calloc(partition_count, sizeof(*sender->lanes));
    if (sender->lanes == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < partition_count; i++)
        sender->lanes[i].first_offset = sender->lanes[i].last_offset = -1;
    return 0;
}

int sender_open(const struct tool *tool, const char *topic, const struct sender_options *options,
                struct beck_store **ret_store, struct sender **ret_sender)
{
    struct beck_topic found;

    *ret_store = NULL;
    if (tool->brokers != NULL)
        return sender_of_cluster(tool, topic, options, ret_sender);
    int code = tool_open(tool, TOOL_WRITE, ret_store);
    if (code == TOOL_OK)
        code = tool_find_topic(*ret_store, topic, &found);
    return code == TOOL_OK ? sender_of_store(*ret_store, &found, options, ret_sender) : code;
}

struct sender *sender_free(struct sender *sender)
{
    if (sender == NULL)
        return NULL;
    free(sender->lanes);
    sender->ops->free(sender);
    return NULL;
}

int sender_add(struct sender *sender, int32_t partition, const struct beck_record *record,
               const struct sender_origin *origin, int32_t *ret_partition)
{
    return sender->ops->add(sender, partition, record, origin, ret_partition);
}

int sender_flush(struct sender *sender)
{
    return sender->ops->flush(sender);
}

int sender_sync(struct sender *sender)
{
    return sender->ops->sync(sender);
}

const struct sender_lane *sender_lane(const struct sender *sender, int32_t partition)
{
    return &sender->lanes[partition];
}

/* Of a cluster nobody knows in how many batches records went. */
static void print_batches(const struct sender_lane *lane)
{
    if (lane->batches > 0)
        (void)printf(" in %llu batch%s", (unsigned long long)lane->batches,
                     lane->batches == 1 ? "" : "es");
}

void sender_print_summary(const struct sender *sender)
{
    bool any = false;

    for (uint32_t i = 0; i < sender->partition_count; i++) {
        const struct sender_lane *lane = &sender->lanes[i];
        if (lane->records == 0)
            continue;
        any = true;
        (void)printf("%llu record%s", (unsigned long long)lane->records,
                     lane->records == 1 ? "" : "s");
        print_batches(lane);
        (void)printf(" to %s, partition %u offsets %lld..%lld%s\n", sender->topic, i,
                     (long long)lane->first_offset, (long long)lane->last_offset,
                     sender->synced ? ", synced" : "");
    }
    if (!any)
        (void)printf("0 records to %s\n", sender->topic);
}
