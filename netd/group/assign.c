/* SPDX-License-Identifier: Apache-2.0
 *
 * The assignors; see assign.h. All partitions are numbered through, topic by topic, and a plan says
 * for each who is to have it.
 */
#include "group/assign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "group/group.h"

#define NOBODY UINT32_MAX

struct plan {
    struct assign *assign;
    uint32_t *first;  /* of each topic: the number of its partition 0; one more at the end */
    uint32_t *owner;  /* of each partition: a member, or NOBODY */
    uint32_t *counts; /* of each member: how many it has */
};

static void plan_done(struct plan *plan)
{
    free(plan->first);
    free(plan->owner);
    free(plan->counts);
}

static int plan_init(struct plan *plan, struct assign *assign)
{
    *plan = (struct plan){.assign = assign};
    plan->first = calloc((size_t)assign->topics_count + 1, sizeof(uint32_t));
    plan->counts = calloc((size_t)assign->members_count + 1, sizeof(uint32_t));
    for (uint32_t t = 0; plan->first && t < assign->topics_count; t++)
        plan->first[t + 1] = plan->first[t] + assign->topics[t].partition_count;
    uint32_t total = plan->first ? plan->first[assign->topics_count] : 0;
    plan->owner = malloc(((size_t)total + 1) * sizeof(uint32_t));
    if (!plan->first || !plan->counts || !plan->owner) {
        plan_done(plan);
        return -ENOMEM;
    }
    memset(plan->owner, 0xff, ((size_t)total + 1) * sizeof(uint32_t));
    return 0;
}

static void give(struct plan *plan, uint32_t partition, uint32_t member)
{
    if (plan->owner[partition] != NOBODY)
        plan->counts[plan->owner[partition]]--;
    if (member != NOBODY)
        plan->counts[member]++;
    plan->owner[partition] = member;
}

/* From the plan to the members' sets. */
static int plan_finish(struct plan *plan)
{
    struct assign *assign = plan->assign;
    for (uint32_t m = 0; m < assign->members_count; m++) {
        struct partition_set *set = &assign->members[m].after;
        set->list = malloc(((size_t)plan->counts[m] + 1) * sizeof(*set->list));
        set->count = 0;
        if (!set->list)
            return -ENOMEM;
    }
    for (uint32_t t = 0; t < assign->topics_count; t++) {
        for (uint32_t p = plan->first[t]; p < plan->first[t + 1]; p++) {
            if (plan->owner[p] == NOBODY)
                continue;
            struct partition_set *set = &assign->members[plan->owner[p]].after;
            set->list[set->count++] = (struct topic_partition){
                .topic = assign->topics[t].id, .partition = (int32_t)(p - plan->first[t])};
        }
    }
    return 0;
}

/* ---- what stays where it was ---- */

static int compare_indexes(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    return (*a > *b) - (*a < *b);
}

static bool subscribes(const struct assign_member *member, uint32_t topic)
{
    return member->topics_count > 0 &&
           bsearch(&topic, member->topics, member->topics_count, sizeof(topic), compare_indexes);
}

