/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache of sessions, and one session's partitions; see fetch_session.h.
 */
#include "kafka/fetch_session.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "beck.h"
#include "kafka/errors.h"
#include "kafka/fetch.h"

#define EARS_AT_ONCE 64

/* ---- one session ---- */

static int compare_partitions(const void *left, const void *right)
{
    const struct fetch_session_partition *a = left;
    const struct fetch_session_partition *b = right;
    int order = memcmp(&a->topic_id, &b->topic_id, sizeof(a->topic_id));
    if (order == 0 && a->topic_length != b->topic_length)
        order = a->topic_length < b->topic_length ? -1 : 1;
    if (order == 0 && a->topic_length > 0)
        order = memcmp(a->topic, b->topic, a->topic_length);
    if (order == 0)
        order =
            (a->asked.partition > b->asked.partition) - (a->asked.partition < b->asked.partition);
    return order;
}

static struct fetch_session_partition *session_find(const struct fetch_session *session,
                                                    struct kafka_string topic,
                                                    const struct kafka_uuid *id, int32_t partition)
{
    struct fetch_session_partition key = {.asked = {.partition = partition}};
    if (session->by_topic_id) {
        key.topic_id = *id;
    } else {
        key.topic = (char *)(uintptr_t)topic.data;
        key.topic_length = topic.length;
    }
    void *const *found = tfind(&key, &session->tree, compare_partitions);
    return found ? *found : NULL;
}

static void partition_free(struct fetch_session_partition *partition)
{
    free(partition->topic);
    free(partition);
}

static void session_remove(struct fetch_session *session, struct fetch_session_partition *partition)
{
    bells_forget(session->bells, &partition->ear);
    fetch_session_set_due(session, partition, false);
    tdelete(partition, &session->tree, compare_partitions);
    TAILQ_REMOVE(&session->partitions, partition, link);
    session->count--;
    atomic_fetch_sub(&session->all->partition_count, 1);
    partition_free(partition);
}

static int session_add(struct fetch_session *session, struct kafka_string topic,
                       const struct kafka_uuid *id,
                       const struct kafka_fetch_request_partition *asked)
{
    struct fetch_session_partition *partition = session_find(session, topic, id, asked->partition);
    if (partition) {
        partition->asked = *asked;
        fetch_session_set_due(session, partition, true);
        return 0;
    }
    /* Each partition has a copy of the name: one that no topic can have may not cost that much. */
    if (session->count >= FETCH_SESSION_PARTITIONS_MAX || topic.length > BECK_TOPIC_NAME_BYTES)
        return -EMSGSIZE;
    partition = calloc(1, sizeof(*partition));
    if (!partition)
        return -ENOMEM;
    partition->asked = *asked;
    if (session->by_topic_id) {
        partition->topic_id = *id;
    } else {
        partition->topic_length = topic.length;
        partition->topic = malloc((size_t)topic.length + 1);
        if (partition->topic)
            memcpy(partition->topic, topic.data, topic.length);
    }
    if ((!session->by_topic_id && !partition->topic) ||
        !tsearch(partition, &session->tree, compare_partitions)) {
        partition_free(partition);
        return -ENOMEM;
    }
    TAILQ_INSERT_TAIL(&session->partitions, partition, link);
    session->count++;
    atomic_fetch_add(&session->all->partition_count, 1);
    fetch_session_set_due(session, partition, true);
    return 0;
}

static int session_update(struct fetch_session *session, const struct kafka_fetch_request *body)
{
    int result = 0;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct kafka_fetch_request_topic *topic = &body->topics[i];
        for (uint32_t p = 0; result == 0 && p < topic->partitions_count; p++)
            result = session_add(session, topic->topic, &topic->topic_id, &topic->partitions[p]);
    }
    for (uint32_t i = 0; i < body->forgotten_topics_data_count; i++) {
        const struct kafka_fetch_request_forgotten_topic *topic = &body->forgotten_topics_data[i];
        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            struct fetch_session_partition *partition =
                session_find(session, topic->topic, &topic->topic_id, topic->partitions[p]);
            if (partition)
                session_remove(session, partition);
        }
    }
    return result;
}

static void session_free(struct fetch_session *session)
{
    while (!TAILQ_EMPTY(&session->partitions))
        session_remove(session, TAILQ_FIRST(&session->partitions));
    free(session);
}

struct fetch_session *fetch_session_of(struct hearer *hearer)
{
    return (struct fetch_session *)((char *)hearer - offsetof(struct fetch_session, hearer));
}

