/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of ears by the numbers of partitions; see bells.h.
 */
#include "bells.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "beck.h"

#define TAKEN_AT_ONCE 256

int bells_init(struct bells *bells, size_t count, struct beck_store *store)
{
    int result = 0;
    *bells = (struct bells){.store = store, .count = count};
    pthread_mutex_init(&bells->mutex, NULL);
    bells->store_fd = beck_store_wake_fd(store, NULL);
    bells->polling = bells->store_fd < 0;
    bells->numbers = calloc(BECK_PARTITIONS_MAX + 1, sizeof(*bells->numbers));
    if (!bells->numbers)
        result = -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        TAILQ_INIT(&bells->list[i].hearers);
        bells->list[i].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (bells->list[i].fd < 0)
            result = -errno;
    }
    return result;
}

void bells_done(struct bells *bells)
{
    for (size_t i = 0; i < bells->count; i++)
        if (bells->list[i].fd >= 0)
            close(bells->list[i].fd);
    bells->count = 0;
    free(bells->numbers);
    bells->numbers = NULL;
    pthread_mutex_destroy(&bells->mutex);
}

void hearer_init(struct hearer *hearer, void (*told)(struct hearer *hearer))
{
    *hearer = (struct hearer){.told = told};
    TAILQ_INIT(&hearer->rung);
}

/* Under the lock. */
static void forget(struct ear *ear)
{
    if (!ear->hearer)
        return;
    LIST_REMOVE(ear, by_number);
    if (ear->rung)
        TAILQ_REMOVE(&ear->hearer->rung, ear, link);
    ear->rung = false;
    ear->hearer = NULL;
}

void bells_listen(struct bells *bells, struct ear *ear, struct hearer *hearer, uint32_t number)
{
    pthread_mutex_lock(&bells->mutex);
    forget(ear);
    ear->hearer = hearer;
    ear->number = number;
    LIST_INSERT_HEAD(&bells->numbers[number], ear, by_number);
    pthread_mutex_unlock(&bells->mutex);
}

void bells_forget(struct bells *bells, struct ear *ear)
{
    if (!ear->hearer)
        return;
    pthread_mutex_lock(&bells->mutex);
    forget(ear);
    pthread_mutex_unlock(&bells->mutex);
}

/* Under the lock. */
static void queue(struct hearer *hearer)
{
    struct bell *bell = hearer->bell;
    if (!bell || hearer->queued)
        return;
    bell->wakes |= TAILQ_EMPTY(&bell->hearers);
    TAILQ_INSERT_TAIL(&bell->hearers, hearer, link);
    hearer->queued = true;
}

/* Under the lock. */
static void ring(struct bells *bells, uint32_t number)
{
    struct ear *ear;
    LIST_FOREACH(ear, &bells->numbers[number], by_number)
    {
        if (ear->rung || atomic_load(&ear->closed))
            continue;
        ear->rung = true;
        TAILQ_INSERT_TAIL(&ear->hearer->rung, ear, link);
        queue(ear->hearer);
    }
}

/* Under the lock. Fills in the loops that have to be woken, which is done without it: they would
 * come and wait for it. Returns how many. */
static size_t find_to_wake(struct bells *bells, size_t self, int ret_fds[BELLS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < bells->count; i++) {
        if (bells->list[i].wakes && i != self)
            ret_fds[count++] = bells->list[i].fd;
        bells->list[i].wakes = false;
    }
    return count;
}

void bells_take(struct bells *bells, size_t self)
{
    int fds[BELLS_MAX];
    uint32_t numbers[TAKEN_AT_ONCE];
    int count = TAKEN_AT_ONCE;
    pthread_mutex_lock(&bells->mutex);
    while (count == TAKEN_AT_ONCE) {
        count = beck_store_wake_take(bells->store, numbers, TAKEN_AT_ONCE);
        for (int i = 0; i < count; i++)
            ring(bells, numbers[i]);
        for (uint32_t i = 0; count == -EOVERFLOW && i <= BECK_PARTITIONS_MAX; i++)
            ring(bells, i);
    }
    size_t wakes = find_to_wake(bells, self, fds);
    pthread_mutex_unlock(&bells->mutex);
    for (size_t i = 0; i < wakes; i++) {
        uint64_t one = 1;
        ssize_t written = write(fds[i], &one, sizeof(one));
        (void)written; /* fails only where it is rung already */
    }
}

struct hearer *bells_next(struct bells *bells, size_t index)
{
    struct bell *bell = &bells->list[index];
    pthread_mutex_lock(&bells->mutex);
    struct hearer *hearer = TAILQ_FIRST(&bell->hearers);
    if (hearer) {
        TAILQ_REMOVE(&bell->hearers, hearer, link);
        hearer->queued = false;
    }
    pthread_mutex_unlock(&bells->mutex);
    return hearer;
}

size_t bells_heard(struct bells *bells, struct hearer *hearer, struct ear **ret_ears, size_t room)
{
    size_t count = 0;
    struct ear *ear;
    pthread_mutex_lock(&bells->mutex);
    while (count < room && (ear = TAILQ_FIRST(&hearer->rung))) {
        TAILQ_REMOVE(&hearer->rung, ear, link);
        ear->rung = false;
        ret_ears[count++] = ear;
    }
    pthread_mutex_unlock(&bells->mutex);
    return count;
}

bool bells_wait(struct bells *bells, struct hearer *hearer, size_t index)
{
    pthread_mutex_lock(&bells->mutex);
    hearer->bell = &bells->list[index];
    bool none = TAILQ_EMPTY(&hearer->rung);
    pthread_mutex_unlock(&bells->mutex);
    return none;
}

void bells_wait_no_more(struct bells *bells, struct hearer *hearer)
{
    pthread_mutex_lock(&bells->mutex);
    if (hearer->queued)
        TAILQ_REMOVE(&hearer->bell->hearers, hearer, link);
    hearer->queued = false;
    hearer->bell = NULL;
    pthread_mutex_unlock(&bells->mutex);
}
