/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What topic, config and group administer: a store that is opened directly, or a Kafka broker or
 * cluster, behind one interface, so that these commands are written once and print the same. What
 * only one of the two knows is left out by the other.
 *
 * A store whose groups a beckd looks after asks that beckd, over the store's broker.sock, to change
 * them: it alone knows who is in a group this very moment.
 *
 * Belongs to one thread. Functions return 0 or a count, or a negative errno with a sentence in
 * `error`, as the library does.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "beck.h"
#include "table.h"
#include "tool.h"

#include <stdbool.h>

struct admin_topic {
    char name[BECK_TOPIC_NAME_BYTES + 1];
    uint32_t partition_count;
    bool has_record; /* of a store: */
    struct beck_topic record;
};

struct admin_new_topic {
    const char *name;
    uint32_t partition_count;
    int replicas; /* -1: as the broker likes; a store has one */
    const struct beck_config *configs;
    size_t config_count;
};

/* A configuration entry. Texts live until the next call. */
struct admin_config {
    const char *name;
    const char *value;         /* NULL: it is secret */
    const char *default_value; /* NULL: not known */
    const char *type;          /* NULL: not known */
    const char *documentation; /* NULL: not known */
    const char *source;        /* "topic", "store", "broker", "default" */
    bool is_default;           /* nobody set it for the very topic, store or broker */
    bool is_built_in;          /* nobody set it anywhere */
};

enum admin_members {
    ADMIN_MEMBERS_NONE,
    ADMIN_MEMBERS_SOME,
};

struct admin_group {
    char *name;
    size_t name_size;
    char protocol[BECK_GROUP_PROTOCOL_BYTES + 1]; /* "consumer"; empty: not known */
    enum admin_members members;
    int64_t empty_since_ms; /* -1: not known, or it has members */
};

struct admin_groups {
    struct admin_group *items; /* by name */
    size_t count;
    size_t room;
};

/* A partition that a group has, or is to have, an offset for. */
struct admin_offset {
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t partition;
    int32_t leader_epoch; /* -1: not known */
    int64_t offset;       /* that it committed; -1: none */
    int64_t commit_ms;    /* -1: not known */
    int64_t expire_ms;    /* -1: as configured, or not known */
    char *metadata;       /* NULL: none */
    size_t metadata_size;
    int64_t target; /* what is to be committed; -1: it stays as it is */
    /* By admin_look(): */
    int64_t start;
    int64_t end;       /* of the partition for readers: its high watermark */
    int64_t record_ms; /* the timestamp of the first record from the offset on; -1: there is none */
};

struct admin_offsets {
    struct admin_offset *items; /* by topic and partition */
    size_t count;
    size_t room;
};

/* What a member of a group says of itself, and what it has. */
struct admin_member {
    char *id;
    char *client;
    char *host;
    struct admin_offsets partitions;
};

struct admin;

struct admin_ops {
    void (*close)(struct admin *admin);
    int (*topic_next)(struct admin *admin, const char *after, struct admin_topic *ret_topic,
                      struct beck_error *error);
    int (*topic_find)(struct admin *admin, const char *name, struct admin_topic *ret_topic,
                      struct beck_error *error);
    int (*topic_create)(struct admin *admin, const struct admin_new_topic *wanted,
                        struct beck_error *error);
    int (*topic_delete)(struct admin *admin, const char *name, struct beck_error *error);
    int (*topic_grow)(struct admin *admin, const char *name, uint32_t partition_count, bool dry_run,
                      struct beck_error *error);
    int (*trim)(struct admin *admin, const char *topic, int32_t partition, int64_t before,
                int64_t *ret_start, struct beck_error *error);
    int (*figures)(struct admin *admin, const struct admin_topic *topic, int32_t partition,
                   struct table_figures *ret_figures, struct beck_error *error);
    int (*config)(struct admin *admin, const char *topic, uint32_t index,
                  struct admin_config *ret_config, struct beck_error *error);
    int (*alter)(struct admin *admin, const char *topic, const struct beck_config_change *changes,
                 size_t count, bool dry_run, struct beck_error *error);
    int (*groups)(struct admin *admin, struct admin_groups *groups, struct beck_error *error);
    int (*group_find)(struct admin *admin, const char *name, struct admin_group *ret_group,
                      struct beck_error *error);
    int (*members)(struct admin *admin, const char *group, struct admin_member **ret_members,
                   size_t *ret_count, struct beck_error *error);
    int (*group_delete)(struct admin *admin, const char *group, struct beck_error *error);
    int (*offsets)(struct admin *admin, const char *group, struct admin_offsets *offsets,
                   struct beck_error *error);
    int (*look)(struct admin *admin, struct admin_offsets *offsets, bool ages,
                struct beck_error *error);
    int (*seek_time)(struct admin *admin, struct admin_offsets *offsets, int64_t time_ms,
                     struct beck_error *error);
    int (*commit)(struct admin *admin, const char *group, const struct admin_offsets *offsets,
                  struct beck_error *error);
    int (*evict)(struct admin *admin, const char *group, struct beck_error *error);
    int (*forget)(struct admin *admin, const char *group, const struct admin_offsets *offsets,
                  struct beck_error *error);
};

