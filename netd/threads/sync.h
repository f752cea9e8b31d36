/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a partition's data to be on disk, without blocking the loop. For each partition one
 * sync runs at a time, on a worker; it covers all who waited when it began, and who came later
 * share the next one. The library does the same over all processes.
 *
 * Everything here is called by the loop that owns the partition's entry.
 */
#ifndef BECK_NETD_SYNC_H
#define BECK_NETD_SYNC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "workers.h"

struct loop;
struct partition_entry;

/* One who waits. Its memory is the caller's until `done` was called. */
struct sync_wait {
    TAILQ_ENTRY(sync_wait) link;
    int64_t offset; /* everything below it has to be on disk */
    /* 0, or what beck_sync() answered. */
    void (*done)(struct sync_wait *wait, int result);
};

/* What a partition's entry has for it. */
struct sync_group {
    struct work work;
    struct loop *loop;
    struct partition_entry *entry;
    TAILQ_HEAD(, sync_wait) waits;
    bool running;
    int64_t target; /* of the sync that runs */
    int result;     /* of the sync that ran */
};

void sync_group_init(struct sync_group *group);

/* Calls wait->done, always later, when everything below wait->offset is on disk or the disk
 * refused. The entry is kept until then. */
void sync_start(struct loop *loop, struct partition_entry *entry, struct sync_wait *wait);

#endif
