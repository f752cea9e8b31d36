/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations of groups; see group_configs.h. What Kafka has for groups of shares and of Streams
 * is not among them, as there are no such groups.
 */
#include "kafka/group_configs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/errors.h"

static const struct group_config_entry entries[] = {
    {"consumer.heartbeat.interval.ms",
     "How often members of the new consumer protocol send heartbeats."},
    {"consumer.session.timeout.ms",
     "Silence after which a member of the new consumer protocol is one no more."},
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

const struct group_config_entry *group_config_entry(size_t index)
{
    return index < ENTRIES ? &entries[index] : NULL;
}

int32_t group_config_value(const struct group_config *config, size_t index)
{
    return index == 0 ? config->heartbeat_interval_ms : config->session_timeout_ms;
}

int32_t group_config_default(const struct groups *groups, size_t index)
{
    const struct coordinator_settings *settings = &groups->coordinator.settings;
    return index == 0 ? settings->consumer_heartbeat_interval_ms
                      : settings->consumer_session_timeout_ms;
}

/* ---- altering ---- */

__attribute__((format(printf, 3, 4))) static int16_t refuse(struct group_alteration *alteration,
                                                            int16_t code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = kafka_arena_vprintf(&alteration->all->request->arena, format, arguments);
    va_end(arguments);
    *alteration->error_message = kafka_string_of(text);
    return code;
}

/* Sets one entry. Returns an error of the protocol. */
static int16_t change(struct group_alteration *alteration, const struct beck_config_change *asked,
                      struct group_config *config)
{
    size_t index = 0;
    while (index < ENTRIES && strcmp(entries[index].name, asked->name) != 0)
        index++;
    int32_t *value = index == 0 ? &config->heartbeat_interval_ms : &config->session_timeout_ms;
    if (index == ENTRIES)
        return refuse(alteration, KAFKA_INVALID_CONFIG, "Unknown group config name: %.64s",
                      asked->name);
    if (asked->operation == BECK_CONFIG_RESET) {
        *value = 0;
        return KAFKA_NONE;
    }
    if (asked->operation != BECK_CONFIG_SET)
        return refuse(alteration, KAFKA_INVALID_CONFIG, "%s is no list", asked->name);
    char *end;
    errno = 0;
    long number = strtol(asked->value, &end, 10);
    if (errno != 0 || end == asked->value || *end != '\0' || number < 1 || number > INT32_MAX)
        return refuse(alteration, KAFKA_INVALID_CONFIG,
                      "Invalid value %.64s for configuration %s: not a number of ms", asked->value,
                      asked->name);
    *value = (int32_t)number;
    return KAFKA_NONE;
}

static int16_t check_range(struct group_alteration *alteration, size_t index, int32_t value,
                           int32_t least, int32_t most)
{
    if (value == 0 || (value >= least && value <= most))
        return KAFKA_NONE;
    return refuse(alteration, KAFKA_INVALID_CONFIG, "%s must be from %d to %d, as group.%s says",
                  entries[index].name, least, most,
                  index == 0 ? "consumer.min.heartbeat.interval.ms and max"
                             : "consumer.min.session.timeout.ms and max");
}

/* What holds for the group then, with the broker's values where it has none. */
static int16_t check_order(struct group_alteration *alteration, const struct group_config *config)
{
    int32_t values[ENTRIES];
    for (size_t i = 0; i < ENTRIES; i++) {
        int32_t own = group_config_value(config, i);
        values[i] = own > 0
                        ? own
                        : group_config_default(&alteration->all->request->loop->broker->groups, i);
    }
    if (values[1] > values[0])
        return KAFKA_NONE;
    return refuse(alteration, KAFKA_INVALID_CONFIG, "%s must be greater than %s", entries[1].name,
                  entries[0].name);
}

static int16_t check(struct group_alteration *alteration, const struct group_config *config)
{
    const struct request *request = alteration->all->request;
    const struct broker_config *broker = request->loop->broker->config;
    int16_t code = check_range(alteration, 0, config->heartbeat_interval_ms,
                               broker->group_consumer_min_heartbeat_interval_ms,
                               broker->group_consumer_max_heartbeat_interval_ms);
    if (code == KAFKA_NONE)
        code = check_range(alteration, 1, config->session_timeout_ms,
                           broker->group_consumer_min_session_timeout_ms,
                           broker->group_consumer_max_session_timeout_ms);
    if (code == KAFKA_NONE)
        code = check_order(alteration, config);
    return code;
}

static void unhold(struct group_alterations *alterations)
{
    if (--alterations->waits == 0)
        request_return(alterations->request);
}

static void kept(struct group_wait *wait, int result)
{
    struct group_alteration *alteration =
        (struct group_alteration *)((char *)wait - offsetof(struct group_alteration, wait));
    if (result < 0)
        *alteration->error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    unhold(alteration->all);
}

static int16_t alter_one(struct group_alteration *alteration)
{
    struct coordinator *coordinator = &alteration->all->request->loop->broker->groups.coordinator;
    const struct group *group = coordinator_find(coordinator, alteration->group_id);
    struct group_config config = {0};
    int16_t code = KAFKA_NONE;
    if (alteration->group_id.length == 0)
        return refuse(alteration, KAFKA_INVALID_REQUEST,
                      "Default group resources are not allowed.");
    if (group && !(alteration->flags & BECK_ALTER_REPLACE))
        config = group->config;
    for (uint32_t i = 0; code == KAFKA_NONE && i < alteration->count; i++)
        code = change(alteration, &alteration->changes[i], &config);
    if (code == KAFKA_NONE)
        code = check(alteration, &config);
    if (code != KAFKA_NONE || alteration->flags & BECK_ALTER_VALIDATE_ONLY)
        return code;
    alteration->wait.end = kept;
    alteration->all->waits++;
    code = coordinator_configure(coordinator, alteration->group_id, &config, &alteration->wait);
    if (code != KAFKA_NONE)
        alteration->all->waits--;
    return code;
}

void group_configs_alter(struct group_alterations *alterations)
{
    struct groups *groups = &alterations->request->loop->broker->groups;
    alterations->waits = 1;
    (void)groups_begin(groups);
    for (uint32_t i = 0; i < alterations->count; i++) {
        struct group_alteration *alteration = &alterations->list[i];
        int16_t code = alter_one(alteration);
        if (code != KAFKA_NONE)
            *alteration->error_code = code;
    }
    groups_end(groups);
    unhold(alterations);
}