/* What each implementation begins with. */
struct admin {
    const struct admin_ops *ops;
};

/* ---- opening ------------------------------------------------------------------------------ */

/* Open what was named: with -b a broker or cluster, else the store. Says what fails, and returns an
 * exit code. `tool` outlives it. */
int admin_open(const struct tool *tool, enum tool_access access, struct admin **ret_admin);
/* Takes NULL; returns NULL. */
struct admin *admin_close(struct admin *admin);

/* The two implementations, in the same manner. */
int admin_of_store(const struct tool *tool, enum tool_access access, struct admin **ret_admin);
int admin_of_cluster(const struct tool *tool, struct admin **ret_admin, struct beck_error *error);

/* ---- what can be done with it ------------------------------------------------------------- */

/* A thing that can be done: beck COMMAND NAME. The last of a table has a NULL name. */
struct admin_action {
    const char *name;
    enum tool_access access;
    int (*run)(struct tool *tool, struct admin *admin, const void *options, char **names,
               int count);
};

/* Do what argv[0] names. `what` is for the message where it names nothing: "topics". */
int admin_perform(struct tool *tool, const struct admin_action *actions, const char *what,
                  const void *options, int argc, char **argv);

/* ---- topics ------------------------------------------------------------------------------- */

/* The first topic whose name sorts after `after`: 1, or 0. */
static inline int admin_topic_next(struct admin *admin, const char *after,
                                   struct admin_topic *ret_topic, struct beck_error *error)
{
    return admin->ops->topic_next(admin, after, ret_topic, error);
}

/* Look up a topic, and say so where there is none: an exit code. */
int admin_find_topic(struct admin *admin, const char *name, struct admin_topic *ret_topic);

/* -EEXIST, -EINVAL. */
static inline int admin_topic_create(struct admin *admin, const struct admin_new_topic *wanted,
                                     struct beck_error *error)
{
    return admin->ops->topic_create(admin, wanted, error);
}

/* -ENOENT. */
static inline int admin_topic_delete(struct admin *admin, const char *name,
                                     struct beck_error *error)
{
    return admin->ops->topic_delete(admin, name, error);
}

/* Give a topic so many partitions in all. */
static inline int admin_topic_grow(struct admin *admin, const char *name, uint32_t partition_count,
                                   bool dry_run, struct beck_error *error)
{
    return admin->ops->topic_grow(admin, name, partition_count, dry_run, error);
}

/* Let a partition begin at `before`, or where that is -1 at its end. */
static inline int admin_trim(struct admin *admin, const char *topic, int32_t partition,
                             int64_t before, int64_t *ret_start, struct beck_error *error)
{
    return admin->ops->trim(admin, topic, partition, before, ret_start, error);
}

/* A partition's figures; their texts live until the next call. */
static inline int admin_figures(struct admin *admin, const struct admin_topic *topic,
                                int32_t partition, struct table_figures *ret_figures,
                                struct beck_error *error)
{
    return admin->ops->figures(admin, topic, partition, ret_figures, error);
}

