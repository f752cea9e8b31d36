/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations; see ops.h. Above the line "the table" stand functions that do the work of a
 * request and return an int; below it, what libfuse calls, each of which is one such function and
 * answer_send().
 *
 * What changes names or contents in other ways than appending is refused with EPERM here, as on a
 * file with chattr +a. Operations that are missing are ENOSYS by libfuse, which the kernel turns
 * into what POSIX says of a file system that does not have them (EOPNOTSUPP for extended
 * attributes, say).
 */
#include "ops.h"
#include "file.h"
#include "listing.h"
#include "logger.h"
#include "mount.h"
#include "tree.h"
#include "view.h"

#include <errno.h>
#include <stdlib.h>

struct answer {
    enum {
        ANSWER_RESULT, /* just the result */
        ANSWER_ENTRY,
        ANSWER_ATTRIBUTES,
        ANSWER_OPENED,
        ANSWER_WRITTEN,
        ANSWER_DATA,
        ANSWER_POSITION,
        ANSWER_STATVFS,
    } kind;
    union {
        struct fuse_entry_param entry;
        struct {
            struct stat stat;
            double seconds;
        } attributes;
        struct fuse_file_info *opened;
        size_t written;
        struct {
            const void *bytes;
            size_t size;
            void *owned; /* to be freed after the reply; NULL: nothing */
        } data;
        off_t position;
        struct statvfs statvfs;
    };
};

static struct fs *fs_of(fuse_req_t request)
{
    return fuse_req_userdata(request);
}

static struct node *node_of(fuse_req_t request, fuse_ino_t id)
{
    return inode_get(&fs_of(request)->inodes, id);
}

/* Handles travel through the kernel as numbers. */
static struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh;
}

static struct listing *listing_of(const struct fuse_file_info *info)
{
    return (struct listing *)(uintptr_t)info->fh;
}

/* ---- the one reply ------------------------------------------------------------------------ */

static int answer_success(fuse_req_t request, const struct answer *answer)
{
    switch (answer->kind) {
    case ANSWER_RESULT:
        break;
    case ANSWER_ENTRY:
        return fuse_reply_entry(request, &answer->entry);
    case ANSWER_ATTRIBUTES:
        return fuse_reply_attr(request, &answer->attributes.stat, answer->attributes.seconds);
    case ANSWER_OPENED:
        return fuse_reply_open(request, answer->opened);
    case ANSWER_WRITTEN:
        return fuse_reply_write(request, answer->written);
    case ANSWER_DATA:
        return fuse_reply_buf(request, answer->data.bytes, answer->data.size);
    case ANSWER_POSITION:
        return fuse_reply_lseek(request, answer->position);
    case ANSWER_STATVFS:
        return fuse_reply_statfs(request, &answer->statvfs);
    }
    return fuse_reply_err(request, 0);
}

/*
 * Reply. Returns what the kernel said: -ENOENT means that who asked is gone (interrupted while
 * opening, say), so that nothing will be released or forgotten for this answer.
 */
static int answer_send(fuse_req_t request, int result, struct answer *answer)
{
    if (result < 0)
        return fuse_reply_err(request, -result);
    int sent = answer_success(request, answer);
    if (answer->kind == ANSWER_DATA)
        free(answer->data.owned);
    return sent;
}

/* ---- names and attributes ----------------------------------------------------------------- */

static int do_look_up(fuse_req_t request, fuse_ino_t parent, const char *name,
                      struct answer *answer)
{
    answer->kind = ANSWER_ENTRY;
    return tree_look_up(fs_of(request), node_of(request, parent), name, &answer->entry);
}

static int do_make_directory(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                             struct answer *answer)
{
    answer->kind = ANSWER_ENTRY;
    return tree_make_topic(fs_of(request), node_of(request, parent), name, mode,
                           fuse_req_ctx(request), &answer->entry);
}

static int do_attributes(fuse_req_t request, fuse_ino_t id, struct answer *answer)
{
    answer->kind = ANSWER_ATTRIBUTES;
    return tree_attributes(fs_of(request), node_of(request, id), &answer->attributes.stat,
                           &answer->attributes.seconds);
}

static int do_change(fuse_req_t request, fuse_ino_t id, const struct stat *wanted, int what,
                     struct answer *answer)
{
    int result = tree_change(fs_of(request), node_of(request, id), wanted, what);
    return result < 0 ? result : do_attributes(request, id, answer);
}

static int do_statvfs(fuse_req_t request, struct answer *answer)
{
    answer->kind = ANSWER_STATVFS;
    return tree_statvfs(fs_of(request), &answer->statvfs);
}

