/* SPDX-License-Identifier: Apache-2.0 */
/* Copying meta.mdb under another name, and renaming it when it is on disk. */
#include "meta_copy.h"

#include "cleanup.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define COPY_NEW STORE_PATH_META_COPY ".new"

static int stat_path(struct beck_store *store, const char *name, struct stat *ret_info)
{
    const struct io *io = store->io;
    int fd = io_open_file(io, store->directory, name, O_RDONLY, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, ret_info);
    if (fd >= 0)
        (void)io->close(io, fd);
    return r;
}

/* Was meta.mdb changed since the copy was made? Times of files move in steps: the same one is no
 * proof that it was not. */
static bool is_old(struct beck_store *store)
{
    struct stat meta;
    struct stat copy;
    if (stat_path(store, STORE_PATH_META, &meta) < 0 ||
        stat_path(store, STORE_PATH_META_COPY, &copy) < 0)
        return true;
    return meta.st_mtim.tv_sec > copy.st_mtim.tv_sec ||
           (meta.st_mtim.tv_sec == copy.st_mtim.tv_sec &&
            meta.st_mtim.tv_nsec >= copy.st_mtim.tv_nsec);
}

int meta_copy_make(struct beck_store *store, struct beck_error *error)
{
    const struct io *io = store->io;
    if (!is_old(store))
        return 0;
    int r = db_copy(&store->meta, store->path, COPY_NEW, error);
    if (r < 0)
        return r;
    r = io->rename(io, store->directory, COPY_NEW, STORE_PATH_META_COPY);
    if (r == 0)
        r = io->sync(io, store->directory);
    return r < 0 ? report_errno(error, r, "%s: cannot be replaced", STORE_PATH_META_COPY) : 0;
}

bool meta_copy_is_due(struct beck_store *store, bool all, uint32_t *next_ms)
{
    (void)all;
    (void)next_ms; /* others want to be asked much sooner */
    return store_monotonic_ms() >= atomic_load(&store->meta_copy_due_ms);
}

/* Other processes may have made it meanwhile. */
int meta_copy_run(struct beck_store *store, bool all, struct beck_error *error)
{
    struct stat info;
    int64_t age_ms = META_COPY_MS;
    (void)all;
    if (stat_path(store, STORE_PATH_META_COPY, &info) == 0)
        age_ms = store_now_ms() - (int64_t)info.st_mtim.tv_sec * 1000;
    bool is_fresh = age_ms >= 0 && age_ms < META_COPY_MS;
    int r = is_fresh ? 0 : meta_copy_make(store, error);
    atomic_store(&store->meta_copy_due_ms,
                 store_monotonic_ms() + (is_fresh ? META_COPY_MS - age_ms : META_COPY_MS / 24));
    return r;
}
