/* SPDX-License-Identifier: Apache-2.0 */
/* Segments for a Kafka log directory, and what must be put right around them. */
#include "kafka_writer.h"

#include "cleanup.h"
#include "kafka_dir.h"
#include "log_batch.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENT_BYTES = 1 << 30, /* Kafka's default */
    FILLS_MAX = 4096,
    NAME_DIGITS = 20,
};

static const char unfinished[] = ".exported"; /* behind a segment's name; Kafka passes it over */

struct kafka_writer {
    struct kafka_dir dir; /* `partitions` only where it is a broker's */
    struct kafka_partition partition;
    char *path; /* of the partition's directory */
    int lock;   /* -1: none */
    bool into_broker;
    int32_t epoch;
    int64_t start;
    int64_t next_offset;
    int fd; /* of the segment that is written; -1: none */
    int64_t base_offset;
    uint64_t bytes;
    int64_t *bases; /* of all segments that were written */
    size_t base_count;
};

static int no_memory(void)
{
    return tool_failed("not enough memory");
}

static int failed_file(const char *doing, const char *path)
{
    return tool_failed("cannot %s %s: %s", doing, path, strerror(errno));
}

/* ---- where it goes ------------------------------------------------------------------------ */

/* Hold the directory as a broker would. */
static int lock_dir(struct kafka_writer *writer)
{
    _cleanup_free_ char *path = NULL;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (asprintf(&path, "%s/.lock", writer->dir.path) < 0)
        return no_memory();
    writer->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (writer->lock < 0)
        return failed_file("open", path);
    if (fcntl(writer->lock, F_SETLK, &lock) < 0)
        return tool_failed("%s is open in a broker: stop it first", writer->dir.path);
    return TOOL_OK;
}

/* The partition's directory is a broker's, and has no records. */
static int check_broker_partition(struct kafka_writer *writer)
{
    struct segments segments = {0};
    struct beck_error error;
    int64_t start;
    uint64_t bytes = 0;

    if (kafka_dir_find(&writer->dir, writer->partition.topic, writer->partition.number) < 0)
        return tool_failed("%s is not there: create the topic in Kafka, then stop the broker",
                           writer->path);
    int result = kafka_dir_segments(&writer->dir, &writer->partition, &segments, &error);
    for (size_t i = 0; i < segments.count; i++)
        bytes += segments.entries[i].bytes;
    segments_done(&segments);
    if (result == 0)
        result = kafka_dir_epoch(&writer->dir, &writer->partition, &writer->epoch, &start, &error);
    if (result < 0)
        return tool_failed_error(&error);
    if (bytes > 0)
        return tool_failed("%s has records already: export into a new topic", writer->path);
    return TOOL_OK;
}

static int begin_in_broker(struct kafka_writer *writer, const char *dir)
{
    struct beck_error error;

    if (kafka_dir_open(dir, &writer->dir, &error) < 0)
        return tool_failed_error(&error);
    writer->path = kafka_dir_file(&writer->dir, &writer->partition, NULL);
    if (writer->path == NULL)
        return no_memory();
    int code = lock_dir(writer);
    return code == TOOL_OK ? check_broker_partition(writer) : code;
}

static int begin_in_new(struct kafka_writer *writer, const char *dir)
{
    writer->dir.path = strdup(dir);
    if (writer->dir.path == NULL)
        return no_memory();
    writer->path = kafka_dir_file(&writer->dir, &writer->partition, NULL);
    if (writer->path == NULL)
        return no_memory();
    if (mkdir(dir, 0777) < 0 && errno != EEXIST)
        return failed_file("make the directory", dir);
    /* An empty one is as good as none. */
    if (rmdir(writer->path) < 0 && errno == ENOTEMPTY)
        return tool_failed("%s is there already", writer->path);
    if (mkdir(writer->path, 0777) < 0)
        return failed_file("make the directory", writer->path);
    return TOOL_OK;
}

/* ---- segments ----------------------------------------------------------------------------- */

static char *segment_path(const struct kafka_writer *writer, int64_t base, const char *behind)
{
    char *path;

    return asprintf(&path, "%s/%020lld.log%s", writer->path, (long long)base, behind) < 0 ? NULL
                                                                                          : path;
}

static int end_segment(struct kafka_writer *writer)
{
    if (writer->fd < 0)
        return TOOL_OK;
    int failed = fsync(writer->fd);
    if (close(TAKE_FD(writer->fd)) < 0)
        failed = -1;
    return failed < 0 ? failed_file("write in", writer->path) : TOOL_OK;
}

