/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on files, with the few that are in memory. */
#include "memory_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_FD (1 << 24)

#define WRAPPED(result, name, ...)                                                                 \
    result __real_##name(__VA_ARGS__);                                                             \
    result __wrap_##name(__VA_ARGS__);                                                             \
    result __wrap_##name(__VA_ARGS__)

static struct memory_file *files;
static size_t file_count;

/* The one listing at a time. */
static struct {
    const char *folder;
    size_t length;
    size_t at;
    struct dirent entry;
} listing;

void memory_files(struct memory_file *new_files, size_t count)
{
    files = new_files;
    file_count = count;
}

static bool is_ours(const char *path)
{
    return strncmp(path, MEMORY_FOLDER, sizeof(MEMORY_FOLDER) - 1) == 0;
}

static struct memory_file *find(const char *path)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].path && strcmp(files[i].path, path) == 0)
            return &files[i];
    errno = ENOENT;
    return NULL;
}

static struct memory_file *of_fd(int fd)
{
    return fd >= FIRST_FD ? &files[fd - FIRST_FD] : NULL;
}

static int status_of(const struct memory_file *file, struct stat *ret_status)
{
    if (!file)
        return -1;
    *ret_status = (struct stat){.st_mode = S_IFREG | 0600, .st_size = (off_t)file->size};
    return 0;
}

static ssize_t copy(const struct memory_file *file, void *to, size_t size, size_t from)
{
    if (from >= file->size || size == 0)
        return 0;
    if (size > file->size - from)
        size = file->size - from;
    memcpy(to, (const char *)file->bytes + from, size);
    return (ssize_t)size;
}

/* ---- files --------------------------------------------------------------------------------- */

WRAPPED(int, open64, const char *path, int flags, ...)
{
    if (!is_ours(path)) {
        va_list arguments;
        va_start(arguments, flags);
        mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
        va_end(arguments);
        return __real_open64(path, flags, mode);
    }
    struct memory_file *file = find(path);
    if (!file)
        return -1;
    file->position = 0;
    return FIRST_FD + (int)(file - files);
}

WRAPPED(int, close, int fd)
{
    return of_fd(fd) ? 0 : __real_close(fd);
}

WRAPPED(int, fstat64, int fd, struct stat *ret_status)
{
    return of_fd(fd) ? status_of(of_fd(fd), ret_status) : __real_fstat64(fd, ret_status);
}

WRAPPED(int, stat64, const char *path, struct stat *ret_status)
{
    return is_ours(path) ? status_of(find(path), ret_status) : __real_stat64(path, ret_status);
}

WRAPPED(ssize_t, pread64, int fd, void *to, size_t size, off_t from)
{
    const struct memory_file *file = of_fd(fd);
    return file ? copy(file, to, size, (size_t)from) : __real_pread64(fd, to, size, from);
}

WRAPPED(ssize_t, read, int fd, void *to, size_t size)
{
    struct memory_file *file = of_fd(fd);
    if (!file)
        return __real_read(fd, to, size);
    ssize_t n = copy(file, to, size, file->position);
    file->position += (size_t)n;
    return n;
}

/* ---- folders ------------------------------------------------------------------------------- */

WRAPPED(DIR *, opendir, const char *path)
{
    if (!is_ours(path))
        return __real_opendir(path);
    listing.folder = path;
    listing.length = strlen(path);
    listing.at = 0;
    return (DIR *)&listing;
}

/* The name in the folder of what this file is, or is in; it comes once for each such file. */
static const char *name_in_folder(const struct memory_file *file, size_t *ret_size)
{
    if (!file->path || strncmp(file->path, listing.folder, listing.length) != 0 ||
        file->path[listing.length] != '/')
        return NULL;
    const char *name = file->path + listing.length + 1;
    *ret_size = strcspn(name, "/");
    return name;
}

WRAPPED(struct dirent *, readdir64, DIR *dir)
{
    if (dir != (DIR *)&listing)
        return __real_readdir64(dir);
    while (listing.at < file_count) {
        size_t size;
        const char *name = name_in_folder(&files[listing.at++], &size);
        if (!name || size >= sizeof(listing.entry.d_name))
            continue;
        memcpy(listing.entry.d_name, name, size);
        listing.entry.d_name[size] = '\0';
        return &listing.entry;
    }
    return NULL;
}

WRAPPED(int, closedir, DIR *dir)
{
    return dir == (DIR *)&listing ? 0 : __real_closedir(dir);
}
