/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is to have what, and leading each member there without two ever having the same partition:
 *
 *     STABLE -> UNREVOKED    it has something that it is not to have; its epoch stays, until it
 *                            says that it owns it no more
 *            -> UNRELEASED   it has the new epoch, and waits for what others have still
 *            -> STABLE       it has the new epoch, and all of it
 */
#include <errno.h>
#include <stdlib.h>

#include "group/assign.h"
#include "group/consumer.h"

void consumer_raise(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    consumer->epoch = consumer->epoch == INT32_MAX ? 1 : consumer->epoch + 1;
    group->is_changed = true;
}

/* ---- the topics ---- */

int consumer_look(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    struct topics *topics = &consumer->topics;
    const struct topics_source *source = &group->coordinator->environment.topics;
    uint64_t generation = source->generation(source->context); /* before the topics */
    if (topics->found && topics->generation == generation)
        return 0;
    struct topics_search search = {.topics = topics, .source = source};
    const struct consumer_member *member;
    int result = 0;
    TAILQ_FOREACH(member, &consumer->members, link)
    if (result == 0)
        result = topics_add_names(&search, &member->subscription);
    result = topics_search_end(&search, result);
    if (result < 0)
        return result;
    topics->generation = generation;
    if (result == 1 && consumer->epoch == consumer->assignment_epoch) /* else it has risen */
        consumer_raise(group);
    return 0;
}

/* ---- the assignment ---- */

const struct assignor *consumer_assignor(const struct group *group)
{
    const struct coordinator *coordinator = group->coordinator;
    const struct consumer_member *member;
    const struct assignor *best = NULL;
    unsigned most = 0;
    for (size_t i = 0; i < coordinator->settings.consumer_assignors_count; i++) {
        const struct assignor *assignor = coordinator->settings.consumer_assignors[i];
        unsigned votes = 0;
        TAILQ_FOREACH(member, &group->consumer->members, link)
        votes += member->assignor == assignor;
        if (!best || votes > most) {
            best = assignor;
            most = votes;
        }
    }
    return best;
}

struct assigning {
    struct assign_topic *topics;
    struct assign_member *members;
    uint32_t *subscribed; /* of all members, one after the other */
};

static void assigning_done(struct assigning *assigning, uint32_t member_count)
{
    for (uint32_t i = 0; assigning->members && i < member_count; i++)
        partition_set_done(&assigning->members[i].after);
    free(assigning->topics);
    free(assigning->members);
    free(assigning->subscribed);
}

static uint32_t find_subscribed(const struct consumer_member *member, uint32_t *to)
{
    const struct topics *topics = &member->group->consumer->topics;
    uint32_t count = 0;
    for (uint32_t t = 0; t < topics->count; t++)
        if (subscription_has(&member->subscription, topics, t))
            to[count++] = t;
    return count;
}

static int assigning_init(struct assigning *assigning, const struct group *group)
{
    const struct consumer_group *consumer = group->consumer;
    const struct topics *topics = &consumer->topics;
    const struct consumer_member *member;
    size_t pairs = (size_t)consumer->member_count * topics->count;
    uint32_t m = 0;
    assigning->topics = calloc((size_t)topics->count + 1, sizeof(*assigning->topics));
    assigning->members = calloc((size_t)consumer->member_count + 1, sizeof(*assigning->members));
    assigning->subscribed = calloc(pairs + 1, sizeof(uint32_t));
    if (!assigning->topics || !assigning->members || !assigning->subscribed)
        return -ENOMEM;
    for (uint32_t t = 0; t < topics->count; t++)
        assigning->topics[t] =
            (struct assign_topic){topics->list[t].id, topics->list[t].partition_count};
    TAILQ_FOREACH(member, &consumer->members, link)
    {
        struct assign_member *to = &assigning->members[m];
        to->id = member->id;
        to->instance_id = member->instance_id;
        to->before = &member->target;
        to->topics = assigning->subscribed + (size_t)m++ * topics->count;
        to->topics_count = find_subscribed(member, to->topics);
    }
    return 0;
}

