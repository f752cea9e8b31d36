/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing everything that a store holds with everything else. See beck_store_verify(). */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store.h"

struct verify_callbacks {
    int (*damage)(void *context, const struct beck_damage *found);
    int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes);
    void *context;
};

int verify_store(struct beck_store *store, const char *topic,
                 const struct verify_callbacks *callbacks, struct beck_verify_totals *ret_totals,
                 struct beck_error *error);

#endif
