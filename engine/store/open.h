/* SPDX-License-Identifier: Apache-2.0 */
/* Making, opening and closing stores. See beck_store_open() and its neighbours. */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include "store.h"

/* Open with a table of I/O functions of the caller's. See beck_store_open(). */
int store_open(const char *path, unsigned flags, const struct beck_store_options *options,
               const struct io *io, struct beck_store **ret_store, struct beck_error *error);
int store_create(const char *path, const struct beck_store_options *options, const struct io *io,
                 struct beck_error *error);
void store_close(struct beck_store *store);

#endif
