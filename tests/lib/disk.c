/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, the notes of what was done to them, and what power loss leaves of both. */
#include "disk.h"

#include "store_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 64
#define SECTOR     512

struct entry {
    char name[NAME_BYTES];
    uint32_t node;
};

/* A file or a folder; number 0 is the folder that everything is in. */
struct node {
    ino_t inode; /* where it was put */
    bool folder;
    char *bytes;
    size_t size;
    struct entry *entries;
    uint32_t entry_count;
};

struct note {
    enum call_op op;
    uint32_t point;
    uint32_t node;    /* the file; of a call by name: its folder */
    uint32_t subject; /* what was made or renamed */
    uint64_t position;
    size_t size;
    char *bytes;
    char name[NAME_BYTES];
    char to[NAME_BYTES];
};

struct disk {
    struct node *nodes;
    uint32_t node_count;
    struct note *notes;
    uint32_t note_count;
    uint32_t note_room;
};

#define NO_NODE UINT32_MAX

static struct disk *watched; /* NULL: none */

__attribute__((noreturn)) static void give_up(const char *what)
{
    (void)fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
    abort();
}

static void *grown(void *memory, size_t count, size_t size)
{
    void *larger = reallocarray(memory, count, size);
    if (!larger)
        give_up("no memory");
    return larger;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static uint32_t node_add(struct disk *disk, ino_t inode, bool folder)
{
    if ((disk->node_count & (disk->node_count - 1)) == 0)
        disk->nodes = grown(disk->nodes, disk->node_count ? 2 * (size_t)disk->node_count : 1,
                            sizeof(*disk->nodes));
    disk->nodes[disk->node_count] = (struct node){.inode = inode, .folder = folder};
    return disk->node_count++;
}

static void node_resize(struct node *node, size_t size)
{
    if (size > node->size) {
        node->bytes = grown(node->bytes, size, 1);
        memset(node->bytes + node->size, 0, size - node->size);
    }
    node->size = size;
}

static void entry_put(struct node *folder, const char *name, uint32_t node)
{
    for (uint32_t i = 0; i < folder->entry_count; i++) {
        if (strcmp(folder->entries[i].name, name) == 0) {
            folder->entries[i].node = node;
            return;
        }
    }
    folder->entries =
        grown(folder->entries, (size_t)folder->entry_count + 1, sizeof(folder->entries[0]));
    struct entry *entry = &folder->entries[folder->entry_count++];
    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->node = node;
}

/* Returns what was there, or NO_NODE. */
static uint32_t entry_remove(struct node *folder, const char *name)
{
    for (uint32_t i = 0; i < folder->entry_count; i++) {
        if (strcmp(folder->entries[i].name, name) == 0) {
            uint32_t node = folder->entries[i].node;
            folder->entries[i] = folder->entries[--folder->entry_count];
            return node;
        }
    }
    return NO_NODE;
}

struct disk *disk_new(void)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        give_up("no memory");
    (void)node_add(disk, 0, true);
    return disk;
}

void disk_free(struct disk *disk)
{
    if (!disk)
        return;
    for (uint32_t i = 0; i < disk->node_count; i++) {
        free(disk->nodes[i].bytes);
        free(disk->nodes[i].entries);
    }
    for (uint32_t i = 0; i < disk->note_count; i++)
        free(disk->notes[i].bytes);
    free(disk->nodes);
    free(disk->notes);
    free(disk);
}

/* ---- in a folder --------------------------------------------------------------------------- */

static void put_node(struct disk *disk, uint32_t number, int directory, const char *name)
{
    struct node *node = &disk->nodes[number];
    struct stat info;
    if (node->folder && mkdirat(directory, name, 0755) < 0)
        give_up(name);
    int fd = node->folder ? openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                          : openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || fstat(fd, &info) < 0)
        give_up(name);
    node->inode = info.st_ino;
    if (node->size > 0 && pwrite(fd, node->bytes, node->size, 0) != (ssize_t)node->size)
        give_up(name);
    for (uint32_t i = 0; i < node->entry_count; i++)
        put_node(disk, node->entries[i].node, fd, node->entries[i].name);
    (void)close(fd);
}

void disk_put(struct disk *disk, const char *path)
{
    put_node(disk, 0, AT_FDCWD, path);
}

/* ---- noting calls -------------------------------------------------------------------------- */

static uint32_t node_of(const struct disk *disk, ino_t inode)
{
    for (uint32_t i = disk->node_count; i-- > 0;)
        if (disk->nodes[i].inode == inode)
            return i;
    return NO_NODE;
}

static uint32_t node_of_fd(const struct disk *disk, int fd)
{
    struct stat info;
    return fstat(fd, &info) < 0 ? NO_NODE : node_of(disk, info.st_ino);
}

/* The folder that a name is in, and the name in it. */
static uint32_t folder_of(const struct disk *disk, int directory, const char *path,
                          char name[NAME_BYTES])
{
    char folder[PATH_MAX];
    struct stat info;
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
                   slash ? path : ".");
    (void)snprintf(name, NAME_BYTES, "%.63s", slash ? slash + 1 : path);
    return fstatat(directory, folder, &info, 0) < 0 ? NO_NODE : node_of(disk, info.st_ino);
}