/* ---- directories -------------------------------------------------------------------------- */

static int do_open_directory(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info,
                             struct answer *answer)
{
    struct listing *listing;
    int result = listing_open(fs_of(request), node_of(request, id), &listing);
    if (result < 0)
        return result;
    info->fh = (uintptr_t)listing;
    answer->kind = ANSWER_OPENED;
    answer->opened = info;
    return 0;
}

static int do_read_directory(fuse_req_t request, size_t bytes, off_t position, bool plus,
                             const struct fuse_file_info *info, struct answer *answer)
{
    char *buffer = malloc(bytes);
    if (buffer == NULL)
        return -ENOMEM;
    ssize_t filled = listing_read(listing_of(info), request, position, plus, buffer, bytes);
    if (filled < 0) {
        free(buffer);
        return (int)filled;
    }
    answer->kind = ANSWER_DATA;
    answer->data.bytes = buffer;
    answer->data.owned = buffer;
    answer->data.size = (size_t)filled;
    return 0;
}

/* ---- files -------------------------------------------------------------------------------- */

static int do_open(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info,
                   struct answer *answer)
{
    struct node *node = node_of(request, id);
    if (node->kind != NODE_PARTITION)
        return -EISDIR;
    struct handle *handle;
    int result = file_open(fs_of(request), node, info->flags, &handle);
    if (result < 0)
        return result;
    info->fh = (uintptr_t)handle;
    info->direct_io = 1;
    info->noflush = (info->flags & O_ACCMODE) == O_RDONLY; /* nothing to complete */
    answer->kind = ANSWER_OPENED;
    answer->opened = info;
    return 0;
}

static int do_read(size_t bytes, off_t position, const struct fuse_file_info *info,
                   struct answer *answer)
{
    ssize_t result = file_read(handle_of(info), (uint64_t)position, bytes, &answer->data.bytes);
    if (result < 0)
        return (int)result;
    answer->kind = ANSWER_DATA;
    answer->data.size = (size_t)result;
    return 0;
}

static int do_write(const char *data, size_t bytes, const struct fuse_file_info *info,
                    struct answer *answer)
{
    ssize_t result = file_write(handle_of(info), info->lock_owner, data, bytes);
    if (result < 0)
        return (int)result;
    answer->kind = ANSWER_WRITTEN;
    answer->written = (size_t)result;
    return 0;
}

static int do_seek(fuse_req_t request, fuse_ino_t id, off_t offset, int whence,
                   struct answer *answer)
{
    struct beck_partition_state state;
    int result = file_state(fs_of(request), node_of(request, id), &state);
    if (result < 0)
        return result;
    int64_t position = view_seek(offset, whence, state.view_bytes);
    if (position < 0)
        return (int)position;
    answer->kind = ANSWER_POSITION;
    answer->position = position;
    return 0;
}

/* ---- the table ---------------------------------------------------------------------------- */

static void op_init(void *user_data, struct fuse_conn_info *connection)
{
    /* Measured: splicing is slower than copying here, and the writeback cache makes sizes stale. */
    connection->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                    FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE);
    connection->want |=
        connection->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
                               FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS);
    mount_is_up(user_data);
}

static void op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct answer answer = {0};
    int result = do_look_up(request, parent, name, &answer);
    struct fs *fs = fs_of(request);
    if (answer_send(request, result, &answer) == -ENOENT && result == 0)
        inode_forget(&fs->inodes, answer.entry.ino, 1);
}

static void op_forget(fuse_req_t request, fuse_ino_t id, uint64_t lookups)
{
    inode_forget(&fs_of(request)->inodes, id, lookups);
    fuse_reply_none(request);
}

static void op_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        inode_forget(&fs_of(request)->inodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(request);
}

static void op_getattr(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
    (void)info;
    struct answer answer = {0};
    (void)answer_send(request, do_attributes(request, id, &answer), &answer);
}

static void op_setattr(fuse_req_t request, fuse_ino_t id, struct stat *wanted, int what,
                       struct fuse_file_info *info)
{
    (void)info;
    struct answer answer = {0};
    (void)answer_send(request, do_change(request, id, wanted, what, &answer), &answer);
}

static void op_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct answer answer = {0};
    int result = do_make_directory(request, parent, name, mode, &answer);
    struct fs *fs = fs_of(request);
    if (answer_send(request, result, &answer) == -ENOENT && result == 0)
        inode_forget(&fs->inodes, answer.entry.ino, 1);
}

static void op_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct answer answer = {0};
    int result = tree_remove_topic(fs_of(request), node_of(request, parent), name);
    (void)answer_send(request, result, &answer);
}

