/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behind the last segment's last good batch there may be bytes of an append that did not end: where
 * no good batch follows, that is no damage.
 */
#include "verify_alone.h"

#include "cleanup.h"
#include "segment_file.h"
#include "signals.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    const struct verify_alone *what;
    struct beck_verify_totals totals;
    int damages;
    char topic[BECK_TOPIC_NAME_BYTES + 1]; /* "": not known */
    long partition_count;                  /* below 0: not known */
    long partition;
    int64_t next_offset; /* behind what was read of the partition */
};

__attribute__((format(printf, 5, 6))) static void tell(struct walk *walk, const char *file,
                                                       int64_t offset, int64_t byte,
                                                       const char *format, ...)
{
    struct beck_damage found = {.partition = -1, .offset = offset, .byte = byte};
    va_list arguments;
    (void)snprintf(found.file, sizeof(found.file), "%s", file);
    if (walk->topic[0] != '\0' && walk->partition >= 0) {
        (void)snprintf(found.topic, sizeof(found.topic), "%s", walk->topic);
        found.partition = (int32_t)walk->partition;
    }
    va_start(arguments, format);
    (void)vsnprintf(found.what, sizeof(found.what), format, arguments);
    va_end(arguments);
    walk->damages++;
    (void)walk->what->damage(walk->what->context, &found);
}

static char *join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* ---- a segment ------------------------------------------------------------------------------ */

static void take_batch(struct walk *walk, const char *file, int64_t base,
                       const struct segment_step *step)
{
    const struct batch_header *header = &step->summary.header;
    if (header->base_offset < base)
        tell(walk, file, header->base_offset, (int64_t)step->position,
             "the batch is older than the file's name says");
    else if (header->base_offset < walk->next_offset)
        tell(walk, file, header->base_offset, (int64_t)step->position,
             "offset %lld comes after %lld", (long long)header->base_offset,
             (long long)walk->next_offset - 1);
    walk->next_offset = batch_next_offset(header);
    walk->totals.batches++;
    walk->totals.records += (uint64_t)header->record_count;
}

static int walk_segment(struct walk *walk, const char *file, int64_t base, bool is_last)
{
    _cleanup_free_ char *path = join(walk->what->store, file);
    struct segment_file *segment = NULL;
    struct segment_step step;
    struct beck_error error;
    struct beck_error held = {.offset = -1};
    uint64_t held_at = 0;
    bool is_held = false;
    int r = path ? segment_file_open(path, &segment) : -ENOMEM;
    if (r < 0) {
        tell(walk, file, base, -1, "cannot be opened: %s",
             r == -EINVAL ? "it is no regular file" : strerror(-r));
        return 0;
    }
    walk->totals.segments++;
    walk->totals.bytes += segment_file_bytes(segment);
    while ((r = segment_file_next(segment, &step, &error)) != 0 && !signals_caught()) {
        if (r < 0 && r != -EBADMSG)
            break;
        if (is_held)
            tell(walk, file, held.offset, (int64_t)held_at, "%.180s", held.message);
        is_held = r == -EBADMSG;
        held = error;
        held_at = step.position;
        if (r == 1)
            take_batch(walk, file, base, &step);
    }
    if (is_held && !is_last)
        tell(walk, file, held.offset, (int64_t)held_at, "%.180s", held.message);
    if (r < 0 && r != -EBADMSG)
        tell(walk, file, -1, -1, "cannot be read: %s", strerror(-r));
    (void)segment_file_close(segment);
    return signals_caught() ? -EINTR : 0;
}

/* ---- folders -------------------------------------------------------------------------------- */

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
static int each_name(struct walk *walk, const char *folder,
                     int (*chosen)(const struct dirent *entry),
                     int (*visit)(struct walk *walk, const char *folder, const char *name,
                                  bool is_last))
{
    _cleanup_free_ char *path = join(walk->what->store, folder);
    struct dirent **names;
    int r = 0;
    if (!path)
        return -ENOMEM;
    int count = scandir(path, &names, chosen, alphasort);
    if (count < 0 && (errno == ENOMEM || errno == EACCES))
        return -errno;
    if (count < 0) {
        tell(walk, folder, -1, -1, "cannot be opened: %s", strerror(errno));
        return 0;
    }
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = visit(walk, folder, names[i]->d_name, i == count - 1);
        free(names[i]);
    }
    free(names);
    return r;
}