static int begin_segment(struct kafka_writer *writer, int64_t base)
{
    int code = end_segment(writer);
    if (code != TOOL_OK)
        return code;
    int64_t *larger = reallocarray(writer->bases, writer->base_count + 1, sizeof(*larger));
    if (larger == NULL)
        return no_memory();
    writer->bases = larger;
    _cleanup_free_ char *path = segment_path(writer, base, unfinished);
    if (path == NULL)
        return no_memory();
    writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0)
        return failed_file("make", path);
    writer->bases[writer->base_count++] = base;
    writer->base_offset = base;
    writer->bytes = 0;
    return TOOL_OK;
}

static int write_all(struct kafka_writer *writer, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(writer->fd, data, size);
        if (written < 0 && errno != EINTR)
            return failed_file("write in", writer->path);
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return TOOL_OK;
}

int kafka_writer_put(struct kafka_writer *writer, struct batch_header *header, uint8_t *batch)
{
    size_t size = batch_bytes(header);
    int64_t next = batch_next_offset(header);
    int code = TOOL_OK;

    log_batch_make_plain(batch, header, header->base_offset, writer->epoch);
    if (writer->bytes > 0 &&
        (writer->bytes + size > SEGMENT_BYTES || next - 1 - writer->base_offset > INT32_MAX))
        code = begin_segment(writer, header->base_offset);
    if (code == TOOL_OK)
        code = write_all(writer, batch, size);
    writer->bytes += size;
    writer->next_offset = next;
    return code;
}

/* ---- around them -------------------------------------------------------------------------- */

/* Write a small file anew, in one step. */
static int replace_file(const char *path, const char *text)
{
    _cleanup_free_ char *temporary = NULL;
    size_t size = strlen(text);

    if (asprintf(&temporary, "%s.tmp", path) < 0)
        return no_memory();
    _cleanup_close_ int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size || fsync(fd) < 0 ||
        rename(temporary, path) < 0)
        return failed_file("write", path);
    return TOOL_OK;
}

/* Take the partition's line out of a checkpoint, if it has one. */
static int forget_in_checkpoint(const struct kafka_writer *writer, const char *name)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ char *kept = NULL;
    _cleanup_free_ char *line = NULL;
    struct beck_error error;
    int64_t offset;
    unsigned count = 0;

    int found = kafka_dir_checkpoint(&writer->dir, name, &writer->partition, &offset, &error);
    if (found <= 0)
        return found < 0 ? tool_failed_error(&error) : TOOL_OK;
    if (asprintf(&path, "%s/%s", writer->dir.path, name) < 0 ||
        asprintf(&line, "%s %d ", writer->partition.topic, (int)writer->partition.number) < 0)
        return no_memory();
    if (kafka_dir_read(path, &text, &error) < 0)
        return tool_failed_error(&error);
    size_t room = strlen(text) + 32;
    char *entries = strchr(text, '\n') + 1; /* it was read before: two lines come first */
    entries = strchr(entries, '\n') + 1;
    kept = calloc(1, room);
    if (kept == NULL)
        return no_memory();
    size_t used = 32;
    for (char *at = entries; at != NULL && *at != '\0';) {
        char *end = strchr(at, '\n');
        size_t size = end != NULL ? (size_t)(end - at) + 1 : strlen(at);
        if (strncmp(at, line, strlen(line)) != 0) {
            memcpy(kept + used, at, size);
            used += size;
            count++;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    int head = snprintf(kept, 32, "0\n%u\n", count);
    memmove(kept + head, kept + 32, used - 32);
    kept[(size_t)head + used - 32] = '\0';
    return replace_file(path, kept);
}

static int write_epoch(const struct kafka_writer *writer)
{
    _cleanup_free_ char *path =
        kafka_dir_file(&writer->dir, &writer->partition, "leader-epoch-checkpoint");
    char text[64];

    (void)snprintf(text, sizeof(text), "0\n1\n%d %lld\n", (int)writer->epoch,
                   (long long)writer->start);
    return path == NULL ? no_memory() : replace_file(path, text);
}

/* Is this one of the files that belong to a log, by its name: <20 digits>.log and so on? */
static bool is_of_a_log(const char *name)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex",
                                           ".snapshot"};

    if (strspn(name, "0123456789") != NAME_DIGITS)
        return false;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (strcmp(name + NAME_DIGITS, suffixes[i]) == 0)
            return true;
    }
    return false;
}

