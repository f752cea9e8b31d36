/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: configuration. Checks arguments and handles; the store layer does the work. */
#include "alter.h"
#include "beck.h"
#include "public.h"
#include "report.h"

#include <errno.h>

static int check_change(struct beck_store *store, const struct beck_config_change *changes,
                        size_t count, unsigned flags, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r < 0)
        return r;
    if ((flags & ~(unsigned)(BECK_ALTER_VALIDATE_ONLY | BECK_ALTER_REPLACE)) != 0)
        return report(error, -EINVAL, "there is no such flag for a change of configuration");
    for (size_t i = 0; i < count; i++)
        if (!changes[i].name)
            return report(error, -EINVAL, "a change of configuration has no name");
    return 0;
}

BECK_PUBLIC int beck_topic_alter(struct beck_store *store, const char *name,
                                 const struct beck_config_change *changes, size_t count,
                                 unsigned flags, struct beck_error *error)
{
    int r = check_change(store, changes, count, flags, error);
    return r < 0 ? r : alter_topic(store, name, changes, count, flags, error);
}

BECK_PUBLIC int beck_store_alter(struct beck_store *store, const struct beck_config_change *changes,
                                 size_t count, unsigned flags, struct beck_error *error)
{
    int r = check_change(store, changes, count, flags, error);
    return r < 0 ? r : alter_store(store, changes, count, flags, error);
}

BECK_PUBLIC int beck_topic_config(struct beck_store *store, const char *name, uint32_t index,
                                  struct beck_config_entry *ret_entry, struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : alter_entry(store, name, index, ret_entry, error);
}

BECK_PUBLIC int beck_store_config(struct beck_store *store, uint32_t index,
                                  struct beck_config_entry *ret_entry, struct beck_error *error)
{
    if (!store)
        return config_entry_at(NULL, CONFIG_OF_STORE, NULL, index, ret_entry);
    int r = store_check(store, error);
    return r < 0 ? r : alter_entry(store, NULL, index, ret_entry, error);
}
