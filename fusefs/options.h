/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of beckfs, also as mount.fuse3(8) gives it: STORE MOUNTPOINT [-f] [-d] [-o
 * OPTIONS].
 */
#ifndef FUSEFS_OPTIONS_H
#define FUSEFS_OPTIONS_H

#include "fuse_api.h"

#include <stdbool.h>

struct options {
    char *store; /* as given, then made absolute by options_check() */
    char *mountpoint;
    int foreground;
    int debug; /* libfuse prints each request */
    int help;
    int version;
    int rmdir_nonempty;
    int allow_other;
    unsigned
        map_mib; /* address space for each of the store's databases; 0: the library's default */
    bool read_only;
    struct fuse_args fuse; /* what is for libfuse and the kernel */
};

/* Returns 0, or a negative errno after it said on stderr what is wrong. */
int options_parse(int argc, char **argv, struct options *ret_options);

/* Look at store, mount point and /dev/fuse, and add what every mount is given. As options_parse().
 */
int options_check(struct options *options);

void options_done(struct options *options);

#endif
