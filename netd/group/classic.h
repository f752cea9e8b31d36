/* SPDX-License-Identifier: Apache-2.0
 *
 * What the coordinator's table calls of the classic protocol. Its calls for others are in
 * coordinator.h.
 */
#ifndef BECK_NETD_GROUP_CLASSIC_H
#define BECK_NETD_GROUP_CLASSIC_H

#include "group/group.h"

/* Timers of a group. */
void classic_rebalance_due(struct timer *timer);
void classic_sync_due(struct timer *timer);
/* A save ended. */
void classic_saved(struct group *group, unsigned save, int result);
/* Answer all who wait: the coordinator ends. */
void classic_stop(struct group *group);
/* Free all members; nobody waits. */
void classic_clear(struct group *group);
/* The group goes on as one of the new protocol: whoever waits is told `error`, and its members and
 * timers here are gone. */
void classic_end(struct group *group, int16_t error);
/* Puts a member into a group that was one of the new protocol; then they begin with a rebalance.
 * -ENOMEM. */
int classic_adopt(struct group *group, struct group_member *member);
void classic_begin(struct group *group);
/* An id for a member that joins. -ENOMEM. */
int classic_make_member_id(struct group *group, const struct group_join *join,
                           struct kafka_string *ret_id);
/* A member was heard of, or loaded: watch for it from now on. */
void classic_watch(struct group_member *member);

#endif
