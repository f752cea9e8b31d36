/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing directories. A listing of the root is that of the moment of opendir(3) or rewinddir(3),
 * so that topics that come and go meanwhile make nothing else appear twice or not at all.
 */
#ifndef FUSEFS_LISTING_H
#define FUSEFS_LISTING_H

#include "fs.h"
#include "fuse_api.h"

#include <stddef.h>
#include <sys/types.h>

/* One open directory. Several threads may read it at once. */
struct listing;

int listing_open(struct fs *fs, struct node *directory, struct listing **ret_listing);
struct listing *listing_close(struct listing *listing);

/*
 * Put as many entries as fit into `buffer`, beginning behind `position` (0: at the beginning; else
 * as an entry carried). `plus`: with attributes, and each entry but `.` and `..` is one lookup by
 * the kernel. Returns the bytes filled, 0 at the end.
 */
ssize_t listing_read(struct listing *listing, fuse_req_t request, off_t position, bool plus,
                     char *buffer, size_t bytes);

#endif
