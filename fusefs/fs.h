/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mounted store: what all operations share. Made by main.c before the first request and taken
 * down by it after the last; between them `store`, `read_only` and the rest without a lock do not
 * change.
 */
#ifndef FUSEFS_FS_H
#define FUSEFS_FS_H

#include "beck.h"
#include "inode.h"
#include "keeper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct handle;

struct fs {
    struct beck_store *store;
    const char *store_path; /* absolute */
    bool read_only;
    bool rmdir_nonempty; /* rmdir deletes topics that hold records, too */
    struct inode_table inodes;
    struct keeper keeper;
    atomic_size_t held_total; /* bytes of incomplete lines, of all open files */

    pthread_mutex_t handles_lock;
    struct handle *handles; /* open partition files; under handles_lock */

    int ready_fd; /* where the waiting parent hears that the mount is up; -1: nobody waits */
};

#endif