/* ---- configuration ------------------------------------------------------------------------ */

/* The `index`th entry by name of a topic, or with NULL of the store or broker: 1; 0: no more. */
static inline int admin_config(struct admin *admin, const char *topic, uint32_t index,
                               struct admin_config *ret_config, struct beck_error *error)
{
    return admin->ops->config(admin, topic, index, ret_config, error);
}

/* All of the changes, or none where one is refused. */
static inline int admin_alter(struct admin *admin, const char *topic,
                              const struct beck_config_change *changes, size_t count, bool dry_run,
                              struct beck_error *error)
{
    return admin->ops->alter(admin, topic, changes, count, dry_run, error);
}

/* ---- groups ------------------------------------------------------------------------------- */

/* All groups. What could be read is there where it fails, too. */
int admin_list_groups(struct admin *admin, struct admin_groups *ret_groups,
                      struct beck_error *error);
void admin_groups_done(struct admin_groups *groups);
/* For implementations. Takes a copy of the name. -ENOMEM. */
struct admin_group *admin_groups_add(struct admin_groups *groups, const char *name, size_t size);

/* 1, or 0: there is no such. The caller frees its name. */
static inline int admin_group_find(struct admin *admin, const char *name,
                                   struct admin_group *ret_group, struct beck_error *error)
{
    return admin->ops->group_find(admin, name, ret_group, error);
}

/* Who is in a group: 1; 0: that is not to be had, and `error` says why. */
static inline int admin_group_members(struct admin *admin, const char *group,
                                      struct admin_member **ret_members, size_t *ret_count,
                                      struct beck_error *error)
{
    return admin->ops->members(admin, group, ret_members, ret_count, error);
}

void admin_members_free(struct admin_member *members, size_t count);

/* -EBUSY: it has members. */
static inline int admin_group_delete(struct admin *admin, const char *group,
                                     struct beck_error *error)
{
    return admin->ops->group_delete(admin, group, error);
}

/* What a group committed. */
int admin_group_offsets(struct admin *admin, const char *group, struct admin_offsets *ret_offsets,
                        struct beck_error *error);
void admin_offsets_done(struct admin_offsets *offsets);
/* NULL: there is no memory. */
struct admin_offset *admin_offsets_add(struct admin_offsets *offsets, const char *topic,
                                       int32_t partition);
struct admin_offset *admin_offsets_find(const struct admin_offsets *offsets, const char *topic,
                                        int32_t partition);

/* Where the partitions begin and end; with `ages`, also the times of the first unread records.
 * Where it fails, those whose `end` is -1 could not be looked at. */
static inline int admin_look(struct admin *admin, struct admin_offsets *offsets, bool ages,
                             struct beck_error *error)
{
    return admin->ops->look(admin, offsets, ages, error);
}

/* Set each `target` to the first record of that time or later, or to the end. After admin_look().
 */
static inline int admin_seek_time(struct admin *admin, struct admin_offsets *offsets,
                                  int64_t time_ms, struct beck_error *error)
{
    return admin->ops->seek_time(admin, offsets, time_ms, error);
}

/* Commit each `target` that is not -1, all at once. -EBUSY: the group has members. */
static inline int admin_commit(struct admin *admin, const char *group,
                               const struct admin_offsets *offsets, struct beck_error *error)
{
    return admin->ops->commit(admin, group, offsets, error);
}

/* Make all members of a group leave it; they may come back at once. -ENOTSUP: that cannot be done
 * here. -EBUSY: who they are is not to be had. */
static inline int admin_evict(struct admin *admin, const char *group, struct beck_error *error)
{
    return admin->ops->evict(admin, group, error);
}

/* Delete offsets of a group. -EBUSY: it has members that read these topics. */
static inline int admin_forget(struct admin *admin, const char *group,
                               const struct admin_offsets *offsets, struct beck_error *error)
{
    return admin->ops->forget(admin, group, offsets, error);
}

#endif
