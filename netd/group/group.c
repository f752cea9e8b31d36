/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of a group and what they have in common; see group.h.
 */
#include "group/group.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "group/coordinator.h"

/* ---- texts ---- */

int bytes_copy(struct kafka_bytes bytes, struct kafka_bytes *ret_copy)
{
    struct kafka_bytes copy = {.length = bytes.length};
    if (bytes.data) {
        /* One more, so that what is empty is not null. */
        void *data = malloc((size_t)bytes.length + 1);
        if (!data)
            return -ENOMEM;
        memcpy(data, bytes.data, bytes.length);
        copy.data = data;
    }
    *ret_copy = copy;
    return 0;
}

void bytes_free(struct kafka_bytes *bytes)
{
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct kafka_bytes){0};
}

int text_copy(struct kafka_string text, struct kafka_string *ret_copy)
{
    struct kafka_bytes copy;
    int result = bytes_copy((struct kafka_bytes){text.data, text.length}, &copy);
    if (result == 0)
        *ret_copy = (struct kafka_string){copy.data, copy.length};
    return result;
}

void text_free(struct kafka_string *text)
{
    free((void *)(uintptr_t)text->data);
    *text = (struct kafka_string){0};
}

int text_compare(struct kafka_string a, struct kafka_string b)
{
    uint32_t common = a.length < b.length ? a.length : b.length;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* ---- the tree of ids ---- */

static int compare_members(const void *left, const void *right)
{
    const struct group_member *a = left;
    const struct group_member *b = right;
    return text_compare(a->id, b->id);
}

struct group_member *group_find(const struct group *group, struct kafka_string member_id)
{
    const struct group_member key = {.id = member_id};
    void *const *found = tfind(&key, &group->by_id, compare_members);
    return found ? *found : NULL;
}

struct group_member *group_find_instance(const struct group *group, struct kafka_string instance_id)
{
    struct group_member *member;
    if (!instance_id.data)
        return NULL;
    TAILQ_FOREACH(member, &group->members, link)
    if (kafka_string_equal(member->instance_id, instance_id))
        return member;
    return NULL;
}

int group_add(struct group *group, struct group_member *member)
{
    if (!tsearch(member, &group->by_id, compare_members))
        return -ENOMEM;
    TAILQ_INSERT_TAIL(member->is_pending ? &group->pending : &group->members, member, link);
    if (member->is_pending)
        group->pending_count++;
    else
        group->member_count++;
    return 0;
}

void group_remove(struct group *group, struct group_member *member)
{
    tdelete(member, &group->by_id, compare_members);
    TAILQ_REMOVE(member->is_pending ? &group->pending : &group->members, member, link);
    if (member->is_pending)
        group->pending_count--;
    else
        group->member_count--;
}

/* ---- one member ---- */

static void protocols_free(struct group_protocol *protocols, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        text_free(&protocols[i].name);
        bytes_free(&protocols[i].metadata);
    }
    free(protocols);
}

static int protocols_copy(const struct group_join *join, struct group_protocol **ret_copies)
{
    struct group_protocol *copies = calloc(join->protocols_count + 1, sizeof(*copies));
    int result = copies ? 0 : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < join->protocols_count; i++) {
        result = text_copy(join->protocols[i].name, &copies[i].name);
        if (result == 0)
            result = bytes_copy(join->protocols[i].metadata, &copies[i].metadata);
    }
    if (result == 0)
        *ret_copies = copies;
    else if (copies)
        protocols_free(copies, join->protocols_count);
    return result;
}

void group_member_free(struct group_member *member)
{
    if (!member)
        return;
    timer_cancel(&member->group->coordinator->timers, &member->session);
    protocols_free(member->protocols, member->protocols_count);
    text_free(&member->id);
    text_free(&member->instance_id);
    text_free(&member->client_id);
    text_free(&member->client_host);
    bytes_free(&member->assignment);
    free(member);
}

int group_member_update(struct group_member *member, const struct group_join *join)
{
    struct group_protocol *protocols;
    int result = protocols_copy(join, &protocols);
    if (result < 0)
        return result;
    protocols_free(member->protocols, member->protocols_count);
    member->protocols = protocols;
    member->protocols_count = join->protocols_count;
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    return 0;
}

