/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch sessions (KIP-227): which partitions a client fetches from, and what it was told of them
 * last, so that it need name only what changes, and is told only what changed.
 *
 * A session is known by its number alone, whichever connection asks with it. One request has it at
 * a time: it is taken, and given back when the answer is ready. Any thread.
 *
 * A fetch looks only at partitions that are due. One is due until it was found with nothing to read
 * when it was armed already: from then on whatever happens to it rings, and the session, which
 * listens, has it due again. It is due, too, when the client names it; and all are when topics
 * changed, when the client changed what it wants to see, where nobody rings (wake.h), and after
 * FETCH_SESSION_LOOK_MS: somebody may have been killed when he was about to ring.
 */
#ifndef BECK_NETD_KAFKA_FETCH_SESSION_H
#define BECK_NETD_KAFKA_FETCH_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bells.h"
#include "codec/messages.h"

#define FETCH_SESSION_EPOCH_NEW   0
#define FETCH_SESSION_EPOCH_FINAL (-1)
/* A session that was not used for so long makes room for another one. */
#define FETCH_SESSION_IDLE_MS 120000
/* Partitions in one session; who wants more names them each time. */
#define FETCH_SESSION_PARTITIONS_MAX 65536
/* And in all of them: each takes some hundred bytes. */
#define FETCH_SESSIONS_PARTITIONS_MAX (1U << 20)

#define FETCH_SESSION_LOOK_MS 1000

struct fetch;
struct fetch_part;

struct fetch_session_partition {
    TAILQ_ENTRY(fetch_session_partition) link;
    TAILQ_ENTRY(fetch_session_partition) due_link; /* in session->due, if `is_due` */
    struct ear ear;
    bool is_due;
    struct fetch_part *part; /* of the fetch that has the session; NULL: it has none for it */
    char *topic;             /* empty where topics go by their ids */
    uint32_t topic_length;
    struct kafka_uuid topic_id;
    struct kafka_fetch_request_partition asked; /* what is wanted now */

    bool was_told; /* of what follows */
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_start_offset;
    bool had_error;
};

TAILQ_HEAD(fetch_session_partitions, fetch_session_partition);

struct fetch_session {
    LIST_ENTRY(fetch_session) by_id;
    TAILQ_ENTRY(fetch_session) by_use;
    int32_t id;
    int32_t epoch; /* that the next request has to have */
    int64_t used_ms;
    bool by_topic_id;
    bool taken;
    bool is_gone; /* closed while it was taken */
    struct fetch_session_partitions partitions;
    struct fetch_session_partitions due; /* of them, in the order in which they are served */
    struct fetch_sessions *all;
    struct bells *bells;
    struct hearer hearer;  /* whose ears are the partitions' */
    struct fetch *waiting; /* to be told of what rings; for kafka/fetch.c */
    uint64_t generation;   /* of the store, when all were last due */
    int64_t looked_ms;     /* and when that was */
    bool is_committed;     /* what the client wants to see */
    uint32_t count;
    void *tree; /* of the same, by topic and number */
};

#define FETCH_SESSIONS_BUCKETS 1024

struct fetch_sessions {
    struct bells *bells;
    _Atomic uint32_t partition_count; /* of all sessions */
    pthread_mutex_t mutex;            /* for all that follows, and what links sessions */
    LIST_HEAD(, fetch_session) buckets[FETCH_SESSIONS_BUCKETS];
    TAILQ_HEAD(, fetch_session) uses; /* the longest unused first */
    uint32_t count;
    uint32_t most;
};

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t most, struct bells *bells);
/* None may be taken, and there must be the bells yet. */
void fetch_sessions_done(struct fetch_sessions *sessions);

/* A new session for what a request names, taken. NULL: there is no room, or no memory. */
struct fetch_session *fetch_session_new(struct fetch_sessions *sessions,
                                        const struct kafka_fetch_request *body, bool by_topic_id,
                                        int64_t now_ms);

/* Take the session of a request that goes on with one, and bring it up to date. Returns an error of
 * the protocol, or 0 and the session. */
int16_t fetch_session_take(struct fetch_sessions *sessions, const struct kafka_fetch_request *body,
                           bool by_topic_id, int64_t now_ms, struct fetch_session **ret_session);

/* Give it back; takes NULL. */
void fetch_session_give(struct fetch_sessions *sessions, struct fetch_session *session);

/* Close the session of that number, if there is one. */
void fetch_session_close(struct fetch_sessions *sessions, int32_t id);

/* The session of a hearer that rang. */
struct fetch_session *fetch_session_of(struct hearer *hearer);

/* Its partitions that rang until now are due; or all, see above. */
void fetch_session_find_due(struct fetch_session *session, bool is_committed, int64_t now_ms);
void fetch_session_set_due(struct fetch_session *session, struct fetch_session_partition *partition,
                           bool is_due);
/* From now on it listens to the partition of that number. */
void fetch_session_listen(struct fetch_session *session, struct fetch_session_partition *partition,
                          uint32_t number);

/* Has the client to be told of this answer? Remembers it as told. */
bool fetch_session_tell(struct fetch_session_partition *partition,
                        const struct kafka_fetch_response_partition *answer);

#endif
