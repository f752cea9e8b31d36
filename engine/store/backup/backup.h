/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a store while it is in use. See beck_store_backup(). */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store.h"

int backup_run(struct beck_store *store, const char *path,
               const struct beck_backup_options *options, struct beck_error *error);

#endif
