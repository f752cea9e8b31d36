/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mount from beginning to end: open the store, mount it, answer requests until somebody
 * unmounts it or a signal comes, and leave everything recorded.
 */
#ifndef FUSEFS_MOUNT_H
#define FUSEFS_MOUNT_H

#include "fs.h"
#include "options.h"

/*
 * Serve the mount; returns when it is over: 0, or a negative errno after it said what went wrong,
 * on stderr until the mount is up. `ready_fd` (-1: nobody waits) is sent one byte and closed as
 * soon as it is; from then on messages go to syslog. The session must begin in the process that
 * serves it: a store's handles do not cross fork(2).
 */
int mount_serve(struct options *options, int ready_fd);

/* The kernel's first request has come: called by the operations' init. */
void mount_is_up(struct fs *fs);

#endif
