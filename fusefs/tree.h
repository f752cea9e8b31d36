/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and attributes: looking up, listing, making and removing topics, owners and modes.
 * Functions return 0 or a negative errno as the kernel is to get it.
 */
#ifndef FUSEFS_TREE_H
#define FUSEFS_TREE_H

#include "fs.h"
#include "fuse_api.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

/* How long the kernel may believe what it was told. Sizes never; names, and the attributes of
 * directories, for as long as another process's changes may take to be seen. */
#define TREE_NAME_SECONDS      1.0
#define TREE_DIRECTORY_SECONDS 1.0
#define TREE_FILE_SECONDS      0.0

/* The attributes of a node, and for how long they are good. */
int tree_attributes(struct fs *fs, struct node *node, struct stat *ret_stat, double *ret_seconds);

/* Find `name` in `directory`. On success the kernel has one more lookup of ret_entry->ino. */
int tree_look_up(struct fs *fs, struct node *directory, const char *name,
                 struct fuse_entry_param *ret_entry);

/* Change attributes, `what` being FUSE_SET_ATTR_... */
int tree_change(struct fs *fs, struct node *node, const struct stat *wanted, int what);

/* Make a topic with one partition. As tree_look_up(). */
int tree_make_topic(struct fs *fs, struct node *directory, const char *name, mode_t mode,
                    const struct fuse_ctx *caller, struct fuse_entry_param *ret_entry);

/* Delete a topic: -ENOTEMPTY where it holds records, unless the mount allows that. */
int tree_remove_topic(struct fs *fs, struct node *directory, const char *name);

int tree_statvfs(struct fs *fs, struct statvfs *ret_statvfs);

#endif
