/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one who is at it takes the list as it is, lets go of the mutex, and applies the jobs in one
 * transaction. Where that fails and there were several, each is tried by itself: a job that does
 * not fit on a full disk is not to fail the others.
 */
#include "combine.h"

#include "check.h"
#include "cleanup.h"
#include "report.h"

#include <errno.h>

void combine_init(struct combine *combine)
{
    *combine = (struct combine){.last = &combine->first};
    CHECK(pthread_mutex_init(&combine->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&combine->done, NULL) == 0);
}

void combine_done(struct combine *combine)
{
    (void)pthread_cond_destroy(&combine->done);
    (void)pthread_mutex_destroy(&combine->mutex);
}

/* One transaction for the jobs of a list up to `end`. */
static int run(struct db *db, struct combine_job *first, const struct combine_job *end,
               struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(db, true, &txn, error);
    if (r < 0)
        return r;
    for (struct combine_job *job = first; job != end; job = job->next) {
        r = job->apply(job->context, txn);
        if (r < 0)
            return report_errno(error, r, "%s: cannot be written", db->name);
    }
    r = db_commit(db, TAKE_POINTER(txn), error);
    if (r == 0)
        db_reserve(db);
    return r;
}

/* A process that is stopped while it reads makes the file grow with each commit, for ever: who
 * wants to commit many times has to wait until it goes on or dies. */
static int check_growth(struct db *db, struct beck_error *error)
{
    if (!db_is_held_back(db))
        return 0;
    db_clear_readers(db);
    if (!db_is_held_back(db))
        return 0;
    return report(
        error, -EBUSY,
        "%s: a process that was stopped while it reads it keeps all that is replaced; let "
        "it go on, or end it (beck stat -p shows processes)",
        db->name);
}

static void run_all(struct db *db, struct combine_job *first)
{
    int r = check_growth(db, &first->error);
    if (r < 0) {
        for (struct combine_job *job = first; job; job = job->next) {
            job->result = r;
            job->error = first->error;
        }
        return;
    }
    r = run(db, first, NULL, &first->error);
    bool alone = r == 0 || !first->next;
    for (struct combine_job *job = first; job; job = job->next)
        job->result = alone ? r : run(db, job, job->next, &job->error);
}

int combine_commit(struct combine *combine, struct db *db, struct combine_job *job,
                   struct beck_error *error)
{
    job->is_done = false;
    job->next = NULL;
    CHECK(pthread_mutex_lock(&combine->mutex) == 0);
    *combine->last = job;
    combine->last = &job->next;
    while (!job->is_done && combine->is_busy)
        CHECK(pthread_cond_wait(&combine->done, &combine->mutex) == 0);
    if (!job->is_done) {
        struct combine_job *first = combine->first;
        combine->first = NULL;
        combine->last = &combine->first;
        combine->is_busy = true;
        CHECK(pthread_mutex_unlock(&combine->mutex) == 0);
        run_all(db, first);
        CHECK(pthread_mutex_lock(&combine->mutex) == 0);
        combine->is_busy = false;
        /* A job is gone from the moment on at which its thread sees it done. */
        for (struct combine_job *next; first; first = next) {
            next = first->next;
            first->is_done = true;
        }
        CHECK(pthread_cond_broadcast(&combine->done) == 0);
    }
    CHECK(pthread_mutex_unlock(&combine->mutex) == 0);
    if (job->result < 0 && error)
        *error = job->error;
    return job->result;
}
