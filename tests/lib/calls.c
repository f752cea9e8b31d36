/* SPDX-License-Identifier: Apache-2.0 */
/* The C library's functions, each made of the system call and of who watches. */
#undef _FILE_OFFSET_BITS /* the functions have two names: both are defined */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define OURS __attribute__((visibility("default")))

struct calls calls;

/* ---- what it is about ---------------------------------------------------------------------- */

static bool ends(const char *text, const char *end)
{
    size_t size = strlen(text);
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

/* Of a folder, or a file that has no name of its own. */
static enum call_file folder_of(const char *name)
{
    size_t size = strlen(name);
    if (size == 32 && strspn(name, "0123456789abcdef") == size)
        return FOLDER_TOPIC;
    if (size > 0 && size < 10 && strspn(name, "0123456789") == size)
        return FOLDER_PARTITION;
    return strcmp(name, "topics") == 0 ? FOLDER_TOPICS : FOLDER_STORE;
}

enum call_file call_file_of(const char *path)
{
    static const struct {
        const char *end;
        enum call_file file;
    } endings[] = {
        {"-lock", FILE_LOCK},           {".mdb.copy", FILE_COPY}, {"meta.mdb", FILE_META},
        {"index.mdb", FILE_INDEX},      {"live", FILE_LIVE},      {".log", FILE_SEGMENT},
        {".log.cleaned", FILE_CLEANED},
    };
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strstr(path, "wake/") || strcmp(name, "wake") == 0)
        return FILE_WAKE;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (ends(name, endings[i].end))
            return endings[i].file;
    if (strcmp(name, "meta.mdb.new") == 0)
        return FILE_META;
    if (strncmp(name, "meta.mdb.", 9) == 0)
        return FILE_COPY;
    if (strcmp(name, "topic") == 0 || strncmp(name, "topic.", 6) == 0)
        return FILE_TOPIC;
    return folder_of(name);
}

static enum call_file file_of_fd(int fd)
{
    char link[32];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return FILE_OTHER;
    path[n] = '\0';
    if (ends(path, " (deleted)"))
        path[n - 10] = '\0';
    return path[0] == '/' ? call_file_of(path) : FILE_OTHER;
}

const char *call_point_name(uint32_t point, char to[64])
{
    static const char *const ops[CALL_OPS] = {
        [CALL_CREATE] = "create",           [CALL_WRITE] = "write",
        [CALL_WRITE_THROUGH] = "commit to", [CALL_TRUNCATE] = "truncate",
        [CALL_ALLOCATE] = "allocate",       [CALL_SYNC] = "sync",
        [CALL_SYNC_ALL] = "sync all of",    [CALL_WRITE_BACK] = "write back",
        [CALL_MAKE_FOLDER] = "make",        [CALL_MAKE_FIFO] = "make",
        [CALL_RENAME] = "rename",           [CALL_REMOVE] = "remove",
    };
    static const char *const files[CALL_FILES] = {
        [FILE_META] = "meta.mdb",
        [FILE_INDEX] = "index.mdb",
        [FILE_COPY] = "copy of meta.mdb",
        [FILE_LOCK] = "LMDB's lock file",
        [FILE_LIVE] = "live",
        [FILE_SEGMENT] = "segment",
        [FILE_CLEANED] = "cleaned segment",
        [FILE_TOPIC] = "topic's file",
        [FOLDER_PARTITION] = "partition's folder",
        [FOLDER_TOPIC] = "topic's folder",
        [FOLDER_TOPICS] = "folder of topics",
        [FOLDER_STORE] = "store's folder",
        [FILE_WAKE] = "doorbell",
        [FILE_OTHER] = "another file",
    };
    (void)snprintf(to, 64, "%s %s", ops[point / CALL_FILES], files[point % CALL_FILES]);
    return to;
}

/* ---- asking -------------------------------------------------------------------------------- */

static bool watched(void)
{
    return calls.before || calls.after;
}

/* Fill in what the file is, and ask. */
static int ask(struct call *call)
{
    if (!watched())
        return 0;
    call->file = call->name ? call_file_of(call->name) : file_of_fd(call->fd);
    call->point = (uint32_t)call->op * CALL_FILES + (uint32_t)call->file;
    int r = calls.before ? calls.before(call) : 0;
    if (r < 0)
        errno = -r;
    return r;
}

static ssize_t tell(const struct call *call, ssize_t result)
{
    int code = errno;
    if (calls.after)
        calls.after(call, result);
    errno = code;
    return result;
}

#define CALL(made, ...)                                                                            \
    __extension__({                                                                                \
        struct call call_ = {__VA_ARGS__};                                                         \
        ask(&call_) < 0 ? (ssize_t)-1 : tell(&call_, (ssize_t)(made));                             \
    })

/* ---- the functions ------------------------------------------------------------------------- */

/* A file that says what the boot's id is. */
static int open_boot(void)
{
    char text[40];
    int fd = (int)syscall(SYS_memfd_create, "boot_id", MFD_CLOEXEC);
    int n = snprintf(text, sizeof(text), "00000000-0000-4000-8000-%012u\n", calls.boot);
    if (fd >= 0 && (syscall(SYS_write, fd, text, n) != n || lseek(fd, 0, SEEK_SET) != 0))
        return -1;
    return fd;
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    struct stat info;
    if (calls.boot > 0 && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        return open_boot();
    bool changes = (flags & O_TRUNC) ||
                   ((flags & O_CREAT) && watched() && fstatat(directory, path, &info, 0) < 0);
    if (!changes || !watched())
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    return (int)CALL(syscall(SYS_openat, directory, path, flags, mode), .op = CALL_CREATE,
                     .fd = directory, .name = path, .flags = flags);
}

OURS int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

OURS int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_at(directory, path, flags, mode);
}