static int visit_segment(struct walk *walk, const char *folder, const char *name, bool is_last)
{
    _cleanup_free_ char *file = join(folder, name);
    return file ? walk_segment(walk, file, (int64_t)strtoll(name, NULL, 10), is_last) : -ENOMEM;
}

static int visit_partition(struct walk *walk, const char *folder, const char *name, bool is_last)
{
    _cleanup_free_ char *path = join(folder, name);
    (void)is_last;
    walk->partition = strtol(name, NULL, 10);
    walk->next_offset = 0;
    if (walk->what->partition >= 0 && walk->partition != walk->what->partition)
        return 0;
    if (!path)
        return -ENOMEM;
    if (walk->partition_count >= 0 && walk->partition >= walk->partition_count)
        tell(walk, path, -1, -1, "the topic has no such partition");
    walk->totals.partitions++;
    return each_name(walk, path, is_segment, visit_segment);
}

/* What the file `topic` says. False: nothing. */
static bool read_topic(struct walk *walk, const char *folder)
{
    _cleanup_free_ char *below = join(walk->what->store, folder);
    _cleanup_free_ char *path = below ? join(below, "topic") : NULL;
    char line[512];
    struct stat info;
    walk->topic[0] = '\0';
    walk->partition_count = -1;
    if (!path || stat(path, &info) < 0 || !S_ISREG(info.st_mode))
        return false;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        (void)sscanf(line, "name %249[a-zA-Z0-9._-]", walk->topic);
        (void)sscanf(line, "partitions %ld", &walk->partition_count);
    }
    if (file)
        (void)fclose(file);
    return walk->topic[0] != '\0' && walk->partition_count > 0 &&
           walk->partition_count <= BECK_PARTITIONS_MAX;
}

/* Each partition has its folder from the beginning. */
static int check_partition(struct walk *walk, const char *folder, long partition)
{
    char number[24];
    (void)snprintf(number, sizeof(number), "%ld", partition);
    _cleanup_free_ char *name = join(folder, number);
    _cleanup_free_ char *path = name ? join(walk->what->store, name) : NULL;
    if (!path)
        return -ENOMEM;
    walk->partition = partition;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        tell(walk, name, -1, -1, "the partition's folder is missing");
    return 0;
}

static int visit_topic(struct walk *walk, const char *folder, const char *name, bool is_last)
{
    _cleanup_free_ char *path = join(folder, name);
    int r = 0;
    (void)is_last;
    if (!path)
        return -ENOMEM;
    walk->partition = -1;
    if (!read_topic(walk, path)) {
        tell(walk, path, -1, -1, "the file \"topic\" does not say which topic this is");
        walk->partition_count = -1;
    }
    if (walk->what->topic && strcmp(walk->what->topic, walk->topic) != 0)
        return 0;
    for (long i = 0; r == 0 && i < walk->partition_count; i++)
        if (walk->what->partition < 0 || walk->what->partition == i)
            r = check_partition(walk, path, i);
    return r < 0 ? r : each_name(walk, path, is_partition, visit_partition);
}

int verify_alone(const struct verify_alone *what, struct beck_verify_totals *ret_totals,
                 struct beck_error *error)
{
    struct walk walk = {.what = what, .partition = -1, .partition_count = -1};
    int r = each_name(&walk, "topics", is_topic, visit_topic);
    *ret_totals = walk.totals;
    if (r < 0) {
        *error = (struct beck_error){.code = r, .partition = -1, .offset = -1, .byte = -1};
        (void)snprintf(error->message, sizeof(error->message), "%s: cannot be checked: %s",
                       what->store, strerror(-r));
        return r;
    }
    return walk.damages;
}
