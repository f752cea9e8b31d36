/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of the new consumer protocol for world.h: what they subscribe and have is text. Topics
 * have names of one letter, and a set of partitions is written "a0 a1 b0".
 */
#ifndef TESTS_NETD_GROUP_CONSUMER_WORLD_H
#define TESTS_NETD_GROUP_CONSUMER_WORLD_H

#include "group/consumer.h"
#include "world.h"

struct member {
    struct world *world;
    const char *id;
    const char *instance; /* NULL: dynamic */
    const char *topics;   /* a letter each; NULL: not said */
    const char *pattern;  /* likewise */
    const char *assignor; /* likewise */
    int32_t epoch;
    char has[256]; /* what it was told that it may have */

    struct group_beat beat;
    struct kafka_string names[8];
    char letters[8][2];
    struct topic_partition list[64];
    struct partition_set owned;
    int sent;
    int answers;
    int16_t error;
    bool was_told; /* the last answer had an assignment */
};

struct member member_new(struct world *world, const char *id, const char *topics);
/* Join; the answer is there when what it changed is saved. */
void member_join(struct member *member);
/* A heartbeat that says nothing; one that says what it has, and with that epoch. */
void member_beat(struct member *member);
void member_beat_owning(struct member *member, const char *owned);
/* As clients do after an error: everything again, so that the answer tells all, too. */
void member_tell_all(struct member *member, const char *owned);
void member_leave(struct member *member, int32_t epoch);
/* Join, have it saved; likewise a heartbeat that says that it has what it was told. */
void member_joined(struct member *member);
void member_settle(struct member *member);

/* "a0 a1": the set is in `list`. */
struct partition_set set_of(const char *text, struct topic_partition *list);
void set_text(const struct partition_set *set, char *to, size_t size);

/* End saves until there are none. */
void world_settle(struct world *world);
struct group *world_group(struct world *world);

#endif
