/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator with nothing around it: time is a number, saves end when the test says so, and
 * members are structs that remember what they were told.
 */
#ifndef TESTS_NETD_GROUP_WORLD_H
#define TESTS_NETD_GROUP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "group/coordinator.h"
#include "kafka/errors.h"

#define WORLD_SAVES  256
#define WORLD_TOPICS 16
#define DELAY_MS     3000
#define SESSION_MS   10000
#define REBALANCE_MS 60000

struct world {
    struct coordinator coordinator;
    int64_t now_ms;
    uint64_t randomness;
    struct {
        struct group *group;
        unsigned save;
        struct kafka_bytes state;
    } saves[WORLD_SAVES]; /* under way */
    unsigned save_count;
    struct kafka_bytes kept; /* the state of the group that was saved last */
    struct group_topic topics[WORLD_TOPICS];
    unsigned topic_count;
    uint64_t topics_generation;
};

/* One who takes part, by joins and syncs; `group` is "g". */
struct actor {
    struct world *world;
    const char *client;
    const char *instance;  /* NULL: dynamic */
    const char *protocols; /* names of one letter each, best first */
    const char *wants;     /* metadata */
    uint32_t wants_bytes;  /* 0: it is text */
    bool old;              /* needs no known id */
    bool new;              /* knows of skipping */
    int32_t rebalance_ms;  /* the time to join again */
    char id[128];
    char asked_id[128]; /* in the join that is under way */
    int32_t generation;

    struct group_join join;
    struct group_sync sync;
    int joins; /* answers */
    int syncs;
    int16_t error; /* of the last answer */
    char leader[128];
    char protocol[8];
    char members[512]; /* as the leader was told: "id=metadata " */
    bool skip;
    char assignment[64];
    uint32_t assignment_bytes;
};

void world_begin(struct world *world, int32_t delay_ms);
void world_end(struct world *world);
void world_pass(struct world *world, int64_t ms);
/* End the saves that are under way. */
void world_saved(struct world *world, int result);
/* The coordinator dies, and another one takes what was kept. */
void world_restart(struct world *world);

/* Make a topic, or give it so many partitions; none: delete it. Its id begins with its name. */
void world_topic(struct world *world, const char *name, uint32_t partitions);

struct actor actor_new(struct world *world, const char *client);
/* Join; where the answer is that an id is required, again with it. */
void actor_join(struct actor *actor);
/* Sync; `assignments` of a leader are pairs of actors and texts, ended by NULL. */
void actor_sync(struct actor *actor, ...);
/* Sync as a leader who gives itself these bytes. */
void actor_sync_own(struct actor *actor, const void *data, uint32_t size);
int16_t actor_heartbeat(struct actor *actor);
int16_t actor_leave(struct actor *actor);
int16_t actor_commit(struct actor *actor);

/* Both are in a stable group: `leader` leads. */
void world_of_two(struct world *world, struct actor *leader, struct actor *follower);

enum group_state world_state(const struct world *world);

#endif
