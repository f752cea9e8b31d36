/* SPDX-License-Identifier: Apache-2.0 */
/* Client quotas: keeping and walking over them. See beck_quotas_put() and beck_quota_next(); what
 * stands where: meta_quotas.h. */
#ifndef STORE_QUOTAS_H
#define STORE_QUOTAS_H

#include "meta_quotas.h"
#include "store.h"

int quotas_put(struct beck_store *store, const struct beck_quota *quotas, size_t count,
               struct beck_error *error);
int quotas_next(struct beck_store *store, struct beck_quota *quota, struct beck_error *error);

#endif