void fetch_session_set_due(struct fetch_session *session, struct fetch_session_partition *partition,
                           bool is_due)
{
    if (is_due && !partition->is_due)
        TAILQ_INSERT_TAIL(&session->due, partition, due_link);
    else if (!is_due && partition->is_due)
        TAILQ_REMOVE(&session->due, partition, due_link);
    partition->is_due = is_due;
}

void fetch_session_listen(struct fetch_session *session, struct fetch_session_partition *partition,
                          uint32_t number)
{
    if (!partition->ear.hearer || partition->ear.number != number)
        bells_listen(session->bells, &partition->ear, &session->hearer, number);
}

static void hear(struct fetch_session *session)
{
    struct ear *ears[EARS_AT_ONCE];
    size_t count = EARS_AT_ONCE;
    while (count == EARS_AT_ONCE) {
        count = bells_heard(session->bells, &session->hearer, ears, EARS_AT_ONCE);
        for (size_t i = 0; i < count; i++)
            fetch_session_set_due(
                session,
                (struct fetch_session_partition *)((char *)ears[i] -
                                                   offsetof(struct fetch_session_partition, ear)),
                true);
    }
}

void fetch_session_find_due(struct fetch_session *session, bool is_committed, int64_t now_ms)
{
    uint64_t generation = beck_store_generation(session->bells->store);
    bool all = session->bells->polling || session->generation != generation ||
               session->is_committed != is_committed ||
               now_ms - session->looked_ms >= FETCH_SESSION_LOOK_MS;
    if (!session->bells->polling) {
        bells_take(session->bells, BELLS_NO_LOOP);
        hear(session);
    }
    if (!all)
        return;
    session->generation = generation;
    session->is_committed = is_committed;
    session->looked_ms = now_ms;
    struct fetch_session_partition *partition;
    TAILQ_FOREACH(partition, &session->partitions, link)
    fetch_session_set_due(session, partition, true);
}

bool fetch_session_tell(struct fetch_session_partition *partition,
                        const struct kafka_fetch_response_partition *answer)
{
    bool has_error = answer->error_code != KAFKA_NONE;
    bool has_records = answer->records.size > 0;
    bool changed = !partition->was_told || has_error || has_records || partition->had_error ||
                   partition->high_watermark != answer->high_watermark ||
                   partition->last_stable_offset != answer->last_stable_offset ||
                   partition->log_start_offset != answer->log_start_offset;
    partition->was_told = true;
    partition->had_error = has_error;
    partition->high_watermark = answer->high_watermark;
    partition->last_stable_offset = answer->last_stable_offset;
    partition->log_start_offset = answer->log_start_offset;
    return changed;
}

/* ---- the cache ---- */

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t most, struct bells *bells)
{
    *sessions = (struct fetch_sessions){.most = most, .bells = bells};
    pthread_mutex_init(&sessions->mutex, NULL);
    TAILQ_INIT(&sessions->uses);
}

static struct fetch_session *sessions_find(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_session *session;
    LIST_FOREACH(session, &sessions->buckets[(uint32_t)id % FETCH_SESSIONS_BUCKETS], by_id)
    if (session->id == id)
        return session;
    return NULL;
}

/* Out of the table; freed when nobody has it. Under the mutex. */
static void sessions_remove(struct fetch_sessions *sessions, struct fetch_session *session)
{
    LIST_REMOVE(session, by_id);
    TAILQ_REMOVE(&sessions->uses, session, by_use);
    sessions->count--;
    session->is_gone = true;
    if (!session->taken)
        session_free(session);
}

void fetch_sessions_done(struct fetch_sessions *sessions)
{
    struct fetch_session *session;
    while ((session = TAILQ_FIRST(&sessions->uses))) {
        assert(!session->taken);
        sessions_remove(sessions, session);
    }
    pthread_mutex_destroy(&sessions->mutex);
}

/* The one that was not used for the longest time, if that is long enough; NULL: none. Under the
 * mutex. */
static struct fetch_session *sessions_find_idle(struct fetch_sessions *sessions, int64_t now_ms)
{
    struct fetch_session *oldest = TAILQ_FIRST(&sessions->uses);
    while (oldest && oldest->taken) /* by a fetch that waits long */
        oldest = TAILQ_NEXT(oldest, by_use);
    return oldest && now_ms - oldest->used_ms >= FETCH_SESSION_IDLE_MS ? oldest : NULL;
}

