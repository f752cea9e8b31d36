/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place with file system calls. The engine makes each of them through a table of functions
 * that the store carries, so that a test can fail any one call, or keep what was not synced from
 * ever reaching the disk. LMDB makes its own calls.
 *
 * Every function returns 0 or a count, or a negative errno. Interrupted calls are repeated. Reads
 * and writes are whole, or end at the file's end or at an error.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

enum io_lock {
    IO_LOCK_NONE,
    IO_LOCK_SHARED,
    IO_LOCK_EXCLUSIVE,
};

struct io {
    int (*open)(const struct io *io, int directory, const char *name, int flags, mode_t mode);
    int (*close)(const struct io *io, int fd);
    int (*stat)(const struct io *io, int fd, struct stat *ret_stat);

    /* Returns the bytes read: fewer than asked for only at the end of the file. */
    ssize_t (*read)(const struct io *io, int fd, void *to, size_t size, uint64_t position);
    /* Writes all of it, or fails; what a failed write left behind is undefined. `vectors` is used
     * up. */
    int (*write)(const struct io *io, int fd, struct iovec *vectors, int count, uint64_t position);
    int (*truncate)(const struct io *io, int fd, uint64_t size);
    /* Make sure that blocks exist up to `size`, growing the file to it. */
    int (*allocate)(const struct io *io, int fd, uint64_t size);

    int (*sync_data)(const struct io *io, int fd); /* fdatasync: contents, and size */
    int (*sync)(const struct io *io, int fd);      /* fsync: directories */
    /* Have what is read from the file from now on come from the disk. */
    int (*forget)(const struct io *io, int fd);
    int (*sync_all)(const struct io *io, int fd); /* syncfs: the whole file system */
    /* sync_file_range: have all pages of the file written, and tell what the disk refused of it. No
     * promise: neither the size nor what the disk keeps in its own cache is made durable. */
    int (*write_back)(const struct io *io, int fd);

    int (*make_directory)(const struct io *io, int directory, const char *name, mode_t mode);
    int (*make_fifo)(const struct io *io, int directory, const char *name, mode_t mode);
    int (*rename)(const struct io *io, int directory, const char *from, const char *to);
    int (*remove)(const struct io *io, int directory, const char *name, bool is_directory);

    /* Give the file of a descriptor one more name. */
    int (*link)(const struct io *io, int fd, int directory, const char *name);
    /* Have `to` be what `from` is, sharing its blocks until either changes, where the file system
     * can do that: else -EOPNOTSUPP, -EXDEV, -EINVAL or the like. */
    int (*clone)(const struct io *io, int from, int to);

    /* Lock one byte of a file for this open file description: gone when it is closed, by whatever
     * death. -EAGAIN: another has it, and `wait` is false. */
    int (*lock)(const struct io *io, int fd, uint64_t byte, enum io_lock lock, bool wait);
    /* Would an exclusive lock on the byte be refused? Returns 1 or 0. */
    int (*lock_is_held)(const struct io *io, int fd, uint64_t byte);

    /* Map `size` bytes of a file, shared, whether or not it is that long yet. */
    int (*map)(const struct io *io, int fd, size_t size, bool writable, void **ret_address);
};

/* The system's own calls. */
extern const struct io io_system;

/* Open what has to be a regular file. -EBADMSG: something else has its name, a folder, a FIFO or a
 * device; nobody waits for it. */
int io_open_file(const struct io *io, int directory, const char *name, int flags, mode_t mode);

/* Call `visit` with each name in a directory but . and .., in no order, until it returns non-zero;
 * returns that, or 0. */
int io_list(const struct io *io, int directory, int (*visit)(void *context, const char *name),
            void *context);

/*
 * Have an empty file's blocks, once it has them, be written where they are. Btrfs writes each
 * change elsewhere, for which a full disk has no room: writing to a page that is mapped would be
 * SIGBUS. What cannot be had is not.
 */
void io_write_in_place(int fd);

/* Is there any name in a directory? 1 or 0. */
int io_has_names(const struct io *io, int directory);

/* Make the names in a directory durable. `path` is relative to `directory`. */
int io_sync_names(const struct io *io, int directory, const char *path);

/* Is the descriptor on a file system that another machine could change behind our back? 1 or 0. */
int io_is_network(int fd);

/* Is the descriptor on a file system of which it is known that sync_all makes all of it durable,
 * and that write_back tells the errors of a file; and that takes writes still? 1 or 0. */
int io_is_synced_whole(int fd);

#endif
