/* SPDX-License-Identifier: Apache-2.0
 *
 * The group coordinator in the daemon: ties group/ to the first loop's time, to the store that
 * keeps groups' states, and to the requests of members (kafka/groups.c).
 *
 * Everything here is called in the first loop's thread; see request_call().
 */
#ifndef BECK_NETD_GROUPS_H
#define BECK_NETD_GROUPS_H

#include <sys/queue.h>

#include "beck.h"
#include "commits.h"
#include "group/coordinator.h"
#include "workers.h"

struct broker;
struct event;
struct loop;
struct request;

/* A state on its way to the store. */
struct group_save {
    TAILQ_ENTRY(group_save) link;
    struct group *group;
    unsigned number;
    struct kafka_string group_id; /* a copy */
    struct kafka_bytes state;     /* empty: the group is to be deleted */
    char protocol_type[BECK_GROUP_PROTOCOL_BYTES + 1];
    int64_t empty_since_ms;
    int result;
    void (*then)(struct group_save *save); /* who waits for it to be durable; may be NULL */
    void *context;
};

TAILQ_HEAD(group_saves, group_save);

/* The groups that the store knows. */
struct group_ids {
    struct kafka_string *list; /* in an arena */
    size_t count;
    int64_t read_ms; /* when reading them began */
};

struct groups {
    struct broker *broker;
    struct loop *loop; /* the first */
    struct coordinator coordinator;
    struct event *timer;
    struct event *sweep; /* forgets groups that expired, or never came to anything */
    struct work sweep_work;
    struct kafka_arena sweep_arena;
    struct group_ids sweep_ids;
    int sweep_result;
    bool sweeping;
    struct commits commits;
    struct work work;           /* of the saves that a worker has */
    struct group_saves queue;   /* not begun */
    struct group_saves running; /* a worker's while it is not empty */
    struct group_save *latest;  /* the one that the last call began; NULL: none */
};

/* Load the groups that the store knows. 0, or a negative errno with the reason. */
int groups_init(struct groups *groups, struct loop *loop, struct beck_error *error);
void groups_done(struct groups *groups);

/* Around each use of groups->coordinator: the first has what is due done, the second sees to it
 * that what is due next will be. */
struct coordinator *groups_begin(struct groups *groups);
void groups_end(struct groups *groups);

/* Read them; on any thread. -ENOMEM. */
int group_ids_read(struct beck_store *store, struct kafka_arena *arena, struct group_ids *ret_ids);

/* Answer all who wait: the daemon ends. */
void groups_stop(struct groups *groups);

#endif
