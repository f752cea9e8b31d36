/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, saves and loading; see groups.h. Saves are written one after the other by one worker at a
 * time, so that an older state never overtakes a newer one.
 */
#include "groups.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"
#include "group/assign.h"
#include "log.h"
#include "loop.h"

#define SWEEP_SECONDS     60
#define SWEEP_ARENA_BYTES ((size_t)1 << 30) /* of the names of all groups */

static int64_t date_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- saves ---- */

static void save_free(struct group_save *save)
{
    text_free(&save->group_id);
    bytes_free(&save->state);
    free(save);
}

static int save_write(struct broker *broker, const struct group_save *save)
{
    struct beck_store *store = broker->store;
    struct beck_error error;
    int result;
    if (save->state.length == 0) {
        result = beck_group_delete(store, save->group_id.data, save->group_id.length, &error);
        if (result == -ENOENT)
            result = 0;
    } else {
        struct beck_group group = {
            .id_size = save->group_id.length,
            .empty_since_ms = save->empty_since_ms,
            .state_size = save->state.length,
        };
        memcpy(group.id, save->group_id.data, save->group_id.length);
        memcpy(group.protocol_type, save->protocol_type, sizeof(save->protocol_type));
        result = beck_group_put(store, &group, save->state.data, &error);
    }
    if (result < 0)
        log_error_limited(&broker->log_shared, "a group's state cannot be kept: %s", error.message);
    return result;
}

/* On a worker: `running` is its own. */
static void saves_run(struct work *work)
{
    struct groups *groups = (struct groups *)((char *)work - offsetof(struct groups, work));
    struct group_save *save;
    TAILQ_FOREACH(save, &groups->running, link)
    save->result = save_write(groups->broker, save);
}

static void saves_begin(struct groups *groups)
{
    if (TAILQ_EMPTY(&groups->queue) || !TAILQ_EMPTY(&groups->running))
        return;
    TAILQ_CONCAT(&groups->running, &groups->queue, link);
    workers_submit(&groups->broker->workers, &groups->loop->inbox, &groups->work);
}

static void saves_done(struct work *work)
{
    struct groups *groups = (struct groups *)((char *)work - offsetof(struct groups, work));
    struct group_save *save;
    groups_begin(groups);
    while ((save = TAILQ_FIRST(&groups->running))) {
        TAILQ_REMOVE(&groups->running, save, link);
        coordinator_saved(save->group, save->number, save->result);
        if (save->then)
            save->then(save);
        save_free(save);
    }
    groups_end(groups);
}

_Static_assert(GROUP_STATE_BYTES_MAX == BECK_GROUP_STATE_BYTES, "it is what the store takes");

static void environment_save(void *context, struct group *group, struct kafka_bytes state,
                             unsigned number)
{
    struct groups *groups = context;
    struct group_save *save = calloc(1, sizeof(*save));
    if (!save || text_copy(group->id, &save->group_id) < 0)
        abort(); /* a state that is neither kept nor refused would leave its members waiting */
    save->group = group;
    save->number = number;
    save->state = state;
    save->empty_since_ms = group->empty_since_ms > 0 ? group->empty_since_ms : -1;
    if (group->protocol_type.length < sizeof(save->protocol_type) && group->protocol_type.data)
        memcpy(save->protocol_type, group->protocol_type.data, group->protocol_type.length);
    TAILQ_INSERT_TAIL(&groups->queue, save, link);
    groups->latest = save;
}

static void environment_random(void *context, uint8_t to[16])
{
    (void)context;
    if (getrandom(to, 16, 0) != 16)
        abort();
}

/* ---- topics: the store's tables are mapped memory, so that looking does not wait ---- */

static uint64_t environment_generation(void *context)
{
    const struct groups *groups = context;
    return beck_store_generation(groups->broker->store);
}

static void take_topic(const struct beck_topic *topic, struct group_topic *to)
{
    _Static_assert(BECK_TOPIC_NAME_BYTES == GROUP_TOPIC_NAME_BYTES, "a name fits");
    memcpy(to->name, topic->name, sizeof(to->name));
    memcpy(to->id.bytes, topic->id, sizeof(to->id.bytes));
    to->partition_count = topic->partition_count;
}

