/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps that the classic protocol is made of, shared by the files that have its calls. A `done`
 * callback is the last thing that is done with a join or sync.
 */
#ifndef BECK_NETD_GROUP_CLASSIC_STEPS_H
#define BECK_NETD_GROUP_CLASSIC_STEPS_H

#include "group/group.h"

void classic_join_refuse(struct group_join *join, int16_t error, struct kafka_string member_id);
/* Tell a member of the generation that there is. */
void classic_join_accept(struct group_member *member);
void classic_sync_refuse(struct group_sync *sync, int16_t error);
void classic_sync_accept(struct group_member *member, struct group_sync *sync);
/* Those who wait for the assignments of a generation that is over join again. */
void classic_syncs_refuse(struct group *group, int16_t error);

/* Whoever waits for something of this member is told that it will not come. */
void classic_dismiss(struct group_member *member, int16_t error);
/* Takes a member out of the group and frees it. */
void classic_drop(struct group_member *member, int16_t error);
/* The same, and what follows for the group. */
void classic_remove(struct group_member *member, int16_t error);

/* Is the caller the member that he says he is? The error, or 0 and the member. */
int16_t classic_find_member(const struct group *group, struct kafka_string member_id,
                            struct kafka_string instance_id, struct group_member **ret_member);

/* Wait for the members to join. The first ones of a group are given a while to be several. */
void classic_rebalance(struct group *group);
/* Ends the wait where all have joined. */
void classic_rebalance_try(struct group *group);

#endif
