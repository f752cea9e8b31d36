/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one of a store's LMDB files in a child process, before the store is opened in this one:
 * LMDB has no checksums of its pages, and a damaged file may crash or hang who reads it.
 */
#ifndef TOOLS_DATABASE_WALK_H
#define TOOLS_DATABASE_WALK_H

#include "beck.h"

#define DATABASE_WALK_LIMIT_S 60 /* without one step forward */

/*
 * Returns 1 where the file is sound, or cannot be read at all, which opening the store will say
 * better; 0 where it is damaged, and ret_error's message says how; a negative errno where there can
 * be no child. Before this process has threads, or the store open.
 */
int database_walk(const char *store_path, const char *file, int limit_s,
                  struct beck_error *ret_error);

#endif