static void refuse(fuse_req_t request)
{
    struct answer answer = {0};
    (void)answer_send(request, fs_of(request)->read_only ? -EROFS : -EPERM, &answer);
}

static void op_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                     dev_t device)
{
    (void)parent, (void)name, (void)mode, (void)device;
    refuse(request);
}

static void op_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *info)
{
    (void)parent, (void)name, (void)mode, (void)info;
    refuse(request);
}

static void op_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    refuse(request);
}

static void op_link(fuse_req_t request, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
    (void)id, (void)parent, (void)name;
    refuse(request);
}

static void op_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    refuse(request);
}

static void op_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
                      fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
    (void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
    refuse(request);
}

/* Also keeps the C library from emulating posix_fallocate(3) by writing NUL bytes. */
static void op_fallocate(fuse_req_t request, fuse_ino_t id, int mode, off_t offset, off_t length,
                         struct fuse_file_info *info)
{
    (void)id, (void)mode, (void)offset, (void)length, (void)info;
    refuse(request);
}

static void op_opendir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
    struct answer answer = {0};
    int result = do_open_directory(request, id, info, &answer);
    if (answer_send(request, result, &answer) == -ENOENT && result == 0)
        (void)listing_close(listing_of(info));
}

static void op_readdir(fuse_req_t request, fuse_ino_t id, size_t bytes, off_t position,
                       struct fuse_file_info *info)
{
    (void)id;
    struct answer answer = {0};
    int result = do_read_directory(request, bytes, position, false, info, &answer);
    (void)answer_send(request, result, &answer);
}

static void op_readdirplus(fuse_req_t request, fuse_ino_t id, size_t bytes, off_t position,
                           struct fuse_file_info *info)
{
    (void)id;
    struct answer answer = {0};
    int result = do_read_directory(request, bytes, position, true, info, &answer);
    (void)answer_send(request, result, &answer);
}

static void op_releasedir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
    (void)id;
    struct answer answer = {0};
    (void)listing_close(listing_of(info));
    (void)answer_send(request, 0, &answer);
}

/* A topic is durable once mkdir(2) returned. */
static void op_fsyncdir(fuse_req_t request, fuse_ino_t id, int data_only,
                        struct fuse_file_info *info)
{
    (void)id, (void)data_only, (void)info;
    struct answer answer = {0};
    (void)answer_send(request, 0, &answer);
}

static void op_open(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
    struct answer answer = {0};
    struct fs *fs = fs_of(request);
    int result = do_open(request, id, info, &answer);
    if (answer_send(request, result, &answer) == -ENOENT && result == 0)
        file_release(fs, handle_of(info));
}

static void op_read(fuse_req_t request, fuse_ino_t id, size_t bytes, off_t position,
                    struct fuse_file_info *info)
{
    (void)id;
    struct answer answer = {0};
    (void)answer_send(request, do_read(bytes, position, info, &answer), &answer);
}

static void op_write(fuse_req_t request, fuse_ino_t id, const char *data, size_t bytes,
                     off_t position, struct fuse_file_info *info)
{
    (void)id, (void)position; /* what is written goes to the end */
    struct answer answer = {0};
    (void)answer_send(request, do_write(data, bytes, info, &answer), &answer);
}

static void op_flush(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
    (void)id;
    struct answer answer = {0};
    (void)answer_send(request, file_flush(handle_of(info), info->lock_owner), &answer);
}

static void op_release(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
    (void)id;
    struct answer answer = {0};
    file_release(fs_of(request), handle_of(info));
    (void)answer_send(request, 0, &answer);
}

static void op_fsync(fuse_req_t request, fuse_ino_t id, int data_only, struct fuse_file_info *info)
{
    (void)id, (void)data_only;
    struct answer answer = {0};
    (void)answer_send(request, file_sync(handle_of(info)), &answer);
}

static void op_lseek(fuse_req_t request, fuse_ino_t id, off_t offset, int whence,
                     struct fuse_file_info *info)
{
    (void)info;
    struct answer answer = {0};
    (void)answer_send(request, do_seek(request, id, offset, whence, &answer), &answer);
}

static void op_statfs(fuse_req_t request, fuse_ino_t id)
{
    (void)id;
    struct answer answer = {0};
    (void)answer_send(request, do_statvfs(request, &answer), &answer);
}

const struct fuse_lowlevel_ops ops_table = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .mknod = op_mknod,
    .create = op_create,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .flush = op_flush,
    .release = op_release,
    .fsync = op_fsync,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .statfs = op_statfs,
};
