/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of groups of the new protocol: joining, heartbeats, leaving, silence, as Kafka's
 * coordinator does it (KIP-848). What they are to have is in reconcile.c; see consumer.h.
 */
#include "group/consumer.h"

#include <errno.h>
#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "group/assign.h"
#include "group/classic.h"
#include "kafka/errors.h"

/* ---- the table of members ---- */

static int compare_members(const void *left, const void *right)
{
    const struct consumer_member *a = left;
    const struct consumer_member *b = right;
    return text_compare(a->id, b->id);
}

struct consumer_member *consumer_find(const struct group *group, struct kafka_string id)
{
    const struct consumer_member key = {.id = id};
    void *const *found = tfind(&key, &group->consumer->by_id, compare_members);
    return found ? *found : NULL;
}

struct consumer_member *consumer_find_instance(const struct group *group,
                                               struct kafka_string instance_id)
{
    struct consumer_member *member;
    if (!instance_id.data)
        return NULL;
    TAILQ_FOREACH(member, &group->consumer->members, link)
    if (kafka_string_equal(member->instance_id, instance_id))
        return member;
    return NULL;
}

static void member_expire(struct timer *timer);
static void member_late(struct timer *timer);

void consumer_member_modernize(struct consumer_member *member)
{
    for (uint32_t i = 0; i < member->protocols_count; i++) {
        text_free(&member->protocols[i].name);
        bytes_free(&member->protocols[i].metadata);
    }
    free(member->protocols);
    member->protocols = NULL;
    member->protocols_count = 0;
    if (member->is_classic)
        member->group->consumer->classic_count--;
    member->is_classic = false;
}

/* It is in no table any more. */
static void member_free(struct consumer_member *member)
{
    struct coordinator *coordinator = member->group->coordinator;
    timer_cancel(&coordinator->timers, &member->session);
    timer_cancel(&coordinator->timers, &member->rebalance);
    consumer_member_modernize(member);
    subscription_done(&member->subscription);
    partition_set_done(&member->assigned);
    partition_set_done(&member->revoking);
    partition_set_done(&member->target);
    text_free(&member->id);
    text_free(&member->instance_id);
    text_free(&member->rack_id);
    text_free(&member->client_id);
    text_free(&member->client_host);
    free(member);
}

struct consumer_member *consumer_member_new(struct group *group, struct kafka_string id,
                                            struct kafka_string instance_id)
{
    struct coordinator *coordinator = group->coordinator;
    if (coordinator_reserve(coordinator, coordinator->group_count, coordinator->member_count + 1) <
        0)
        return NULL;
    struct consumer_member *member = calloc(1, sizeof(*member));
    if (!member)
        return NULL;
    member->group = group;
    member->session.fire = member_expire;
    member->rebalance.fire = member_late;
    if (text_copy(id, &member->id) < 0 || text_copy(instance_id, &member->instance_id) < 0 ||
        text_copy(kafka_string_of(""), &member->client_id) < 0 ||
        text_copy(kafka_string_of(""), &member->client_host) < 0 ||
        !tsearch(member, &group->consumer->by_id, compare_members)) {
        member_free(member);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&group->consumer->members, member, link);
    group->consumer->member_count++;
    coordinator->member_count++;
    group->state = GROUP_STABLE;
    group->empty_since_ms = 0;
    group->is_changed = true;
    return member;
}

static void member_unlink(struct consumer_member *member)
{
    struct consumer_group *consumer = member->group->consumer;
    tdelete(member, &consumer->by_id, compare_members);
    TAILQ_REMOVE(&consumer->members, member, link);
    consumer->member_count--;
    member->group->coordinator->member_count--;
    member_free(member);
}

void consumer_member_remove(struct consumer_member *member)
{
    struct group *group = member->group;
    member_unlink(member);
    group->consumer->topics.found = false;
    consumer_raise(group);
    if (group->consumer->member_count == 0) {
        group->state = GROUP_EMPTY;
        group->empty_since_ms = group->coordinator->date_ms;
    }
}

