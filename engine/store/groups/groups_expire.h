/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes of groups by itself: offsets and records that nobody has asked for in a long time, and
 * offsets of topics that were deleted.
 */
#ifndef STORE_GROUPS_EXPIRE_H
#define STORE_GROUPS_EXPIRE_H

#include "store.h"

#define GROUPS_EXPIRE_MS 600000 /* between two runs; all offsets are looked at in one */

/* Parts of maintenance. `all`: now, whenever it was done last. */
bool groups_expire_is_due(struct beck_store *store, bool all, uint32_t *next_ms);
int groups_expire_run(struct beck_store *store, bool all, struct beck_error *error);

/* Delete what has expired at `now_ms`. Short transactions: others commit in between. */
int groups_expire(struct beck_store *store, int64_t now_ms, struct beck_error *error);

/* Delete all offsets of a topic that is deleted. */
int groups_forget_topic(struct beck_store *store, uint32_t topic_number, struct beck_error *error);

#endif
