/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open partition files; see file.h. All go past the page cache (direct_io): with it, a reader that
 * races the growth of a file is handed NUL bytes by the kernel.
 *
 * Readers: several reads of one handle may run at once, and a beck_reader belongs to one thread at
 * a time. So a handle keeps a few that are free, and a read takes the one that stopped where it
 * begins, for which reading on needs no search.
 *
 * Errors: damage is EIO to who reads it, and one line in the log that says where, not one for each
 * retry.
 */
#include "file.h"
#include "logger.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <syslog.h>

#define READERS_KEPT      4
#define READ_BUFFER_ALIGN 4096

struct parked_reader {
    struct beck_reader *reader;
    uint64_t position; /* where it stopped */
};

struct handle {
    struct fs *fs;
    struct node *node; /* held */
    struct beck_partition *log;
    int flags;
    struct beck_view_head head; /* where the file began when it was opened: positions keep it */
    struct handle *previous;    /* these two under the mount's handles_lock */
    struct handle *next;

    pthread_mutex_t readers_lock;
    struct parked_reader parked[READERS_KEPT]; /* the last one is the one used last */
    size_t parked_count;

    pthread_mutex_t write_lock;
    struct writer writer;
    uint64_t written_by;     /* the owner that wrote last */
    bool sync_when_finished; /* fsync came while a line was incomplete */
};

