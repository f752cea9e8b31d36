/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all of the store layer needs of an open store, whoever opened it: whether the handle is
 * good, the time, paths, spare decompressors, telling of changes. Opening and closing: open.c.
 */
#include "store.h"

#include "check.h"
#include "compression.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How often this process forked. */
_Atomic uint32_t store_forks;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void in_child(void)
{
    atomic_fetch_add(&store_forks, 1);
}

static void watch_forks(void)
{
    CHECK(pthread_atfork(NULL, NULL, in_child) == 0);
}

uint32_t store_fork_generation(void)
{
    CHECK(pthread_once(&fork_once, watch_forks) == 0);
    return atomic_load(&store_forks);
}

int64_t store_now_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t store_monotonic_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void store_topic_path(char to[STORE_TOPIC_PATH_BYTES], const uint8_t id[BECK_ID_BYTES],
                      int64_t partition)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = sizeof(STORE_PATH_TOPICS);
    memcpy(to, STORE_PATH_TOPICS "/", n);
    for (size_t i = 0; i < BECK_ID_BYTES; i++) {
        to[n++] = digits[id[i] >> 4];
        to[n++] = digits[id[i] & 15];
    }
    to[n] = '\0';
    if (partition >= 0)
        (void)snprintf(to + n, STORE_TOPIC_PATH_BYTES - n, "/%lld", (long long)partition);
}

int store_topic_id_parse(const char *name, uint8_t ret_id[BECK_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t id[BECK_ID_BYTES] = {0};
    if (strlen(name) != (size_t)2 * BECK_ID_BYTES)
        return -EINVAL;
    for (size_t i = 0; i < (size_t)2 * BECK_ID_BYTES; i++) {
        const char *digit = strchr(digits, name[i]);
        if (!digit)
            return -EINVAL;
        id[i / 2] = (uint8_t)(id[i / 2] << 4 | (uint8_t)(digit - digits));
    }
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

int store_refuse(const struct beck_store *store, struct beck_error *error)
{
    if (atomic_load_explicit(&store_forks, memory_order_relaxed) != store->fork_generation)
        return report(error, -ENODEV, "the store was opened before fork(2); open it anew");
    return report(error, -EROFS, "the store was opened read-only");
}

void store_topics_changed(struct beck_store *store)
{
    struct live_store *shared = live_store(&store->live);
    atomic_fetch_add(&shared->generation, 1);
    waiter_ring(&store->waiter, &shared->armed, 0);
}

int store_take_decompressor(struct beck_store *store, struct decompressor **ret_decompressor)
{
    for (size_t i = 0; i < STORE_SPARES; i++) {
        struct decompressor *spare = atomic_exchange(&store->spares[i], NULL);
        if (spare) {
            *ret_decompressor = spare;
            return 0;
        }
    }
    return decompressor_new(ret_decompressor);
}

void store_give_decompressor(struct beck_store *store, struct decompressor *decompressor)
{
    for (size_t i = 0; decompressor && i < STORE_SPARES; i++) {
        struct decompressor *expected = NULL;
        if (atomic_compare_exchange_strong(&store->spares[i], &expected, decompressor))
            return;
    }
    decompressor_free(decompressor);
}