static int compare_topics(const void *left, const void *right)
{
    const struct assign_topic *a = left;
    const struct assign_topic *b = right;
    return memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

static void keep(struct plan *plan, uint32_t m, const struct topic_partition *one)
{
    const struct assign *assign = plan->assign;
    const struct assign_topic key = {.id = one->topic};
    const struct assign_topic *topic = NULL;
    if (assign->topics_count > 0)
        topic = bsearch(&key, assign->topics, assign->topics_count, sizeof(key), compare_topics);
    if (!topic || one->partition < 0 || (uint32_t)one->partition >= topic->partition_count)
        return;
    uint32_t t = (uint32_t)(topic - assign->topics);
    uint32_t p = plan->first[t] + (uint32_t)one->partition;
    if (plan->owner[p] == NOBODY && subscribes(&assign->members[m], t))
        give(plan, p, m);
}

static void keep_all(struct plan *plan)
{
    const struct assign *assign = plan->assign;
    for (uint32_t m = 0; m < assign->members_count; m++) {
        const struct partition_set *before = assign->members[m].before;
        for (uint32_t i = 0; before && i < before->count; i++)
            keep(plan, m, &before->list[i]);
    }
}

/* ---- uniform, where all subscribe the same ---- */

static bool all_subscribe_the_same(const struct assign *assign)
{
    const struct assign_member *first = &assign->members[0];
    for (uint32_t m = 1; m < assign->members_count; m++) {
        const struct assign_member *member = &assign->members[m];
        if (member->topics_count != first->topics_count ||
            (member->topics_count > 0 &&
             memcmp(member->topics, first->topics, member->topics_count * sizeof(uint32_t)) != 0))
            return false;
    }
    return true;
}

/* How many each is to have: those who have most keep one more where it does not come out even. */
static void set_shares(const struct plan *plan, uint32_t total, uint32_t *shares)
{
    uint32_t members = plan->assign->members_count;
    uint32_t share = total / members;
    uint32_t more = total % members;
    for (uint32_t m = 0; m < members; m++) {
        shares[m] = share;
        if (more > 0 && plan->counts[m] > share) {
            shares[m]++;
            more--;
        }
    }
    for (uint32_t m = 0; more > 0 && m < members; m++) {
        if (shares[m] == share) {
            shares[m]++;
            more--;
        }
    }
}

/* Give what nobody has to those who have less than their share, in turn. */
static void deal(struct plan *plan, const uint32_t *topics, uint32_t topics_count,
                 const uint32_t *shares)
{
    uint32_t members = plan->assign->members_count;
    uint32_t m = 0;
    for (uint32_t i = 0; i < topics_count; i++) {
        for (uint32_t p = plan->first[topics[i]]; p < plan->first[topics[i] + 1]; p++) {
            if (plan->owner[p] != NOBODY)
                continue;
            while (plan->counts[m] >= shares[m])
                m = (m + 1) % members;
            give(plan, p, m);
            m = (m + 1) % members;
        }
    }
}

static int level_same(struct plan *plan)
{
    const struct assign_member *first = &plan->assign->members[0];
    uint32_t *shares = calloc(plan->assign->members_count, sizeof(*shares));
    uint32_t total = 0;
    if (!shares)
        return -ENOMEM;
    for (uint32_t i = 0; i < first->topics_count; i++)
        total += plan->assign->topics[first->topics[i]].partition_count;
    set_shares(plan, total, shares);
    for (uint32_t i = first->topics_count; i-- > 0;) {
        uint32_t t = first->topics[i];
        for (uint32_t p = plan->first[t + 1]; p-- > plan->first[t];)
            if (plan->owner[p] != NOBODY && plan->counts[plan->owner[p]] > shares[plan->owner[p]])
                give(plan, p, NOBODY);
    }
    deal(plan, first->topics, first->topics_count, shares);
    free(shares);
    return 0;
}

/* ---- uniform, where they do not ---- */

/* The subscriber of a topic that has least; NOBODY where there is none. */
static uint32_t poorest(const struct plan *plan, const uint32_t *members, uint32_t count)
{
    uint32_t best = NOBODY;
    for (uint32_t i = 0; i < count; i++)
        if (best == NOBODY || plan->counts[members[i]] < plan->counts[best])
            best = members[i];
    return best;
}

/* A topic and those who subscribe it. */
struct audience {
    uint32_t topic;
    uint32_t *members;
    uint32_t count;
};

static int compare_audiences(const void *left, const void *right)
{
    const struct audience *a = left;
    const struct audience *b = right;
    int order = (a->count > b->count) - (a->count < b->count);
    return order != 0 ? order : (a->topic > b->topic) - (a->topic < b->topic);
}

/* Those with the fewest come first: they have the least choice. -ENOMEM. */
static int find_audiences(const struct assign *assign, struct audience **ret_audiences,
                          uint32_t **ret_members)
{
    struct audience *audiences = calloc((size_t)assign->topics_count + 1, sizeof(*audiences));
    size_t total = 0;
    for (uint32_t m = 0; m < assign->members_count; m++)
        total += assign->members[m].topics_count;
    uint32_t *members = malloc((total + 1) * sizeof(*members));
    if (!audiences || !members) {
        free(audiences);
        free(members);
        return -ENOMEM;
    }
    for (uint32_t m = 0; m < assign->members_count; m++)
        for (uint32_t i = 0; i < assign->members[m].topics_count; i++)
            audiences[assign->members[m].topics[i]].count++;
    total = 0;
    for (uint32_t t = 0; t < assign->topics_count; t++) {
        audiences[t].topic = t;
        audiences[t].members = members + total;
        total += audiences[t].count;
        audiences[t].count = 0;
    }
    for (uint32_t m = 0; m < assign->members_count; m++) {
        for (uint32_t i = 0; i < assign->members[m].topics_count; i++) {
            struct audience *audience = &audiences[assign->members[m].topics[i]];
            audience->members[audience->count++] = m;
        }
    }
    qsort(audiences, assign->topics_count, sizeof(*audiences), compare_audiences);
    *ret_audiences = audiences;
    *ret_members = members;
    return 0;
}

/* One pass: what nobody has goes to who has least, and so does what makes it more even. */
static bool level_pass(struct plan *plan, const struct audience *audiences)
{
    bool moved = false;
    for (uint32_t i = 0; i < plan->assign->topics_count; i++) {
        const struct audience *audience = &audiences[i];
        uint32_t t = audience->topic;
        for (uint32_t p = plan->first[t]; p < plan->first[t + 1]; p++) {
            uint32_t owner = plan->owner[p];
            uint32_t best = poorest(plan, audience->members, audience->count);
            if (best == NOBODY ||
                (owner != NOBODY && plan->counts[owner] <= plan->counts[best] + 1))
                continue;
            give(plan, p, best);
            moved = true;
        }
    }
    return moved;
}

static int level_different(struct plan *plan)
{
    struct audience *audiences;
    uint32_t *members;
    int result = find_audiences(plan->assign, &audiences, &members);
    if (result < 0)
        return result;
    while (level_pass(plan, audiences)) /* each move makes it more even, so this ends */
        ;
    free(audiences);
    free(members);
    return 0;
}

int assign_uniform(struct assign *assign)
{
    struct plan plan;
    if (assign->members_count == 0)
        return 0;
    int result = plan_init(&plan, assign);
    if (result < 0)
        return result;
    keep_all(&plan);
    result = all_subscribe_the_same(assign) ? level_same(&plan) : level_different(&plan);
    if (result == 0)
        result = plan_finish(&plan);
    plan_done(&plan);
    return result;
}

/* ---- range ---- */

/* A member and its place in the order of static members by instance, then the others by id. */
struct place {
    const struct assign_member *member;
    uint32_t index;
};

static int compare_places(const void *left, const void *right)
{
    const struct assign_member *a = ((const struct place *)left)->member;
    const struct assign_member *b = ((const struct place *)right)->member;
    bool static_a = a->instance_id.data;
    bool static_b = b->instance_id.data;
    if (static_a != static_b)
        return static_a ? -1 : 1;
    return static_a ? text_compare(a->instance_id, b->instance_id) : text_compare(a->id, b->id);
}

static void divide_topic(struct plan *plan, uint32_t t, const struct place *places)
{
    const struct assign *assign = plan->assign;
    uint32_t members = 0;
    uint32_t nth = 0;
    uint32_t p = plan->first[t];
    for (uint32_t i = 0; i < assign->members_count; i++)
        members += subscribes(places[i].member, t);
    for (uint32_t i = 0; i < assign->members_count; i++) {
        if (!subscribes(places[i].member, t))
            continue;
        uint32_t count = assign->topics[t].partition_count;
        uint32_t share = count / members + (nth++ < count % members);
        for (uint32_t n = 0; n < share; n++)
            give(plan, p++, places[i].index);
    }
}

int assign_range(struct assign *assign)
{
    struct plan plan;
    struct place *places = calloc((size_t)assign->members_count + 1, sizeof(*places));
    int result = places ? plan_init(&plan, assign) : -ENOMEM;
    if (result < 0) {
        free(places);
        return result;
    }
    for (uint32_t m = 0; m < assign->members_count; m++)
        places[m] = (struct place){&assign->members[m], m};
    qsort(places, assign->members_count, sizeof(*places), compare_places);
    for (uint32_t t = 0; t < assign->topics_count; t++)
        divide_topic(&plan, t, places);
    result = plan_finish(&plan);
    plan_done(&plan);
    free(places);
    return result;
}

/* ---- by name ---- */

const struct assignor *assignor_find(struct kafka_string name)
{
    static const struct assignor assignors[] = {
        {"uniform", assign_uniform},
        {"range", assign_range},
    };
    for (size_t i = 0; i < sizeof(assignors) / sizeof(assignors[0]); i++)
        if (kafka_string_equal(name, kafka_string_of(assignors[i].name)))
            return &assignors[i];
    return NULL;
}
