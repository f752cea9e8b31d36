/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.mdb.copy: a compacted copy of meta.mdb, for who has to repair a store whose meta.mdb is
 * damaged. Made at a clean close and once a day, where meta.mdb was changed since; replaced as a
 * whole.
 */
#ifndef STORE_META_COPY_H
#define STORE_META_COPY_H

#include "store.h"

#define META_COPY_MS       (24 * 60 * 60 * 1000LL)
#define META_COPY_FIRST_MS (10 * 60 * 1000LL) /* after opening, where the last one is that old */

/* Parts of maintenance (maintenance.c). */
bool meta_copy_is_due(struct beck_store *store, bool all, uint32_t *next_ms);
int meta_copy_run(struct beck_store *store, bool all, struct beck_error *error);

/* Make it now, where meta.mdb was changed since the last one. One process at a time. */
int meta_copy_make(struct beck_store *store, struct beck_error *error);

#endif
