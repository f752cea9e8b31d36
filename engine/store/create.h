/* SPDX-License-Identifier: Apache-2.0 */
/* Making a store in a directory that is there. See beck_store_create(). */
#ifndef STORE_CREATE_H
#define STORE_CREATE_H

#include "config.h"
#include "io.h"

/* Is there anything in the directory that is no part of a store? 1 or 0. */
int create_is_foreign(const struct io *io, int directory);

/* Is it, or was it, a store? */
bool create_has_meta(const struct io *io, int directory);

#define CREATE_LOST_META                                                                           \
    "meta.mdb: it is missing from what was a store; \"beck repair\" makes it anew"

/* Did a directory that has no meta.mdb lose it? Then there are topics, or the copy of meta.mdb; but
 * it is no store where a creation or a backup was not brought to its end. */
bool create_lost_meta(const struct io *io, int directory);

/* Make it, and sync it. -EEXIST: there is a store. Under the registry's mutex. */
int create_in(const char *path, int directory, uint64_t map_bytes, const struct config_set *configs,
              const struct io *io, struct beck_error *error);

#endif