static bool may_write(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

/* ---- errors ------------------------------------------------------------------------------- */

/* Log what a user cannot see from an errno, and turn it into one that the kernel knows. */
static int answer_for(struct node *node, int result, const struct beck_error *error)
{
    switch (result) {
    case -EBADMSG:
    case -EPROTONOSUPPORT:
    case -EIO:
        break;
    case -ERANGE: /* the head was removed between two steps */
        return -ESTALE;
    default:
        return result;
    }
    bool placed = error->offset >= 0 || error->byte >= 0;
    pthread_mutex_lock(&node->lock);
    bool again = node->reported_offset == error->offset && node->reported_byte == error->byte;
    node->reported_offset = error->offset;
    node->reported_byte = error->byte;
    pthread_mutex_unlock(&node->lock);
    if (!placed || !again)
        logger_say(LOG_ERR, "%s", error->message);
    return -EIO;
}

/* An error of which the engine may have filled only the code. */
static struct beck_error error_blank(void)
{
    return (struct beck_error){
        .message = "input/output error",
        .partition = -1,
        .offset = -1,
        .byte = -1,
        .record = -1,
    };
}

/* ---- opening ------------------------------------------------------------------------------ */

int file_state(struct fs *fs, struct node *node, struct beck_partition_state *ret_state)
{
    struct beck_error error = error_blank();
    struct beck_partition *log;
    int result = inode_log(fs->store, node, &log, &error);
    if (result == 0)
        result = beck_partition_state(log, ret_state, &error);
    return result < 0 ? answer_for(node, result, &error) : 0;
}

static int write_allowed(struct fs *fs, struct node *node, int flags)
{
    if (!may_write(flags) && (flags & O_TRUNC) == 0)
        return 0;
    if (fs->read_only)
        return -EROFS;
    if ((flags & O_APPEND) != 0 && (flags & O_TRUNC) == 0)
        return 0;
    struct beck_partition_state state;
    int result = file_state(fs, node, &state);
    if (result < 0)
        return result;
    return state.next_offset == state.log_start_offset ? 0 : -EPERM;
}

static void handle_link(struct fs *fs, struct handle *handle)
{
    pthread_mutex_lock(&fs->handles_lock);
    handle->next = fs->handles;
    if (handle->next != NULL)
        handle->next->previous = handle;
    fs->handles = handle;
    pthread_mutex_unlock(&fs->handles_lock);
}

static void handle_unlink(struct fs *fs, struct handle *handle)
{
    pthread_mutex_lock(&fs->handles_lock);
    if (handle->previous != NULL)
        handle->previous->next = handle->next;
    else
        fs->handles = handle->next;
    if (handle->next != NULL)
        handle->next->previous = handle->previous;
    pthread_mutex_unlock(&fs->handles_lock);
}

int file_open(struct fs *fs, struct node *node, int flags, struct handle **ret_handle)
{
    int result = write_allowed(fs, node, flags);
    if (result < 0)
        return result;
    struct beck_error error = error_blank();
    struct beck_partition *log;
    result = inode_log(fs->store, node, &log, &error);
    if (result < 0)
        return answer_for(node, result, &error);
    struct beck_partition_state state;
    result = beck_partition_state(log, &state, &error);
    if (result < 0)
        return answer_for(node, result, &error);
    struct handle *handle = calloc(1, sizeof(*handle));
    if (handle == NULL)
        return -ENOMEM;
    handle->head = state.view_head;
    handle->fs = fs;
    handle->node = node;
    handle->log = log;
    handle->flags = flags;
    pthread_mutex_init(&handle->readers_lock, NULL);
    pthread_mutex_init(&handle->write_lock, NULL);
    inode_hold(&fs->inodes, node);
    if (may_write(flags))
        writer_init(&handle->writer, fs, node, log);
    handle_link(fs, handle);
    *ret_handle = handle;
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void buffer_key_make(void)
{
    (void)pthread_key_create(&buffer_key, free);
}

/* This thread's buffer for replies, freed with the thread; NULL without memory. */
static void *buffer_of_thread(void)
{
    (void)pthread_once(&buffer_once, buffer_key_make);
    void *buffer = pthread_getspecific(buffer_key);
    if (buffer == NULL) {
        if (posix_memalign(&buffer, READ_BUFFER_ALIGN, FILE_READ_BYTES_MAX) != 0)
            return NULL;
        if (pthread_setspecific(buffer_key, buffer) != 0) {
            free(buffer);
            return NULL;
        }
    }
    return buffer;
}

/* A reader for `position`: the one that stopped there, else the one not used for longest, else a
 * new one. */
static int reader_take(struct handle *handle, uint64_t position, struct beck_reader **ret_reader,
                       struct beck_error *error)
{
    struct beck_reader *reader = NULL;
    pthread_mutex_lock(&handle->readers_lock);
    if (handle->parked_count > 0) {
        size_t best = 0;
        for (size_t i = 0; i < handle->parked_count; i++)
            if (handle->parked[i].position == position)
                best = i;
        reader = handle->parked[best].reader;
        handle->parked_count--;
        for (size_t i = best; i < handle->parked_count; i++)
            handle->parked[i] = handle->parked[i + 1];
    }
    pthread_mutex_unlock(&handle->readers_lock);
    if (reader == NULL) {
        int result = beck_reader_new(handle->log, BECK_READ_COMMITTED, &reader, error);
        if (result < 0)
            return result;
        beck_reader_view_from(reader, &handle->head);
    }
    *ret_reader = reader;
    return 0;
}

static void reader_park(struct handle *handle, struct beck_reader *reader, uint64_t position)
{
    pthread_mutex_lock(&handle->readers_lock);
    if (handle->parked_count < READERS_KEPT) {
        handle->parked[handle->parked_count++] = (struct parked_reader){reader, position};
        reader = NULL;
    }
    pthread_mutex_unlock(&handle->readers_lock);
    (void)beck_reader_free(reader);
}

ssize_t file_read(struct handle *handle, uint64_t position, size_t bytes, const void **ret_data)
{
    void *buffer = buffer_of_thread();
    if (buffer == NULL)
        return -ENOMEM;
    if (bytes > FILE_READ_BYTES_MAX)
        bytes = FILE_READ_BYTES_MAX;
    struct beck_error error = error_blank();
    struct beck_reader *reader;
    ssize_t result = reader_take(handle, position, &reader, &error);
    if (result == 0) {
        result = beck_reader_view(reader, position, buffer, bytes, &error);
        reader_park(handle, reader, position + (result > 0 ? (uint64_t)result : 0));
    }
    if (result < 0)
        return answer_for(handle->node, (int)result, &error);
    *ret_data = buffer;
    return result;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int sync_all(struct handle *handle, struct beck_error *error)
{
    struct beck_partition_state state;
    int result = beck_partition_state(handle->log, &state, error);
    if (result < 0)
        return result;
    return beck_sync(handle->log, state.next_offset, error);
}

ssize_t file_write(struct handle *handle, uint64_t owner, const char *data, size_t bytes)
{
    if (!may_write(handle->flags))
        return -EBADF;
    struct beck_error error = error_blank();
    pthread_mutex_lock(&handle->write_lock);
    ssize_t result = writer_write(&handle->writer, data, bytes, &error);
    handle->written_by = owner;
    if (writer_holds(&handle->writer) && (handle->flags & O_DSYNC) != 0)
        handle->sync_when_finished = true;
    pthread_mutex_unlock(&handle->write_lock);
    if (result > 0 && (handle->flags & O_DSYNC) != 0) { /* O_SYNC contains it */
        int synced = sync_all(handle, &error);
        result = synced < 0 ? synced : result;
    }
    return result < 0 ? answer_for(handle->node, (int)result, &error) : result;
}

/* Complete the line. With the write lock. */
static int finish_locked(struct handle *handle, struct beck_error *error)
{
    int result = writer_finish(&handle->writer, error);
    if (result == 0 && handle->sync_when_finished)
        result = sync_all(handle, error);
    handle->sync_when_finished = false;
    return result;
}

int file_flush(struct handle *handle, uint64_t owner)
{
    if (!may_write(handle->flags))
        return 0;
    struct beck_error error = error_blank();
    int result = 0;
    pthread_mutex_lock(&handle->write_lock);
    if (handle->written_by == owner)
        result = finish_locked(handle, &error);
    pthread_mutex_unlock(&handle->write_lock);
    return result < 0 ? answer_for(handle->node, result, &error) : 0;
}

int file_sync(struct handle *handle)
{
    struct beck_error error = error_blank();
    if (handle->fs->read_only)
        return 0;
    if (may_write(handle->flags)) {
        pthread_mutex_lock(&handle->write_lock);
        handle->sync_when_finished = writer_holds(&handle->writer);
        pthread_mutex_unlock(&handle->write_lock);
    }
    int result = sync_all(handle, &error);
    return result < 0 ? answer_for(handle->node, result, &error) : 0;
}

/* ---- closing ------------------------------------------------------------------------------ */

/* Nobody waits for this answer: a line that cannot be stored any more is for the log. */
static void finish_at_release(struct handle *handle)
{
    struct beck_error error = error_blank();
    size_t held = handle->writer.splitter.held_bytes;
    int result = finish_locked(handle, &error);
    if (result < 0)
        logger_say(LOG_ERR,
                   "topic %s partition %d: the last line of a closed file, %zu bytes, could not be "
                   "recorded: %s",
                   handle->node->parent->topic->topic.name, (int)handle->node->partition, held,
                   error.message);
}

void file_release(struct fs *fs, struct handle *handle)
{
    handle_unlink(fs, handle);
    if (may_write(handle->flags)) {
        finish_at_release(handle);
        writer_done(&handle->writer);
    }
    for (size_t i = 0; i < handle->parked_count; i++)
        (void)beck_reader_free(handle->parked[i].reader);
    pthread_mutex_destroy(&handle->readers_lock);
    pthread_mutex_destroy(&handle->write_lock);
    inode_drop(&fs->inodes, handle->node);
    free(handle);
}

void file_release_all(struct fs *fs)
{
    while (fs->handles != NULL)
        file_release(fs, fs->handles);
}