static int environment_find(void *context, struct kafka_string name, struct group_topic *ret_topic)
{
    const struct groups *groups = context;
    struct beck_topic topic;
    char text[BECK_TOPIC_NAME_BYTES + 1];
    if (name.length > BECK_TOPIC_NAME_BYTES || memchr(name.data, '\0', name.length))
        return -ENOENT;
    (void)snprintf(text, sizeof(text), "%.*s", (int)name.length, name.data);
    int result = beck_topic_find(groups->broker->store, text, &topic, NULL);
    if (result >= 0)
        take_topic(&topic, ret_topic);
    return result < 0 ? result : 0;
}

static int environment_next(void *context, const char *after, struct group_topic *ret_topic)
{
    const struct groups *groups = context;
    struct beck_topic topic;
    int result = beck_topic_next(groups->broker->store, after, &topic, NULL);
    if (result == 1)
        take_topic(&topic, ret_topic);
    return result;
}

/* ---- time ---- */

struct coordinator *groups_begin(struct groups *groups)
{
    groups->latest = NULL;
    coordinator_tick(&groups->coordinator, clock_ms(), date_ms());
    return &groups->coordinator;
}

void groups_end(struct groups *groups)
{
    int64_t next_ms = coordinator_next_ms(&groups->coordinator);
    int64_t left_ms = next_ms - clock_ms();
    saves_begin(groups);
    if (next_ms == INT64_MAX) {
        (void)event_del(groups->timer);
        return;
    }
    if (left_ms < 0)
        left_ms = 0;
    struct timeval after = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    event_add(groups->timer, &after);
}

static void timer_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct groups *groups = context;
    (void)groups_begin(groups);
    groups_end(groups);
    loop_settle(groups->loop);
}

/* ---- groups that are not any more ---- */

int group_ids_read(struct beck_store *store, struct kafka_arena *arena, struct group_ids *ret_ids)
{
    struct beck_group *group = calloc(1, sizeof(*group));
    struct group_ids ids = {.read_ms = clock_ms()};
    size_t room = 0;
    int result = group ? 1 : -ENOMEM;
    while (result == 1 || result == -EBADMSG) {
        result = beck_group_next(store, group, NULL);
        if (result != 1)
            continue;
        if (ids.count == room) {
            room = room ? 2 * room : 256;
            struct kafka_string *grown = kafka_arena_alloc(arena, room, sizeof(*grown));
            if (grown && ids.count > 0)
                memcpy(grown, ids.list, ids.count * sizeof(*grown));
            ids.list = grown;
        }
        const char *id = ids.list ? kafka_arena_copy(arena, group->id, group->id_size) : NULL;
        if (id)
            ids.list[ids.count++] = (struct kafka_string){id, (uint32_t)group->id_size};
        else
            result = -ENOMEM;
    }
    free(group);
    if (result == 0)
        *ret_ids = ids;
    return result;
}

/* On a worker. */
static void sweep_run(struct work *work)
{
    struct groups *groups = (struct groups *)((char *)work - offsetof(struct groups, sweep_work));
    groups->sweep_result =
        group_ids_read(groups->broker->store, &groups->sweep_arena, &groups->sweep_ids);
}

static void sweep_done(struct work *work)
{
    struct groups *groups = (struct groups *)((char *)work - offsetof(struct groups, sweep_work));
    struct coordinator *coordinator = groups_begin(groups);
    if (groups->sweep_result == 0)
        coordinator_match(coordinator, groups->sweep_ids.list, groups->sweep_ids.count,
                          groups->sweep_ids.read_ms);
    groups_end(groups);
    kafka_arena_done(&groups->sweep_arena);
    groups->sweeping = false;
}

static void sweep_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct groups *groups = context;
    if (groups->sweeping || groups->loop->stopping)
        return;
    groups->sweeping = true;
    kafka_arena_init(&groups->sweep_arena, SWEEP_ARENA_BYTES);
    workers_submit(&groups->broker->workers, &groups->loop->inbox, &groups->sweep_work);
}

/* ---- the begin and the end ---- */

/* `state` has room for any. */
static int load_one(struct groups *groups, struct beck_group *group, void *state)
{
    struct kafka_string id = {group->id, (uint32_t)group->id_size};
    if (!group->has_record || group->state_size == 0) /* it has offsets, and never had members */
        return coordinator_make(&groups->coordinator, id) ? 0 : -ENOMEM;
    int result = beck_group_get(groups->broker->store, id.data, id.length, group, state,
                                BECK_GROUP_STATE_BYTES, NULL);
    if (result <= 0)
        return result;
    return coordinator_load(&groups->coordinator, id,
                            (struct kafka_bytes){state, (uint32_t)group->state_size});
}