static int assign_anew(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    struct assigning assigning = {0};
    struct consumer_member *member;
    uint32_t m = 0;
    int result = assigning_init(&assigning, group);
    if (result == 0) {
        struct assign assign = {.topics = assigning.topics,
                                .topics_count = consumer->topics.count,
                                .members = assigning.members,
                                .members_count = consumer->member_count};
        result = consumer_assignor(group)->assign(&assign);
    }
    if (result == 0) {
        TAILQ_FOREACH(member, &consumer->members, link)
        partition_set_move(&member->target, &assigning.members[m++].after);
        consumer->assignment_epoch = consumer->epoch;
        group->is_changed = true;
    }
    assigning_done(&assigning, consumer->member_count);
    return result;
}

/* ---- one member ---- */

static bool somebody_else_has(const struct consumer_member *member,
                              const struct topic_partition *one)
{
    const struct consumer_member *other;
    TAILQ_FOREACH(other, &member->group->consumer->members, link)
    if (other != member &&
        (partition_set_has(&other->assigned, one) || partition_set_has(&other->revoking, one)))
        return true;
    return false;
}

/* Leaves in `wanted` what nobody else has. True: there was something else. */
static bool drop_unreleased(const struct consumer_member *member, struct partition_set *wanted)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < wanted->count; i++)
        if (!somebody_else_has(member, &wanted->list[i]))
            wanted->list[kept++] = wanted->list[i];
    bool dropped = kept < wanted->count;
    wanted->count = kept;
    return dropped;
}

bool consumer_is_blocked(const struct consumer_member *member)
{
    bool blocked = false;
    for (uint32_t i = 0; !blocked && i < member->target.count; i++) {
        const struct topic_partition *one = &member->target.list[i];
        blocked = !partition_set_has(&member->assigned, one) && somebody_else_has(member, one);
    }
    return blocked;
}

/* 1 where `assigned` becomes another. Takes it and `revoking`. */
static int become(struct consumer_member *member, enum consumer_state state, int32_t epoch,
                  struct partition_set *assigned, struct partition_set *revoking)
{
    bool others = !partition_set_equal(&member->assigned, assigned);
    bool lets_go = !partition_set_equal(&member->revoking, revoking);
    if (others || lets_go || member->state != state || member->epoch != epoch)
        member->group->is_changed = true;
    if (state != CONSUMER_UNREVOKED)
        consumer_member_patient(member);
    else if (lets_go || member->state != state)
        consumer_member_hurry(member);
    member->state = state;
    member->previous_epoch = member->epoch;
    member->epoch = epoch;
    partition_set_move(&member->assigned, assigned);
    partition_set_move(&member->revoking, revoking);
    return others;
}

static int advance(struct consumer_member *member, const struct partition_set *owned)
{
    int32_t epoch = member->group->consumer->assignment_epoch;
    struct partition_set kept = {0};
    struct partition_set revoking = {0};
    struct partition_set wanted = {0};
    struct partition_set assigned = {0};
    int result = partition_set_common(&member->assigned, &member->target, &kept);
    if (result == 0)
        result = partition_set_without(&member->assigned, &member->target, &revoking);
    if (result == 0)
        result = partition_set_without(&member->target, &member->assigned, &wanted);
    if (result == 0 && revoking.count > 0 && (!owned || partition_set_meet(owned, &revoking))) {
        result = become(member, CONSUMER_UNREVOKED, member->epoch, &kept, &revoking);
    } else if (result == 0) {
        bool blocked = drop_unreleased(member, &wanted);
        revoking.count = 0;
        result = partition_set_union(&kept, &wanted, &assigned);
        if (result == 0)
            result = become(member, blocked ? CONSUMER_UNRELEASED : CONSUMER_STABLE, epoch,
                            &assigned, &revoking);
    }
    partition_set_done(&kept);
    partition_set_done(&revoking);
    partition_set_done(&wanted);
    partition_set_done(&assigned);
    return result;
}

int consumer_reconcile(struct consumer_member *member, const struct partition_set *owned)
{
    struct group *group = member->group;
    struct consumer_group *consumer = group->consumer;
    int result = consumer_look(group);
    if (result == 0 && consumer->epoch != consumer->assignment_epoch)
        result = assign_anew(group);
    if (result < 0)
        return result;
    bool is_there = member->state == CONSUMER_STABLE && member->epoch == consumer->assignment_epoch;
    bool must_let_go = member->state == CONSUMER_UNREVOKED &&
                       (!owned || partition_set_meet(owned, &member->revoking));
    return is_there || must_let_go ? 0 : advance(member, owned);
}
