/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: verification. Checks arguments and handles; the store layer does the work. */
#include "verify.h"

#include "beck.h"
#include "public.h"
#include "report.h"

#include <errno.h>
#include <string.h>

BECK_PUBLIC int beck_verify_new(struct beck_store *store, const struct beck_verify_options *options,
                                struct beck_verify **ret_verify, struct beck_error *error)
{
    int r = store_check(store, error);
    if (r == 0 && (!options->damage || (options->one_partition && !options->topic)))
        r = report(error, -EINVAL, "who is to be told of damage, and of which topic?");
    return r < 0 ? r : verify_new(store, options, ret_verify, error);
}

BECK_PUBLIC int beck_verify_run(struct beck_verify *verify, struct beck_error *error)
{
    int r = store_check(verify->store, error);
    return r < 0 ? r : verify_run(verify, error);
}

BECK_PUBLIC int beck_verify_result(struct beck_verify *verify,
                                   struct beck_verify_totals *ret_totals)
{
    return verify_result(verify, ret_totals);
}

BECK_PUBLIC struct beck_verify *beck_verify_free(struct beck_verify *verify)
{
    return verify_free(verify);
}

BECK_PUBLIC int beck_store_verify(struct beck_store *store, const char *topic,
                                  int (*damage)(void *context, const struct beck_damage *found),
                                  int (*progress)(void *context, uint64_t done_bytes,
                                                  uint64_t all_bytes),
                                  void *context, struct beck_verify_totals *ret_totals,
                                  struct beck_error *error)
{
    struct beck_verify_options options = {
        .topic = topic, .damage = damage, .progress = progress, .context = context};
    struct beck_verify *verify = NULL;
    int r = beck_verify_new(store, &options, &verify, error);
    if (r == 0)
        r = verify_run(verify, error);
    if (r == 0)
        r = verify_result(verify, ret_totals);
    verify_free(verify);
    return r;
}

BECK_PUBLIC int beck_database_walk(const char *path, const char *file, void (*tick)(void *context),
                                   void *context, struct beck_error *error)
{
    if (strcmp(file, STORE_PATH_META) != 0 && strcmp(file, STORE_PATH_INDEX) != 0)
        return report(error, -EINVAL, "a store has no database file %.100s", file);
    return verify_walk(path, file, tick, context, error);
}
