/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder `repair-<time>` in the store: a file that goes has its own path in there, bytes that
 * are cut out of one are a file `<path>@<position>`. Made when the first thing goes.
 */
#include "repair.h"

#include "check.h"
#include "cleanup.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COPY_BYTES (256 * 1024)
#define SIDE_TRIES 100

static int make_side(struct repair *repair)
{
    const struct io *io = repair->store.io;
    char stamp[24];
    char name[REPAIR_SIDE_BYTES];
    struct tm fields;
    time_t now = (time_t)(store_now_ms() / 1000);
    int r = -EEXIST;
    if (!gmtime_r(&now, &fields) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &fields) == 0)
        return -EINVAL;
    for (int i = 0; r == -EEXIST && i < SIDE_TRIES; i++) {
        (void)snprintf(name, sizeof(name), i == 0 ? "repair-%s" : "repair-%s-%d", stamp, i);
        r = io->make_directory(io, repair->store.directory, name, 0755);
    }
    if (r == 0)
        r = io->sync(io, repair->store.directory);
    if (r == 0)
        memcpy(repair->side, name, sizeof(name));
    return r;
}

/* The directory that a path is in. */
static void parent_of(const char *path, char to[REPAIR_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(to, REPAIR_PATH_BYTES, "%.*s", slash ? (int)(slash - path) : 1,
                   slash ? path : ".");
}

/* Where a path is kept, with the folders above it made and synced. */
static int side_path(struct repair *repair, const char *path, char to[REPAIR_PATH_BYTES])
{
    const struct io *io = repair->store.io;
    char above[REPAIR_PATH_BYTES];
    int r = repair->side[0] == '\0' ? make_side(repair) : 0;
    int n = snprintf(to, REPAIR_PATH_BYTES, "%s/%s", repair->side, path);
    if (r == 0 && (n < 0 || n >= REPAIR_PATH_BYTES))
        r = -ENAMETOOLONG;
    for (char *slash = to + strlen(repair->side) + 1; r == 0 && (slash = strchr(slash, '/'));
         slash++) {
        *slash = '\0';
        r = io->make_directory(io, repair->store.directory, to, 0755);
        parent_of(to, above);
        if (r == 0)
            r = io_sync_names(repair->store.io, repair->store.directory, above);
        else if (r == -EEXIST)
            r = 0;
        *slash = '/';
    }
    return r;
}

static int copy_bytes(struct repair *repair, int from, uint64_t position, uint64_t size, int to)
{
    const struct io *io = repair->store.io;
    _cleanup_free_ char *buffer = malloc(COPY_BYTES);
    uint64_t done = 0;
    int r = buffer ? 0 : -ENOMEM;
    while (r == 0 && done < size) {
        size_t wanted = size - done < COPY_BYTES ? (size_t)(size - done) : COPY_BYTES;
        ssize_t n = io->read(io, from, buffer, wanted, position + done);
        if (n < 0)
            return (int)n;
        if (n == 0 && size != UINT64_MAX)
            return -EIO;
        if (n == 0)
            break;
        struct iovec vector = {.iov_base = buffer, .iov_len = (size_t)n};
        r = io->write(io, to, &vector, 1, done);
        done += (uint64_t)n;
    }
    return r == 0 ? io->sync_data(io, to) : r;
}

int repair_keep(struct repair *repair, const char *path, uint64_t position, uint64_t size,
                struct beck_error *error)
{
    const struct io *io = repair->store.io;
    char name[REPAIR_PATH_BYTES];
    char kept[REPAIR_PATH_BYTES];
    char above[REPAIR_PATH_BYTES];
    if (position == 0 && size == UINT64_MAX)
        (void)snprintf(name, sizeof(name), "%s", path);
    else
        (void)snprintf(name, sizeof(name), "%s@%" PRIu64, path, position);
    int r = side_path(repair, name, kept);
    _cleanup_close_ int from = -1;
    _cleanup_close_ int to = -1;
    if (r == 0)
        r = from = io->open(io, repair->store.directory, path, O_RDONLY, 0);
    size_t length = strlen(kept);
    for (int i = 2; r >= 0 && to < 0 && i < SIDE_TRIES; i++) {
        to = io->open(io, repair->store.directory, kept, O_RDWR | O_CREAT | O_EXCL, 0644);
        r = to == -EEXIST ? 0 : to;
        (void)snprintf(kept + length, sizeof(kept) - length, ".%d", i);
    }
    if (r >= 0)
        r = copy_bytes(repair, from, position, size, to);
    parent_of(kept, above);
    if (r == 0)
        r = io_sync_names(repair->store.io, repair->store.directory, above);
    return r < 0 ? report_errno(error, r, "cannot keep what is cut out of %s", path) : 0;
}

int repair_move(struct repair *repair, const char *path, struct beck_error *error)
{
    const struct io *io = repair->store.io;
    char kept[REPAIR_PATH_BYTES];
    char above[REPAIR_PATH_BYTES];
    int r = side_path(repair, path, kept);
    if (r == 0)
        r = io->rename(io, repair->store.directory, path, kept);
    parent_of(kept, above);
    if (r == 0)
        r = io_sync_names(repair->store.io, repair->store.directory, above);
    parent_of(path, above);
    if (r == 0)
        r = io_sync_names(repair->store.io, repair->store.directory, above);
    return r < 0 ? report_errno(error, r, "cannot move %s to the side", path) : 0;
}
