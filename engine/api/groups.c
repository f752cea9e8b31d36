/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: consumer groups and their offsets. Checks arguments and handles; the store layer does the
 * work. */
#include "groups.h"

#include "beck.h"
#include "public.h"
#include "report.h"

#include <errno.h>
#include <string.h>

static int check_name(size_t size, struct beck_error *error)
{
    return size <= BECK_GROUP_ID_BYTES
               ? 0
               : report(error, -EINVAL, "a group's name has at most %d bytes, and %zu were given",
                        BECK_GROUP_ID_BYTES, size);
}

BECK_PUBLIC int beck_offsets_commit(struct beck_store *store, struct beck_offset_commit *commits,
                                    size_t count, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    for (size_t i = 0; r < 0 && i < count; i++)
        commits[i].result = r;
    return r < 0 ? r : groups_commit(store, commits, count, error);
}

BECK_PUBLIC int beck_offset_fetch(struct beck_store *store, const char *group, size_t group_size,
                                  const char *topic, int32_t partition,
                                  struct beck_offset *ret_offset, struct beck_error *error)
{
    int r = store_check(store, error);
    if (r < 0 || group_size > BECK_GROUP_ID_BYTES)
        return r;
    struct group_name name = group_name_of(group, group_size);
    return groups_fetch(store, &name, topic, partition, ret_offset, error);
}

BECK_PUBLIC int beck_offset_next(struct beck_store *store, const char *group, size_t group_size,
                                 struct beck_offset *offset, struct beck_error *error)
{
    int r = store_check(store, error);
    if (r < 0 || group_size > BECK_GROUP_ID_BYTES)
        return r;
    struct group_name name = group_name_of(group, group_size);
    return groups_offset_next(store, &name, offset, error);
}

BECK_PUBLIC int beck_offsets_delete(struct beck_store *store, const char *group, size_t group_size,
                                    struct beck_offset_delete *deletes, size_t count,
                                    struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r == 0)
        r = check_name(group_size, error);
    if (r < 0)
        return r;
    struct group_name name = group_name_of(group, group_size);
    return groups_delete_offsets(store, &name, deletes, count, error);
}

BECK_PUBLIC int beck_group_put(struct beck_store *store, const struct beck_group *group,
                               const void *state, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r == 0)
        r = check_name(group->id_size, error);
    if (r < 0)
        return r;
    if (group->empty_since_ms < -1)
        return report(error, -EINVAL, "a group cannot be empty since a time below 0");
    if (group->state_size > BECK_GROUP_STATE_BYTES)
        return report(error, -EMSGSIZE, "a group's state of %zu bytes is above the limit of %d",
                      group->state_size, BECK_GROUP_STATE_BYTES);
    struct meta_group record = {
        .name = group_name_of(group->id, group->id_size),
        .protocol_type = group->protocol_type,
        .protocol_type_size = strnlen(group->protocol_type, BECK_GROUP_PROTOCOL_BYTES),
        .empty_since_ms = group->empty_since_ms,
        .state = state,
        .state_size = group->state_size,
    };
    return groups_put(store, &record, error);
}

BECK_PUBLIC int beck_group_get(struct beck_store *store, const char *group, size_t group_size,
                               struct beck_group *ret_group, void *state, size_t state_room,
                               struct beck_error *error)
{
    int r = store_check(store, error);
    if (r < 0 || group_size > BECK_GROUP_ID_BYTES)
        return r;
    struct group_name name = group_name_of(group, group_size);
    return groups_get(store, &name, ret_group, state, state_room, error);
}

BECK_PUBLIC int beck_group_next(struct beck_store *store, struct beck_group *group,
                                struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : groups_next(store, group, error);
}

BECK_PUBLIC int beck_group_delete(struct beck_store *store, const char *group, size_t group_size,
                                  struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r == 0)
        r = check_name(group_size, error);
    if (r < 0)
        return r;
    struct group_name name = group_name_of(group, group_size);
    return groups_delete(store, &name, error);
}
