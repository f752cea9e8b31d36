/* SPDX-License-Identifier: Apache-2.0
 *
 * A group, and its members where it is of the classic protocol: what the coordinator remembers.
 * What happens to them is in classic.c; what survives a restart in state.c. A group of the new
 * consumer protocol has a `consumer`, see consumer.h, and none of the members here.
 *
 * All of it belongs to the coordinator's thread. Texts are copies of the group's own.
 */
#ifndef BECK_NETD_GROUP_GROUP_H
#define BECK_NETD_GROUP_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "codec/wire.h"
#include "group/timers.h"

struct consumer_group;
struct coordinator;
struct group_join;
struct group_sync;

/* Somebody who waits until what was changed is durable. `end` is called once; it may free it. */
struct group_wait {
    TAILQ_ENTRY(group_wait) link;
    unsigned save;
    void (*end)(struct group_wait *wait, int result);
};

TAILQ_HEAD(group_waits, group_wait);

enum group_state {
    GROUP_EMPTY,      /* no members; it may have committed offsets */
    GROUP_PREPARING,  /* waits for its members to join (again) */
    GROUP_COMPLETING, /* has a generation, waits for the leader's assignments */
    GROUP_STABLE,     /* has them */
    GROUP_DEAD,       /* being deleted */
};

/* A protocol that a member can take part in, "range" say, and what it wants of it. */
struct group_protocol {
    struct kafka_string name;
    struct kafka_bytes metadata;
    bool is_common; /* while one is chosen: all members know it, */
    uint32_t votes; /* and so many like it best */
};

struct group_member {
    TAILQ_ENTRY(group_member) link; /* group->members, by arrival */
    struct group *group;
    struct kafka_string id;
    struct kafka_string instance_id; /* null: dynamic */
    struct kafka_string client_id;
    struct kafka_string client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct group_protocol *protocols;
    uint32_t protocols_count;
    struct kafka_bytes assignment;

    struct group_join *join; /* that waits for its answer; NULL: none */
    struct group_sync *sync; /* likewise */
    struct timer session;    /* ends the membership, unless it was heard of */
    int64_t heard_ms;        /* when it was heard of last; the timer looks at it when it fires */
    bool is_new;             /* has not got its first generation yet */
    bool is_pending;         /* was given its id and has not joined with it yet */
    bool has_synced;         /* in this generation */
};

TAILQ_HEAD(group_members, group_member);

/* What is configured for a group alone, for its members of the new protocol; 0: nothing. */
struct group_config {
    int32_t session_timeout_ms;
    int32_t heartbeat_interval_ms;
};

struct group {
    struct coordinator *coordinator;
    struct kafka_string id;
    enum group_state state;
    int32_t generation;
    struct kafka_string protocol_type; /* null: none yet */
    struct kafka_string protocol_name; /* the one that was chosen; null */
    struct group_member *leader;       /* NULL: none */
    struct group_members members;
    struct group_members pending; /* who were given an id only */
    void *by_id;                  /* tree of members and pending ones */
    uint32_t member_count;        /* without pending ones */
    uint32_t pending_count;
    int64_t empty_since_ms; /* the date since when it has no members; 0: it has some */

    struct timer rebalance; /* while GROUP_PREPARING: when not to wait longer */
    bool is_initial;        /* of that one: the first members are waited for */
    bool has_joined;        /* and somebody joined since it was set */
    int64_t initial_left_ms;
    struct timer synced; /* while members have not synced: when to do without them */

    struct group_config config; /* what is kept, and holds */
    struct group_config asked;  /* what is to be, once it is kept */
    unsigned config_save;       /* the save that is to keep it, while one is */
    bool is_configuring;
    struct consumer_group *consumer; /* NULL: it is of the classic protocol */

    int64_t touched_ms;       /* when it was made, saved, or could be committed to, last */
    bool is_known;            /* while groups are matched with the store's: it knows this one */
    bool is_changed;          /* since the last save began; of the new protocol */
    struct group_waits waits; /* in the order of the saves that they wait for */
    uint32_t state_bytes;     /* of the last save */
    unsigned saves;           /* that are under way */
    unsigned save_count;      /* counts them, so that a late one is known as such */
    unsigned assigning; /* the save that holds the leader's assignments; 0: none is under way */
};

/* What is configured, as the next state to be kept has it. */
static inline struct group_config group_config_to_keep(const struct group *group)
{
    return group->is_configuring ? group->asked : group->config;
}

/* ---- members ---- */

/* The member or pending one with that id; NULL: none. */
struct group_member *group_find(const struct group *group, struct kafka_string member_id);
/* The static member of that instance. */
struct group_member *group_find_instance(const struct group *group,
                                         struct kafka_string instance_id);

/* A copy of everything in `join` under an id, in no list yet. NULL: no memory. */
struct group_member *group_member_new(struct group *group, struct kafka_string id,
                                      const struct group_join *join);
/* Takes NULL. It must be in no list. */
void group_member_free(struct group_member *member);
/* Takes over protocols and timeouts. -ENOMEM, then with nothing changed. */
int group_member_update(struct group_member *member, const struct group_join *join);
/* Does it want the very same as before? */
bool group_member_wants(const struct group_member *member, const struct group_join *join);
/* Gives it another id. -ENOMEM. */
int group_member_rename(struct group_member *member, struct kafka_string id);

/* Put it into the group's tree and list (`is_pending` says which). -ENOMEM. */
int group_add(struct group *group, struct group_member *member);
void group_remove(struct group *group, struct group_member *member);

/* What the member said for the chosen protocol; empty where it has none. */
struct kafka_bytes group_member_metadata(const struct group_member *member);

/* ---- protocols ---- */

/* Could somebody who wants this be a member: the type fits, and a protocol is known to all? */
bool group_supports(const struct group *group, const struct group_join *join);
/* The protocol that all members know and most prefer, borrowed from a member. */
struct kafka_string group_choose_protocol(struct group *group);

/* The longest that a member may take to join again. */
int32_t group_rebalance_timeout_ms(const struct group *group);

/* ---- texts ---- */

/* A copy that text_free() frees; null for null. -ENOMEM. */
int text_copy(struct kafka_string text, struct kafka_string *ret_copy);
int bytes_copy(struct kafka_bytes bytes, struct kafka_bytes *ret_copy);
void text_free(struct kafka_string *text);
void bytes_free(struct kafka_bytes *bytes);
/* A total order, for trees. */
int text_compare(struct kafka_string a, struct kafka_string b);

#endif
