/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that serve groups share: getting at the coordinator, and copies into a request's
 * arena, because what the coordinator hands out is borrowed.
 */
#ifndef BECK_NETD_KAFKA_GROUPS_H
#define BECK_NETD_KAFKA_GROUPS_H

#include "groups.h"
#include "loop.h"

static inline struct groups *groups_of(struct request *request)
{
    return &request->loop->broker->groups;
}

/* A null stays null. False: no memory. */
static inline bool copy_text(struct request *request, struct kafka_string text,
                             struct kafka_string *ret_copy)
{
    if (text.data)
        text.data = kafka_arena_copy(&request->arena, text.data, text.length);
    *ret_copy = text;
    return text.data || text.length == 0;
}

/* A null becomes empty. */
static inline bool copy_bytes(struct request *request, struct kafka_bytes bytes,
                              struct kafka_bytes *ret_copy)
{
    bytes.data = kafka_arena_copy(&request->arena, bytes.data ? bytes.data : "", bytes.length);
    *ret_copy = bytes;
    return bytes.data != NULL;
}

/* The client's address, as Kafka tells it: a slash before it, and no port behind it. Null: no
 * memory. */
struct kafka_string client_host_of(struct request *request);

#endif
