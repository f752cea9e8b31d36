/* SPDX-License-Identifier: Apache-2.0
 *
 * The group coordinator: which groups there are, and the calls by which their members take part.
 * It knows no socket, no store and no clock: it is called with what came, answers through `done`
 * callbacks (at once or later), has groups kept through a table of functions, and is told the time.
 * So it is tested without any of them.
 *
 * One thread calls it. A `done` may come before the call returns. What is handed in is borrowed
 * until the call returns, what is handed out until the callback returns. The structs of calls that
 * wait (group_join, group_sync) are the caller's and stay until `done`.
 *
 * Happy path of the classic protocol: members join; when all have, or the time is over, a
 * generation begins and its leader is told who they are; the leader syncs with everybody's
 * assignment, which is kept durably and only then handed out; they send heartbeats until somebody
 * comes or goes. Who is silent for its session timeout is out.
 *
 * Happy path of the new consumer protocol: a member says in its heartbeats what it subscribes and
 * what it has, and is told what it is to have. See consumer.h.
 */
#ifndef BECK_NETD_GROUP_COORDINATOR_H
#define BECK_NETD_GROUP_COORDINATOR_H

#include "group/group.h"
#include "group/partition_set.h"
#include "group/topics.h"

/* Each protocol of a member is looked for among those of all others. */
#define GROUP_PROTOCOLS_MAX 64

/* What may be kept of a group. Who would make it so large that changes have no room is not let in.
 */
#define GROUP_STATE_BYTES_MAX 1048576

/* So long a commit may take from being allowed until the store knows of the group. */
#define GROUP_COMMIT_MS  10000
#define GROUP_UUID_BYTES 36 /* as text */
#define GROUP_SESSION_TIMEOUT_JOINING_MS                                                           \
    300000 /* of a new member that waits for its first join                                        \
            */

/* What the coordinator needs of others. */
struct coordinator_environment {
    void *context;
    /* Keep `state` as the group's durable state, or let go of the group where its `length` is 0;
     * then call coordinator_saved(), later and on the coordinator's thread. `state` is the
     * callee's to free. */
    void (*save)(void *context, struct group *group, struct kafka_bytes state, unsigned save);
    /* 16 random bytes, for a member's id. */
    void (*random)(void *context, uint8_t to[16]);
    struct topics_source topics;
};

#define GROUP_ASSIGNORS_MAX 2

struct assignor;

/* Under Kafka's names. */
struct coordinator_settings {
    int32_t group_min_session_timeout_ms;
    int32_t group_max_session_timeout_ms;
    int32_t group_initial_rebalance_delay_ms;
    int32_t group_max_size;
    int32_t consumer_heartbeat_interval_ms; /* these four: group.consumer... */
    int32_t consumer_session_timeout_ms;
    int32_t consumer_max_size;
    const struct assignor *consumer_assignors[GROUP_ASSIGNORS_MAX]; /* the first by default */
    size_t consumer_assignors_count;
    bool may_upgrade; /* group.consumer.migration.policy */
    bool may_downgrade;
};

struct coordinator {
    struct coordinator_environment environment;
    struct coordinator_settings settings;
    struct timers timers;
    void *groups; /* tree by id */
    size_t group_count;
    size_t member_count; /* of all groups, pending ones too */
    bool is_stopping;    /* nobody may wait any more */
    int64_t now_ms;      /* monotonic; as of the call that is under way */
    int64_t date_ms;     /* since the epoch */
    int64_t dropped_ms;  /* when a group was let go of last */
};

void coordinator_init(struct coordinator *coordinator,
                      const struct coordinator_environment *environment,
                      const struct coordinator_settings *settings);
/* Answers all who wait, and who would from now on, with COORDINATOR_NOT_AVAILABLE; their clients
 * ask again. */
void coordinator_stop(struct coordinator *coordinator);
/* Frees everything. Nobody may wait, and no save be under way. */
void coordinator_done(struct coordinator *coordinator);

