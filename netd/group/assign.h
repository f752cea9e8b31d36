/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is to have which partitions: the assignors of the new consumer protocol (KIP-848). Pure: from
 * topics and members to sets of partitions.
 */
#ifndef BECK_NETD_GROUP_ASSIGN_H
#define BECK_NETD_GROUP_ASSIGN_H

#include <stdint.h>

#include "group/partition_set.h"

struct assign_topic {
    struct kafka_uuid id;
    uint32_t partition_count;
};

struct assign_member {
    struct kafka_string id;
    struct kafka_string instance_id; /* null: dynamic */
    uint32_t *topics;                /* that it subscribes: indexes of them, ascending */
    uint32_t topics_count;
    const struct partition_set *before; /* what it was to have so far */
    struct partition_set after;         /* the answer; the caller frees it, on failure too */
};

struct assign {
    const struct assign_topic *topics; /* sorted by id */
    uint32_t topics_count;
    struct assign_member *members;
    uint32_t members_count;
};

/* Each returns 0 or -ENOMEM. Every partition of a topic that somebody subscribes is given to one of
 * those who do. */

/* As even as can be, and among those the assignment that moves fewest. Where members subscribe
 * different topics: so that no single move makes it more even. */
int assign_uniform(struct assign *assign);
/* Neighbours of each topic stay together, and members get the same numbers of each topic (with as
 * many partitions), for joins. */
int assign_range(struct assign *assign);

struct assignor {
    const char *name;
    int (*assign)(struct assign *assign);
};

/* "uniform" or "range"; NULL: there is none of that name. It lives for ever. */
const struct assignor *assignor_find(struct kafka_string name);

#endif
