/* SPDX-License-Identifier: Apache-2.0 */
/* The table of calls, each of which asks first. */
#include "fault_io.h"

#include <errno.h>
#include <string.h>

static int ask(const struct io *io, struct fault_what what)
{
    struct fault_io *fault = (struct fault_io *)(uintptr_t)io;
    unsigned call = atomic_fetch_add(&fault->calls, 1) + 1;
    if (fault->hook) {
        int r = fault->hook(fault, &what);
        if (r < 0)
            return r;
    }
    if (call != atomic_load(&fault->fail_at))
        return 0;
    atomic_store(&fault->failed, true);
    return fault->fail_code;
}

/* Make the call unless it is to fail. */
#define ASK_AND(io, call, ...)                                                                     \
    __extension__({                                                                                \
        int _asked = ask(io, (struct fault_what){__VA_ARGS__});                                    \
        _asked < 0 ? (__typeof__(call))_asked : (call);                                            \
    })

static int fault_open(const struct io *io, int directory, const char *name, int flags, mode_t mode)
{
    return ASK_AND(io, io_system.open(&io_system, directory, name, flags, mode), .call = FAULT_OPEN,
                   .fd = -1, .name = name, .flags = flags);
}

static int fault_close(const struct io *io, int fd)
{
    struct fault_io *fault = (struct fault_io *)(uintptr_t)io;
    struct fault_what what = {.call = FAULT_CLOSE, .fd = fd};
    if (fault->hook)
        (void)fault->hook(fault, &what);
    return io_system.close(&io_system, fd);
}

static int fault_stat(const struct io *io, int fd, struct stat *ret_stat)
{
    return ASK_AND(io, io_system.stat(&io_system, fd, ret_stat), .call = FAULT_STAT, .fd = fd);
}

static ssize_t fault_read(const struct io *io, int fd, void *to, size_t size, uint64_t position)
{
    return ASK_AND(io, io_system.read(&io_system, fd, to, size, position), .call = FAULT_READ,
                   .fd = fd, .position = position);
}

static int fault_write(const struct io *io, int fd, struct iovec *vectors, int count,
                       uint64_t position)
{
    return ASK_AND(io, io_system.write(&io_system, fd, vectors, count, position),
                   .call = FAULT_WRITE, .fd = fd, .position = position);
}

static int fault_truncate(const struct io *io, int fd, uint64_t size)
{
    return ASK_AND(io, io_system.truncate(&io_system, fd, size), .call = FAULT_TRUNCATE, .fd = fd,
                   .position = size);
}

static int fault_allocate(const struct io *io, int fd, uint64_t size)
{
    return ASK_AND(io, io_system.allocate(&io_system, fd, size), .call = FAULT_ALLOCATE, .fd = fd,
                   .position = size);
}

static int fault_sync_data(const struct io *io, int fd)
{
    return ASK_AND(io, io_system.sync_data(&io_system, fd), .call = FAULT_SYNC_DATA, .fd = fd);
}

static int fault_sync(const struct io *io, int fd)
{
    return ASK_AND(io, io_system.sync(&io_system, fd), .call = FAULT_SYNC, .fd = fd);
}

static int fault_sync_all(const struct io *io, int fd)
{
    return ASK_AND(io, io_system.sync_all(&io_system, fd), .call = FAULT_SYNC_ALL, .fd = fd);
}

static int fault_write_back(const struct io *io, int fd)
{
    return ASK_AND(io, io_system.write_back(&io_system, fd), .call = FAULT_WRITE_BACK, .fd = fd);
}

static int fault_forget(const struct io *io, int fd)
{
    return ASK_AND(io, io_system.forget(&io_system, fd), .call = FAULT_FORGET, .fd = fd);
}

static int fault_make_directory(const struct io *io, int directory, const char *name, mode_t mode)
{
    return ASK_AND(io, io_system.make_directory(&io_system, directory, name, mode),
                   .call = FAULT_MAKE_DIRECTORY, .fd = -1, .name = name);
}

static int fault_make_fifo(const struct io *io, int directory, const char *name, mode_t mode)
{
    return ASK_AND(io, io_system.make_fifo(&io_system, directory, name, mode),
                   .call = FAULT_MAKE_FIFO, .fd = -1, .name = name);
}

static int fault_rename(const struct io *io, int directory, const char *from, const char *to)
{
    return ASK_AND(io, io_system.rename(&io_system, directory, from, to), .call = FAULT_RENAME,
                   .fd = -1, .name = from);
}

static int fault_remove(const struct io *io, int directory, const char *name, bool is_directory)
{
    return ASK_AND(io, io_system.remove(&io_system, directory, name, is_directory),
                   .call = FAULT_REMOVE, .fd = -1, .name = name);
}

static int fault_link(const struct io *io, int fd, int directory, const char *name)
{
    return ASK_AND(io, io_system.link(&io_system, fd, directory, name), .call = FAULT_LINK,
                   .fd = fd, .name = name);
}

static int fault_clone(const struct io *io, int from, int to)
{
    return ASK_AND(io, io_system.clone(&io_system, from, to), .call = FAULT_CLONE, .fd = to);
}

static int fault_lock(const struct io *io, int fd, uint64_t byte, enum io_lock lock, bool wait)
{
    if (lock == IO_LOCK_NONE) /* unlocking does not fail */
        return io_system.lock(&io_system, fd, byte, lock, wait);
    return ASK_AND(io, io_system.lock(&io_system, fd, byte, lock, wait), .call = FAULT_LOCK,
                   .fd = fd, .position = byte);
}

static int fault_lock_is_held(const struct io *io, int fd, uint64_t byte)
{
    return ASK_AND(io, io_system.lock_is_held(&io_system, fd, byte), .call = FAULT_LOCK_IS_HELD,
                   .fd = fd, .position = byte);
}

static int fault_map(const struct io *io, int fd, size_t size, bool writable, void **ret_address)
{
    return ASK_AND(io, io_system.map(&io_system, fd, size, writable, ret_address),
                   .call = FAULT_MAP, .fd = fd);
}

void fault_io_init(struct fault_io *fault)
{
    *fault = (struct fault_io){.io = io_system};
    fault->io.open = fault_open;
    fault->io.close = fault_close;
    fault->io.stat = fault_stat;
    fault->io.read = fault_read;
    fault->io.write = fault_write;
    fault->io.truncate = fault_truncate;
    fault->io.allocate = fault_allocate;
    fault->io.sync_data = fault_sync_data;
    fault->io.sync = fault_sync;
    fault->io.sync_all = fault_sync_all;
    fault->io.write_back = fault_write_back;
    fault->io.forget = fault_forget;
    fault->io.make_directory = fault_make_directory;
    fault->io.make_fifo = fault_make_fifo;
    fault->io.rename = fault_rename;
    fault->io.remove = fault_remove;
    fault->io.link = fault_link;
    fault->io.clone = fault_clone;
    fault->io.lock = fault_lock;
    fault->io.lock_is_held = fault_lock_is_held;
    fault->io.map = fault_map;
}

void fault_io_arm(struct fault_io *fault, unsigned at, int code)
{
    atomic_store(&fault->calls, 0);
    atomic_store(&fault->failed, false);
    fault->fail_code = code;
    atomic_store(&fault->fail_at, at);
}

bool fault_is(const struct fault_what *what, enum fault_call call, const char *ending)
{
    size_t size = strlen(ending);
    return what->call == call && what->name && strlen(what->name) >= size &&
           strcmp(what->name + strlen(what->name) - size, ending) == 0;
}
