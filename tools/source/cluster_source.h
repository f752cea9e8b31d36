/* SPDX-License-Identifier: Apache-2.0 */
/* A Kafka broker or cluster as a source. */
#ifndef SOURCE_CLUSTER_SOURCE_H
#define SOURCE_CLUSTER_SOURCE_H

#include "source.h"
#include "tool.h"

/* The one that -b named; `tool` outlives it. */
int source_of_cluster(const struct tool *tool, struct source **ret_source,
                      struct beck_error *error);

#endif
