/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a configuration's value comes from, in the protocol's numbers.
 */
#ifndef BECK_NETD_KAFKA_CONFIG_SOURCE_H
#define BECK_NETD_KAFKA_CONFIG_SOURCE_H

#include <stdint.h>

#include "beck.h"

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

#endif
