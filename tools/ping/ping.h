/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `beck ping` measures, of a store (ping_store.c) or of a broker or cluster (ping_cluster.c).
 * Each call does one round. Those that fail say so, and return an exit code.
 */
#ifndef TOOLS_PING_H
#define TOOLS_PING_H

#include "tool.h"

struct ping;

struct ping_ops {
    int (*connect)(struct ping *ping);
    int (*metadata)(struct ping *ping);
    int (*record)(struct ping *ping);
    void (*close)(struct ping *ping);
};

/* What each implementation begins with. */
struct ping {
    const struct ping_ops *ops;
    const struct tool *tool;
    const char *topic; /* NULL: no records */
    int32_t partition;
};

/* Get ready. Before the first metadata or record there has been a connect. */
int ping_of_store(const struct tool *tool, const char *topic, int32_t partition,
                  struct ping **ret_ping);
int ping_of_cluster(const struct tool *tool, const char *topic, int32_t partition,
                    struct ping **ret_ping);

#endif
