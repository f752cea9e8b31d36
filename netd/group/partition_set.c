/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over two sorted arrays, for all of them; see partition_set.h.
 */
#include "group/partition_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* For qsort(3), too. */
static int compare(const void *left, const void *right)
{
    const struct topic_partition *a = left;
    const struct topic_partition *b = right;
    int order = memcmp(a->topic.bytes, b->topic.bytes, sizeof(a->topic.bytes));
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

void partition_set_done(struct partition_set *set)
{
    free(set->list);
    *set = (struct partition_set){0};
}

void partition_set_move(struct partition_set *to, struct partition_set *from)
{
    free(to->list);
    *to = *from;
    *from = (struct partition_set){0};
}

static int reserve(size_t count, struct partition_set *ret_set)
{
    struct topic_partition *list = malloc((count + 1) * sizeof(*list));
    if (!list)
        return -ENOMEM;
    *ret_set = (struct partition_set){.list = list};
    return 0;
}

int partition_set_copy(const struct partition_set *set, struct partition_set *ret_copy)
{
    struct partition_set copy;
    int result = reserve(set->count, &copy);
    if (result < 0)
        return result;
    if (set->count > 0)
        memcpy(copy.list, set->list, set->count * sizeof(*copy.list));
    copy.count = set->count;
    *ret_copy = copy;
    return 0;
}

void partition_set_sort(struct partition_set *set)
{
    uint32_t kept = 0;
    if (set->count > 1)
        qsort(set->list, set->count, sizeof(*set->list), compare);
    for (uint32_t i = 0; i < set->count; i++)
        if (kept == 0 || compare(&set->list[kept - 1], &set->list[i]) != 0)
            set->list[kept++] = set->list[i];
    set->count = kept;
}

bool partition_set_has(const struct partition_set *set, const struct topic_partition *one)
{
    return set->count > 0 && bsearch(one, set->list, set->count, sizeof(*set->list), compare);
}

bool partition_set_equal(const struct partition_set *a, const struct partition_set *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (compare(&a->list[i], &b->list[i]) != 0)
            return false;
    return true;
}

uint32_t partition_set_topic_end(const struct partition_set *set, uint32_t at)
{
    const struct kafka_uuid *topic = &set->list[at].topic;
    while (at < set->count && memcmp(&set->list[at].topic, topic, sizeof(*topic)) == 0)
        at++;
    return at;
}

uint32_t partition_set_topics(const struct partition_set *set)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < set->count; at = partition_set_topic_end(set, at))
        count++;
    return count;
}

/* What a pass over two sets hands out. */
enum side {
    ONLY_A = 1,
    ONLY_B = 2,
    BOTH = 4,
};

struct pass {
    const struct partition_set *a;
    const struct partition_set *b;
    uint32_t i;
    uint32_t j;
};

/* The next one of either, and where it is. False: both are at their end. */
static bool pass_next(struct pass *pass, const struct topic_partition **ret_one,
                      enum side *ret_side)
{
    bool has_a = pass->i < pass->a->count;
    bool has_b = pass->j < pass->b->count;
    if (!has_a && !has_b)
        return false;
    int order = !has_a ? 1 : -1;
    if (has_a && has_b)
        order = compare(&pass->a->list[pass->i], &pass->b->list[pass->j]);
    *ret_one = order <= 0 ? &pass->a->list[pass->i] : &pass->b->list[pass->j];
    *ret_side = order == 0 ? BOTH : order < 0 ? ONLY_A : ONLY_B;
    pass->i += order <= 0;
    pass->j += order >= 0;
    return true;
}

static bool any(const struct partition_set *a, const struct partition_set *b, unsigned sides)
{
    struct pass pass = {.a = a, .b = b};
    const struct topic_partition *one;
    enum side side;
    while (pass_next(&pass, &one, &side))
        if (side & sides)
            return true;
    return false;
}

static int take(const struct partition_set *a, const struct partition_set *b, unsigned sides,
                struct partition_set *ret_set)
{
    struct pass pass = {.a = a, .b = b};
    const struct topic_partition *one;
    struct partition_set set;
    enum side side;
    int result = reserve((size_t)a->count + b->count, &set);
    if (result < 0)
        return result;
    while (pass_next(&pass, &one, &side))
        if (side & sides)
            set.list[set.count++] = *one;
    *ret_set = set;
    return 0;
}

bool partition_set_within(const struct partition_set *a, const struct partition_set *b)
{
    return !any(a, b, ONLY_A);
}

bool partition_set_meet(const struct partition_set *a, const struct partition_set *b)
{
    return any(a, b, BOTH);
}

int partition_set_common(const struct partition_set *a, const struct partition_set *b,
                         struct partition_set *ret_set)
{
    return take(a, b, BOTH, ret_set);
}

int partition_set_without(const struct partition_set *a, const struct partition_set *b,
                          struct partition_set *ret_set)
{
    return take(a, b, ONLY_A, ret_set);
}

int partition_set_union(const struct partition_set *a, const struct partition_set *b,
                        struct partition_set *ret_set)
{
    return take(a, b, ONLY_A | ONLY_B | BOTH, ret_set);
}
