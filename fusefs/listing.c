/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing directories; see listing.h. An entry's position is its index + 1: `.`, `..`, then topics
 * by name or partitions by number.
 */
#include "listing.h"
#include "tree.h"
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOTS 2U

struct listed_topic {
    uint64_t ino;
    char *name;
};

struct listing {
    struct fs *fs;
    struct node *directory; /* the kernel keeps it while the directory is open */
    pthread_mutex_t lock;
    struct listed_topic *topics; /* of the root; under lock */
    size_t count;                /* topics or partitions; under lock */
    size_t capacity;
};

static void topics_clear(struct listing *listing)
{
    for (size_t i = 0; listing->topics != NULL && i < listing->count; i++)
        free(listing->topics[i].name);
    listing->count = 0;
}

static int topic_add(struct listing *listing, const struct beck_topic *topic)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity > 0 ? listing->capacity * 2 : 16;
        struct listed_topic *grown =
            reallocarray(listing->topics, capacity, sizeof(struct listed_topic));
        if (grown == NULL)
            return -ENOMEM;
        listing->topics = grown;
        listing->capacity = capacity;
    }
    char *name = strdup(topic->name);
    if (name == NULL)
        return -ENOMEM;
    listing->topics[listing->count++] =
        (struct listed_topic){.ino = view_topic_ino(topic->number), .name = name};
    return 0;
}

/* Look at the directory anew. With the lock. */
static int listing_fill(struct listing *listing)
{
    struct beck_topic topic;
    int result;
    if (listing->directory->kind == NODE_TOPIC) {
        result = inode_topic(listing->fs->store, listing->directory, &topic);
        if (result == 0)
            listing->count = topic.partition_count;
        return result;
    }
    topics_clear(listing);
    topic.name[0] = '\0';
    while ((result = beck_topic_next(listing->fs->store, topic.name, &topic, NULL)) > 0) {
        result = topic_add(listing, &topic);
        if (result < 0)
            break;
    }
    return result;
}

int listing_open(struct fs *fs, struct node *directory, struct listing **ret_listing)
{
    if (directory->kind == NODE_PARTITION)
        return -ENOTDIR;
    struct listing *listing = calloc(1, sizeof(*listing));
    if (listing == NULL)
        return -ENOMEM;
    listing->fs = fs;
    listing->directory = directory;
    pthread_mutex_init(&listing->lock, NULL);
    int result = listing_fill(listing);
    if (result < 0) {
        (void)listing_close(listing);
        return result;
    }
    *ret_listing = listing;
    return 0;
}

struct listing *listing_close(struct listing *listing)
{
    if (listing == NULL)
        return NULL;
    topics_clear(listing);
    free(listing->topics);
    pthread_mutex_destroy(&listing->lock);
    free(listing);
    return NULL;
}

/* Name and inode of the entry of an index; false behind the last. `scratch` has room for a number.
 */
static bool entry_at(const struct listing *listing, size_t index, char *scratch,
                     size_t scratch_size, const char **ret_name, struct stat *ret_stat)
{
    *ret_stat = (struct stat){.st_mode = S_IFDIR, .st_ino = listing->directory->ino};
    if (index < DOTS) {
        *ret_name = index == 0 ? "." : "..";
        if (index == 1)
            ret_stat->st_ino = VIEW_ROOT_INO;
        return true;
    }
    index -= DOTS;
    if (index >= listing->count)
        return false;
    if (listing->directory->kind == NODE_ROOT) {
        *ret_name = listing->topics[index].name;
        ret_stat->st_ino = listing->topics[index].ino;
        return true;
    }
    (void)snprintf(scratch, scratch_size, "%zu", index);
    *ret_name = scratch;
    *ret_stat = (struct stat){
        .st_mode = S_IFREG,
        .st_ino = view_partition_ino(listing->directory->topic->topic.number, (int32_t)index),
    };
    return true;
}

/*
 * Add one entry. Returns the bytes it takes, which are more than `room` where it did not fit and
 * nothing was done; 0 for a topic that is gone.
 */
static size_t entry_add(struct listing *listing, fuse_req_t request, char *buffer, size_t room,
                        size_t index, const char *name, const struct stat *st, bool plus)
{
    off_t next = (off_t)index + 1;
    if (!plus)
        return fuse_add_direntry(request, buffer, room, name, st, next);
    struct fuse_entry_param entry = {.attr = *st};
    size_t needed = fuse_add_direntry_plus(request, NULL, 0, name, &entry, next);
    if (needed > room)
        return needed;
    if (index >= DOTS && tree_look_up(listing->fs, listing->directory, name, &entry) < 0)
        return 0;
    return fuse_add_direntry_plus(request, buffer, room, name, &entry, next);
}

ssize_t listing_read(struct listing *listing, fuse_req_t request, off_t position, bool plus,
                     char *buffer, size_t bytes)
{
    size_t used = 0;
    char scratch[24];
    const char *name;
    struct stat st;
    int result = 0;
    pthread_mutex_lock(&listing->lock);
    if (position == 0)
        result = listing_fill(listing);
    for (size_t i = (size_t)position;
         result == 0 && entry_at(listing, i, scratch, sizeof(scratch), &name, &st); i++) {
        size_t size = entry_add(listing, request, buffer + used, bytes - used, i, name, &st, plus);
        if (size > bytes - used)
            break;
        used += size;
    }
    pthread_mutex_unlock(&listing->lock);
    return result < 0 ? result : (ssize_t)used;
}
