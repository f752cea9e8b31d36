/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to batches; see writer.h. The builder belongs to the node, for as long as somebody has the
 * partition open for writing: a shell's `echo >>` opens and closes the file for each line.
 */
#include "writer.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* The sink of one write. */
struct batcher {
    struct view_sink sink; /* first: the splitter knows only this */
    struct writer *writer;
    struct beck_batch_builder *builder;
    int64_t now_ms;
    size_t taken_end; /* the write's bytes up to the last line that is in the builder */
    struct beck_error *error;
};

static int batcher_store(struct view_sink *sink)
{
    struct batcher *batcher = (struct batcher *)sink;
    const void *batch;
    size_t size;
    int result = beck_batch_builder_finish(batcher->builder, &batch, &size, batcher->error);
    if (result == -ENODATA)
        return 0;
    if (result < 0)
        return result;
    struct beck_append_result appended;
    result =
        beck_append(batcher->writer->log, batch, size, BECK_ACKS_LEADER, &appended, batcher->error);
    beck_batch_builder_reset(batcher->builder);
    if (result < 0)
        return result;
    batcher->sink.stored = batcher->taken_end;
    keeper_appended(&batcher->writer->fs->keeper, size);
    return 0;
}

static int batcher_line(struct view_sink *sink, const char *line, size_t bytes, size_t end)
{
    struct batcher *batcher = (struct batcher *)sink;
    struct beck_record record = {
        .timestamp_ms = batcher->now_ms,
        .key_size = -1,
        .value = line,
        .value_size = (int32_t)bytes, /* at most max.message.bytes */
    };
    int result = beck_batch_builder_add(batcher->builder, &record);
    if (result == -EMSGSIZE && beck_batch_builder_count(batcher->builder) > 0) {
        result = batcher_store(sink);
        if (result == 0)
            result = beck_batch_builder_add(batcher->builder, &record);
    }
    if (result == 0)
        batcher->taken_end = end;
    return result;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The node's builder, empty and of the right size. With the append lock. */
static int builder_take(struct node *node, uint32_t max_bytes, struct beck_batch_builder **ret,
                        struct beck_error *error)
{
    if (node->builder != NULL && node->builder_max_bytes != max_bytes)
        node->builder = beck_batch_builder_free(node->builder);
    if (node->builder == NULL) {
        int result =
            beck_batch_builder_new(BECK_COMPRESSION_NONE, max_bytes, &node->builder, error);
        if (result < 0)
            return result == -EINVAL ? -EMSGSIZE : result; /* no line fits a batch of that size */
        node->builder_max_bytes = max_bytes;
    }
    beck_batch_builder_reset(node->builder); /* a write that failed may have left something */
    *ret = node->builder;
    return 0;
}

/* Write, or with `data` NULL finish, with the append lock. */
static ssize_t run_locked(struct writer *writer, const char *data, size_t bytes,
                          struct beck_error *error)
{
    uint32_t max_bytes;
    int result = inode_max_message_bytes(writer->fs->store, writer->node, &max_bytes);
    if (result < 0)
        return result;
    struct batcher batcher = {
        .sink = {.line = batcher_line, .store = batcher_store},
        .writer = writer,
        .now_ms = now_ms(),
        .error = error,
    };
    result = builder_take(writer->node, max_bytes, &batcher.builder, error);
    if (result < 0)
        return result;
    if (data == NULL)
        return view_splitter_finish(&writer->splitter, &batcher.sink);
    return view_splitter_write(&writer->splitter, view_line_limit(max_bytes), data, bytes,
                               &batcher.sink);
}

void writer_init(struct writer *writer, struct fs *fs, struct node *node,
                 struct beck_partition *log)
{
    *writer = (struct writer){.fs = fs, .node = node, .log = log};
    writer->splitter.held_total = &fs->held_total;
    pthread_mutex_lock(&node->append_lock);
    node->writers++;
    pthread_mutex_unlock(&node->append_lock);
}

void writer_done(struct writer *writer)
{
    struct node *node = writer->node;
    view_splitter_done(&writer->splitter);
    pthread_mutex_lock(&node->append_lock);
    if (--node->writers == 0)
        node->builder = beck_batch_builder_free(node->builder);
    pthread_mutex_unlock(&node->append_lock);
}

ssize_t writer_write(struct writer *writer, const char *data, size_t bytes,
                     struct beck_error *error)
{
    pthread_mutex_lock(&writer->node->append_lock);
    ssize_t result = run_locked(writer, data, bytes, error);
    pthread_mutex_unlock(&writer->node->append_lock);
    return result;
}

int writer_finish(struct writer *writer, struct beck_error *error)
{
    writer->splitter.refusing = false;
    writer->splitter.refused_bytes = 0;
    if (!writer_holds(writer))
        return 0;
    pthread_mutex_lock(&writer->node->append_lock);
    ssize_t result = run_locked(writer, NULL, 0, error);
    pthread_mutex_unlock(&writer->node->append_lock);
    if (result < 0)
        view_splitter_done(&writer->splitter);
    return (int)result;
}
