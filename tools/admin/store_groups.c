/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of a store. What they committed is read from the store itself. While a beckd has the
 * broker's role, it is asked to change them, over broker.sock in the store's directory: it knows
 * who is a member at this moment, and lets nobody join in between. Otherwise nobody is a member,
 * whatever the group's record says of who was when the beckd went.
 */
#include "store_admin.h"

#include "evict.h"
#include "parse.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The beckd that serves the store: 1; 0: none does. */
static int find_broker(struct store_admin *admin, struct admin **ret_broker,
                       struct beck_error *error)
{
    struct beck_store_info info;

    int result = beck_store_info(admin->store, &info, error);
    if (result < 0 || info.broker_pid == 0)
        return result;
    if (admin->broker == NULL) {
        admin->broker_tool = (struct tool){.store_path = admin->tool->store_path,
                                           .by_socket = true,
                                           .command = admin->tool->command};
        result = admin_of_cluster(&admin->broker_tool, &admin->broker, error);
        if (result < 0) {
            report_prefix(error, "the beckd that serves the store, process %d, cannot be asked",
                          (int)info.broker_pid);
            return result;
        }
    }
    *ret_broker = admin->broker;
    return 1;
}

/* ---- what there is ------------------------------------------------------------------------ */

static void fill_group(const struct beck_group *record, struct admin_group *group)
{
    if (!record->has_record)
        return; /* nobody ever joined it */
    group->members = record->empty_since_ms < 0 ? ADMIN_MEMBERS_SOME : ADMIN_MEMBERS_NONE;
    group->empty_since_ms = record->empty_since_ms;
    strcpy(group->protocol, record->protocol_type);
}

int store_groups(struct admin *base, struct admin_groups *groups, struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct beck_error one;
    int damaged = 0;
    int result;

    struct beck_group *record = calloc(1, sizeof(*record));
    if (record == NULL)
        return report(error, -ENOMEM, "not enough memory");
    while ((result = beck_group_next(admin->store, record, &one)) != 0) {
        if (result == -EBADMSG) { /* the others can be read */
            damaged = result;
            *error = one;
            continue;
        }
        struct admin_group *group =
            result > 0 ? admin_groups_add(groups, record->id, record->id_size) : NULL;
        if (group == NULL) {
            if (result < 0)
                *error = one;
            else
                result = report(error, -ENOMEM, "not enough memory");
            break;
        }
        fill_group(record, group);
    }
    free(record);
    return result < 0 ? result : damaged;
}

int store_group_find(struct admin *base, const char *name, struct admin_group *ret_group,
                     struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct admin_group group = {.name_size = strlen(name), .empty_since_ms = -1};

    struct beck_group *record = calloc(1, sizeof(*record));
    group.name = record != NULL ? strdup(name) : NULL;
    if (group.name == NULL) {
        free(record);
        return report(error, -ENOMEM, "not enough memory");
    }
    int result = beck_group_get(admin->store, name, strlen(name), record, NULL, 0, error);
    if (result == 1) {
        fill_group(record, &group);
        *ret_group = group;
    } else {
        free(group.name);
    }
    free(record);
    return result;
}

int store_members(struct admin *base, const char *group, struct admin_member **ret_members,
                  size_t *ret_count, struct beck_error *error)
{
    struct admin *broker = NULL;

    *ret_members = NULL;
    *ret_count = 0;
    int result = find_broker((struct store_admin *)base, &broker, error);
    if (result == 0)
        (void)report(error, -EAGAIN, "no beckd serves the store");
    return result > 0 ? admin_group_members(broker, group, ret_members, ret_count, error) : result;
}

static int take_offset(struct admin_offsets *offsets, const struct beck_offset *record)
{
    struct admin_offset *offset = admin_offsets_add(offsets, record->topic, record->partition);

    if (offset == NULL)
        return -ENOMEM;
    offset->offset = record->offset;
    offset->leader_epoch = record->leader_epoch;
    offset->commit_ms = record->commit_ms;
    offset->expire_ms = record->expire_ms;
    if (record->metadata_size == 0)
        return 0;
    offset->metadata = malloc(record->metadata_size);
    if (offset->metadata == NULL)
        return -ENOMEM;
    memcpy(offset->metadata, record->metadata, record->metadata_size);
    offset->metadata_size = record->metadata_size;
    return 0;
}

int store_offsets(struct admin *base, const char *group, struct admin_offsets *offsets,
                  struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct beck_error one;
    int damaged = 0;
    int result;

    struct beck_offset *record = calloc(1, sizeof(*record));
    if (record == NULL)
        return report(error, -ENOMEM, "not enough memory");
    while ((result = beck_offset_next(admin->store, group, strlen(group), record, &one)) != 0) {
        if (result < 0)
            *error = one;
        if (result == -EBADMSG)
            damaged = result;
        else if (result > 0 && take_offset(offsets, record) < 0)
            result = report(error, -ENOMEM, "not enough memory");
        if (result < 0 && result != -EBADMSG)
            break;
    }
    free(record);
    return result < 0 ? result : damaged;
}

/* ---- where partitions begin and end ------------------------------------------------------- */

