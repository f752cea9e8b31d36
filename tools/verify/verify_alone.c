/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behind the last segment's last good batch there may be bytes of an append that did not end: where
 * no good batch follows, that is no damage.
 */
#include "verify_alone.h"

#include "check.h"
#include "cleanup.h"
#include "report.h"
#include "segment_file.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_BYTES (4 * 1024 * 1024)

/* A segment to be read, and what whoever read it has found at its ends. */
struct item {
    char *file; /* relative to the store */
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    long partition;
    int64_t base_offset; /* by its name */
    bool is_first;       /* of the partition */
    bool is_last;
    bool has_batches;
    int64_t first_offset; /* of the good batches */
    int64_t next_offset;
    int32_t first_epoch;
    int32_t last_epoch;
};

struct verify_alone_work {
    struct verify_alone what;
    struct item *items;
    size_t item_count;
    size_t item_room;
    uint64_t all_bytes;
    /* the folder that is listed */
    char topic[BECK_TOPIC_NAME_BYTES + 1]; /* "": not known */
    long partition_count;                  /* below 0: not known */
    long partition;                        /* below 0: none */
    bool is_found;                         /* what was asked for */

    pthread_mutex_t mutex; /* for what follows; held while the caller is called back */
    size_t next_item;
    struct beck_verify_totals totals;
    uint64_t told_bytes; /* when progress was told last */
    int damages;
    _Atomic bool stop;
};

/* ---- telling ------------------------------------------------------------------------------- */

__attribute__((format(printf, 7, 8))) static void tell(struct verify_alone_work *work,
                                                       const char *topic, long partition,
                                                       const char *file, int64_t offset,
                                                       int64_t byte, const char *format, ...)
{
    struct beck_damage found = {.partition = -1, .offset = offset, .byte = byte};
    va_list arguments;
    (void)snprintf(found.file, sizeof(found.file), "%s", file);
    if (topic[0] != '\0' && partition >= 0) {
        (void)snprintf(found.topic, sizeof(found.topic), "%s", topic);
        found.partition = (int32_t)partition;
    }
    va_start(arguments, format);
    (void)vsnprintf(found.what, sizeof(found.what), format, arguments);
    va_end(arguments);
    CHECK(pthread_mutex_lock(&work->mutex) == 0);
    work->damages++;
    if (!work->stop && work->what.damage(work->what.context, &found) != 0)
        work->stop = true;
    CHECK(pthread_mutex_unlock(&work->mutex) == 0);
}

#define TELL_FOLDER(work, file, ...)                                                               \
    tell(work, (work)->topic, (work)->partition, file, -1, -1, __VA_ARGS__)
#define TELL_ITEM(work, item, ...)                                                                 \
    tell(work, (item)->topic, (item)->partition, (item)->file, __VA_ARGS__)

/* Add what was read to what all have. */
static void add_totals(struct verify_alone_work *work, struct beck_verify_totals *totals)
{
    CHECK(pthread_mutex_lock(&work->mutex) == 0);
    work->totals.segments += totals->segments;
    work->totals.batches += totals->batches;
    work->totals.records += totals->records;
    work->totals.bytes += totals->bytes;
    *totals = (struct beck_verify_totals){0};
    if (!work->stop && work->totals.bytes - work->told_bytes >= PROGRESS_BYTES) {
        work->told_bytes = work->totals.bytes;
        if (work->what.progress(work->what.context, work->totals.bytes, work->all_bytes) != 0)
            work->stop = true;
    }
    CHECK(pthread_mutex_unlock(&work->mutex) == 0);
}

/* ---- listing folders ------------------------------------------------------------------------ */

static char *join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static int is_segment(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789") == 20 && strcmp(entry->d_name + 20, ".log") == 0;
}

static int is_partition(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 0 && length < 6 && strspn(entry->d_name, "0123456789") == length;
}

static int is_topic(const struct dirent *entry)
{
    return strlen(entry->d_name) == 32 && strspn(entry->d_name, "0123456789abcdef") == 32;
}

/* Call `visit` with each name in the folder that is chosen, in order. */
static int each_name(struct verify_alone_work *work, const char *folder,
                     int (*chosen)(const struct dirent *entry),
                     int (*visit)(struct verify_alone_work *work, const char *folder,
                                  const char *name))
{
    _cleanup_free_ char *path = join(work->what.store, folder);
    struct dirent **names;
    int r = 0;
    if (!path)
        return -ENOMEM;
    int count = scandir(path, &names, chosen, alphasort);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR && errno != EIO)
        return -errno;
    if (count < 0) {
        TELL_FOLDER(work, folder, "cannot be opened: %s", strerror(errno));
        return 0;
    }
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = visit(work, folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return r;
}

