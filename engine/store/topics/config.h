/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration that was set for a topic or for the store: checking it, keeping it, changing it,
 * and the few numbers that the engine acts on. Which there is: config_table.h. Pure.
 */
#ifndef STORE_CONFIG_H
#define STORE_CONFIG_H

#include "beck.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_SET_BYTES   4096
#define CONFIG_VALUE_BYTES 255

/* Whose configuration. */
enum config_scope {
    CONFIG_OF_TOPIC,
    CONFIG_OF_STORE, /* its own entries, and defaults for its topics */
};

/* What was set for one of them: name, NUL, value, NUL, and so on. */
struct config_set {
    uint32_t bytes;
    char text[CONFIG_SET_BYTES];
};

/* What the engine acts on, defaults filled in. */
struct config_resolved {
    uint32_t max_message_bytes;
    uint64_t segment_bytes;
    int64_t segment_ms;
    int64_t timestamp_before_max_ms; /* how far from the clock a producer's timestamp may be */
    int64_t timestamp_after_max_ms;
    bool log_append_time;
    bool flush_os;
    bool compact;
    double min_cleanable_dirty_ratio;
    int64_t min_compaction_lag_ms;
    int64_t max_compaction_lag_ms;
    int64_t delete_retention_ms;
    bool deletes; /* by what follows; -1: no limit */
    int64_t retention_ms;
    int64_t retention_bytes;
};

/* What the store has for itself. */
struct config_store {
    int64_t offsets_retention_ms;
    uint32_t offset_metadata_max_bytes;
    int64_t producer_id_expiration_ms;
    int64_t retention_check_ms;
};

/* Put an entry into the set, instead of an earlier one of its name; NULL takes it out. -EINVAL:
 * name or value, with a sentence; -EMSGSIZE. */
int config_set_put(struct config_set *set, enum config_scope scope, const char *name,
                   const char *value, struct beck_error *error);
/* Carry out changes, all or none: where it fails `set` is as it was. `defaults`: the store's set,
 * for a topic's; else NULL. -EINVAL, -EMSGSIZE, -ENOMEM. */
int config_set_alter(struct config_set *set, enum config_scope scope,
                     const struct config_set *defaults, const struct beck_config_change *changes,
                     size_t count, unsigned flags, struct beck_error *error);
/* Do the entries go together? -EINVAL, with a sentence. */
int config_set_check(const struct config_set *set, const struct config_set *defaults,
                     struct beck_error *error);
/* The value that was set, or NULL. */
const char *config_set_get(const struct config_set *set, const char *name);
/* Is this, read from a disk, a set that config_set_put() could have made? */
bool config_set_valid(const struct config_set *set);

/* The `index`th entry of a scope with its value; false behind the last. `set` or `defaults` may be
 * NULL. */
bool config_entry_at(const struct config_set *set, enum config_scope scope,
                     const struct config_set *defaults, size_t index,
                     struct beck_config_entry *ret_entry);

/* `defaults`, the store's, apply where the topic set nothing. */
void config_resolve(const struct config_set *set, const struct config_set *defaults,
                    struct config_resolved *ret_resolved);
void config_resolve_store(const struct config_set *set, struct config_store *ret_resolved);

#endif
