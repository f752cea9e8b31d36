/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed offsets on their way to the store: whoever commits while a commit is under way shares
 * the next one, so that many cost one sync.
 *
 * Everything here is called in the first loop's thread.
 */
#ifndef BECK_NETD_COMMITS_H
#define BECK_NETD_COMMITS_H

#include <stdint.h>
#include <sys/queue.h>

#include "beck.h"
#include "workers.h"

struct loop;

/* One request's offsets. Its memory is the caller's until `done`; each entry then has its result.
 */
struct commit {
    TAILQ_ENTRY(commit) link;
    struct beck_offset_commit *offsets;
    uint32_t count;
    void (*done)(struct commit *commit);
};

TAILQ_HEAD(commit_list, commit);

struct commits {
    struct work work;
    struct loop *loop;
    struct commit_list queue;
    struct commit_list running; /* a worker's while it is not empty */
    struct beck_offset_commit *batch;
    size_t batch_room;
};

void commits_init(struct commits *commits, struct loop *loop);
void commits_done(struct commits *commits);

/* Calls commit->done, always later, and after those that were added before. One may be of nothing.
 */
void commits_add(struct commits *commits, struct commit *commit);

#endif