static int visit_segment(struct verify_alone_work *work, const char *folder, const char *name)
{
    struct item item = {.partition = work->partition,
                        .base_offset = (int64_t)strtoll(name, NULL, 10),
                        .is_first = true,
                        .is_last = true};
    _cleanup_free_ char *file = join(folder, name);
    _cleanup_free_ char *path = file ? join(work->what.store, file) : NULL;
    struct stat info;
    if (!path)
        return -ENOMEM;
    if (work->item_count == work->item_room) {
        size_t room = work->item_room ? 2 * work->item_room : 64;
        struct item *grown = reallocarray(work->items, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        work->items = grown;
        work->item_room = room;
    }
    struct item *before = work->item_count > 0 ? &work->items[work->item_count - 1] : NULL;
    size_t folder_bytes = strlen(folder) + 1;
    if (before && strncmp(before->file, file, folder_bytes) == 0)
        before->is_last = item.is_first = false;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
        work->all_bytes += (uint64_t)info.st_size;
    (void)snprintf(item.topic, sizeof(item.topic), "%s", work->topic);
    item.file = file;
    file = NULL;
    work->items[work->item_count++] = item;
    return 0;
}

static int visit_partition(struct verify_alone_work *work, const char *folder, const char *name)
{
    _cleanup_free_ char *path = join(folder, name);
    work->partition = strtol(name, NULL, 10);
    if (work->what.partition >= 0 && work->partition != work->what.partition)
        return 0;
    if (!path)
        return -ENOMEM;
    if (work->partition_count >= 0 && work->partition >= work->partition_count)
        TELL_FOLDER(work, path, "the topic has no such partition");
    work->is_found = true;
    work->totals.partitions++;
    return each_name(work, path, is_segment, visit_segment);
}

/* What the file `topic` says. False: nothing that could be right. */
static bool read_topic(struct verify_alone_work *work, const char *folder, const char *id)
{
    _cleanup_free_ char *below = join(work->what.store, folder);
    _cleanup_free_ char *path = below ? join(below, "topic") : NULL;
    char line[512];
    char of_id[33] = "";
    struct stat info;
    work->topic[0] = '\0';
    work->partition_count = -1;
    if (!path || stat(path, &info) < 0 || !S_ISREG(info.st_mode))
        return false;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        (void)sscanf(line, "name %249[a-zA-Z0-9._-]", work->topic);
        (void)sscanf(line, "id %32[0-9a-f]", of_id);
        (void)sscanf(line, "partitions %ld", &work->partition_count);
    }
    if (file)
        (void)fclose(file);
    return work->topic[0] != '\0' && strcmp(of_id, id) == 0 && work->partition_count > 0 &&
           work->partition_count <= BECK_PARTITIONS_MAX;
}

/* Each partition has its folder from the beginning. */
static int check_partition(struct verify_alone_work *work, const char *folder, long partition)
{
    char number[24];
    (void)snprintf(number, sizeof(number), "%ld", partition);
    _cleanup_free_ char *name = join(folder, number);
    _cleanup_free_ char *path = name ? join(work->what.store, name) : NULL;
    if (!path)
        return -ENOMEM;
    work->partition = partition;
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        TELL_FOLDER(work, name, "the partition's folder is missing");
        work->is_found = true;
    }
    return 0;
}

static int visit_topic(struct verify_alone_work *work, const char *folder, const char *name)
{
    _cleanup_free_ char *path = join(folder, name);
    int r = 0;
    if (!path)
        return -ENOMEM;
    work->partition = -1;
    if (!read_topic(work, path, name)) {
        TELL_FOLDER(work, path, "the file \"topic\" does not say which topic this is");
        work->partition_count = -1;
    }
    if (work->what.topic && strcmp(work->what.topic, work->topic) != 0)
        return 0;
    for (long i = 0; r == 0 && i < work->partition_count; i++)
        if (work->what.partition < 0 || work->what.partition == i)
            r = check_partition(work, path, i);
    return r < 0 ? r : each_name(work, path, is_partition, visit_partition);
}

int verify_alone_new(const struct verify_alone *what, struct verify_alone_work **ret_work,
                     struct beck_error *error)
{
    struct verify_alone_work *work = calloc(1, sizeof(*work));
    if (!work)
        return report(error, -ENOMEM, "not enough memory");
    work->what = *what;
    work->partition = work->partition_count = -1;
    CHECK(pthread_mutex_init(&work->mutex, NULL) == 0);
    int r = each_name(work, "topics", is_topic, visit_topic);
    if (r < 0)
        r = report_errno(error, r, "%s: cannot be checked", what->store);
    else if (what->topic && !work->is_found && !work->stop)
        r = report(error, -ENOENT, "no folder in %s/topics is of such a topic or partition",
                   what->store);
    if (r < 0) {
        verify_alone_free(work);
        return r;
    }
    *ret_work = work;
    return 0;
}

