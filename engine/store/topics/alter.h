/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration where it is kept, in the records of the store and its topics: reading an entry,
 * changing some. What values mean and may be: config.h.
 */
#ifndef STORE_ALTER_H
#define STORE_ALTER_H

#include "store.h"

int alter_topic(struct beck_store *store, const char *name,
                const struct beck_config_change *changes, size_t count, unsigned flags,
                struct beck_error *error);
int alter_store(struct beck_store *store, const struct beck_config_change *changes, size_t count,
                unsigned flags, struct beck_error *error);

/* What the store has for itself, as it is now. */
int alter_resolve(struct beck_store *store, struct config_store *ret_config,
                  struct beck_error *error);

/* The `index`th entry of a topic, or of the store where `topic` is NULL. Returns 1 or 0. */
int alter_entry(struct beck_store *store, const char *topic, uint32_t index,
                struct beck_config_entry *ret_entry, struct beck_error *error);

#endif