static int remove_old_log(const struct kafka_writer *writer)
{
    struct dirent *found;
    int code = TOOL_OK;

    DIR *listing = opendir(writer->path);
    if (listing == NULL)
        return failed_file("read the directory", writer->path);
    while (code == TOOL_OK && (found = readdir(listing)) != NULL) {
        if (is_of_a_log(found->d_name) && unlinkat(dirfd(listing), found->d_name, 0) < 0)
            code = failed_file("remove the old log in", writer->path);
    }
    (void)closedir(listing);
    return code;
}

static int put_in_place(struct kafka_writer *writer)
{
    for (size_t i = 0; i < writer->base_count; i++) {
        _cleanup_free_ char *from = segment_path(writer, writer->bases[i], unfinished);
        _cleanup_free_ char *to = segment_path(writer, writer->bases[i], "");
        if (from == NULL || to == NULL)
            return no_memory();
        if (rename(from, to) < 0)
            return failed_file("put in its place", from);
    }
    writer->base_count = 0;
    return TOOL_OK;
}

static int sync_dir(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? failed_file("sync", path) : TOOL_OK;
}

/* ---- from begin to end -------------------------------------------------------------------- */

int kafka_writer_new(const char *dir, const char *topic, int32_t partition, bool into_broker,
                     int64_t start, struct kafka_writer **ret_writer)
{
    struct kafka_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return no_memory();
    *writer = (struct kafka_writer){.partition.number = partition,
                                    .lock = -1,
                                    .fd = -1,
                                    .into_broker = into_broker,
                                    .start = start,
                                    .next_offset = start};
    (void)snprintf(writer->partition.topic, sizeof(writer->partition.topic), "%s", topic);
    int code = into_broker ? begin_in_broker(writer, dir) : begin_in_new(writer, dir);
    if (code == TOOL_OK)
        code = begin_segment(writer, start);
    if (code != TOOL_OK) {
        (void)kafka_writer_free(writer);
        return code;
    }
    *ret_writer = writer;
    return TOOL_OK;
}

struct kafka_writer *kafka_writer_free(struct kafka_writer *writer)
{
    if (writer == NULL)
        return NULL;
    if (writer->fd >= 0)
        (void)close(writer->fd);
    for (size_t i = 0; i < writer->base_count; i++) {
        char *path = segment_path(writer, writer->bases[i], unfinished);
        if (path != NULL)
            (void)unlink(path);
        free(path);
    }
    if (!writer->into_broker && writer->base_count > 0)
        (void)rmdir(writer->path);
    if (writer->lock >= 0)
        (void)close(writer->lock);
    kafka_dir_done(&writer->dir);
    free(writer->bases);
    free(writer->path);
    free(writer);
    return NULL;
}

static int fill_up_to(struct kafka_writer *writer, int64_t end)
{
    uint8_t batch[BATCH_HEADER_BYTES];
    struct batch_header header;
    int code = TOOL_OK;

    for (int fills = 0; code == TOOL_OK && writer->next_offset < end; fills++) {
        if (fills == FILLS_MAX)
            return tool_failed("the log's end, %lld, is too far behind its last record",
                               (long long)end);
        (void)log_batch_fill(batch, writer->next_offset, end);
        if (batch_header_read(batch, sizeof(batch), &header, NULL) < 0)
            return no_memory();
        code = kafka_writer_put(writer, &header, batch);
    }
    return code;
}

int kafka_writer_finish(struct kafka_writer *writer, int64_t end)
{
    static const char *const checkpoints[] = {KAFKA_CHECKPOINT_LOG_START, KAFKA_CHECKPOINT_RECOVERY,
                                              KAFKA_CHECKPOINT_REPLICATION,
                                              KAFKA_CHECKPOINT_CLEANER};
    int code = fill_up_to(writer, end);

    if (code == TOOL_OK)
        code = end_segment(writer);
    /* Of another log: without a line, a broker takes what the files say. */
    for (size_t i = 0;
         writer->into_broker && code == TOOL_OK && i < sizeof(checkpoints) / sizeof(checkpoints[0]);
         i++)
        code = forget_in_checkpoint(writer, checkpoints[i]);
    if (writer->into_broker && code == TOOL_OK)
        code = remove_old_log(writer);
    if (code == TOOL_OK)
        code = put_in_place(writer);
    if (writer->into_broker && code == TOOL_OK)
        code = write_epoch(writer);
    if (code == TOOL_OK)
        code = sync_dir(writer->path);
    return code == TOOL_OK ? sync_dir(writer->dir.path) : code;
}
