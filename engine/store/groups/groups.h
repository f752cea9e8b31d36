/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consumer groups: committing, finding and deleting their offsets and records. See
 * beck_offsets_commit() and its neighbours. What stands where: meta_groups.h; what goes by itself:
 * groups_expire.h.
 */
#ifndef STORE_GROUPS_H
#define STORE_GROUPS_H

#include "meta_groups.h"
#include "store.h"

int groups_commit(struct beck_store *store, struct beck_offset_commit *commits, size_t count,
                  struct beck_error *error);
int groups_fetch(struct beck_store *store, const struct group_name *group, const char *topic,
                 int32_t partition, struct beck_offset *ret_offset, struct beck_error *error);
int groups_offset_next(struct beck_store *store, const struct group_name *group,
                       struct beck_offset *offset, struct beck_error *error);
int groups_delete_offsets(struct beck_store *store, const struct group_name *group,
                          struct beck_offset_delete *deletes, size_t count,
                          struct beck_error *error);

int groups_put(struct beck_store *store, const struct meta_group *group, struct beck_error *error);
int groups_get(struct beck_store *store, const struct group_name *group,
               struct beck_group *ret_group, void *state, size_t state_room,
               struct beck_error *error);
int groups_next(struct beck_store *store, struct beck_group *group, struct beck_error *error);
int groups_delete(struct beck_store *store, const struct group_name *group,
                  struct beck_error *error);

#endif
