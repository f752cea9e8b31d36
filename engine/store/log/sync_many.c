/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: syncfs(2), fdatasync(2) of the first file, and sync_file_range(2) of all others.
 *
 * What that rests on: syncfs writes back and waits for the pages of all files, and has the file
 * system's log written, which has their sizes, their blocks and the names in folders. Before Linux
 * 5.8 it says nothing of errors, and until 5.18 not all that it knows; of a file system that gave
 * up, or became read-only, it may say nothing to this day. So it is not asked alone:
 *
 *   - An error in writing back a page is kept with its file, until each descriptor was told;
 *     sync_file_range tells it as fdatasync does. It writes no metadata, which syncfs did, and
 *     does not empty the disk's cache.
 *   - fdatasync of one file after syncfs does empty it, and fails where the file system gave up.
 *
 * This is known of ext4, XFS and Btrfs (and of tmpfs, which keeps nothing anyway). On any other
 * file system (an overlay keeps errors elsewhere), and for a file that is not on the store's own,
 * each file is synced by itself.
 */
#include "sync_many.h"

#include <errno.h>

void sync_many_begin(struct sync_many *many, const struct io *io, int directory)
{
    struct stat info;
    *many = (struct sync_many){.io = io};
    int r = io->sync_all(io, directory);
    if (r < 0 || io_is_synced_whole(directory) <= 0 || io->stat(io, directory, &info) < 0)
        return;
    many->device = info.st_dev;
    many->is_written = true;
}

static bool is_covered(const struct sync_many *many, int fd)
{
    struct stat info;
    return many && many->is_written && many->io->stat(many->io, fd, &info) == 0 &&
           info.st_dev == many->device;
}

int sync_many_file(struct sync_many *many, const struct io *io, int fd)
{
    if (!is_covered(many, fd)) {
        if (many)
            many->has_others = true;
        return io->sync_data(io, fd);
    }
    if (many->is_flushed) {
        int r = io->write_back(io, fd);
        if (r != -ENOSYS && r != -EPERM) /* a sandbox may not know the call */
            return r;
    }
    int r = io->sync_data(io, fd);
    many->is_flushed = many->is_flushed || r == 0;
    return r;
}

bool sync_many_has_names(const struct sync_many *many)
{
    return many && many->is_written && many->is_flushed && !many->has_others;
}