static enum call_op write_op(int fd)
{
    return watched() && (fcntl(fd, F_GETFL) & O_DSYNC) ? CALL_WRITE_THROUGH : CALL_WRITE;
}

static uint64_t place_of(int fd)
{
    off_t at = watched() ? lseek(fd, 0, SEEK_CUR) : 0;
    return at < 0 ? 0 : (uint64_t)at;
}

OURS ssize_t pwrite(int fd, const void *from, size_t size, off_t position)
{
    struct iovec vector = {(void *)(uintptr_t)from, size};
    return CALL(syscall(SYS_pwrite64, fd, from, size, position), .op = write_op(fd), .fd = fd,
                .vectors = &vector, .count = 1, .position = (uint64_t)position);
}

OURS ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t position)
{
    return CALL(syscall(SYS_pwritev, fd, vectors, count, position, 0), .op = write_op(fd), .fd = fd,
                .vectors = vectors, .count = count, .position = (uint64_t)position);
}

OURS ssize_t write(int fd, const void *from, size_t size)
{
    struct iovec vector = {(void *)(uintptr_t)from, size};
    return CALL(syscall(SYS_write, fd, from, size), .op = write_op(fd), .fd = fd,
                .vectors = &vector, .count = 1, .position = place_of(fd));
}

OURS ssize_t writev(int fd, const struct iovec *vectors, int count)
{
    return CALL(syscall(SYS_writev, fd, vectors, count), .op = write_op(fd), .fd = fd,
                .vectors = vectors, .count = count, .position = place_of(fd));
}

OURS int ftruncate(int fd, off_t size)
{
    return (int)CALL(syscall(SYS_ftruncate, fd, size), .op = CALL_TRUNCATE, .fd = fd,
                     .position = (uint64_t)size);
}

OURS int fallocate(int fd, int mode, off_t from, off_t size)
{
    if (mode != 0) /* room beyond the end, which nobody sees */
        return calls.skip_syncs ? 0 : (int)syscall(SYS_fallocate, fd, mode, from, size);
    return (int)CALL(syscall(SYS_fallocate, fd, mode, from, size), .op = CALL_ALLOCATE, .fd = fd,
                     .position = (uint64_t)(from + size));
}

OURS int fdatasync(int fd)
{
    return (int)CALL(calls.skip_syncs ? 0 : syscall(SYS_fdatasync, fd), .op = CALL_SYNC, .fd = fd);
}

OURS int fsync(int fd)
{
    return (int)CALL(calls.skip_syncs ? 0 : syscall(SYS_fsync, fd), .op = CALL_SYNC, .fd = fd);
}

OURS int syncfs(int fd)
{
    return (int)CALL(calls.skip_syncs ? 0 : syscall(SYS_syncfs, fd), .op = CALL_SYNC_ALL, .fd = fd);
}

OURS int sync_file_range(int fd, off64_t from, off64_t size, unsigned flags)
{
    return (int)CALL(calls.skip_syncs ? 0 : syscall(SYS_sync_file_range, fd, from, size, flags),
                     .op = CALL_WRITE_BACK, .fd = fd);
}

OURS int mkdirat(int directory, const char *path, mode_t mode)
{
    return (int)CALL(syscall(SYS_mkdirat, directory, path, mode), .op = CALL_MAKE_FOLDER,
                     .fd = directory, .name = path);
}

OURS int mkfifoat(int directory, const char *path, mode_t mode)
{
    return (int)CALL(syscall(SYS_mknodat, directory, path, mode | S_IFIFO, 0), .op = CALL_MAKE_FIFO,
                     .fd = directory, .name = path);
}

OURS int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    return (int)CALL(syscall(SYS_renameat2, from_directory, from, to_directory, to, 0),
                     .op = CALL_RENAME, .fd = from_directory, .name = from, .to = to);
}

OURS int unlinkat(int directory, const char *path, int flags)
{
    return (int)CALL(syscall(SYS_unlinkat, directory, path, flags), .op = CALL_REMOVE,
                     .fd = directory, .name = path, .flags = flags);
}

OURS int clock_gettime(clockid_t clock, struct timespec *to)
{
    int r = (int)syscall(SYS_clock_gettime, clock, to);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = (int64_t)to->tv_sec * 1000 + to->tv_nsec / 1000000 + calls.clock_add_ms;
        to->tv_sec = ms / 1000;
        to->tv_nsec = ms % 1000 * 1000000 + to->tv_nsec % 1000000;
    }
    return r;
}

#define ALSO_NAMED(name) __attribute__((visibility("default"), alias(name)))

ALSO_NAMED("open") int open64(const char *path, int flags, ...);
ALSO_NAMED("openat") int openat64(int directory, const char *path, int flags, ...);
ALSO_NAMED("pwrite") ssize_t pwrite64(int fd, const void *from, size_t size, off64_t position);
ALSO_NAMED("pwritev")
ssize_t pwritev64(int fd, const struct iovec *vectors, int count, off64_t position);
ALSO_NAMED("ftruncate") int ftruncate64(int fd, off64_t size);
ALSO_NAMED("fallocate") int fallocate64(int fd, int mode, off64_t from, off64_t size);
