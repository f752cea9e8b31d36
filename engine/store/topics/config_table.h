/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which configuration there is: names, types, defaults and bounds as Kafka's TopicConfig, LogConfig
 * and broker configuration have them, and what each does here. flush.policy is beck's own. Pure.
 */
#ifndef STORE_CONFIG_TABLE_H
#define STORE_CONFIG_TABLE_H

#include "beck.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
    CONFIG_NUMBER,
    CONFIG_RATIO, /* 0 to 1 */
    CONFIG_BOOLEAN,
    CONFIG_CHOICE,   /* one of `choices` */
    CONFIG_LIST,     /* some of `choices`, comma-separated; or nothing */
    CONFIG_REPLICAS, /* "*", or PARTITION:BROKER, comma-separated; or nothing */
    CONFIG_TEXT,
};

struct config_row {
    const char *name;
    const char *default_value;
    const char *documentation;
    enum beck_config_type type;
    enum config_kind kind;
    bool store_only;     /* topics have no such entry */
    const char *choices; /* separated by spaces */
    int64_t least;
    int64_t most;
};

/* The `index`th row, those of topics first; NULL behind the last. */
const struct config_row *config_row_at(size_t index);
/* NULL: there is none of that name. */
const struct config_row *config_row_find(const char *name);
/* The name that is most like this one, or NULL where none is much like it. */
const char *config_row_nearest(const char *name);

#endif