struct verify_alone_work *verify_alone_free(struct verify_alone_work *work)
{
    if (!work)
        return NULL;
    for (size_t i = 0; i < work->item_count; i++)
        free(work->items[i].file);
    free(work->items);
    (void)pthread_mutex_destroy(&work->mutex);
    free(work);
    return NULL;
}

/* ---- a segment ------------------------------------------------------------------------------ */

static void take_batch(struct verify_alone_work *work, struct item *item,
                       const struct segment_step *step)
{
    const struct batch_header *header = &step->summary.header;
    if (header->base_offset < item->base_offset)
        TELL_ITEM(work, item, header->base_offset, (int64_t)step->position,
                  "the batch is older than the file's name says");
    if (!item->has_batches) {
        item->first_offset = header->base_offset;
        item->first_epoch = item->last_epoch = header->leader_epoch;
    }
    if (header->leader_epoch < item->last_epoch)
        TELL_ITEM(work, item, header->base_offset, (int64_t)step->position,
                  "leader epoch %d comes after %d", header->leader_epoch, item->last_epoch);
    item->has_batches = true;
    item->next_offset = batch_next_offset(header);
    item->last_epoch = header->leader_epoch;
}

/* Returns what segment_file_next() does at the end, with the damage there held back in `held`. */
static int walk_batches(struct verify_alone_work *work, struct item *item,
                        struct segment_file *segment, struct beck_error *error)
{
    struct beck_verify_totals totals = {.segments = 1};
    struct beck_error held = {.offset = -1};
    uint64_t held_at = 0;
    struct segment_step step;
    bool is_held = false;
    int r = 0;
    while (!work->stop && (r = segment_file_next(segment, &step, error)) != 0) {
        if (r < 0 && r != -EBADMSG)
            break;
        if (is_held)
            TELL_ITEM(work, item, held.offset, (int64_t)held_at, "%.180s", held.message);
        is_held = r == -EBADMSG;
        held = *error;
        held_at = step.position;
        totals.bytes += step.size;
        if (r == 1) {
            take_batch(work, item, &step);
            totals.batches++;
            totals.records += (uint64_t)step.summary.header.record_count;
        }
        if (totals.bytes >= PROGRESS_BYTES)
            add_totals(work, &totals);
    }
    if (is_held && !item->is_last && !work->stop)
        TELL_ITEM(work, item, held.offset, (int64_t)held_at, "%.180s", held.message);
    add_totals(work, &totals);
    return r == -EBADMSG ? 0 : r;
}

/* What prevents reading, and is no damage. */
static bool is_no_damage(int r)
{
    return r == -EACCES || r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

static int walk_segment(struct verify_alone_work *work, struct item *item, struct beck_error *error)
{
    _cleanup_free_ char *path = join(work->what.store, item->file);
    struct segment_file *segment = NULL;
    int r = path ? segment_file_open(path, &segment) : -ENOMEM;
    if (r == 0)
        r = walk_batches(work, item, segment, error);
    else
        (void)report_errno(error, r, "cannot be opened");
    (void)segment_file_close(segment);
    if (r >= 0)
        return 0;
    if (is_no_damage(r))
        return report_errno(error, r, "%s cannot be read", item->file);
    if (r == -EINVAL || r == -EISDIR)
        TELL_ITEM(work, item, item->base_offset, -1, "it is no regular file");
    else
        TELL_ITEM(work, item, -1, -1, "cannot be read: %s", strerror(-r));
    return 0;
}

int verify_alone_run(struct verify_alone_work *work, struct beck_error *error)
{
    for (;;) {
        struct item *item = NULL;
        CHECK(pthread_mutex_lock(&work->mutex) == 0);
        if (!work->stop && work->next_item < work->item_count)
            item = &work->items[work->next_item++];
        CHECK(pthread_mutex_unlock(&work->mutex) == 0);
        int r = item ? walk_segment(work, item, error) : 0;
        if (r < 0)
            work->stop = true;
        if (r < 0 || !item)
            return r;
    }
}

/* ---- segments against each other ------------------------------------------------------------ */

int verify_alone_result(struct verify_alone_work *work, struct beck_verify_totals *ret_totals)
{
    const struct item *before = NULL;
    for (size_t i = 0; i < work->item_count && !work->stop; i++) {
        const struct item *item = &work->items[i];
        if (item->is_first)
            before = NULL;
        if (!item->has_batches)
            continue;
        if (before && item->first_offset < before->next_offset)
            TELL_ITEM(work, item, item->first_offset, -1, "offset %lld comes after %lld",
                      (long long)item->first_offset, (long long)before->next_offset - 1);
        if (before && item->first_epoch < before->last_epoch)
            TELL_ITEM(work, item, item->first_offset, -1, "leader epoch %d comes after %d",
                      item->first_epoch, before->last_epoch);
        before = item;
    }
    *ret_totals = work->totals;
    return work->damages;
}
