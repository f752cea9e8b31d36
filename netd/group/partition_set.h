/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of partitions, as members have them: sorted arrays, so that one passes over two of them to
 * have what they share. A zeroed struct is the empty set.
 */
#ifndef BECK_NETD_GROUP_PARTITION_SET_H
#define BECK_NETD_GROUP_PARTITION_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/wire.h"

struct topic_partition {
    struct kafka_uuid topic;
    int32_t partition;
};

struct partition_set {
    struct topic_partition *list; /* in order, each once */
    uint32_t count;
};

void partition_set_done(struct partition_set *set);
/* `to` becomes what `from` was, and `from` empty. */
void partition_set_move(struct partition_set *to, struct partition_set *from);
int partition_set_copy(const struct partition_set *set, struct partition_set *ret_copy);
/* Put a list in order and drop what is there twice. */
void partition_set_sort(struct partition_set *set);

bool partition_set_has(const struct partition_set *set, const struct topic_partition *one);
bool partition_set_equal(const struct partition_set *a, const struct partition_set *b);
/* Is all of `a` in `b`? */
bool partition_set_within(const struct partition_set *a, const struct partition_set *b);
/* Have they any in common? */
bool partition_set_meet(const struct partition_set *a, const struct partition_set *b);

/* Of how many topics are they? */
uint32_t partition_set_topics(const struct partition_set *set);
/* Where those of the topic at `at` end. */
uint32_t partition_set_topic_end(const struct partition_set *set, uint32_t at);

/* What is in both; in `a` and not in `b`; in any of them. -ENOMEM. */
int partition_set_common(const struct partition_set *a, const struct partition_set *b,
                         struct partition_set *ret_set);
int partition_set_without(const struct partition_set *a, const struct partition_set *b,
                          struct partition_set *ret_set);
int partition_set_union(const struct partition_set *a, const struct partition_set *b,
                        struct partition_set *ret_set);

#endif
