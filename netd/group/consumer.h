/* SPDX-License-Identifier: Apache-2.0
 *
 * A group of the new consumer protocol (KIP-848) and its members, of either protocol: what the
 * coordinator remembers of it beside `struct group`. Its calls for others are in coordinator.h.
 *
 * The group's epoch rises with each change of who is a member, of what they subscribe, and of the
 * topics that they subscribe. The assignment has the epoch of the group that it was computed for:
 * where it is behind, the next heartbeat computes it anew. Each member is led to what it is to have
 * by its own heartbeats (reconcile.c), and has the assignment's epoch when it may have all of it
 * that is not others' still.
 *
 * What a call changes is saved before it is answered: a call that leaves nothing unsaved is
 * answered at once.
 */
#ifndef BECK_NETD_GROUP_CONSUMER_H
#define BECK_NETD_GROUP_CONSUMER_H

#include "group/coordinator.h"
#include "group/partition_set.h"
#include "group/topics.h"

#define CONSUMER_NAMES_MAX      10000 /* topics that a member may name: each is looked up */
#define CONSUMER_PARTITIONS_MAX 65536 /* that it may say that it has: as many as a store has */

#define CONSUMER_EPOCH_JOIN         0
#define CONSUMER_EPOCH_LEAVE        (-1)
#define CONSUMER_EPOCH_LEAVE_STATIC (-2) /* a static member that will be back */

enum consumer_state {
    CONSUMER_STABLE,     /* has what it was to have at its epoch */
    CONSUMER_UNREVOKED,  /* has to let go of `revoking` first */
    CONSUMER_UNRELEASED, /* waits for others to let go */
};

struct consumer_member {
    TAILQ_ENTRY(consumer_member) link; /* by arrival */
    struct group *group;
    struct kafka_string id;
    struct kafka_string instance_id; /* null: dynamic */
    struct kafka_string rack_id;     /* null: not said */
    struct kafka_string client_id;
    struct kafka_string client_host;
    int32_t rebalance_timeout_ms;
    struct subscription subscription;
    const struct assignor *assignor; /* that it asks for; NULL: any */

    int32_t epoch; /* CONSUMER_EPOCH_LEAVE_STATIC: it left for a while */
    int32_t previous_epoch;
    enum consumer_state state;
    struct partition_set assigned;
    struct partition_set revoking;
    struct partition_set target;

    struct timer session;
    int64_t heard_ms;       /* the timer looks at it when it fires */
    struct timer rebalance; /* when it has to have let go, or joined, or synced */

    bool is_classic; /* it speaks the classic protocol, and has these three */
    int32_t session_timeout_ms;
    struct group_protocol *protocols; /* best first */
    uint32_t protocols_count;
};

TAILQ_HEAD(consumer_members, consumer_member);

struct consumer_group {
    struct consumer_members members;
    void *by_id; /* tree */
    uint32_t member_count;
    uint32_t classic_count;
    int32_t epoch;
    int32_t assignment_epoch;
    struct topics topics;
};

/* ---- the group ---- */

/* Makes it one of the new protocol, without members. Those of the classic one are the caller's
 * concern. -ENOMEM. */
int consumer_begin(struct group *group);
/* And back: frees all of it, members too. */
void consumer_end(struct group *group);
const char *consumer_state_name(const struct group *group);
/* Was loaded: watch its members from now on. */
void consumer_watch(struct group *group);

/* ---- members ---- */

struct consumer_member *consumer_find(const struct group *group, struct kafka_string id);
struct consumer_member *consumer_find_instance(const struct group *group,
                                               struct kafka_string instance_id);
/* A new one, among the group's members. NULL: no memory. */
struct consumer_member *consumer_member_new(struct group *group, struct kafka_string id,
                                            struct kafka_string instance_id);
/* Takes it out of the group, and frees it; the group's epoch rises. */
void consumer_member_remove(struct consumer_member *member);
/* Gives it another id. -ENOMEM. */
int consumer_member_rename(struct consumer_member *member, struct kafka_string id);
/* Is there room in the group's state for a member that says so much of itself? */
bool consumer_has_room(const struct group *group, size_t bytes);
/* It was heard of. */
void consumer_member_heard(struct consumer_member *member);
/* It is removed when the time is over, unless the timer was cancelled. */
void consumer_member_hurry(struct consumer_member *member);
void consumer_member_patient(struct consumer_member *member);
/* Forget that it speaks the classic protocol. */
void consumer_member_modernize(struct consumer_member *member);

/* Who the caller says he is. An error, or 0 and the member. */
int16_t consumer_identify(const struct group *group, struct kafka_string id,
                          struct kafka_string instance_id, struct consumer_member **ret_member);

/* Take over what it subscribes; frees or takes `subscription`. True: it is another one. */
bool consumer_member_subscribe(struct consumer_member *member, struct subscription *subscription);
/* Replace a text if it is another one. -ENOMEM. */
int consumer_text_set(struct group *group, struct kafka_string *text, struct kafka_string value);

/* What follows when members went: those who are left may all be classic. Saves what changed. */
void consumer_settle(struct group *group);

/* ---- reconcile.c ---- */

/* The group's epoch rises. */
void consumer_raise(struct group *group);
/* Look whether the topics changed that are subscribed; where they did, the group's epoch rises. 0
 * or a negative errno. */
int consumer_look(struct group *group);
/* Lead a member on: look whether topics changed, compute what all are to have where that is to be
 * done, and what this one may have now. `owned` is what it says that it has; NULL: it did not say.
 * 1 where `assigned` changed, 0, or a negative errno. */
int consumer_reconcile(struct consumer_member *member, const struct partition_set *owned);
/* Does it wait for partitions that somebody else has still? */
bool consumer_is_blocked(const struct consumer_member *member);
/* The assignor that most members ask for. */
const struct assignor *consumer_assignor(const struct group *group);

/* ---- consumer_classic.c ---- */

void consumer_join(struct group *group, struct group_join *join);
void consumer_sync(struct group *group, struct group_sync *sync);
int16_t consumer_heartbeat(struct group *group, const struct group_caller *caller);
int16_t consumer_leave(struct group *group, const struct group_caller *caller);
int16_t consumer_may_commit(struct group *group, const struct group_caller *caller);
/* Make a group of the classic protocol one of the new one, with its members. An error of the
 * protocol, or 0. */
int16_t consumer_upgrade(struct group *group);
/* And back, where all its members are classic ones and that is allowed; they join anew. False: it
 * stays what it is. */
bool consumer_downgrade(struct group *group);

#endif