/* All groups that the store knows. One that is damaged costs its members a rebalance, no more. */
static int load(struct groups *groups, struct beck_error *error)
{
    struct beck_group *group = calloc(1, sizeof(*group));
    void *state = malloc(BECK_GROUP_STATE_BYTES);
    int result = group && state ? 1 : -ENOMEM;
    while (result == 1 || result == -EBADMSG) {
        result = beck_group_next(groups->broker->store, group, error);
        int loaded = result == 1 ? load_one(groups, group, state) : result;
        if (loaded == -ENOMEM)
            result = loaded;
        else if (loaded < 0)
            log_error("what was kept of the members of a group cannot be read (%.64s): %s",
                      result == 1 ? group->id : "", strerror(-loaded));
    }
    free(group);
    free(state);
    return result;
}

static int32_t within(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* The assignors that a checked list names. */
static void set_assignors(struct coordinator_settings *settings, const char *list)
{
    while (*list && settings->consumer_assignors_count < GROUP_ASSIGNORS_MAX) {
        uint32_t length = (uint32_t)strcspn(list, ",");
        settings->consumer_assignors[settings->consumer_assignors_count++] =
            assignor_find((struct kafka_string){list, length});
        list += length + (list[length] == ',');
    }
}

static struct coordinator_settings settings_of(const struct broker_config *config)
{
    const char *policy = config->group_consumer_migration_policy;
    bool both = strcmp(policy, "bidirectional") == 0;
    struct coordinator_settings settings = {
        .group_min_session_timeout_ms = config->group_min_session_timeout_ms,
        .group_max_session_timeout_ms = config->group_max_session_timeout_ms,
        .group_initial_rebalance_delay_ms = config->group_initial_rebalance_delay_ms,
        .group_max_size = config->group_max_size,
        .consumer_heartbeat_interval_ms = within(config->group_consumer_heartbeat_interval_ms,
                                                 config->group_consumer_min_heartbeat_interval_ms,
                                                 config->group_consumer_max_heartbeat_interval_ms),
        .consumer_session_timeout_ms = within(config->group_consumer_session_timeout_ms,
                                              config->group_consumer_min_session_timeout_ms,
                                              config->group_consumer_max_session_timeout_ms),
        .consumer_max_size = config->group_consumer_max_size,
        .may_upgrade = both || strcmp(policy, "upgrade") == 0,
        .may_downgrade = both || strcmp(policy, "downgrade") == 0,
    };
    set_assignors(&settings, config->group_consumer_assignors);
    return settings;
}

int groups_init(struct groups *groups, struct loop *loop, struct beck_error *error)
{
    const struct coordinator_environment environment = {
        .context = groups,
        .save = environment_save,
        .random = environment_random,
        .topics = {groups, environment_generation, environment_find, environment_next},
    };
    const struct coordinator_settings settings = settings_of(loop->broker->config);
    *groups = (struct groups){.broker = loop->broker, .loop = loop};
    commits_init(&groups->commits, loop);
    groups->work.run = saves_run;
    groups->work.done = saves_done;
    TAILQ_INIT(&groups->queue);
    TAILQ_INIT(&groups->running);
    coordinator_init(&groups->coordinator, &environment, &settings);
    groups->sweep_work.run = sweep_run;
    groups->sweep_work.done = sweep_done;
    groups->timer = evtimer_new(loop->base, timer_event, groups);
    groups->sweep = event_new(loop->base, -1, EV_PERSIST, sweep_event, groups);
    struct timeval each = {.tv_sec = SWEEP_SECONDS};
    if (!groups->timer || !groups->sweep || event_add(groups->sweep, &each) < 0)
        return -ENOMEM;
    (void)groups_begin(groups);
    int result = load(groups, error);
    groups_end(groups);
    return result;
}

void groups_stop(struct groups *groups)
{
    if (!groups->timer) /* they were never there: the daemon could not start */
        return;
    (void)groups_begin(groups);
    coordinator_stop(&groups->coordinator);
    groups_end(groups);
}

void groups_done(struct groups *groups)
{
    commits_done(&groups->commits);
    coordinator_done(&groups->coordinator);
    if (groups->timer)
        event_free(groups->timer);
    if (groups->sweep)
        event_free(groups->sweep);
    groups->timer = groups->sweep = NULL;
}
