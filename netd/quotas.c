/* SPDX-License-Identifier: Apache-2.0
 *
 * Client quotas; see quotas.h. One lock for all loops and workers, held for a few steps. Limits of
 * a client are looked up when he first comes and when quotas have changed since.
 */
#include "quotas.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "sources.h"

/* ---- what is set ---- */

/* Under both locks. */
static void table_changed(struct quotas *quotas)
{
    quotas->generation++;
    atomic_store(&quotas->kinds, quota_table_kinds(&quotas->table));
}

static int load_one(struct quotas *quotas, const struct beck_quota *quota)
{
    struct quota_entry *entry = quota_entry_new(quota);
    if (!entry)
        return -ENOMEM;
    if (quota_table_reserve(&quotas->table, 1) < 0) {
        free(entry);
        return -ENOMEM;
    }
    quota_table_set(&quotas->table, entry);
    return 0;
}

static int load(struct quotas *quotas, struct beck_error *error)
{
    struct beck_quota quota = {.set = 0};
    int result;
    while ((result = beck_quota_next(quotas->store, &quota, error)) != 0) {
        if (result == 1)
            result = load_one(quotas, &quota);
        if (result == -EBADMSG)
            log_warning("a client quota is damaged and counts for nobody: %s", error->message);
        else if (result < 0)
            return result;
    }
    return 0;
}

int quotas_init(struct quotas *quotas, struct beck_store *store, const struct broker_config *config,
                struct beck_error *error)
{
    *quotas = (struct quotas){
        .store = store,
        .windows = {(uint32_t)config->quota_window_num,
                    (int64_t)config->quota_window_size_seconds * 1000},
        .mutation_windows = {(uint32_t)config->controller_quota_window_num,
                             (int64_t)config->controller_quota_window_size_seconds * 1000},
    };
    quota_peers_init(&quotas->clients, QUOTA_PEERS_MAX);
    quota_peers_init(&quotas->addresses, QUOTA_PEERS_MAX);
    pthread_mutex_init(&quotas->changes, NULL);
    pthread_mutex_init(&quotas->lock, NULL);
    int result = load(quotas, error);
    table_changed(quotas);
    if (result < 0)
        quotas_done(quotas);
    return result;
}

void quotas_done(struct quotas *quotas)
{
    quota_table_done(&quotas->table);
    quota_peers_done(&quotas->clients);
    quota_peers_done(&quotas->addresses);
    quota_peer_done(&quotas->user);
    pthread_mutex_destroy(&quotas->changes);
    pthread_mutex_destroy(&quotas->lock);
}

static int make_entries(const struct beck_quota *list, size_t count, struct quota_entry **entries)
{
    for (size_t i = 0; i < count; i++) {
        entries[i] = quota_entry_new(&list[i]);
        if (!entries[i])
            return -ENOMEM;
    }
    return 0;
}

int quotas_set(struct quotas *quotas, const struct beck_quota *list, size_t count,
               struct beck_error *error)
{
    struct quota_entry **entries = calloc(count + 1, sizeof(struct quota_entry *));
    int result = entries ? make_entries(list, count, entries) : -ENOMEM;
    pthread_mutex_lock(&quotas->lock); /* for the array may move */
    if (result == 0)
        result = quota_table_reserve(&quotas->table, count);
    pthread_mutex_unlock(&quotas->lock);
    if (result == 0)
        result = beck_quotas_put(quotas->store, list, count, error);
    pthread_mutex_lock(&quotas->lock);
    for (size_t i = 0; entries && entries[i]; i++) {
        if (result == 0)
            quota_table_set(&quotas->table, entries[i]);
        else
            free(entries[i]);
    }
    if (result == 0)
        table_changed(quotas);
    pthread_mutex_unlock(&quotas->lock);
    free(entries);
    return result;
}

/* ---- what is done ---- */

/* Under the lock. */
static void look_up(struct quotas *quotas, struct quota_peer *client)
{
    if (client->generation == quotas->generation)
        return;
    client->generation = quotas->generation;
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++) {
        struct quota_limit *limit = &client->limits[i];
        limit->value = quota_table_limit(&quotas->table, (enum beck_quota_kind)i, QUOTAS_USER,
                                         client->key, client->key_size, &limit->is_users);
    }
}

static bool is_limited(const struct quota_peer *client)
{
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++)
        if (isfinite(client->limits[i].value))
            return true;
    return false;
}

struct quota_peer *quotas_client_take(struct quotas *quotas, const char *client_id, size_t size)
{
    pthread_mutex_lock(&quotas->lock);
    struct quota_peer *client =
        quota_peers_take(&quotas->clients, size > 0 ? client_id : "", size, clock_ms());
    if (client) {
        look_up(quotas, client);
        if (!is_limited(client)) {
            quota_peer_give(client);
            client = NULL;
        }
    }
    pthread_mutex_unlock(&quotas->lock);
    return client;
}