/* The timestamp of the record at an offset, or of the next one there is; -1 where there is none. */
static int record_time(struct beck_partition *partition, int64_t offset, int64_t *ret_ms,
                       struct beck_error *error)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;

    int result = beck_reader_new(partition, BECK_READ_COMMITTED, &reader, error);
    if (result == 0)
        result = beck_reader_seek(reader, offset, error);
    if (result == 0)
        result = beck_reader_next(reader, &record, error);
    if (result == 1)
        *ret_ms = record.timestamp_ms > 0 ? record.timestamp_ms : 0;
    (void)beck_reader_free(reader);
    return result < 0 ? result : 0;
}

static int look_at(struct beck_store *store, struct admin_offset *offset, bool ages,
                   struct beck_error *error)
{
    struct beck_partition *partition = NULL;
    struct beck_partition_state state;

    int result = beck_partition_open(store, offset->topic, offset->partition, &partition, error);
    if (result < 0)
        return result;
    result = beck_partition_state(partition, &state, error);
    if (result >= 0) {
        offset->start = state.log_start_offset;
        offset->end = state.high_watermark;
        int64_t from = offset->offset > offset->start ? offset->offset : offset->start;
        if (ages && from < state.last_stable_offset)
            result = record_time(partition, from, &offset->record_ms, error);
    }
    (void)beck_partition_close(partition);
    return result;
}

int store_look(struct admin *base, struct admin_offsets *offsets, bool ages,
               struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;

    for (size_t i = 0; i < offsets->count; i++) {
        int result = look_at(admin->store, &offsets->items[i], ages, error);
        if (result < 0)
            return result;
    }
    return 0;
}

int store_seek_time(struct admin *base, struct admin_offsets *offsets, int64_t time_ms,
                    struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    int result = 0;

    for (size_t i = 0; result >= 0 && i < offsets->count; i++) {
        struct admin_offset *offset = &offsets->items[i];
        struct beck_partition *partition = NULL;
        int64_t found_ms;
        offset->target = offset->end;
        result =
            beck_partition_open(admin->store, offset->topic, offset->partition, &partition, error);
        if (result >= 0)
            result = beck_offset_for_time(partition, time_ms, BECK_READ_UNCOMMITTED,
                                          &offset->target, &found_ms, error);
        (void)beck_partition_close(partition);
    }
    return result < 0 ? result : 0;
}

/* ---- changing ----------------------------------------------------------------------------- */

int store_group_delete(struct admin *base, const char *group, struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct admin *broker = NULL;

    int result = find_broker(admin, &broker, error);
    if (result > 0)
        return admin_group_delete(broker, group, error);
    return result < 0 ? result : beck_group_delete(admin->store, group, strlen(group), error);
}

static int commit_here(struct store_admin *admin, const char *group,
                       const struct admin_offsets *offsets, struct beck_error *error)
{
    struct beck_offset_commit *commits = calloc(offsets->count + 1, sizeof(*commits));
    size_t count = 0;

    if (commits == NULL)
        return report(error, -ENOMEM, "not enough memory");
    for (size_t i = 0; i < offsets->count; i++) {
        const struct admin_offset *offset = &offsets->items[i];
        if (offset->target >= 0)
            commits[count++] = (struct beck_offset_commit){
                .group = group,
                .group_size = strlen(group),
                .topic = offset->topic,
                .partition = offset->partition,
                .offset = offset->target,
                .leader_epoch = -1,
                .expire_ms = -1,
            };
    }
    int result = beck_offsets_commit(admin->store, commits, count, error);
    for (size_t i = 0; result >= 0 && i < count; i++) {
        if (commits[i].result < 0)
            result = commits[i].result; /* `error` says why */
    }
    free(commits);
    return result < 0 ? result : 0;
}

int store_commit(struct admin *base, const char *group, const struct admin_offsets *offsets,
                 struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct admin *broker = NULL;

    int result = find_broker(admin, &broker, error);
    if (result > 0)
        return admin_commit(broker, group, offsets, error);
    return result < 0 ? result : commit_here(admin, group, offsets, error);
}

int store_evict(struct admin *base, const char *group, struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct admin_member *members = NULL;
    size_t count = 0;

    int result = store_members(base, group, &members, &count, error);
    if (result == 0)
        result = -EBUSY;
    else if (result > 0)
        result = evict(admin->tool->store_path, group, members, count, error);
    admin_members_free(members, count);
    return result;
}

static int forget_here(struct store_admin *admin, const char *group,
                       const struct admin_offsets *offsets, struct beck_error *error)
{
    struct beck_offset_delete *deletes = calloc(offsets->count + 1, sizeof(*deletes));

    if (deletes == NULL)
        return report(error, -ENOMEM, "not enough memory");
    for (size_t i = 0; i < offsets->count; i++) {
        deletes[i].topic = offsets->items[i].topic;
        deletes[i].partition = offsets->items[i].partition;
    }
    int result =
        beck_offsets_delete(admin->store, group, strlen(group), deletes, offsets->count, error);
    free(deletes);
    return result;
}

int store_forget(struct admin *base, const char *group, const struct admin_offsets *offsets,
                 struct beck_error *error)
{
    struct store_admin *admin = (struct store_admin *)base;
    struct admin *broker = NULL;

    int result = find_broker(admin, &broker, error);
    if (result > 0)
        return admin_forget(broker, group, offsets, error);
    return result < 0 ? result : forget_here(admin, group, offsets, error);
}