struct group_member *group_member_new(struct group *group, struct kafka_string id,
                                      const struct group_join *join)
{
    struct group_member *member = calloc(1, sizeof(*member));
    if (!member)
        return NULL;
    member->group = group;
    if (text_copy(id, &member->id) < 0 || text_copy(join->instance_id, &member->instance_id) < 0 ||
        text_copy(join->client_id, &member->client_id) < 0 ||
        text_copy(join->client_host, &member->client_host) < 0 ||
        group_member_update(member, join) < 0) {
        group_member_free(member);
        return NULL;
    }
    return member;
}

int group_member_rename(struct group_member *member, struct kafka_string id)
{
    struct group *group = member->group;
    struct kafka_string copy;
    int result = text_copy(id, &copy);
    if (result < 0)
        return result;
    tdelete(member, &group->by_id, compare_members);
    text_free(&member->id);
    member->id = copy;
    /* A node was freed just now, so that there is memory for one. */
    return tsearch(member, &group->by_id, compare_members) ? 0 : -ENOMEM;
}

bool group_member_wants(const struct group_member *member, const struct group_join *join)
{
    if (member->protocols_count != join->protocols_count)
        return false;
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        struct kafka_bytes old = member->protocols[i].metadata;
        struct kafka_bytes new = join->protocols[i].metadata;
        if (!kafka_string_equal(member->protocols[i].name, join->protocols[i].name) ||
            old.length != new.length ||
            (old.length > 0 && memcmp(old.data, new.data, old.length) != 0))
            return false;
    }
    return true;
}

static struct group_protocol *find_protocol(const struct group_member *member,
                                            struct kafka_string name)
{
    for (uint32_t i = 0; i < member->protocols_count; i++)
        if (kafka_string_equal(member->protocols[i].name, name))
            return &member->protocols[i];
    return NULL;
}

struct kafka_bytes group_member_metadata(const struct group_member *member)
{
    const struct group_protocol *protocol = find_protocol(member, member->group->protocol_name);
    return protocol ? protocol->metadata : (struct kafka_bytes){.data = ""};
}

/* ---- what members have in common ---- */

static bool all_know(const struct group *group, struct kafka_string name)
{
    const struct group_member *member;
    TAILQ_FOREACH(member, &group->members, link)
    if (!find_protocol(member, name))
        return false;
    return true;
}

bool group_supports(const struct group *group, const struct group_join *join)
{
    if (join->protocol_type.length == 0 || join->protocols_count == 0)
        return false;
    if (group->state == GROUP_EMPTY || group->member_count == 0)
        return true;
    if (!kafka_string_equal(group->protocol_type, join->protocol_type))
        return false;
    for (uint32_t i = 0; i < join->protocols_count; i++)
        if (all_know(group, join->protocols[i].name))
            return true;
    return false;
}

/* The member's vote goes to the first of its protocols that all know, as the first member lists
 * them.
 */
static void vote(const struct group_member *member, const struct group_member *first)
{
    for (uint32_t i = 0; i < member->protocols_count; i++) {
        struct group_protocol *candidate = find_protocol(first, member->protocols[i].name);
        if (candidate && candidate->is_common) {
            candidate->votes++;
            return;
        }
    }
}

struct kafka_string group_choose_protocol(struct group *group)
{
    const struct group_member *first = TAILQ_FIRST(&group->members);
    const struct group_member *member;
    const struct group_protocol *best = NULL;
    for (uint32_t i = 0; first && i < first->protocols_count; i++) {
        first->protocols[i].is_common = all_know(group, first->protocols[i].name);
        first->protocols[i].votes = 0;
    }
    TAILQ_FOREACH(member, &group->members, link)
    vote(member, first);
    for (uint32_t i = 0; first && i < first->protocols_count; i++)
        if (first->protocols[i].votes > (best ? best->votes : 0))
            best = &first->protocols[i];
    return best ? best->name : (struct kafka_string){0};
}

int32_t group_rebalance_timeout_ms(const struct group *group)
{
    const struct group_member *member;
    int32_t longest = 0;
    TAILQ_FOREACH(member, &group->members, link)
    if (member->rebalance_timeout_ms > longest)
        longest = member->rebalance_timeout_ms;
    return longest;
}