void quotas_client_give(struct quotas *quotas, struct quota_peer *client)
{
    pthread_mutex_lock(&quotas->lock);
    quota_peer_give(client);
    pthread_mutex_unlock(&quotas->lock);
}

/* Where what he does of a kind is counted; NULL: no memory. Under the lock. */
static struct rate *rate_of(struct quotas *quotas, struct quota_peer *peer,
                            enum beck_quota_kind kind)
{
    struct rate **rate = &(peer->limits[kind].is_users ? &quotas->user : peer)->rates[kind];
    if (!*rate)
        *rate = rate_new(&quotas->windows);
    return *rate;
}

/* No longer than a window, for what is not known before it was done. */
static int32_t bounded(const struct quotas *quotas, enum beck_quota_kind kind, int32_t wait_ms)
{
    bool is_bounded =
        kind == BECK_QUOTA_REQUEST_PERCENTAGE || kind == BECK_QUOTA_CONNECTION_CREATION_RATE;
    return is_bounded && wait_ms > quotas->windows.size_ms ? (int32_t)quotas->windows.size_ms
                                                           : wait_ms;
}

int32_t quotas_charge(struct quotas *quotas, struct quota_peer *client, enum beck_quota_kind kind,
                      double amount)
{
    int32_t wait_ms = 0;
    int64_t now_ms = clock_ms();
    pthread_mutex_lock(&quotas->lock);
    double limit = client->limits[kind].value;
    struct rate *rate = isfinite(limit) ? rate_of(quotas, client, kind) : NULL;
    if (rate) {
        rate_add(rate, &quotas->windows, amount, now_ms);
        wait_ms = rate_wait_ms(rate, &quotas->windows, limit, 0, now_ms);
    }
    pthread_mutex_unlock(&quotas->lock);
    return bounded(quotas, kind, wait_ms);
}

int32_t quotas_wait_ms(struct quotas *quotas, struct quota_peer *client, enum beck_quota_kind kind,
                       double *ret_most)
{
    const struct meter_windows *windows = &quotas->windows;
    int64_t whole = windows->count > 1 ? windows->count - 1 : 1;
    int32_t wait_ms = 0;
    pthread_mutex_lock(&quotas->lock);
    double limit = client->limits[kind].value;
    struct rate *rate = isfinite(limit) ? rate_of(quotas, client, kind) : NULL;
    if (rate)
        wait_ms = rate_wait_ms(rate, windows, limit, 0, clock_ms());
    pthread_mutex_unlock(&quotas->lock);
    *ret_most = limit * (double)(whole * windows->size_ms) / 1000;
    return wait_ms;
}

int32_t quotas_mutate(struct quotas *quotas, struct quota_peer *client, uint32_t partitions,
                      bool is_strict)
{
    int32_t wait_ms = 0;
    pthread_mutex_lock(&quotas->lock);
    const struct quota_limit *limit = &client->limits[BECK_QUOTA_CONTROLLER_MUTATION_RATE];
    if (isfinite(limit->value)) {
        struct bucket *bucket = limit->is_users ? &quotas->user.bucket : &client->bucket;
        wait_ms = bucket_take(bucket, &quotas->mutation_windows, limit->value, partitions,
                              is_strict, clock_ms());
    }
    pthread_mutex_unlock(&quotas->lock);
    return wait_ms;
}

int32_t quotas_connect(struct quotas *quotas, const struct sockaddr_storage *from)
{
    const enum beck_quota_kind kind = BECK_QUOTA_CONNECTION_CREATION_RATE;
    uint8_t address[SOURCES_ADDRESS_BYTES];
    int32_t wait_ms = 0;
    int64_t now_ms = clock_ms();
    if (!source_address(from, address))
        return 0;
    pthread_mutex_lock(&quotas->lock);
    struct quota_peer *peer =
        quota_peers_take(&quotas->addresses, address, sizeof(address), now_ms);
    if (peer && peer->generation != quotas->generation) {
        peer->generation = quotas->generation;
        peer->limits[kind].value = quota_table_address_limit(&quotas->table, address);
    }
    double limit = peer ? peer->limits[kind].value : (double)INFINITY;
    struct rate *rate = isfinite(limit) ? rate_of(quotas, peer, kind) : NULL;
    if (rate) {
        wait_ms = rate_wait_ms(rate, &quotas->windows, limit, 1, now_ms);
        if (wait_ms == 0)
            rate_add(rate, &quotas->windows, 1, now_ms);
    }
    if (peer)
        quota_peer_give(peer);
    pthread_mutex_unlock(&quotas->lock);
    return bounded(quotas, kind, wait_ms);
}