/* Say what time it is: before each of the calls below. Fires what is due. */
void coordinator_tick(struct coordinator *coordinator, int64_t now_ms, int64_t date_ms);
/* When to tick next, at the latest; INT64_MAX: need not. */
int64_t coordinator_next_ms(const struct coordinator *coordinator);

/* A save ended: 0 or a negative errno. */
void coordinator_saved(struct group *group, unsigned save, int result);

/* A group as it was saved, at the start. Its members have a session timeout from now to be heard
 * of. -EBADMSG: this is no state. -EPROTONOSUPPORT: of a later version. -ENOMEM. */
int coordinator_load(struct coordinator *coordinator, struct kafka_string group_id,
                     struct kafka_bytes state);

/* These are the groups that the store knew when they were read, at `read_ms` or later: make those
 * that are missing, and let go of those that it does not know, that nobody takes part in, and that
 * nothing was done to since, or just before: a commit may have been under way. */
void coordinator_match(struct coordinator *coordinator, const struct kafka_string *group_ids,
                       size_t count, int64_t read_ms);

/* NULL: there is none. */
struct group *coordinator_find(const struct coordinator *coordinator, struct kafka_string group_id);
/* In order of their ids, until `visit` returns false. */
void coordinator_walk(const struct coordinator *coordinator,
                      bool (*visit)(void *context, struct group *group), void *context);

/* ---- the classic protocol ---- */

struct group_join_member {
    struct kafka_string id;
    struct kafka_string instance_id;
    struct kafka_bytes metadata;
};

struct group_join {
    struct kafka_string group_id;
    struct kafka_string member_id; /* empty: a new one */
    struct kafka_string instance_id;
    struct kafka_string client_id;
    struct kafka_string client_host;
    struct kafka_string protocol_type;
    const struct group_protocol *protocols; /* best first */
    uint32_t protocols_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool wants_known_id; /* a new member is only given its id, and joins with it (KIP-394) */
    bool knows_skipping; /* a leader may be told that nothing is to be assigned (version 9) */

    /* The answer; `members` for the leader only. Called once. */
    struct group_wait wait; /* the coordinator's, like the next one */
    struct kafka_string made_id;
    struct kafka_string former_id; /* these two: of a static member whose new id is being kept */
    struct group *group;
    struct group_join_answer {
        int16_t error;
        int32_t generation;
        struct kafka_string protocol_type;
        struct kafka_string protocol_name;
        struct kafka_string leader_id;
        struct kafka_string member_id;
        bool skip_assignment;
        const struct group *group; /* walk its members, with group_member_metadata(); or NULL */
    } answer;
    void (*done)(struct group_join *join);
};

void coordinator_join(struct coordinator *coordinator, struct group_join *join);

struct group_assignment {
    struct kafka_string member_id;
    struct kafka_bytes assignment;
};

struct group_sync {
    struct kafka_string group_id;
    struct kafka_string member_id;
    struct kafka_string instance_id;
    struct kafka_string protocol_type; /* these two null: not said */
    struct kafka_string protocol_name;
    int32_t generation;
    const struct group_assignment *assignments; /* of the leader */
    uint32_t assignments_count;

    struct group_wait wait; /* the coordinator's, like the next one */
    struct kafka_bytes made;
    struct group_sync_answer {
        int16_t error;
        struct kafka_string protocol_type;
        struct kafka_string protocol_name;
        struct kafka_bytes assignment;
    } answer;
    void (*done)(struct group_sync *sync);
};

void coordinator_sync(struct coordinator *coordinator, struct group_sync *sync);

/* Who says he is a member. */
struct group_caller {
    struct kafka_string group_id;
    struct kafka_string member_id;
    struct kafka_string instance_id;
    int32_t generation; /* or the member's epoch */
    bool is_before_848; /* the request's version is of a time without epochs */
};

