/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maintenance in a thread of its own; see keeper.h. It wakes when the library says that something
 * is due, at most each second while idle, and at once when KEEPER_WAKE_BYTES were appended.
 *
 * A failure (a full disk, say) is logged when it begins and when it ends, not each second.
 */
#include "keeper.h"
#include "logger.h"

#include <signal.h>
#include <syslog.h>
#include <time.h>

#define KEEPER_WAKE_BYTES (8U << 20)
#define KEEPER_IDLE_MS    1000U
#define KEEPER_PAUSE_MS   10U /* between rounds, however much is due */

static uint32_t keeper_round(struct keeper *keeper, bool *failed)
{
    struct beck_error error;
    uint32_t next_ms = KEEPER_IDLE_MS;
    atomic_store(&keeper->appended_bytes, 0);
    int result = beck_store_maintain(keeper->store, false, &next_ms, &error);
    if (result < 0 && !*failed)
        logger_say(LOG_ERR, "maintenance fails, and is tried again each second: %s", error.message);
    if (result == 0 && *failed)
        logger_say(LOG_NOTICE, "maintenance works again");
    *failed = result < 0;
    if (result < 0 || next_ms > KEEPER_IDLE_MS)
        return KEEPER_IDLE_MS;
    return next_ms > KEEPER_PAUSE_MS ? next_ms : KEEPER_PAUSE_MS;
}

static void keeper_wait(struct keeper *keeper, uint32_t wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!keeper->stop && !keeper->hurry)
        if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) != 0)
            break;
    keeper->hurry = false;
}

static void *keeper_main(void *argument)
{
    struct keeper *keeper = argument;
    bool failed = false;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stop) {
        pthread_mutex_unlock(&keeper->lock);
        uint32_t wait_ms = keeper_round(keeper, &failed);
        pthread_mutex_lock(&keeper->lock);
        keeper_wait(keeper, wait_ms);
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

int keeper_start(struct keeper *keeper, struct beck_store *store)
{
    keeper->store = store;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->wake, &attributes);
    pthread_condattr_destroy(&attributes);

    /* Signals are for the main thread, which ends the session. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&keeper->thread, NULL, keeper_main, keeper);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    keeper->running = result == 0;
    return -result;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper->running)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->stop = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
    (void)pthread_join(keeper->thread, NULL);
    keeper->running = false;
}

void keeper_appended(struct keeper *keeper, size_t bytes)
{
    size_t before = atomic_fetch_add(&keeper->appended_bytes, bytes);
    if (before >= KEEPER_WAKE_BYTES || before + bytes < KEEPER_WAKE_BYTES)
        return;
    if (!keeper->running)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->hurry = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
}
