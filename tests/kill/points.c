/* SPDX-License-Identifier: Apache-2.0 */
/* Telling where a process is. The engine's steps are wrapped by the linker. */
#include "points.h"

#include "cleanings.h"
#include "db.h"
#include "live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct points *points; /* of this process; NULL: it tells nobody */

static void arrive(uint32_t place)
{
    if (!points)
        return;
    atomic_store_explicit(&points->place, place, memory_order_relaxed);
    atomic_fetch_add_explicit(&points->visits[place], 1, memory_order_relaxed);
    if (atomic_load_explicit(&points->wanted, memory_order_relaxed) != place)
        return;
    atomic_store(&points->wanted, NOWHERE);
    atomic_store(&points->signaled, place);
    (void)raise(atomic_load(&points->signal));
}

struct points *points_new(void)
{
    void *memory = mmap(NULL, sizeof(struct points), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    points_reset(memory);
    return memory;
}

void points_want(struct points *wanted_of, uint32_t place, int signal)
{
    atomic_store(&wanted_of->signal, signal);
    atomic_store(&wanted_of->wanted, place);
}

static int before_call(const struct call *call)
{
    arrive(2 * call->point);
    return 0;
}

static void after_call(const struct call *call, ssize_t result)
{
    (void)result;
    arrive(2 * call->point + 1);
}

void points_reset(struct points *own)
{
    atomic_store(&own->wanted, NOWHERE);
    atomic_store(&own->signaled, NOWHERE);
    atomic_store(&own->place, NOWHERE);
}

void points_begin(struct points *own)
{
    points = own;
    calls.before = before_call;
    calls.after = after_call;
}

const char *place_name(uint32_t place, char to[80])
{
    static const char *const steps[STEPS] = {
        [STEP_LOCK] = "take a lock",
        [STEP_UNLOCK] = "release a lock",
        [STEP_PUBLISH] = "publish",
        [STEP_RING] = "add to the ring",
        [STEP_ROLLED] = "note a roll",
        [STEP_COMMIT] = "commit",
        [STEP_EXCHANGE] = "note an exchange",
        [STEP_EXCHANGED] = "forget an exchange",
        [STEP_CLEANED] = "note what is clean",
    };
    char call[64];
    uint32_t point = place / 2;
    (void)snprintf(to, 80, "%s %s", place % 2 ? "behind" : "in    ",
                   point >= POINT_STEPS ? steps[point - POINT_STEPS]
                                        : call_point_name(point, call));
    return to;
}

bool place_is_needed(uint32_t place)
{
    static const uint32_t needed[] = {
        CALL_CREATE * CALL_FILES + FILE_SEGMENT,
        CALL_CREATE * CALL_FILES + FILE_TOPIC,
        CALL_WRITE * CALL_FILES + FILE_SEGMENT,
        CALL_WRITE * CALL_FILES + FILE_META,
        CALL_WRITE * CALL_FILES + FILE_INDEX,
        CALL_WRITE * CALL_FILES + FILE_TOPIC,
        CALL_WRITE_THROUGH * CALL_FILES + FILE_META,
        CALL_WRITE_THROUGH * CALL_FILES + FILE_INDEX,
        CALL_TRUNCATE * CALL_FILES + FILE_SEGMENT,
        CALL_SYNC * CALL_FILES + FILE_SEGMENT,
        CALL_SYNC * CALL_FILES + FILE_META,
        CALL_SYNC * CALL_FILES + FILE_INDEX,
        CALL_SYNC * CALL_FILES + FILE_TOPIC,
        CALL_SYNC * CALL_FILES + FOLDER_PARTITION,
        CALL_SYNC * CALL_FILES + FOLDER_TOPIC,
        CALL_SYNC * CALL_FILES + FOLDER_TOPICS,
        CALL_MAKE_FOLDER * CALL_FILES + FOLDER_TOPIC,
        CALL_MAKE_FOLDER * CALL_FILES + FOLDER_PARTITION,
        CALL_CREATE * CALL_FILES + FILE_CLEANED,
        CALL_WRITE * CALL_FILES + FILE_CLEANED,
        CALL_SYNC * CALL_FILES + FILE_CLEANED,
        CALL_RENAME * CALL_FILES + FILE_CLEANED,
        CALL_REMOVE * CALL_FILES + FILE_SEGMENT,
        CALL_REMOVE * CALL_FILES + FILE_TOPIC,
        CALL_REMOVE * CALL_FILES + FOLDER_PARTITION,
        CALL_REMOVE * CALL_FILES + FOLDER_TOPIC,
        POINT_STEPS + STEP_LOCK,
        POINT_STEPS + STEP_UNLOCK,
        POINT_STEPS + STEP_PUBLISH,
        POINT_STEPS + STEP_RING,
        POINT_STEPS + STEP_ROLLED,
        POINT_STEPS + STEP_COMMIT,
        POINT_STEPS + STEP_EXCHANGE,
        POINT_STEPS + STEP_EXCHANGED,
        POINT_STEPS + STEP_CLEANED,
    };
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (needed[i] == place / 2)
            return true;
    return false;
}

/* ---- steps --------------------------------------------------------------------------------- */

#define IN(step)     arrive(2 * (POINT_STEPS + (step)))
#define BEHIND(step) arrive(2 * (POINT_STEPS + (step)) + 1)

int __real_live_lock(pthread_mutex_t *mutex);
void __real_live_unlock(pthread_mutex_t *mutex);
void __real_live_tail_publish(struct live_slot *slot, struct live_tail *tail);
void __real_live_ring_add(struct live_slot *slot, const struct index_entry *entry);
void __real_live_rolled_add(struct live_slot *slot, struct live_rolled *rolled);
int __real_db_commit(struct db *db, MDB_txn *txn, struct beck_error *error);
int __wrap_live_lock(pthread_mutex_t *mutex);
void __wrap_live_unlock(pthread_mutex_t *mutex);
void __wrap_live_tail_publish(struct live_slot *slot, struct live_tail *tail);
void __wrap_live_ring_add(struct live_slot *slot, const struct index_entry *entry);
void __wrap_live_rolled_add(struct live_slot *slot, struct live_rolled *rolled);
int __wrap_db_commit(struct db *db, MDB_txn *txn, struct beck_error *error);

int __real_cleanings_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         const struct cleaning_intent *intent);
int __real_cleanings_delete(struct db *index, MDB_txn *txn, uint32_t topic_number,
                            uint32_t partition);
