/* SPDX-License-Identifier: Apache-2.0
 *
 * Works, sleeps until the library says that there may be more, and logs each segment that could not
 * be read: that is damage which nobody may have met yet. See cleaner.h.
 */
#include "cleaner.h"

#include <errno.h>
#include <string.h>

#include "beck.h"
#include "clock.h"
#include "log.h"

#define SLEEP_AFTER_DAMAGE_MS  1000  /* what was damaged is passed over from then on */
#define SLEEP_AFTER_FAILURE_MS 10000 /* what was read may have to be read again */

static bool is_stopping(void *context)
{
    struct cleaner *cleaner = context;
    return atomic_load(&cleaner->stopping);
}

/* Returns how long to sleep. `last` is what failed the last time, so that it is not said twice. */
static uint32_t clean(struct cleaner *cleaner, struct beck_error *last)
{
    struct beck_error error;
    uint32_t next_ms;
    int result = beck_store_clean(cleaner->store, is_stopping, cleaner, &next_ms, &error);
    if (result >= 0) {
        last->message[0] = '\0';
        return next_ms;
    }
    if (strcmp(error.message, last->message) != 0)
        log_error("cleaning the store failed, and goes on: %s", error.message);
    *last = error;
    return result == -EBADMSG ? SLEEP_AFTER_DAMAGE_MS : SLEEP_AFTER_FAILURE_MS;
}

/* Under the lock. */
static void sleep_ms(struct cleaner *cleaner, uint32_t ms)
{
    const struct timespec until = clock_after_ms(ms);
    while (!atomic_load(&cleaner->stopping))
        if (pthread_cond_timedwait(&cleaner->changed, &cleaner->lock, &until) != 0)
            break;
}

static void *cleaner_main(void *argument)
{
    struct cleaner *cleaner = argument;
    struct beck_error last = {.message = ""};
    pthread_mutex_lock(&cleaner->lock);
    while (!atomic_load(&cleaner->stopping)) {
        pthread_mutex_unlock(&cleaner->lock);
        uint32_t ms = clean(cleaner, &last);
        pthread_mutex_lock(&cleaner->lock);
        sleep_ms(cleaner, ms);
    }
    pthread_mutex_unlock(&cleaner->lock);
    return NULL;
}

int cleaner_start(struct cleaner *cleaner, struct beck_store *store)
{
    *cleaner = (struct cleaner){.store = store};
    clock_cond_init(&cleaner->changed);
    pthread_mutex_init(&cleaner->lock, NULL);
    int error = pthread_create(&cleaner->thread, NULL, cleaner_main, cleaner);
    if (error != 0) {
        pthread_cond_destroy(&cleaner->changed);
        pthread_mutex_destroy(&cleaner->lock);
    }
    return -error;
}

void cleaner_stop(struct cleaner *cleaner)
{
    pthread_mutex_lock(&cleaner->lock);
    atomic_store(&cleaner->stopping, true);
    pthread_cond_signal(&cleaner->changed);
    pthread_mutex_unlock(&cleaner->lock);
    pthread_join(cleaner->thread, NULL);
    pthread_cond_destroy(&cleaner->changed);
    pthread_mutex_destroy(&cleaner->lock);
}
