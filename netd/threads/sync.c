/* SPDX-License-Identifier: Apache-2.0
 *
 * Coalescing of syncs; see sync.h. The happy path: the first wait submits the group to the workers
 * with its offset; waits that come while it runs queue up; when it is done, those that it covers
 * are answered and, if some are left, the group is submitted again with the highest offset. A
 * failure answers all who wait: the library refuses every later sync of that partition as well.
 */
#include "sync.h"

#include <errno.h>
#include <stddef.h>

#include "log.h"
#include "loop.h"
#include "partitions.h"

static void group_submit(struct sync_group *group);

/* On a worker. The group's fields are this thread's until it is handed back. */
static void group_run(struct work *work)
{
    struct sync_group *group =
        (struct sync_group *)((char *)work - offsetof(struct sync_group, work));
    struct beck_error error;
    group->result = beck_sync(group->entry->handle, group->target, &error);
    if (group->result < 0 && group->result != -ESTALE) /* a topic that was deleted is no trouble */
        log_error_limited(&group->loop->broker->log_shared, "a sync failed: %s", error.message);
}

static void group_done(struct work *work)
{
    struct sync_group *group =
        (struct sync_group *)((char *)work - offsetof(struct sync_group, work));
    int result = group->result < 0 ? group->result : 0;
    group->running = false;
    struct sync_wait *wait = TAILQ_FIRST(&group->waits);
    while (wait) {
        struct sync_wait *next = TAILQ_NEXT(wait, link);
        if (result < 0 || wait->offset <= group->target) {
            TAILQ_REMOVE(&group->waits, wait, link);
            wait->done(wait, result);
        }
        wait = next;
    }
    if (!TAILQ_EMPTY(&group->waits))
        group_submit(group);
    partition_unref(group->entry);
}

static void group_submit(struct sync_group *group)
{
    struct sync_wait *wait;
    group->target = 0;
    TAILQ_FOREACH(wait, &group->waits, link)
    if (wait->offset > group->target)
        group->target = wait->offset;
    group->running = true;
    partition_ref(group->entry);
    workers_submit(&group->loop->broker->workers, &group->loop->inbox, &group->work);
}

void sync_group_init(struct sync_group *group)
{
    *group = (struct sync_group){.work = {.run = group_run, .done = group_done}};
    TAILQ_INIT(&group->waits);
}

void sync_start(struct loop *loop, struct partition_entry *entry, struct sync_wait *wait)
{
    struct sync_group *group = &entry->sync;
    TAILQ_INSERT_TAIL(&group->waits, wait, link);
    if (group->running)
        return; /* a worker reads the rest of the group */
    group->loop = loop;
    group->entry = entry;
    group_submit(group);
}
