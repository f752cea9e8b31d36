/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of what was synced, and what power loss makes of the rest. */
#include "power_io.h"

#include "store_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct power_notes *power_notes_new(void)
{
    void *memory = mmap(NULL, sizeof(struct power_notes), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void power_notes_free(struct power_notes *notes)
{
    (void)munmap(notes, sizeof(*notes));
}

static void take(struct power_notes *notes)
{
    while (atomic_flag_test_and_set(&notes->busy))
        ;
}

static void give(struct power_notes *notes)
{
    atomic_flag_clear(&notes->busy);
}

/* The notes of a file, new ones where there are none. With the notes taken. */
static struct power_file *note_of(struct power_notes *notes, uint64_t inode)
{
    for (uint32_t i = 0; i < notes->count; i++)
        if (notes->files[i].inode == inode)
            return &notes->files[i];
    if (notes->count == POWER_FILES) {
        (void)fprintf(stderr, "power: there are more than %d files; raise POWER_FILES\n",
                      POWER_FILES);
        _exit(1);
    }
    notes->files[notes->count] = (struct power_file){.inode = inode};
    return &notes->files[notes->count++];
}

/* Which folder's fd is it? Names of a folder are synced with the folder. */
static uint64_t folder_of(int fd)
{
    char link[32];
    char path[PATH_MAX];
    struct stat info;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return 0;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return stat(path, &info) < 0 ? 0 : info.st_ino;
}

static int power_hook(struct fault_io *fault, const struct fault_what *what)
{
    struct power_notes *notes = fault->context;
    struct stat info;
    if (what->call == FAULT_SYNC_ALL)
        return 0; /* whoever uses it syncs what counts, too */
    if ((what->call != FAULT_SYNC_DATA && what->call != FAULT_SYNC &&
         what->call != FAULT_TRUNCATE) ||
        fstat(what->fd, &info) < 0)
        return 0;
    take(notes);
    if (what->call == FAULT_SYNC && S_ISDIR(info.st_mode)) {
        for (uint32_t i = 0; i < notes->count; i++)
            if (notes->files[i].folder == info.st_ino)
                notes->files[i].name_synced = true;
    } else if (S_ISREG(info.st_mode)) {
        struct power_file *file = note_of(notes, info.st_ino);
        if (file->folder == 0)
            file->folder = folder_of(what->fd);
        if (what->call == FAULT_SYNC_DATA)
            file->synced_bytes = (uint64_t)info.st_size;
        else if (file->synced_bytes > what->position) /* cut: what was there may be there or not */
            file->synced_bytes = what->position;
    }
    give(notes);
    return 0;
}

void power_io_init(struct fault_io *fault, struct power_notes *notes)
{
    fault_io_init(fault);
    fault->hook = power_hook;
    fault->context = notes;
}

/* Keep some of the bytes that were not synced, and make junk of some of those. */
static void tear(const char *path, uint64_t synced, uint64_t size, uint64_t *random)
{
    static const char zeros[64];
    uint32_t left = (uint32_t)(size - synced);
    uint32_t kept = random_below(random, 4) == 0 ? left : random_below(random, left + 1);
    if (truncate(path, (off_t)(synced + kept)) < 0)
        abort();
    if (kept > sizeof(zeros) && random_below(random, 3) == 0) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        off_t at = (off_t)(synced + random_below(random, kept - (uint32_t)sizeof(zeros)));
        if (fd < 0 || pwrite(fd, zeros, sizeof(zeros), at) != (ssize_t)sizeof(zeros))
            abort();
        (void)close(fd);
    }
}

static void cut_file(struct power_notes *notes, const char *path, uint64_t *random)
{
    struct stat info;
    if (stat(path, &info) < 0)
        abort();
    const struct power_file *file = NULL;
    for (uint32_t i = 0; i < notes->count; i++)
        if (notes->files[i].inode == info.st_ino)
            file = &notes->files[i];
    if (!(file && file->name_synced) && random_below(random, 2) == 0) {
        if (unlink(path) < 0)
            abort();
        return;
    }
    uint64_t synced = file ? file->synced_bytes : 0;
    if ((uint64_t)info.st_size > synced)
        tear(path, synced, (uint64_t)info.st_size, random);
}

static void note_synced(struct power_notes *notes, const char *path, uint64_t *random)
{
    struct stat info;
    (void)random;
    if (stat(path, &info) < 0)
        abort();
    struct power_file *file = note_of(notes, info.st_ino);
    file->synced_bytes = (uint64_t)info.st_size;
    file->name_synced = true;
}

/* Visit the segment files below a folder. */
static void each_segment(struct power_notes *notes, const char *path, uint64_t *random,
                         void (*visit)(struct power_notes *notes, const char *path,
                                       uint64_t *random))
{
    DIR *stream = opendir(path);
    const struct dirent *entry;
    char below[PATH_MAX];
    while (stream && (entry = readdir(stream))) {
        size_t size = strlen(entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(below, sizeof(below), "%.3000s/%s", path, entry->d_name);
        if (size > 4 && strcmp(entry->d_name + size - 4, ".log") == 0)
            visit(notes, below, random);
        else if (entry->d_type == DT_DIR)
            each_segment(notes, below, random, visit);
    }
    if (stream)
        (void)closedir(stream);
}

void power_all_synced(struct power_notes *notes, const char *store_path)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/topics", store_path);
    notes->count = 0;
    each_segment(notes, path, NULL, note_synced);
}

void power_cut(struct power_notes *notes, const char *store_path, uint64_t *random)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/topics", store_path);
    each_segment(notes, path, random, cut_file);
    /* Another boot: the slots may be there, and are not to be believed. */
    (void)snprintf(path, sizeof(path), "%s/live", store_path);
    if (random_below(random, 2) == 0)
        (void)unlink(path);
    else
        file_flip(path, 16); /* the boot's id */
}
