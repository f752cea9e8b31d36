/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention, as Kafka has it: the oldest segments of a partition go where it is above
 * retention.bytes, or where their records are older than retention.ms. Whole segments go; the
 * newest one is rolled first, where all of it is due, or where it is older than segment.ms.
 */
#ifndef STORE_RETENTION_H
#define STORE_RETENTION_H

#include "store.h"

/* Parts of maintenance: see there. */
bool retention_is_due(struct beck_store *store, bool all, uint32_t *next_ms);
int retention_run(struct beck_store *store, bool all, struct beck_error *error);

/* When the store is closed. */
void retention_done(struct beck_store *store);

#endif
