/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree that users see; see tree.h. The root's owner and mode are those of the store's
 * directory, and a topic's are kept with the topic, for its directory and files together: so who
 * may make topics, read and append is decided by the kernel (default_permissions) from what stands
 * in the store.
 */
#include "tree.h"
#include "file.h"
#include "view.h"

#include <errno.h>
#include <string.h>

/* Programs read and write in steps of this size; the kernel sends requests of up to 1 MiB. */
#define IO_BLOCK_BYTES (1 << 20)
#define STAT_BLOCK     512U

/* ---- attributes --------------------------------------------------------------------------- */

static struct timespec timespec_of(int64_t ms)
{
    if (ms < 0)
        ms = 0;
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

static int root_attributes(struct fs *fs, struct stat *st)
{
    struct stat store;
    if (stat(fs->store_path, &store) < 0)
        return -errno;
    st->st_mode = S_IFDIR | (store.st_mode & 01777);
    st->st_nlink = 2;
    st->st_uid = store.st_uid;
    st->st_gid = store.st_gid;
    st->st_mtim = store.st_mtim;
    st->st_ctim = store.st_ctim;
    st->st_atim = store.st_mtim;
    return 0;
}

static void topic_attributes(const struct beck_topic *topic, struct stat *st)
{
    st->st_mode = S_IFDIR | (topic->mode & 0777);
    st->st_nlink = 2;
    st->st_uid = topic->uid;
    st->st_gid = topic->gid;
    st->st_mtim = timespec_of(topic->created_ms);
    st->st_ctim = st->st_mtim;
    st->st_atim = st->st_mtim;
}

static void partition_attributes(const struct beck_topic *topic,
                                 const struct beck_partition_state *state, struct stat *st)
{
    st->st_mode = S_IFREG | view_file_mode(topic->mode);
    st->st_nlink = 1;
    st->st_uid = topic->uid;
    st->st_gid = topic->gid;
    st->st_size = (off_t)state->view_bytes;
    /* What the view would take without holes: tools look for holes where blocks are missing. */
    st->st_blocks = (blkcnt_t)((state->view_bytes + STAT_BLOCK - 1) / STAT_BLOCK);
    st->st_blksize = IO_BLOCK_BYTES;
    st->st_mtim = timespec_of(state->last_append_ms);
    st->st_ctim = st->st_mtim;
    st->st_atim = st->st_mtim;
}

int tree_attributes(struct fs *fs, struct node *node, struct stat *ret_stat, double *ret_seconds)
{
    struct stat st = {.st_ino = node->ino};
    struct beck_topic topic;
    int result;
    if (node->kind == NODE_ROOT) {
        result = root_attributes(fs, &st);
    } else {
        result = inode_topic(fs->store, node, &topic);
        if (result == 0 && node->kind == NODE_TOPIC)
            topic_attributes(&topic, &st);
    }
    if (result == 0 && node->kind == NODE_PARTITION) {
        struct beck_partition_state state;
        result = file_state(fs, node, &state);
        if (result == 0)
            partition_attributes(&topic, &state, &st);
    }
    if (result < 0)
        return result;
    *ret_stat = st;
    *ret_seconds = node->kind == NODE_PARTITION ? TREE_FILE_SECONDS : TREE_DIRECTORY_SECONDS;
    return 0;
}

/* chattr +a allows to set the times to now, which appending does anyway, and to nothing else. */
static int times_allowed(int what)
{
    bool explicit_mtime =
        (what & FUSE_SET_ATTR_MTIME) != 0 && (what & FUSE_SET_ATTR_MTIME_NOW) == 0;
    bool explicit_atime =
        (what & FUSE_SET_ATTR_ATIME) != 0 && (what & FUSE_SET_ATTR_ATIME_NOW) == 0;
    return explicit_mtime || explicit_atime ? -EPERM : 0;
}

static int size_allowed(struct fs *fs, struct node *node, off_t size)
{
    if (node->kind != NODE_PARTITION)
        return -EISDIR;
    struct beck_partition_state state;
    int result = file_state(fs, node, &state);
    if (result < 0)
        return result;
    return size == 0 && state.next_offset == state.log_start_offset ? 0 : -EPERM;
}

static int change_access(struct fs *fs, struct node *node, const struct stat *wanted, int what)
{
    if (node->kind == NODE_ROOT)
        return -EPERM; /* that is the store's directory's business */
    struct beck_topic topic;
    int result = inode_topic(fs->store, node, &topic);
    if (result < 0)
        return result;
    mode_t mode = (mode_t)-1;
    if ((what & FUSE_SET_ATTR_MODE) != 0)
        mode = node->kind == NODE_TOPIC ? wanted->st_mode & 0777 : view_topic_mode(wanted->st_mode);
    uid_t uid = (what & FUSE_SET_ATTR_UID) != 0 ? wanted->st_uid : (uid_t)-1;
    gid_t gid = (what & FUSE_SET_ATTR_GID) != 0 ? wanted->st_gid : (gid_t)-1;
    return beck_topic_set_access(fs->store, topic.name, uid, gid, mode, NULL);
}

int tree_change(struct fs *fs, struct node *node, const struct stat *wanted, int what)
{
    if (fs->read_only)
        return -EROFS;
    int result = times_allowed(what);
    if (result == 0 && (what & FUSE_SET_ATTR_SIZE) != 0)
        result = size_allowed(fs, node, wanted->st_size);
    if (result == 0 && (what & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0)
        result = change_access(fs, node, wanted, what);
    return result;
}

/* ---- names -------------------------------------------------------------------------------- */

/* Fill the entry of a node that was just looked up, or take the lookup back. */
static int entry_fill(struct fs *fs, struct node *node, struct fuse_entry_param *ret_entry)
{
    struct fuse_entry_param entry = {.ino = node->id, .entry_timeout = TREE_NAME_SECONDS};
    int result = tree_attributes(fs, node, &entry.attr, &entry.attr_timeout);
    if (result < 0) {
        inode_forget(&fs->inodes, node->id, 1);
        return result == -ESTALE ? -ENOENT : result;
    }
    *ret_entry = entry;
    return 0;
}

static int look_up_topic(struct fs *fs, const char *name, struct fuse_entry_param *ret_entry)
{
    if (!beck_topic_name_valid(name))
        return -ENOENT;
    uint64_t generation = beck_store_generation(fs->store);
    struct beck_topic topic;
    int result = beck_topic_find(fs->store, name, &topic, NULL);
    if (result < 0)
        return result;
    struct node *node;
    result = inode_look_up_topic(&fs->inodes, &topic, generation, &node);
    return result < 0 ? result : entry_fill(fs, node, ret_entry);
}

int tree_look_up(struct fs *fs, struct node *directory, const char *name,
                 struct fuse_entry_param *ret_entry)
{
    if (directory->kind == NODE_ROOT)
        return look_up_topic(fs, name, ret_entry);
    if (directory->kind != NODE_TOPIC)
        return -ENOTDIR;
    struct beck_topic topic;
    int result = inode_topic(fs->store, directory, &topic);
    if (result < 0)
        return result;
    int32_t partition = view_partition_number(name, topic.partition_count);
    if (partition < 0)
        return -ENOENT;
    struct node *node;
    result = inode_look_up_partition(&fs->inodes, directory, partition, &node);
    return result < 0 ? result : entry_fill(fs, node, ret_entry);
}

int tree_make_topic(struct fs *fs, struct node *directory, const char *name, mode_t mode,
                    const struct fuse_ctx *caller, struct fuse_entry_param *ret_entry)
{
    if (directory->kind != NODE_ROOT)
        return -EPERM;
    if (fs->read_only)
        return -EROFS;
    struct beck_topic_options options = {
        .uid = caller->uid,
        .gid = caller->gid,
        .mode = mode & 0777,
    };
    struct beck_topic topic;
    int result = beck_topic_create(fs->store, name, &options, &topic, NULL);
    if (result == 0 && options.mode == 0) /* which meant the default */
        result = beck_topic_set_access(fs->store, name, (uid_t)-1, (gid_t)-1, 0, NULL);
    return result < 0 ? result : look_up_topic(fs, name, ret_entry);
}

int tree_remove_topic(struct fs *fs, struct node *directory, const char *name)
{
    if (directory->kind != NODE_ROOT)
        return -ENOTDIR;
    if (fs->read_only)
        return -EROFS;
    struct beck_topic topic;
    int result = beck_topic_find(fs->store, name, &topic, NULL);
    if (result < 0)
        return result;
    return fs->rmdir_nonempty ? beck_topic_delete(fs->store, name, NULL)
                              : beck_topic_delete_empty(fs->store, topic.id, NULL);
}

int tree_statvfs(struct fs *fs, struct statvfs *ret_statvfs)
{
    struct statvfs st;
    if (statvfs(fs->store_path, &st) < 0)
        return -errno;
    st.f_namemax = BECK_TOPIC_NAME_BYTES;
    *ret_statvfs = st;
    return 0;
}
