/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One durable commit of meta.mdb for all threads of a process that want one at the same time. Who
 * finds nobody at it does it, for himself and for whoever has come; those who come meanwhile share
 * the next. A commit waits for the disk, so that sixteen threads get nearly sixteen times as far.
 */
#ifndef STORE_COMBINE_H
#define STORE_COMBINE_H

#include "db.h"

#include <pthread.h>
#include <stdbool.h>

/* What one thread wants put. Lives on its stack. */
struct combine_job {
    /*
     * Put it. What can be refused is refused before anything is put, and is the context's own
     * matter: a negative errno says that LMDB failed, and fails the transaction. May be called
     * again after that, and by any thread.
     */
    int (*apply)(void *context, MDB_txn *txn);
    void *context;

    int result; /* under the mutex, as are the others */
    struct beck_error error;
    bool is_done;
    struct combine_job *next;
};

struct combine {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    bool is_busy;
    struct combine_job *first;
    struct combine_job **last;
};

void combine_init(struct combine *combine);
void combine_done(struct combine *combine);

/* Apply a job and commit. 0, or why it was not. */
int combine_commit(struct combine *combine, struct db *db, struct combine_job *job,
                   struct beck_error *error);

#endif