int consumer_member_rename(struct consumer_member *member, struct kafka_string id)
{
    struct consumer_group *consumer = member->group->consumer;
    struct kafka_string copy;
    int result = text_copy(id, &copy);
    if (result < 0)
        return result;
    tdelete(member, &consumer->by_id, compare_members);
    text_free(&member->id);
    member->id = copy;
    member->group->is_changed = true;
    /* A node was freed just now, so that there is memory for one. */
    return tsearch(member, &consumer->by_id, compare_members) ? 0 : -ENOMEM;
}

/* ---- the group ---- */

int consumer_begin(struct group *group)
{
    struct consumer_group *consumer = calloc(1, sizeof(*consumer));
    struct kafka_string type;
    if (!consumer || text_copy(kafka_string_of("consumer"), &type) < 0) {
        free(consumer);
        return -ENOMEM;
    }
    TAILQ_INIT(&consumer->members);
    text_free(&group->protocol_type);
    group->protocol_type = type;
    consumer->epoch = group->generation;
    consumer->assignment_epoch = group->generation;
    group->consumer = consumer;
    return 0;
}

void consumer_end(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    struct consumer_member *member;
    if (!consumer)
        return;
    group->generation = consumer->epoch;
    while ((member = TAILQ_FIRST(&consumer->members)))
        member_unlink(member);
    topics_done(&consumer->topics);
    free(consumer);
    group->consumer = NULL;
}

void consumer_watch(struct group *group)
{
    struct consumer_member *member;
    TAILQ_FOREACH(member, &group->consumer->members, link)
    {
        consumer_member_heard(member);
        if (member->state == CONSUMER_UNREVOKED)
            consumer_member_hurry(member);
    }
    (void)consumer_look(group); /* or else the first heartbeat does */
}

void consumer_settle(struct group *group)
{
    if (!consumer_downgrade(group))
        group_settle(group);
}

/* ---- silence ---- */

static int64_t patience_ms(const struct consumer_member *member)
{
    const struct group *group = member->group;
    if (member->is_classic)
        return member->session_timeout_ms;
    return group->config.session_timeout_ms > 0
               ? group->config.session_timeout_ms
               : group->coordinator->settings.consumer_session_timeout_ms;
}

void consumer_member_heard(struct consumer_member *member)
{
    struct coordinator *coordinator = member->group->coordinator;
    member->heard_ms = coordinator->now_ms;
    int64_t due_ms = member->heard_ms + patience_ms(member);
    /* A timer that comes too early looks again: most heartbeats need not touch it. */
    if (member->session.place == 0 || member->session.due_ms > due_ms)
        timer_set(&coordinator->timers, &member->session, due_ms);
}

static void member_expire(struct timer *timer)
{
    struct consumer_member *member =
        (struct consumer_member *)((char *)timer - offsetof(struct consumer_member, session));
    struct group *group = member->group;
    int64_t due_ms = member->heard_ms + patience_ms(member);
    if (due_ms > group->coordinator->now_ms) {
        timer_set(&group->coordinator->timers, timer, due_ms);
        return;
    }
    consumer_member_remove(member);
    consumer_settle(group);
}

void consumer_member_hurry(struct consumer_member *member)
{
    struct coordinator *coordinator = member->group->coordinator;
    timer_set(&coordinator->timers, &member->rebalance,
              coordinator->now_ms + member->rebalance_timeout_ms);
}

void consumer_member_patient(struct consumer_member *member)
{
    timer_cancel(&member->group->coordinator->timers, &member->rebalance);
}

static void member_late(struct timer *timer)
{
    struct consumer_member *member =
        (struct consumer_member *)((char *)timer - offsetof(struct consumer_member, rebalance));
    struct group *group = member->group;
    consumer_member_remove(member);
    consumer_settle(group);
}

/* ---- answers ---- */

static void beat_refuse(struct group_beat *beat, int16_t error, const char *message)
{
    beat->answer = (struct group_beat_answer){
        .error = error, .message = kafka_string_of(message), .member_id = beat->member_id};
    beat->done(beat);
}