/* What is there under a name: known, or new. */
static uint32_t subject_of(struct disk *disk, int directory, const char *path)
{
    struct stat info;
    if (fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) < 0)
        give_up(path);
    uint32_t node = node_of(disk, info.st_ino);
    return node == NO_NODE ? node_add(disk, info.st_ino, S_ISDIR(info.st_mode)) : node;
}

static void add_note(struct disk *disk, const struct note *note)
{
    if (disk->note_count == disk->note_room) {
        disk->note_room = disk->note_room ? 2 * disk->note_room : 256;
        disk->notes = grown(disk->notes, disk->note_room, sizeof(*disk->notes));
    }
    disk->notes[disk->note_count++] = *note;
}

/* A call by name. */
static bool note_name(struct disk *disk, const struct call *call, struct note *note)
{
    note->node = folder_of(disk, call->fd, call->name, note->name);
    if (note->node == NO_NODE)
        return false;
    if (call->to) {
        char to[NAME_BYTES];
        if (folder_of(disk, call->fd, call->to, to) != note->node)
            give_up("renames from folder to folder are not simulated");
        (void)snprintf(note->to, sizeof(note->to), "%s", to);
    }
    if (call->op == CALL_REMOVE)
        return true;
    uint32_t known = disk->node_count;
    note->subject = subject_of(disk, call->fd, call->to ? call->to : call->name);
    if (call->op == CALL_CREATE && note->subject < known) { /* it was there, and was emptied */
        note->op = CALL_TRUNCATE;
        note->node = note->subject;
    }
    return true;
}

/* A call by descriptor. */
static bool note_file(struct disk *disk, const struct call *call, ssize_t result, struct note *note)
{
    note->node = node_of_fd(disk, call->fd);
    if (note->node == NO_NODE)
        return false;
    note->position = call->position;
    if (call->op != CALL_WRITE && call->op != CALL_WRITE_THROUGH)
        return true;
    note->bytes = malloc((size_t)result + 1);
    if (!note->bytes)
        give_up("no memory");
    for (int i = 0; i < call->count && note->size < (size_t)result; i++) {
        size_t part = (size_t)result - note->size;
        if (part > call->vectors[i].iov_len)
            part = call->vectors[i].iov_len;
        memcpy(note->bytes + note->size, call->vectors[i].iov_base, part);
        note->size += part;
    }
    return true;
}

static void after_call(const struct call *call, ssize_t result)
{
    struct note note = {.op = call->op, .point = call->point, .subject = NO_NODE};
    if (result < 0 || call->file == FILE_LIVE || call->file == FILE_LOCK ||
        call->op == CALL_MAKE_FIFO)
        return;
    if (call->name ? note_name(watched, call, &note) : note_file(watched, call, result, &note))
        add_note(watched, &note);
}

void disk_watch(struct disk *disk)
{
    watched = disk;
    calls.after = after_call;
}

void disk_unwatch(void)
{
    calls.after = NULL;
    watched = NULL;
}

uint32_t disk_calls(const struct disk *disk)
{
    return disk->note_count;
}

uint32_t disk_point(const struct disk *disk, uint32_t call)
{
    return disk->notes[call].point;
}

void disk_print(const struct disk *disk, uint32_t at)
{
    for (uint32_t i = 0; i < disk->note_count; i++) {
        const struct note *note = &disk->notes[i];
        char name[64];
        (void)fprintf(stderr, "%s%4u %-28s node %u %s%s%s at %llu, %zu bytes\n",
                      i == at ? "CUT " : "    ", i, call_point_name(note->point, name), note->node,
                      note->name, note->to[0] ? " to " : "", note->to,
                      (unsigned long long)note->position, note->size);
    }
}

/* ---- the cut ------------------------------------------------------------------------------- */

/* What became of the disk so far. */
struct cut {
    struct disk *disk;
    uint64_t *random;
    uint32_t *synced;    /* by node: calls before this one are durable */
    uint64_t *size;      /* by node: the size without a cut */
    uint64_t *size_kept; /* by node: at least so long */
    uint32_t keep;       /* of KEEP_ALL calls that are not durable about so many are kept */
};

#define KEEP_ALL 5

static bool is_kept(struct cut *cut)
{
    return random_below(cut->random, KEEP_ALL) < cut->keep;
}

static void apply_write(struct cut *cut, const struct note *note, bool durable)
{
    struct node *node = &cut->disk->nodes[note->node];
    bool whole = durable || cut->keep == KEEP_ALL || (is_kept(cut) && random_below(cut->random, 2));
    if (!whole && random_below(cut->random, 2))
        return;
    for (size_t done = 0; done < note->size;) {
        uint64_t at = note->position + done;
        size_t part = SECTOR - (size_t)(at % SECTOR);
        if (part > note->size - done)
            part = note->size - done;
        if (whole || is_kept(cut)) {
            if (node->size < at + part)
                node_resize(node, at + part);
            memcpy(node->bytes + at, note->bytes + done, part);
        }
        done += part;
    }
}