int __real_cleaned_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       int64_t offset);
int __wrap_cleanings_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         const struct cleaning_intent *intent);
int __wrap_cleanings_delete(struct db *index, MDB_txn *txn, uint32_t topic_number,
                            uint32_t partition);
int __wrap_cleaned_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       int64_t offset);

int __wrap_live_lock(pthread_mutex_t *mutex)
{
    IN(STEP_LOCK);
    int r = __real_live_lock(mutex);
    BEHIND(STEP_LOCK);
    return r;
}

void __wrap_live_unlock(pthread_mutex_t *mutex)
{
    IN(STEP_UNLOCK);
    __real_live_unlock(mutex);
    BEHIND(STEP_UNLOCK);
}

void __wrap_live_tail_publish(struct live_slot *slot, struct live_tail *tail)
{
    IN(STEP_PUBLISH);
    __real_live_tail_publish(slot, tail);
    BEHIND(STEP_PUBLISH);
}

void __wrap_live_ring_add(struct live_slot *slot, const struct index_entry *entry)
{
    IN(STEP_RING);
    __real_live_ring_add(slot, entry);
    BEHIND(STEP_RING);
}

void __wrap_live_rolled_add(struct live_slot *slot, struct live_rolled *rolled)
{
    IN(STEP_ROLLED);
    __real_live_rolled_add(slot, rolled);
    BEHIND(STEP_ROLLED);
}

int __wrap_db_commit(struct db *db, MDB_txn *txn, struct beck_error *error)
{
    IN(STEP_COMMIT);
    int r = __real_db_commit(db, txn, error);
    BEHIND(STEP_COMMIT);
    return r;
}

int __wrap_cleanings_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         const struct cleaning_intent *intent)
{
    IN(STEP_EXCHANGE);
    int r = __real_cleanings_put(index, txn, topic_number, partition, intent);
    BEHIND(STEP_EXCHANGE);
    return r;
}

int __wrap_cleanings_delete(struct db *index, MDB_txn *txn, uint32_t topic_number,
                            uint32_t partition)
{
    IN(STEP_EXCHANGED);
    int r = __real_cleanings_delete(index, txn, topic_number, partition);
    BEHIND(STEP_EXCHANGED);
    return r;
}

int __wrap_cleaned_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       int64_t offset)
{
    IN(STEP_CLEANED);
    int r = __real_cleaned_put(index, txn, topic_number, partition, offset);
    BEHIND(STEP_CLEANED);
    return r;
}
