/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: client quotas. Checks arguments and handles; the store layer does the work. */
#include "quotas.h"

#include "beck.h"
#include "public.h"
#include "report.h"

#include <errno.h>

BECK_PUBLIC int beck_quotas_put(struct beck_store *store, const struct beck_quota *quotas,
                                size_t count, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *why = meta_quota_wrong(&quotas[i]);
        if (why)
            r = report(error, -EINVAL, "%s", why);
    }
    return r < 0 ? r : quotas_put(store, quotas, count, error);
}

BECK_PUBLIC int beck_quota_next(struct beck_store *store, struct beck_quota *quota,
                                struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : quotas_next(store, quota, error);
}
