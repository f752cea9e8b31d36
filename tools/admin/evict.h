/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making members leave a group, at the beckd that serves a store: Kafka's LeaveGroup, over the
 * store's broker.sock, which librdkafka 2.0 has no call for.
 */
#ifndef ADMIN_EVICT_H
#define ADMIN_EVICT_H

#include "admin.h"

/* 0, also where they have left by themselves; -ETIMEDOUT, -EPROTO, -EIO. */
int evict(const char *store_path, const char *group, const struct admin_member *members,
          size_t count, struct beck_error *error);

#endif
