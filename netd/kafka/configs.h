/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be configured, and where a value comes from, in the protocol's numbers and names.
 */
#ifndef BECK_NETD_KAFKA_CONFIGS_H
#define BECK_NETD_KAFKA_CONFIGS_H

#include <stdbool.h>
#include <stdint.h>

#include "beck.h"
#include "codec/wire.h"

/* Kinds of resources. */
enum {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_BROKER_LOGGER = 8,
    RESOURCE_GROUP = 32,
};

/* Where a value comes from. */
enum {
    SOURCE_TOPIC = 1,
    SOURCE_DYNAMIC_BROKER = 2,
    SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
    SOURCE_STATIC_BROKER = 4,
    SOURCE_DEFAULT = 5,
    SOURCE_GROUP = 8,
};

/* Of an entry that the store knows. What is set for all topics clients may change at any time. */
static inline int8_t config_source_of(const struct beck_config_entry *entry)
{
    switch (entry->source) {
    case BECK_CONFIG_FROM_TOPIC:
        return SOURCE_TOPIC;
    case BECK_CONFIG_FROM_STORE:
        return SOURCE_DYNAMIC_DEFAULT_BROKER;
    case BECK_CONFIG_FROM_DEFAULT:
    default:
        return SOURCE_DEFAULT;
    }
}

/* Does a resource's name mean this broker? The empty one does: it stands for all of them. */
bool config_is_this_broker(struct kafka_string name);

/* The broker's name for an entry of the store; NULL: it has none but the store's own. */
const char *config_broker_name(const char *store_name);

#endif
