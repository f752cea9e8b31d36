/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic configuration under Kafka's names, with Kafka's defaults: what names and values there are,
 * the set that a topic was given, and the few numbers that the engine acts on. Pure.
 */
#ifndef STORE_CONFIG_H
#define STORE_CONFIG_H

#include "beck.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_SET_BYTES   4096
#define CONFIG_VALUE_BYTES 255

/* What was set for one topic: name, NUL, value, NUL, and so on. */
struct config_set {
    uint32_t bytes;
    char text[CONFIG_SET_BYTES];
};

/* What the engine acts on, defaults filled in. */
struct config_resolved {
    uint32_t max_message_bytes;
    uint64_t segment_bytes;
    int64_t segment_ms;
    bool log_append_time;
    bool flush_os;
    bool compact;
};

struct config_definition {
    const char *name;
    const char *default_value;
    const char *documentation;
};

/* The `index`th known entry, or NULL behind the last. */
const struct config_definition *config_definition_at(size_t index);

/* Put an entry into the set, instead of an earlier one of its name; NULL takes it out. -EINVAL:
 * name or value, with a sentence; -EMSGSIZE. */
int config_set_put(struct config_set *set, const char *name, const char *value,
                   struct beck_error *error);
/* The value that was set, or NULL. */
const char *config_set_get(const struct config_set *set, const char *name);
/* Is this, read from a disk, a set that config_set_put() could have made? */
bool config_set_valid(const struct config_set *set);

/* `defaults`, the store's, apply where the topic set nothing. */
void config_resolve(const struct config_set *set, const struct config_set *defaults,
                    struct config_resolved *ret_resolved);

#endif
