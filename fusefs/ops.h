/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of operations that libfuse calls, with a `struct fs` as user data. Each request gets
 * exactly one reply, by construction: an operation fills a `struct answer` and returns an int, and
 * one function replies.
 */
#ifndef FUSEFS_OPS_H
#define FUSEFS_OPS_H

#include "fuse_api.h"

extern const struct fuse_lowlevel_ops ops_table;

#endif