/* For so many more sessions, whose partitions count already. Under the mutex. */
static bool sessions_make_room(struct fetch_sessions *sessions, uint32_t more, int64_t now_ms)
{
    while (sessions->count + more > sessions->most ||
           atomic_load(&sessions->partition_count) > FETCH_SESSIONS_PARTITIONS_MAX) {
        struct fetch_session *idle = sessions_find_idle(sessions, now_ms);
        if (!idle)
            return false;
        sessions_remove(sessions, idle);
    }
    return true;
}

/* Numbers are random, so that nobody goes on with a session of a broker that was started anew. */
static int32_t sessions_new_id(struct fetch_sessions *sessions)
{
    uint32_t id = 0;
    while (id == 0 || sessions_find(sessions, (int32_t)id)) {
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
            abort();
        id &= INT32_MAX;
    }
    return (int32_t)id;
}

struct fetch_session *fetch_session_new(struct fetch_sessions *sessions,
                                        const struct kafka_fetch_request *body, bool by_topic_id,
                                        int64_t now_ms)
{
    struct fetch_session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    TAILQ_INIT(&session->partitions);
    TAILQ_INIT(&session->due);
    session->all = sessions;
    session->bells = sessions->bells;
    hearer_init(&session->hearer, fetch_session_rang);
    session->by_topic_id = by_topic_id;
    session->epoch = 1;
    session->used_ms = now_ms;
    session->taken = true;
    bool room = session_update(session, body) == 0 && session->count > 0;
    pthread_mutex_lock(&sessions->mutex);
    room = room && sessions_make_room(sessions, 1, now_ms);
    if (room) {
        session->id = sessions_new_id(sessions);
        LIST_INSERT_HEAD(&sessions->buckets[(uint32_t)session->id % FETCH_SESSIONS_BUCKETS],
                         session, by_id);
        TAILQ_INSERT_TAIL(&sessions->uses, session, by_use);
        sessions->count++;
    }
    pthread_mutex_unlock(&sessions->mutex);
    if (!room) {
        session_free(session);
        return NULL;
    }
    return session;
}

/* Under the mutex. */
static int16_t session_check(const struct fetch_session *session,
                             const struct kafka_fetch_request *body, bool by_topic_id)
{
    if (!session)
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (session->taken || session->epoch != body->session_epoch)
        return KAFKA_INVALID_FETCH_SESSION_EPOCH;
    return session->by_topic_id == by_topic_id ? KAFKA_NONE : KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
}

/* What the client changes of a session that is taken. */
static bool sessions_update(struct fetch_sessions *sessions, struct fetch_session *session,
                            const struct kafka_fetch_request *body, int64_t now_ms)
{
    uint32_t before = session->count;
    if (session_update(session, body) < 0)
        return false;
    if (session->count <= before)
        return true;
    pthread_mutex_lock(&sessions->mutex);
    bool room = sessions_make_room(sessions, 0, now_ms);
    pthread_mutex_unlock(&sessions->mutex);
    return room;
}

int16_t fetch_session_take(struct fetch_sessions *sessions, const struct kafka_fetch_request *body,
                           bool by_topic_id, int64_t now_ms, struct fetch_session **ret_session)
{
    pthread_mutex_lock(&sessions->mutex);
    struct fetch_session *session = sessions_find(sessions, body->session_id);
    int16_t error = session_check(session, body, by_topic_id);
    if (error == KAFKA_NONE) {
        session->taken = true;
        session->used_ms = now_ms;
        session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
        TAILQ_REMOVE(&sessions->uses, session, by_use);
        TAILQ_INSERT_TAIL(&sessions->uses, session, by_use);
    }
    pthread_mutex_unlock(&sessions->mutex);
    if (error != KAFKA_NONE)
        return error;
    if (!sessions_update(sessions, session, body, now_ms)) {
        /* It cannot have what the client believes it has: the client begins anew. */
        fetch_session_give(sessions, session);
        fetch_session_close(sessions, body->session_id);
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    }
    *ret_session = session;
    return KAFKA_NONE;
}

void fetch_session_give(struct fetch_sessions *sessions, struct fetch_session *session)
{
    if (!session)
        return;
    pthread_mutex_lock(&sessions->mutex);
    session->taken = false;
    bool gone = session->is_gone;
    pthread_mutex_unlock(&sessions->mutex);
    if (gone)
        session_free(session);
}

void fetch_session_close(struct fetch_sessions *sessions, int32_t id)
{
    pthread_mutex_lock(&sessions->mutex);
    struct fetch_session *session = sessions_find(sessions, id);
    if (session)
        sessions_remove(sessions, session);
    pthread_mutex_unlock(&sessions->mutex);
}
