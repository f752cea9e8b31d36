/* SPDX-License-Identifier: Apache-2.0
 *
 * A group's durable state: what lets its members go on after the coordinator was started anew. The
 * bytes are described in codec/schemas/group_state.kafka.
 */
#ifndef BECK_NETD_GROUP_STATE_H
#define BECK_NETD_GROUP_STATE_H

#include "group/group.h"

/* The state as it is now; freed by the caller. -ENOMEM; -EMSGSIZE: it has no room. */
int group_state_encode(const struct group *group, struct kafka_bytes *ret_state);

/* Fill in a group that was just made. On failure it may be half filled. -EBADMSG; -EPROTONOSUPPORT;
 * -ENOMEM. */
int group_state_decode(struct group *group, struct kafka_bytes state);

/* What these two call for a group of the new consumer protocol, behind kind and version. */
struct kafka_arena;
int consumer_state_encode(const struct group *group, struct kafka_arena *arena,
                          struct kafka_writer *writer, int16_t version);
int consumer_state_decode(struct group *group, struct kafka_arena *arena,
                          struct kafka_reader *reader, int16_t version);

#endif
