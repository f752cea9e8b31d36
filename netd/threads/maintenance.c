/* SPDX-License-Identifier: Apache-2.0
 *
 * Sleeps until the library says that something is due, or until it is kicked; see maintenance.h. A
 * failure is logged once until it goes away: appends go on without maintenance, recovery just has
 * more to read.
 */
#include "maintenance.h"

#include "beck.h"
#include "clock.h"
#include "log.h"

/* However far off the next time is said to be, other processes' appends may bring it nearer. */
#define LONGEST_SLEEP_MS       5000
#define SLEEP_AFTER_FAILURE_MS 1000
#define LONGEST_WORK_MS        600000

static uint32_t maintain(struct maintenance *maintenance, bool *failing)
{
    struct beck_error error;
    uint32_t next_ms = LONGEST_SLEEP_MS;
    if (beck_store_maintain(maintenance->store, false, &next_ms, &error) < 0) {
        if (!*failing)
            log_error("maintenance of the store fails, will be tried again: %s", error.message);
        *failing = true;
        return SLEEP_AFTER_FAILURE_MS;
    }
    if (*failing)
        log_info("maintenance of the store works again");
    *failing = false;
    return next_ms;
}

/* Sleeps until it is time or somebody calls. Under the lock. */
static void sleep_ms(struct maintenance *maintenance, uint32_t ms)
{
    const struct timespec until = clock_after_ms(ms);
    while (!maintenance->wanted && !maintenance->stopping)
        if (pthread_cond_timedwait(&maintenance->changed, &maintenance->lock, &until) != 0)
            break;
    maintenance->wanted = false;
}

static void *maintenance_main(void *argument)
{
    struct maintenance *maintenance = argument;
    (void)pthread_setname_np(pthread_self(), "maintenance");
    bool failing = false;
    pthread_mutex_lock(&maintenance->lock);
    while (!maintenance->stopping) {
        pthread_mutex_unlock(&maintenance->lock);
        atomic_store(&maintenance->at_work, true);
        uint32_t ms = maintain(maintenance, &failing);
        atomic_store(&maintenance->beat_ms, clock_ms());
        atomic_store(&maintenance->at_work, false);
        if (ms > maintenance->longest_ms)
            ms = maintenance->longest_ms;
        pthread_mutex_lock(&maintenance->lock);
        sleep_ms(maintenance, ms > 0 ? ms : 1);
        atomic_store(&maintenance->beat_ms, clock_ms());
    }
    pthread_mutex_unlock(&maintenance->lock);
    return NULL;
}

int maintenance_start(struct maintenance *maintenance, struct beck_store *store,
                      uint32_t longest_ms)
{
    bool bound = longest_ms > 0 && longest_ms < LONGEST_SLEEP_MS;
    *maintenance = (struct maintenance){
        .store = store,
        .longest_ms = bound ? longest_ms : LONGEST_SLEEP_MS,
    };
    atomic_store(&maintenance->beat_ms, clock_ms());
    clock_cond_init(&maintenance->changed);
    pthread_mutex_init(&maintenance->lock, NULL);
    int error = pthread_create(&maintenance->thread, NULL, maintenance_main, maintenance);
    if (error != 0) {
        pthread_cond_destroy(&maintenance->changed);
        pthread_mutex_destroy(&maintenance->lock);
    }
    return -error;
}

void maintenance_kick(struct maintenance *maintenance)
{
    pthread_mutex_lock(&maintenance->lock);
    maintenance->wanted = true;
    pthread_cond_signal(&maintenance->changed);
    pthread_mutex_unlock(&maintenance->lock);
}

void maintenance_stop(struct maintenance *maintenance)
{
    pthread_mutex_lock(&maintenance->lock);
    maintenance->stopping = true;
    pthread_cond_signal(&maintenance->changed);
    pthread_mutex_unlock(&maintenance->lock);
    pthread_join(maintenance->thread, NULL);
    pthread_cond_destroy(&maintenance->changed);
    pthread_mutex_destroy(&maintenance->lock);
}

bool maintenance_is_alive(const struct maintenance *maintenance, int64_t since_ms)
{
    bool at_work = atomic_load(&maintenance->at_work);
    int64_t beat_ms = atomic_load(&maintenance->beat_ms);
    int64_t least_ms = clock_ms() - LONGEST_WORK_MS;
    return beat_ms >= since_ms || (at_work && beat_ms >= least_ms);
}
