/* SPDX-License-Identifier: Apache-2.0
 *
 * Client quotas, as all threads share them: what the store keeps of them, and what clients did
 * lately. There is no authentication: every client is of the user ANONYMOUS, as with Kafka's
 * listeners that ask for none.
 *
 * Where no quota is set nobody is measured, and nothing here is called: quotas_limit_clients() and
 * quotas_limit_addresses() are all that is asked. What clients did is forgotten at the end.
 */
#ifndef BECK_NETD_QUOTAS_H
#define BECK_NETD_QUOTAS_H

#include <pthread.h>
#include <stdatomic.h>

#include "quota/peers.h"
#include "settings.h"

#define QUOTAS_USER "ANONYMOUS"

struct sockaddr_storage;

struct quotas {
    atomic_uint kinds; /* 1 << kind for each that any quota limits */
    struct beck_store *store;
    pthread_mutex_t changes; /* who changes the table, or reads it for long; before `lock` */
    pthread_mutex_t lock;    /* all that follows; the table is changed under both */
    struct quota_table table;
    uint64_t generation; /* of the table */
    struct meter_windows windows;
    struct meter_windows mutation_windows;
    struct quota_peers clients;
    struct quota_peers addresses;
    struct quota_peer user; /* what counts for all clients of the user together */
};

/* Takes what the store has. 0, or a negative errno with the reason; then there is nothing to be
 * done with it. */
int quotas_init(struct quotas *quotas, struct beck_store *store, const struct broker_config *config,
                struct beck_error *error);
void quotas_done(struct quotas *quotas);

/* ---- what is set; any thread ---- */

/* Put them into the store, all or none, and have them count from then on; see beck_quotas_put().
 * Under `changes`. */
int quotas_set(struct quotas *quotas, const struct beck_quota *list, size_t count,
               struct beck_error *error);

/* ---- what is done; any thread ---- */

static inline bool quotas_limit_clients(const struct quotas *quotas)
{
    return atomic_load_explicit(&quotas->kinds, memory_order_relaxed) &
           ~(1U << BECK_QUOTA_CONNECTION_CREATION_RATE);
}

static inline bool quotas_limit_addresses(const struct quotas *quotas)
{
    return atomic_load_explicit(&quotas->kinds, memory_order_relaxed) &
           1U << BECK_QUOTA_CONNECTION_CREATION_RATE;
}

/* Who has this client id, with a reference; NULL: nothing limits him. */
struct quota_peer *quotas_client_take(struct quotas *quotas, const char *client_id, size_t size);
void quotas_client_give(struct quotas *quotas, struct quota_peer *client);

/* He has done so much: bytes, or percent of a second. How long he has to wait, in ms. */
int32_t quotas_charge(struct quotas *quotas, struct quota_peer *client, enum beck_quota_kind kind,
                      double amount);
/* How long he has to wait before more is done for him; 0: he need not, and `ret_most` is what may
 * be done at once. */
int32_t quotas_wait_ms(struct quotas *quotas, struct quota_peer *client, enum beck_quota_kind kind,
                       double *ret_most);
/* He wants to make or delete so many partitions. How long he has to wait: if `is_strict`, before
 * he may; else after it. */
int32_t quotas_mutate(struct quotas *quotas, struct quota_peer *client, uint32_t partitions,
                      bool is_strict);
/* A connection has come from there. 0: let it; else it is to be closed, after so many ms. */
int32_t quotas_connect(struct quotas *quotas, const struct sockaddr_storage *from);

#endif
