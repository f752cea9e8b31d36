/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: topics. Checks arguments and handles; the store layer does the work. */
#include "beck.h"

#include "cleanup.h"
#include "public.h"
#include "report.h"
#include "store.h"
#include "topics.h"

#include <errno.h>
#include <stdlib.h>

BECK_PUBLIC int beck_topic_create(struct beck_store *store, const char *name,
                                  const struct beck_topic_options *options,
                                  struct beck_topic *ret_topic, struct beck_error *error)
{
    struct beck_topic topic;
    int r = store_check_writable(store, error);
    if (r < 0)
        return r;
    return topics_create(store, name, options, ret_topic ? ret_topic : &topic, error);
}

BECK_PUBLIC int beck_topic_delete(struct beck_store *store, const char *name,
                                  struct beck_error *error)
{
    int r = store_check_writable(store, error);
    return r < 0 ? r : topics_delete(store, name, error);
}

BECK_PUBLIC int beck_topic_delete_empty(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                                        struct beck_error *error)
{
    int r = store_check_writable(store, error);
    return r < 0 ? r : topics_delete_empty(store, id, error);
}

BECK_PUBLIC int beck_topic_find(struct beck_store *store, const char *name,
                                struct beck_topic *ret_topic, struct beck_error *error)
{
    int r = store_check(store, error);
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    if (r < 0)
        return r;
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    r = topics_find(store, name, topic, error);
    if (r == 0)
        *ret_topic = topic->topic;
    return r;
}

BECK_PUBLIC int beck_topic_leader_epochs(struct beck_store *store, const struct beck_topic *topic,
                                         int32_t *epochs, struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : topics_leader_epochs(store, topic, epochs, error);
}

BECK_PUBLIC int beck_topic_find_id(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                                   struct beck_topic *ret_topic, struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : topics_find_id(store, id, ret_topic, error);
}

BECK_PUBLIC int beck_topic_next(struct beck_store *store, const char *after,
                                struct beck_topic *ret_topic, struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : topics_next(store, after, ret_topic, error);
}

BECK_PUBLIC int beck_topic_set_access(struct beck_store *store, const char *name, uid_t uid,
                                      gid_t gid, mode_t mode, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    return r < 0 ? r : topics_set_access(store, name, uid, gid, mode, error);
}

BECK_PUBLIC int beck_topic_add_partitions(struct beck_store *store, const char *name,
                                          uint32_t partition_count, bool validate_only,
                                          struct beck_topic *ret_topic, struct beck_error *error)
{
    struct beck_topic topic;
    int r = store_check_writable(store, error);
    if (r < 0)
        return r;
    return topics_add_partitions(store, name, partition_count, validate_only,
                                 ret_topic ? ret_topic : &topic, error);
}
