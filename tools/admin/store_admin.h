/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the store's administration share: store_admin.c and store_groups.c. */
#ifndef ADMIN_STORE_ADMIN_H
#define ADMIN_STORE_ADMIN_H

#include "admin.h"

struct store_admin {
    struct admin base;
    const struct tool *tool;
    struct beck_store *store;
    struct admin *broker;    /* the beckd that serves the store; NULL: not asked for yet, or none */
    struct tool broker_tool; /* how it is reached */
    struct beck_config_entry entry; /* that was handed out last */
};

/* Operations on groups; see admin.h. */
int store_groups(struct admin *admin, struct admin_groups *groups, struct beck_error *error);
int store_group_find(struct admin *admin, const char *name, struct admin_group *ret_group,
                     struct beck_error *error);
int store_members(struct admin *admin, const char *group, struct admin_member **ret_members,
                  size_t *ret_count, struct beck_error *error);
int store_group_delete(struct admin *admin, const char *group, struct beck_error *error);
int store_offsets(struct admin *admin, const char *group, struct admin_offsets *offsets,
                  struct beck_error *error);
int store_look(struct admin *admin, struct admin_offsets *offsets, bool ages,
               struct beck_error *error);
int store_seek_time(struct admin *admin, struct admin_offsets *offsets, int64_t time_ms,
                    struct beck_error *error);
int store_commit(struct admin *admin, const char *group, const struct admin_offsets *offsets,
                 struct beck_error *error);
int store_evict(struct admin *admin, const char *group, struct beck_error *error);
int store_forget(struct admin *admin, const char *group, const struct admin_offsets *offsets,
                 struct beck_error *error);

#endif