/* What was changed is durable, or cannot be. */
static void beat_end(struct group_wait *wait, int result)
{
    struct group_beat *beat =
        (struct group_beat *)((char *)wait - offsetof(struct group_beat, wait));
    struct partition_set assignment = beat->assignment;
    struct kafka_string made_id = beat->made_id;
    if (result < 0)
        beat_refuse(beat, KAFKA_COORDINATOR_NOT_AVAILABLE, NULL);
    else
        beat->done(beat); /* and it may be gone */
    partition_set_done(&assignment);
    text_free(&made_id);
}

static void beat_await(struct group *group, struct group_beat *beat)
{
    beat->wait.end = beat_end;
    group_await(group, &beat->wait);
}

static bool is_full(const struct group_beat *beat)
{
    return beat->rebalance_timeout_ms != -1 && (beat->names || beat->pattern.data) && beat->owned;
}

/* Tell the member where it stands. */
static void beat_accept(struct consumer_member *member, struct group_beat *beat, bool others)
{
    struct group *group = member->group;
    beat->answer = (struct group_beat_answer){
        .member_id = beat->member_id,
        .epoch = member->epoch,
        .interval_ms = group->config.heartbeat_interval_ms > 0
                           ? group->config.heartbeat_interval_ms
                           : group->coordinator->settings.consumer_heartbeat_interval_ms,
    };
    if (others || beat->epoch == CONSUMER_EPOCH_JOIN || is_full(beat)) {
        if (partition_set_copy(&member->assigned, &beat->assignment) == 0)
            beat->answer.assignment = &beat->assignment;
        else
            beat->answer.error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    beat_await(group, beat);
}

/* ---- what a member says of itself ---- */

bool consumer_member_subscribe(struct consumer_member *member, struct subscription *subscription)
{
    bool same = subscription_equal(&member->subscription, subscription);
    if (same) {
        subscription_done(subscription);
        return false;
    }
    subscription_done(&member->subscription);
    member->subscription = *subscription;
    *subscription = (struct subscription){0};
    member->group->consumer->topics.found = false;
    return true;
}

int consumer_text_set(struct group *group, struct kafka_string *text, struct kafka_string value)
{
    struct kafka_string copy;
    if (kafka_string_equal(*text, value))
        return 0;
    int result = text_copy(value, &copy);
    if (result < 0)
        return result;
    text_free(text);
    *text = copy;
    group->is_changed = true;
    return 0;
}

static int take_texts(struct consumer_member *member, const struct group_beat *beat)
{
    struct group *group = member->group;
    int result = 0;
    if (beat->instance_id.data)
        result = consumer_text_set(group, &member->instance_id, beat->instance_id);
    if (result == 0 && beat->rack_id.data)
        result = consumer_text_set(group, &member->rack_id, beat->rack_id);
    if (result == 0)
        result = consumer_text_set(group, &member->client_id, beat->client_id);
    if (result == 0)
        result = consumer_text_set(group, &member->client_host, beat->client_host);
    if (result == 0 && beat->rebalance_timeout_ms >= 0 &&
        beat->rebalance_timeout_ms != member->rebalance_timeout_ms) {
        member->rebalance_timeout_ms = beat->rebalance_timeout_ms;
        group->is_changed = true;
    }
    return result;
}

/* Takes what it wants. `subscription` is what is not null of it, already looked at. */
static int member_take(struct consumer_member *member, const struct group_beat *beat,
                       struct subscription *subscription, bool is_new)
{
    bool raises = is_new;
    int result = take_texts(member, beat);
    if (result < 0) {
        subscription_done(subscription);
        return result;
    }
    if (beat->names || beat->pattern.data)
        raises |= consumer_member_subscribe(member, subscription);
    if (beat->assignor.data) {
        const struct assignor *assignor = assignor_find(beat->assignor);
        raises |= member->assignor != assignor;
        member->assignor = assignor;
    }
    if (member->is_classic) {
        consumer_member_modernize(member);
        member->group->is_changed = true;
        if (member->state != CONSUMER_UNREVOKED) /* it need neither join nor sync any more */
            consumer_member_patient(member);
    }
    if (raises)
        consumer_raise(member->group);
    return 0;
}

/* The names or the pattern that it does not say stay what they were. */
static int read_subscription(struct group *group, const struct consumer_member *member,
                             const struct group_beat *beat, struct subscription *ret_subscription)
{
    const struct kafka_string *names = beat->names;
    struct kafka_string pattern = beat->pattern;
    uint32_t count = beat->names_count;
    if (!names && !pattern.data)
        return 0;
    if (!names && member) {
        names = member->subscription.names;
        count = member->subscription.names_count;
    }
    if (!pattern.data && member && member->subscription.regex)
        pattern = member->subscription.regex->text;
    return subscription_init(&group->consumer->topics, names, count, pattern, ret_subscription);
}

bool consumer_has_room(const struct group *group, size_t bytes)
{
    /* The other half is for assignments that change. */
    return group->state_bytes + bytes < GROUP_STATE_BYTES_MAX / 2;
}

static size_t size_of(const struct group_beat *beat)
{
    size_t size = (size_t)beat->member_id.length + beat->instance_id.length + beat->rack_id.length +
                  beat->client_id.length + beat->pattern.length;
    for (uint32_t i = 0; i < beat->names_count; i++)
        size += beat->names[i].length + 2;
    return size;
}

/* ---- heartbeats ---- */

static int16_t error_of(int result)
{
    switch (-result) {
    case EINVAL:
        return KAFKA_INVALID_REGULAR_EXPRESSION;
    case ENOSPC:
        return KAFKA_GROUP_MAX_SIZE_REACHED;
    default:
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
}

/* Of a member, or of one that is to be made. */
static void beat_take(struct group *group, struct consumer_member *member, struct group_beat *beat)
{
    struct subscription subscription = {0};
    bool is_new = !member;
    bool says_much = is_new || beat->names || beat->pattern.data;
    int result = says_much && !consumer_has_room(group, size_of(beat)) ? -ENOSPC : 0;
    if (result == 0)
        result = read_subscription(group, member, beat, &subscription);
    if (result == 0 && is_new) {
        member = consumer_member_new(group, beat->member_id, beat->instance_id);
        if (!member) {
            subscription_done(&subscription);
            result = -ENOMEM;
        }
    }
    if (result == 0)
        result = member_take(member, beat, &subscription, is_new);
    if (result == 0)
        result = consumer_reconcile(member, beat->owned);
    if (member)
        consumer_member_heard(member);
    if (result >= 0) {
        beat_accept(member, beat, result == 1);
        return;
    }
    if (is_new && member) {
        consumer_member_remove(member);
        consumer_settle(group);
    }
    struct kafka_string made_id = beat->made_id;
    beat_refuse(beat, error_of(result),
                result == -EINVAL ? "SubscribedTopicRegex is no valid regular expression." : NULL);
    text_free(&made_id);
}

int16_t consumer_identify(const struct group *group, struct kafka_string id,
                          struct kafka_string instance_id, struct consumer_member **ret_member)
{
    struct consumer_member *member =
        instance_id.data ? consumer_find_instance(group, instance_id) : consumer_find(group, id);
    if (!member)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (!kafka_string_equal(member->id, id))
        return KAFKA_FENCED_INSTANCE_ID;
    *ret_member = member;
    return KAFKA_NONE;
}

/* For the next of a static member's lives: 0, with the member or NULL where there is none yet. */
static int16_t identify_joining(struct group *group, struct kafka_string id,
                                struct kafka_string instance_id,
                                struct consumer_member **ret_member)
{
    struct consumer_member *same = consumer_find_instance(group, instance_id);
    *ret_member = same ? same : consumer_find(group, id);
    if (!same || kafka_string_equal(same->id, id))
        return KAFKA_NONE;
    /* One of the classic protocol just goes, and has no word for coming back. */
    if (same->epoch != CONSUMER_EPOCH_LEAVE_STATIC && !same->is_classic)
        return KAFKA_UNRELEASED_INSTANCE_ID;
    if (consumer_find(group, id))
        return KAFKA_FENCED_INSTANCE_ID; /* another member has that id */
    return consumer_member_rename(same, id) < 0 ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE;
}

/* The epoch before is one whose answer the member did not get, if it has no more than that answer
 * let it have. */
static int16_t check_epoch(const struct consumer_member *member, const struct group_beat *beat)
{
    bool missed = beat->epoch == member->previous_epoch && beat->epoch < member->epoch &&
                  beat->owned && partition_set_within(beat->owned, &member->assigned);
    return beat->epoch == member->epoch || missed ? KAFKA_NONE : KAFKA_FENCED_MEMBER_EPOCH;
}

static void beat_again(struct group *group, struct group_beat *beat)
{
    struct consumer_member *member = NULL;
    int16_t error = consumer_identify(group, beat->member_id, beat->instance_id, &member);
    if (error == KAFKA_NONE)
        error = check_epoch(member, beat);
    if (error != KAFKA_NONE)
        beat_refuse(
            beat, error,
            error == KAFKA_FENCED_MEMBER_EPOCH
                ? "The member's epoch is not the one that the coordinator knows. The member "
                  "must abandon all its partitions and rejoin."
                : NULL);
    else
        beat_take(group, member, beat);
}

/* Also of who is a member: one that was fenced comes so, with nothing of what it had, as KIP-848
 * says. (Kafka 4.1 fences most of those again until their session is over.) */
static void beat_join(struct group *group, struct group_beat *beat)
{
    struct coordinator *coordinator = group->coordinator;
    struct consumer_member *member = NULL;
    char text[GROUP_UUID_BYTES + 1];
    int16_t error = KAFKA_NONE;
    if (beat->member_id.length == 0) {
        coordinator_uuid(coordinator, text);
        if (text_copy(kafka_string_of(text), &beat->made_id) < 0)
            error = KAFKA_COORDINATOR_NOT_AVAILABLE;
        beat->member_id = beat->made_id;
    }
    if (error == KAFKA_NONE)
        error = identify_joining(group, beat->member_id, beat->instance_id, &member);
    if (error == KAFKA_NONE && !member &&
        group->consumer->member_count >= (uint32_t)coordinator->settings.consumer_max_size)
        error = KAFKA_GROUP_MAX_SIZE_REACHED;
    if (error == KAFKA_NONE) {
        beat_take(group, member, beat);
        return;
    }
    struct kafka_string made_id = beat->made_id;
    beat_refuse(beat, error, NULL);
    text_free(&made_id);
}

/* ---- leaving ---- */

/* A static member says that it will be back: what it has is kept for it, for its session. */
static void leave_for_a_while(struct consumer_member *member)
{
    partition_set_done(&member->revoking);
    member->state = CONSUMER_STABLE;
    member->epoch = CONSUMER_EPOCH_LEAVE_STATIC;
    member->group->is_changed = true;
    consumer_member_patient(member);
}

static void beat_leave(struct group *group, struct group_beat *beat)
{
    struct consumer_member *member;
    int16_t error = consumer_identify(group, beat->member_id, beat->instance_id, &member);
    if (error != KAFKA_NONE) {
        beat_refuse(beat, error, NULL);
        return;
    }
    if (beat->epoch == CONSUMER_EPOCH_LEAVE_STATIC)
        leave_for_a_while(member);
    else
        consumer_member_remove(member);
    beat->answer = (struct group_beat_answer){.member_id = beat->member_id, .epoch = beat->epoch};
    (void)consumer_downgrade(group);
    beat_await(group, beat);
}

/* ---- checks ---- */

static bool is_empty(struct kafka_string text)
{
    return text.data && text.length == 0;
}

/* NULL where there is nothing wrong with it, or else what. */
static const char *check_joining(const struct group_beat *beat)
{
    if (beat->rebalance_timeout_ms < 0)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (!beat->owned || beat->owned->count > 0)
        return "TopicPartitions must be empty when (re-)joining.";
    if (!beat->names && !beat->pattern.data)
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
               "(re-)joining.";
    return NULL;
}

static const char *check_request(const struct group_beat *beat)
{
    if (beat->group_id.length == 0)
        return "GroupId can't be empty.";
    if (is_empty(beat->instance_id))
        return "InstanceId can't be empty.";
    if (is_empty(beat->rack_id))
        return "RackId can't be empty.";
    if (beat->epoch < CONSUMER_EPOCH_LEAVE_STATIC)
        return "MemberEpoch is invalid.";
    if (beat->names_count > CONSUMER_NAMES_MAX)
        return "SubscribedTopicNames are too many.";
    if (beat->owned && beat->owned->count > CONSUMER_PARTITIONS_MAX)
        return "TopicPartitions are too many.";
    if (beat->epoch == CONSUMER_EPOCH_LEAVE_STATIC && !beat->instance_id.data)
        return "InstanceId can't be null.";
    if (beat->member_id.length == 0 && (beat->epoch != CONSUMER_EPOCH_JOIN || beat->needs_id))
        return "MemberId can't be empty.";
    return beat->epoch == CONSUMER_EPOCH_JOIN ? check_joining(beat) : NULL;
}

static bool knows_assignor(const struct coordinator *coordinator, struct kafka_string name)
{
    const struct assignor *assignor = assignor_find(name);
    for (size_t i = 0; assignor && i < coordinator->settings.consumer_assignors_count; i++)
        if (coordinator->settings.consumer_assignors[i] == assignor)
            return true;
    return false;
}

/* The group, which a joining member makes one of the new protocol, if it can be. */
static int16_t find_group(struct coordinator *coordinator, const struct group_beat *beat,
                          struct group **ret_group)
{
    struct group *group = coordinator_find(coordinator, beat->group_id);
    if (coordinator->is_stopping || (group && group->state == GROUP_DEAD))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (beat->epoch != CONSUMER_EPOCH_JOIN && (!group || !group->consumer))
        return KAFKA_GROUP_ID_NOT_FOUND;
    if (!group)
        group = coordinator_make(coordinator, beat->group_id);
    if (!group)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    *ret_group = group;
    if (group->consumer)
        return KAFKA_NONE;
    if (group->member_count > 0)
        return consumer_upgrade(group);
    if (consumer_begin(group) < 0)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    classic_end(group, KAFKA_UNKNOWN_MEMBER_ID); /* of those who were given an id only */
    if (group->state != GROUP_EMPTY)             /* all had left before their generation began */
        group->empty_since_ms = coordinator->date_ms;
    group->state = GROUP_EMPTY;
    return KAFKA_NONE;
}

void coordinator_beat(struct coordinator *coordinator, struct group_beat *beat)
{
    struct group *group = NULL;
    const char *wrong = check_request(beat);
    if (wrong) {
        beat_refuse(beat, KAFKA_INVALID_REQUEST, wrong);
        return;
    }
    if (beat->assignor.data && !knows_assignor(coordinator, beat->assignor)) {
        beat_refuse(beat, KAFKA_UNSUPPORTED_ASSIGNOR, "ServerAssignor is not supported.");
        return;
    }
    int16_t error = find_group(coordinator, beat, &group);
    if (error != KAFKA_NONE)
        beat_refuse(beat, error,
                    error == KAFKA_GROUP_ID_NOT_FOUND ? "It is no consumer group." : NULL);
    else if (beat->epoch == CONSUMER_EPOCH_JOIN)
        beat_join(group, beat);
    else if (beat->epoch < 0)
        beat_leave(group, beat);
    else
        beat_again(group, beat);
}

/* ---- looking ---- */

const char *consumer_state_name(const struct group *group)
{
    const struct consumer_group *consumer = group->consumer;
    const struct consumer_member *member;
    if (consumer->member_count == 0)
        return "Empty";
    if (consumer->epoch != consumer->assignment_epoch)
        return "Assigning";
    TAILQ_FOREACH(member, &consumer->members, link)
    if (member->state != CONSUMER_STABLE || member->epoch != consumer->assignment_epoch)
        return "Reconciling";
    return "Stable";
}