/* Each returns an error of the protocol, or 0. */
int16_t coordinator_heartbeat(struct coordinator *coordinator, const struct group_caller *caller);
/* `generation` is not looked at. An empty member id with an instance id: whoever has that. */
int16_t coordinator_leave(struct coordinator *coordinator, const struct group_caller *caller);
/* May he commit offsets now? Makes the group where there is none and he claims no membership. */
int16_t coordinator_may_commit(struct coordinator *coordinator, const struct group_caller *caller);
/* May he see what was committed? Who claims nothing always may. */
int16_t coordinator_may_fetch(struct coordinator *coordinator, const struct group_caller *caller);

/* ---- the new consumer protocol ---- */

/* A heartbeat: joining, going on, leaving. */
struct group_beat {
    struct kafka_string group_id;
    struct kafka_string member_id; /* empty: the coordinator makes one, unless `needs_id` */
    struct kafka_string instance_id;
    struct kafka_string rack_id;
    struct kafka_string client_id;
    struct kafka_string client_host;
    int32_t epoch;
    int32_t rebalance_timeout_ms;     /* -1: as before */
    const struct kafka_string *names; /* of topics; NULL: as before */
    uint32_t names_count;
    struct kafka_string pattern;       /* null: as before */
    struct kafka_string assignor;      /* likewise */
    const struct partition_set *owned; /* NULL: not said */
    bool needs_id;

    /* The answer. Called once. */
    struct group_wait wait; /* the coordinator's, like the next two */
    struct partition_set assignment;
    struct kafka_string made_id;
    struct group_beat_answer {
        int16_t error;
        struct kafka_string message; /* null: none */
        struct kafka_string member_id;
        int32_t epoch;
        int32_t interval_ms;
        const struct partition_set *assignment; /* NULL: nothing new */
    } answer;
    void (*done)(struct group_beat *beat);
};

void coordinator_beat(struct coordinator *coordinator, struct group_beat *beat);

/* ---- administration ---- */

/* "Stable" and the like. */
const char *group_state_name(const struct group *group);
/* "classic" or "consumer": the protocol that it is of. */
const char *group_type_name(const struct group *group);

/* Set what is configured for a group, which is made if there is none. 0, and `wait` ends when that
 * is kept, from when on it holds; where it cannot be kept, what was before goes on to hold. Or an
 * error of the protocol, and `wait` does not end. A group in the middle of a rebalance, or of a
 * change of its configuration, has no state for it to be kept in: REBALANCE_IN_PROGRESS. */
int16_t coordinator_configure(struct coordinator *coordinator, struct kafka_string group_id,
                              const struct group_config *config, struct group_wait *wait);

/* Delete a group without members: durably once coordinator_saved() was called for it, from then on
 * it is gone. 0 and the group, or an error of the protocol. */
int16_t coordinator_delete(struct coordinator *coordinator, struct kafka_string group_id);
/* Does some member take part for that topic? Then its offsets must not be deleted. Only known for
 * groups of protocol type "consumer", whose subscriptions are looked into. */
bool group_is_subscribed(const struct group *group, struct kafka_string topic);

/* ---- for the files of this folder ---- */

/* Find or make. NULL: no memory. */
struct group *coordinator_make(struct coordinator *coordinator, struct kafka_string group_id);
/* Take out of the table and free: no members, nobody waits, no saves. */
void coordinator_drop(struct group *group);
/* Make sure that the timers of so many groups and members have room. -ENOMEM. */
int coordinator_reserve(struct coordinator *coordinator, size_t groups, size_t members);
/* Have the state kept as it is now. -ENOMEM. */
int group_save(struct group *group);
/* Have what changed kept, when no other save of the group is under way. */
void group_settle(struct group *group);
/* Call wait->end() when all that was changed until now is durable: at once, where it is. */
void group_await(struct group *group, struct group_wait *wait);
/* A new UUID as text. */
void coordinator_uuid(struct coordinator *coordinator, char ret_text[GROUP_UUID_BYTES + 1]);

#endif
