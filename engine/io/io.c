/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's calls behind struct io: errno made negative, interrupted calls repeated, short reads
 * and writes completed. No policy.
 */
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Repeat a call while signals interrupt it; its result, or the negative errno. */
#define RETRY(call)                                                                                \
    __extension__({                                                                                \
        __typeof__(call) _result;                                                                  \
        do                                                                                         \
            _result = (call);                                                                      \
        while (_result < 0 && errno == EINTR);                                                     \
        _result < 0 ? (__typeof__(call))-errno : _result;                                          \
    })

static int system_open(const struct io *io, int directory, const char *name, int flags, mode_t mode)
{
    (void)io;
    return RETRY(openat(directory, name, flags | O_CLOEXEC, mode));
}

static int system_close(const struct io *io, int fd)
{
    (void)io;
    return close(fd) < 0 ? -errno : 0;
}

static int system_stat(const struct io *io, int fd, struct stat *ret_stat)
{
    (void)io;
    return fstat(fd, ret_stat) < 0 ? -errno : 0;
}

static ssize_t system_read(const struct io *io, int fd, void *to, size_t size, uint64_t position)
{
    size_t done = 0;
    (void)io;
    while (done < size) {
        ssize_t r = RETRY(pread(fd, (char *)to + done, size - done, (off_t)(position + done)));
        if (r < 0)
            return r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

static int system_write(const struct io *io, int fd, struct iovec *vectors, int count,
                        uint64_t position)
{
    (void)io;
    while (count > 0) {
        ssize_t r = count == 1
                        ? RETRY(pwrite(fd, vectors->iov_base, vectors->iov_len, (off_t)position))
                        : RETRY(pwritev(fd, vectors, count, (off_t)position));
        if (r < 0)
            return (int)r;
        if (r == 0)
            return -EIO;
        position += (uint64_t)r;
        while (count > 0 && (size_t)r >= vectors->iov_len) {
            r -= (ssize_t)vectors->iov_len;
            vectors++;
            count--;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + r;
            vectors->iov_len -= (size_t)r;
        }
    }
    return 0;
}

static int system_truncate(const struct io *io, int fd, uint64_t size)
{
    (void)io;
    return RETRY(ftruncate(fd, (off_t)size));
}

static int system_allocate(const struct io *io, int fd, uint64_t size)
{
    (void)io;
    return RETRY(fallocate(fd, 0, 0, (off_t)size));
}

static int system_sync_data(const struct io *io, int fd)
{
    (void)io;
    return RETRY(fdatasync(fd));
}

static int system_sync(const struct io *io, int fd)
{
    (void)io;
    return RETRY(fsync(fd));
}

static int system_forget(const struct io *io, int fd)
{
    (void)io;
    (void)fdatasync(fd); /* pages that are dirty would stay */
    return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int system_sync_all(const struct io *io, int fd)
{
    (void)io;
    return RETRY(syncfs(fd));
}

static int system_write_back(const struct io *io, int fd)
{
    const unsigned all =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    (void)io;
    return RETRY(sync_file_range(fd, 0, 0, all));
}

static int system_make_directory(const struct io *io, int directory, const char *name, mode_t mode)
{
    (void)io;
    return mkdirat(directory, name, mode) < 0 ? -errno : 0;
}

static int system_make_fifo(const struct io *io, int directory, const char *name, mode_t mode)
{
    (void)io;
    return mkfifoat(directory, name, mode) < 0 ? -errno : 0;
}

static int system_rename(const struct io *io, int directory, const char *from, const char *to)
{
    (void)io;
    return renameat(directory, from, directory, to) < 0 ? -errno : 0;
}

static int system_remove(const struct io *io, int directory, const char *name, bool is_directory)
{
    (void)io;
    return unlinkat(directory, name, is_directory ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

static int system_link(const struct io *io, int fd, int directory, const char *name)
{
    char path[32];
    (void)io;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int system_clone(const struct io *io, int from, int to)
{
    (void)io;
    return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

static struct flock lock_range(uint64_t byte, enum io_lock lock)
{
    return (struct flock){
        .l_type = lock == IO_LOCK_NONE     ? F_UNLCK
                  : lock == IO_LOCK_SHARED ? F_RDLCK
                                           : F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)byte,
        .l_len = 1,
    };
}

static int system_lock(const struct io *io, int fd, uint64_t byte, enum io_lock lock, bool wait)
{
    struct flock range = lock_range(byte, lock);
    int r = RETRY(fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range));
    (void)io;
    return r == -EACCES ? -EAGAIN : r;
}

static int system_lock_is_held(const struct io *io, int fd, uint64_t byte)
{
    struct flock range = lock_range(byte, IO_LOCK_EXCLUSIVE);
    int r = RETRY(fcntl(fd, F_OFD_GETLK, &range));
    (void)io;
    return r < 0 ? r : range.l_type != F_UNLCK;
}

static int system_map(const struct io *io, int fd, size_t size, bool writable, void **ret_address)
{
    void *address =
        mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    (void)io;
    if (address == MAP_FAILED)
        return -errno;
    *ret_address = address;
    return 0;
}

const struct io io_system = {
    .open = system_open,
    .close = system_close,
    .stat = system_stat,
    .read = system_read,
    .write = system_write,
    .truncate = system_truncate,
    .allocate = system_allocate,
    .sync_data = system_sync_data,
    .sync = system_sync,
    .forget = system_forget,
    .sync_all = system_sync_all,
    .write_back = system_write_back,
    .make_directory = system_make_directory,
    .make_fifo = system_make_fifo,
    .rename = system_rename,
    .remove = system_remove,
    .link = system_link,
    .clone = system_clone,
    .lock = system_lock,
    .lock_is_held = system_lock_is_held,
    .map = system_map,
};

int io_open_file(const struct io *io, int directory, const char *name, int flags, mode_t mode)
{
    struct stat info;
    int fd = io->open(io, directory, name, flags | O_NONBLOCK | O_NOCTTY, mode);
    /* A folder that was to be written to; a socket, or a device that is not there; links in a
     * circle.
     */
    if (fd < 0)
        return fd == -EISDIR || fd == -ENXIO || fd == -ELOOP ? -EBADMSG : fd;
    int r = io->stat(io, fd, &info);
    if (r == 0 && !S_ISREG(info.st_mode))
        r = -EBADMSG;
    if (r < 0)
        (void)io->close(io, fd);
    return r < 0 ? r : fd;
}

int io_list(const struct io *io, int directory, int (*visit)(void *context, const char *name),
            void *context)
{
    int r = 0;
    int fd = io->open(io, directory, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        r = -errno;
        (void)io->close(io, fd);
        return r;
    }
    while (r == 0) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) {
            r = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = visit(context, entry->d_name);
    }
    (void)closedir(stream);
    return r;
}

void io_write_in_place(int fd)
{
    struct statfs info;
    struct stat file;
    int flags;
    if (RETRY(fstatfs(fd, &info)) < 0 || (uint32_t)info.f_type != BTRFS_SUPER_MAGIC ||
        fstat(fd, &file) < 0 || file.st_size > 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return;
    flags |= FS_NOCOW_FL;
    (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int any_name(void *context, const char *name)
{
    (void)context;
    (void)name;
    return 1;
}

int io_has_names(const struct io *io, int directory)
{
    return io_list(io, directory, any_name, NULL);
}

int io_sync_names(const struct io *io, int directory, const char *path)
{
    int fd = io->open(io, directory, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int r = io->sync(io, fd);
    (void)io->close(io, fd);
    return r;
}

int io_is_network(int fd)
{
    /* Magic numbers that linux/magic.h does not have, from the file systems' own sources. */
    enum { CIFS = 0xff534d42, SMB2 = 0xfe534d42, CEPH = 0x00c36400, LUSTRE = 0x0bd00bd0 };
    struct statfs info;
    if (RETRY(fstatfs(fd, &info)) < 0)
        return -errno;
    switch ((uint32_t)info.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS:
    case SMB2:
    case CEPH:
    case LUSTRE:
    case AFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
    case V9FS_MAGIC:
    case FUSE_SUPER_MAGIC:
        return 1;
    default:
        return 0;
    }
}

int io_is_synced_whole(int fd)
{
    struct statfs info;
    if (RETRY(fstatfs(fd, &info)) < 0)
        return -errno;
    if (info.f_flags & ST_RDONLY) /* it may have become so by an error */
        return 0;
    switch ((uint32_t)info.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return 1;
    default:
        return 0;
    }
}
