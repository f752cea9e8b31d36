/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing from index.mdb the producers that were silent for producer.id.expiration.ms. In the
 * tables of processes they go by themselves.
 */
#ifndef STORE_PRODUCERS_EXPIRE_H
#define STORE_PRODUCERS_EXPIRE_H

#include "store.h"

#define PRODUCERS_EXPIRE_MS 600000 /* between two runs; all producers are looked at in one */

/* Parts of maintenance. `all`: now, whenever it was done last. */
bool producers_expire_is_due(struct beck_store *store, bool all, uint32_t *next_ms);
int producers_expire_run(struct beck_store *store, bool all, struct beck_error *error);

/* Delete what has expired at `now_ms`. Under the maintenance lock. */
int producers_expire(struct beck_store *store, int64_t now_ms, int64_t expiration_ms,
                     struct beck_error *error);

#endif