static void apply_file(struct cut *cut, const struct note *note, bool durable)
{
    struct node *node = &cut->disk->nodes[note->node];
    uint64_t *size = &cut->size[note->node];
    uint64_t end = note->position + note->size;
    switch (note->op) {
    case CALL_WRITE:
    case CALL_WRITE_THROUGH:
        apply_write(cut, note, durable);
        break;
    case CALL_TRUNCATE:
        if (durable || is_kept(cut))
            node_resize(node, note->position);
        *size = note->position;
        break;
    case CALL_ALLOCATE:
    default:
        if (note->position > node->size && (durable || is_kept(cut)))
            node_resize(node, note->position);
        break;
    }
    if (end > *size)
        *size = end;
    if (*size < cut->size_kept[note->node] || (durable && note->op != CALL_WRITE_THROUGH))
        cut->size_kept[note->node] = *size;
    else if (durable && end > cut->size_kept[note->node])
        cut->size_kept[note->node] = end;
}

static void apply_folder(struct cut *cut, const struct note *note, bool durable)
{
    struct node *folder = &cut->disk->nodes[note->node];
    if (!durable && !is_kept(cut))
        return;
    if (note->op == CALL_REMOVE) {
        (void)entry_remove(folder, note->name);
    } else if (note->op == CALL_RENAME) {
        uint32_t node = entry_remove(folder, note->name);
        if (node != NO_NODE)
            entry_put(folder, note->to, node);
    } else {
        entry_put(folder, note->name, note->subject);
    }
}

static struct disk *disk_copy(const struct disk *disk)
{
    struct disk *copy = disk_new();
    copy->node_count = 0;
    free(copy->nodes);
    copy->nodes = NULL;
    for (uint32_t i = 0; i < disk->node_count; i++) {
        const struct node *from = &disk->nodes[i];
        uint32_t number = node_add(copy, 0, from->folder);
        struct node *to = &copy->nodes[number];
        node_resize(to, from->size);
        if (from->size > 0)
            memcpy(to->bytes, from->bytes, from->size);
        for (uint32_t k = 0; k < from->entry_count; k++)
            entry_put(to, from->entries[k].name, from->entries[k].node);
    }
    return copy;
}

/* Where a size was not durable: it may have come, without what was written, or not. */
static void cut_sizes(struct cut *cut)
{
    for (uint32_t i = 0; i < cut->disk->node_count; i++) {
        struct node *node = &cut->disk->nodes[i];
        if (node->folder)
            continue;
        if (node->size < cut->size_kept[i])
            node_resize(node, cut->size_kept[i]);
        if (cut->size[i] > node->size && is_kept(cut))
            node_resize(node, cut->size[i]);
        else if (node->size > cut->size_kept[i] && random_below(cut->random, 4) == 0)
            node_resize(node,
                        cut->size_kept[i] +
                            random_below(cut->random, (uint32_t)(node->size - cut->size_kept[i])));
    }
}

struct disk *disk_cut(const struct disk *disk, uint32_t at, uint64_t *random)
{
    struct cut cut = {
        .disk = disk_copy(disk), .random = random, .keep = random_below(random, KEEP_ALL + 1)};
    cut.synced = calloc(disk->node_count, sizeof(cut.synced[0]));
    cut.size = calloc(disk->node_count, sizeof(cut.size[0]));
    cut.size_kept = calloc(disk->node_count, sizeof(cut.size_kept[0]));
    if (!cut.synced || !cut.size || !cut.size_kept)
        give_up("no memory");
    for (uint32_t i = 0; i < disk->node_count; i++)
        cut.size[i] = cut.size_kept[i] = disk->nodes[i].size;
    for (uint32_t i = 0; i < at; i++) {
        if (disk->notes[i].op == CALL_SYNC)
            cut.synced[disk->notes[i].node] = i;
        for (uint32_t k = 0; disk->notes[i].op == CALL_SYNC_ALL && k < disk->node_count; k++)
            cut.synced[k] = i;
    }
    for (uint32_t i = 0; i <= at && i < disk->note_count; i++) {
        const struct note *note = &disk->notes[i];
        bool durable = i < cut.synced[note->node] || (note->op == CALL_WRITE_THROUGH && i < at);
        if (note->op == CALL_SYNC || note->op == CALL_SYNC_ALL || note->op == CALL_WRITE_BACK)
            continue;
        if (i == at && cut.keep == KEEP_ALL) /* it did not end */
            cut.keep = KEEP_ALL / 2;
        if (note->name[0] && note->op != CALL_TRUNCATE)
            apply_folder(&cut, note, durable);
        else
            apply_file(&cut, note, durable);
    }
    cut_sizes(&cut);
    free(cut.synced);
    free(cut.size);
    free(cut.size_kept);
    return cut.disk;
}
