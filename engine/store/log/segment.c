/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins are a counter. Who pins adds one first and looks then: a count that was not negative and a
 * descriptor that is there make a pin. Who closes swaps a zero for a number far below it, which
 * makes all pinning fall back to the mutex that the closer holds.
 */
#include "segment.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

#define SEGMENT_CLOSING   (INT32_MIN / 2)
#define SEGMENT_OPEN_MOST 4096

static _Atomic uint64_t serials;

void segment_files_init(struct segment_files *files, const struct io *io, int directory,
                        bool read_only)
{
    struct rlimit limit;
    *files = (struct segment_files){
        .io = io, .directory = directory, .read_only = read_only, .open_max = 256};
    CHECK(pthread_mutex_init(&files->mutex, NULL) == 0);
    /* Half of what the process may have open, so that its sockets find room. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t half = limit.rlim_cur / 2;
        files->open_max = half > SEGMENT_OPEN_MOST ? SEGMENT_OPEN_MOST : (uint32_t)half;
    }
    if (files->open_max < 8)
        files->open_max = 8;
}

void segment_files_done(struct segment_files *files)
{
    (void)pthread_mutex_destroy(&files->mutex);
}

void segment_name(char to[SEGMENT_NAME_BYTES], int64_t base_offset)
{
    CHECK(base_offset >= 0);
    (void)snprintf(to, SEGMENT_NAME_BYTES, "%020" PRId64 ".log", base_offset);
}

int segment_name_parse(const char *name, int64_t *ret_base_offset)
{
    int64_t base_offset = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' ||
            __builtin_mul_overflow(base_offset, 10, &base_offset) ||
            __builtin_add_overflow(base_offset, name[i] - '0', &base_offset))
            return -EINVAL;
    }
    if (strcmp(name + 20, ".log") != 0)
        return -EINVAL;
    *ret_base_offset = base_offset;
    return 0;
}

int segment_new(struct segment_files *files, const char *directory, int64_t base_offset,
                struct segment **ret_segment)
{
    char name[SEGMENT_NAME_BYTES];
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return -ENOMEM;
    segment_name(name, base_offset);
    int n = snprintf(segment->path, sizeof(segment->path), "%s/%s", directory, name);
    CHECK(n > 0 && (size_t)n < sizeof(segment->path));
    segment->files = files;
    segment->base_offset = base_offset;
    segment->serial = atomic_fetch_add(&serials, 1) + 1;
    atomic_init(&segment->next_offset, INT64_MAX);
    atomic_init(&segment->bytes, UINT64_MAX);
    atomic_init(&segment->view_bytes, UINT64_MAX);
    atomic_init(&segment->max_timestamp_ms, INT64_MAX);
    atomic_init(&segment->references, 1);
    atomic_init(&segment->fd, -1);
    *ret_segment = segment;
    return 0;
}

struct segment *segment_ref(struct segment *segment)
{
    atomic_fetch_add(&segment->references, 1);
    return segment;
}

/* Take a segment out of the circle and close it. Under the mutex; nobody has it pinned. */
static void segment_close(struct segment_files *files, struct segment *segment)
{
    if (segment->next == segment) {
        files->hand = NULL;
    } else {
        segment->next->previous = segment->previous;
        segment->previous->next = segment->next;
        if (files->hand == segment)
            files->hand = segment->next;
    }
    segment->next = NULL;
    segment->previous = NULL;
    (void)files->io->close(files->io, atomic_exchange(&segment->fd, -1));
    files->open--;
}

struct segment *segment_unref(struct segment *segment)
{
    struct segment_files *files = segment ? segment->files : NULL;
    if (segment && atomic_fetch_sub(&segment->references, 1) == 1) {
        CHECK(pthread_mutex_lock(&files->mutex) == 0);
        if (atomic_load(&segment->fd) >= 0)
            segment_close(files, segment);
        CHECK(pthread_mutex_unlock(&files->mutex) == 0);
        free(segment);
    }
    return NULL;
}

/* Close one that is not in use, if there is one. Under the mutex. */
static void segment_make_room(struct segment_files *files)
{
    uint32_t steps = 2 * files->open;
    while (files->hand && files->open >= files->open_max && steps-- > 0) {
        struct segment *segment = files->hand;
        int idle = 0;
        files->hand = segment->next;
        if (atomic_exchange(&segment->used, false))
            continue;
        if (!atomic_compare_exchange_strong(&segment->pins, &idle, SEGMENT_CLOSING))
            continue;
        segment_close(files, segment);
        atomic_fetch_sub(&segment->pins, SEGMENT_CLOSING);
    }
}

/* 0, or -ESTALE where the segment is complete and the file is another one. */
static int segment_check_size(struct segment_files *files, const struct segment *segment, int fd)
{
    struct stat info;
    uint64_t bytes = atomic_load(&segment->bytes);
    if (bytes == UINT64_MAX || atomic_load(&segment->any_size))
        return 0;
    int r = files->io->stat(files->io, fd, &info);
    return r == 0 && (uint64_t)info.st_size != bytes ? -ESTALE : r;
}

static int segment_open_file(struct segment_files *files, const struct segment *segment,
                             const char *path, bool create)
{
    int flags = (files->read_only ? O_RDONLY : O_RDWR) | (create ? O_CREAT : 0);
    int fd = io_open_file(files->io, files->directory, path, flags, 0644);
    int r = fd < 0 || create ? 0 : segment_check_size(files, segment, fd);
    if (r < 0)
        (void)files->io->close(files->io, fd);
    return r < 0 ? r : fd;
}

static int segment_open(struct segment_files *files, struct segment *segment, bool create)
{
    char path[SEGMENT_PATH_BYTES + sizeof(SEGMENT_NEW_SUFFIX)];
    segment_make_room(files);
    int fd = segment_open_file(files, segment, segment->path, create);
    if ((fd == -ESTALE || fd == -ENOENT) && atomic_load(&segment->is_new)) {
        (void)snprintf(path, sizeof(path), "%s" SEGMENT_NEW_SUFFIX, segment->path);
        int new_fd = segment_open_file(files, segment, path, false);
        fd = new_fd >= 0 ? new_fd : fd;
    }
    if (fd < 0)
        return fd;
    if (files->hand) {
        segment->next = files->hand;
        segment->previous = files->hand->previous;
        segment->previous->next = segment;
        segment->next->previous = segment;
    } else {
        segment->next = segment;
        segment->previous = segment;
        files->hand = segment;
    }
    files->open++;
    atomic_store(&segment->fd, fd);
    return fd;
}

int segment_open_pinned(struct segment *segment, bool create)
{
    struct segment_files *files = segment->files;
    CHECK(pthread_mutex_lock(&files->mutex) == 0);
    int fd = atomic_load(&segment->fd);
    if (fd < 0)
        fd = segment_open(files, segment, create);
    if (fd >= 0)
        atomic_fetch_add(&segment->pins, 1);
    CHECK(pthread_mutex_unlock(&files->mutex) == 0);
    return fd;
}

uint64_t segment_stamp(const struct segment *segment, int fd)
{
    const struct io *io = segment->files->io;
    struct stat info;
    if (io->stat(io, fd, &info) < 0)
        return 0;
    uint64_t words[4] = {(uint64_t)info.st_size, (uint64_t)info.st_ino,
                         (uint64_t)info.st_ctim.tv_sec, (uint64_t)info.st_ctim.tv_nsec};
    uint64_t stamp = XXH3_64bits(words, sizeof(words));
    return stamp ? stamp : 1;
}

bool segment_is_open_with(struct segment *segment, uint64_t bytes)
{
    struct segment_files *files = segment->files;
    struct stat info;
    CHECK(pthread_mutex_lock(&files->mutex) == 0);
    int fd = atomic_load(&segment->fd);
    bool same =
        fd >= 0 && files->io->stat(files->io, fd, &info) == 0 && (uint64_t)info.st_size == bytes;
    CHECK(pthread_mutex_unlock(&files->mutex) == 0);
    return same;
}

/* Are the descriptor and the name of one file? */
static bool is_named(const struct io *io, int directory, int fd, const char *path)
{
    struct stat info;
    struct stat named;
    int other = io_open_file(io, directory, path, O_RDONLY, 0);
    if (other < 0)
        return false;
    bool same = io->stat(io, fd, &info) == 0 && io->stat(io, other, &named) == 0 &&
                info.st_dev == named.st_dev && info.st_ino == named.st_ino;
    (void)io->close(io, other);
    return same;
}

bool segment_is_open_with_name(struct segment *segment)
{
    struct segment_files *files = segment->files;
    CHECK(pthread_mutex_lock(&files->mutex) == 0);
    int fd = atomic_load(&segment->fd);
    bool same = fd >= 0 && is_named(files->io, files->directory, fd, segment->path);
    CHECK(pthread_mutex_unlock(&files->mutex) == 0);
    return same;
}
