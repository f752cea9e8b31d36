/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking the kernel's requests and having them answered: which thread does what, and when it may
 * sleep.
 */
#ifndef FUSEFS_SERVE_H
#define FUSEFS_SERVE_H

struct fuse_session;

/*
 * Serve `session`, which is mounted and has its signal handlers set, until it is unmounted or a
 * signal ends it; all requests that were taken have been answered then, and no thread is left.
 * Returns 0, or a negative errno: -EAGAIN, -EMFILE, -ENFILE or -ENOMEM before the first request
 * where there are no threads or descriptors to be had, else what reading the device failed with.
 * SIGHUP, SIGINT and SIGTERM are blocked but where this waits. Once a process at a time.
 */
int serve_session(struct fuse_session *session);

#endif
