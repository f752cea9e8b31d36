/* SPDX-License-Identifier: Apache-2.0
 *
 * What is configured for single groups. The coordinator keeps it with the group's state, so it is
 * asked and told on the first loop; the rest of a request is done by a worker, before or after.
 */
#ifndef BECK_NETD_KAFKA_GROUP_CONFIGS_H
#define BECK_NETD_KAFKA_GROUP_CONFIGS_H

#include "beck.h"
#include "kafka/groups.h"

/* The entries that there are, by index; NULL: no more. */
struct group_config_entry {
    const char *name;
    const char *documentation;
};
const struct group_config_entry *group_config_entry(size_t index);
/* What is configured under it; 0: nothing. */
int32_t group_config_value(const struct group_config *config, size_t index);
/* What the broker's configuration says where nothing is. */
int32_t group_config_default(const struct groups *groups, size_t index);

/* One group's part of a request. All in the request's arena. */
struct group_alteration {
    struct group_wait wait;
    struct group_alterations *all;
    struct kafka_string group_id;
    const struct beck_config_change *changes;
    uint32_t count;
    unsigned flags;      /* of enum beck_alter_flags */
    int16_t *error_code; /* these two in the answer */
    struct kafka_string *error_message;
};

struct group_alterations {
    struct request *request;
    struct group_alteration *list;
    uint32_t count;
    uint32_t waits; /* for states that are not kept yet, and one while we look */
};

/* Does them all, and returns the request when what they changed is kept. On the first loop. */
void group_configs_alter(struct group_alterations *alterations);

#endif
