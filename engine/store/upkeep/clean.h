/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long work on what is sealed, by one process at a time and without holding up anybody: compaction
 * (compact.h), and digests of segments (seal.h). See beck_store_clean().
 */
#ifndef STORE_CLEAN_H
#define STORE_CLEAN_H

#include "store.h"

#define CLEAN_IDLE_MS 10000 /* when to look again while there is nothing to do */
#define CLEAN_ASK_MS  50    /* of work between two questions whether to stop */

/* One run, as its parts see it. */
struct clean {
    struct beck_store *store;
    bool (*stop)(void *context); /* may be NULL */
    void *context;
    int64_t asked_ms;
    bool is_stopped;  /* stop() said so, and is not asked again */
    int64_t now_ms;   /* since the epoch, when it began */
    size_t map_bytes; /* for the keys of compaction */
    uint32_t next_ms; /* until the next run; each part may make it less */
};

/* Is the run to end? Cheap: to be asked for each batch that was read, say. */
bool clean_must_stop(struct clean *clean);

/* A run at another time, or with other memory: its fields are filled in by the caller. */
int clean_run_with(struct clean *clean, uint32_t *ret_next_ms, struct beck_error *error);
int clean_run(struct beck_store *store, bool (*stop)(void *context), void *context,
              uint32_t *ret_next_ms, struct beck_error *error);

#endif
