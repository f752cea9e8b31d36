/* SPDX-License-Identifier: Apache-2.0
 *
 * One batch at a time, all of what has come since the last one began; see commits.h.
 */
#include "commits.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"

/* What one batch has at most; the rest is the next one's. */
#define BATCH_OFFSETS 65536

static void fail(struct commits *commits, int result)
{
    struct commit *commit;
    TAILQ_FOREACH(commit, &commits->running, link)
    for (uint32_t i = 0; i < commit->count; i++)
        commit->offsets[i].result = result;
}

/* On a worker: `running` and `batch` are its own. */
static void batch_run(struct work *work)
{
    struct commits *commits = (struct commits *)((char *)work - offsetof(struct commits, work));
    struct beck_error error;
    struct commit *commit;
    size_t count = 0;
    TAILQ_FOREACH(commit, &commits->running, link)
    {
        if (commit->count > 0)
            memcpy(commits->batch + count, commit->offsets,
                   commit->count * sizeof(*commits->batch));
        count += commit->count;
    }
    if (count == 0)
        return;
    int result = beck_offsets_commit(commits->loop->broker->store, commits->batch, count, &error);
    if (result < 0) {
        log_error_limited(&commits->loop->broker->log_shared, "offsets cannot be committed: %s",
                          error.message);
        fail(commits, result);
        return;
    }
    count = 0;
    TAILQ_FOREACH(commit, &commits->running, link)
    for (uint32_t i = 0; i < commit->count; i++)
        commit->offsets[i].result = commits->batch[count++].result;
}

/* Room for so many offsets in the batch. */
static int batch_reserve(struct commits *commits, size_t count)
{
    if (count <= commits->batch_room)
        return 0;
    struct beck_offset_commit *grown = reallocarray(commits->batch, count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    commits->batch = grown;
    commits->batch_room = count;
    return 0;
}

static void answer(struct commits *commits)
{
    struct commit *commit;
    while ((commit = TAILQ_FIRST(&commits->running))) {
        TAILQ_REMOVE(&commits->running, commit, link);
        commit->done(commit);
    }
}

static void batch_begin(struct commits *commits)
{
    struct commit *commit;
    size_t count = 0;
    while ((commit = TAILQ_FIRST(&commits->queue)) && count < BATCH_OFFSETS) {
        TAILQ_REMOVE(&commits->queue, commit, link);
        TAILQ_INSERT_TAIL(&commits->running, commit, link);
        count += commit->count;
    }
    if (batch_reserve(commits, count) == 0) {
        workers_submit(&commits->loop->broker->workers, &commits->loop->inbox, &commits->work);
        return;
    }
    fail(commits, -ENOMEM);
    answer(commits);
}

static void batch_done(struct work *work)
{
    struct commits *commits = (struct commits *)((char *)work - offsetof(struct commits, work));
    answer(commits);
    if (!TAILQ_EMPTY(&commits->queue) && TAILQ_EMPTY(&commits->running))
        batch_begin(commits);
}

void commits_init(struct commits *commits, struct loop *loop)
{
    *commits = (struct commits){.loop = loop, .work = {.run = batch_run, .done = batch_done}};
    TAILQ_INIT(&commits->queue);
    TAILQ_INIT(&commits->running);
}

void commits_done(struct commits *commits)
{
    free(commits->batch);
    commits->batch = NULL;
}

void commits_add(struct commits *commits, struct commit *commit)
{
    TAILQ_INSERT_TAIL(&commits->queue, commit, link);
    if (TAILQ_EMPTY(&commits->running))
        batch_begin(commits);
}
