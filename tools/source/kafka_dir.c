/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a Kafka broker's log directory, and reading the small text files in it. */
#include "kafka_dir.h"

#include "cleanup.h"
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PARTITIONS_MAX = 1 << 20,
    TEXT_BYTES_MAX = 64 << 20, /* a checkpoint of a million partitions with the longest names fits
                                  hardly, and no other file comes near */
    ID_TEXT = 22,
};

/* ---- text files --------------------------------------------------------------------------- */

int kafka_dir_read(const char *path, char **ret_text, struct beck_error *error)
{
    struct stat status;

    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return report_errno(error, -errno, "cannot read %s", path);
    if (!S_ISREG(status.st_mode))
        return report(error, -EINVAL, "%s is no file", path);
    if (status.st_size > TEXT_BYTES_MAX)
        return report(error, -EMSGSIZE, "%s has %lld bytes, which is too much for what it is", path,
                      (long long)status.st_size);
    _cleanup_free_ char *text = malloc((size_t)status.st_size + 1);
    if (text == NULL)
        return report(error, -ENOMEM, "not enough memory for %s", path);
    size_t done = 0;
    while (done < (size_t)status.st_size) {
        ssize_t got = read(fd, text + done, (size_t)status.st_size - done);
        if (got < 0 && errno != EINTR)
            return report_errno(error, -errno, "cannot read %s", path);
        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
    }
    if (memchr(text, '\0', done) != NULL)
        return report(error, -EBADMSG, "%s is no text", path);
    text[done] = '\0';
    *ret_text = TAKE_POINTER(text);
    return 0;
}

/* The next line of a text, cut off where it ends; NULL: there are no more. */
static char *next_line(char **rest)
{
    char *line = *rest;

    if (line == NULL || *line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    *rest = end != NULL ? end + 1 : NULL;
    if (end != NULL)
        *end = '\0';
    return line;
}

static bool parse_whole(const char *text, int64_t *ret_number)
{
    char *end = NULL;

    if ((text[0] < '0' || text[0] > '9') && text[0] != '-')
        return false;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* ---- meta.properties and .lock ------------------------------------------------------------ */

static void read_properties(struct kafka_dir *dir)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *text = NULL;
    int64_t number;

    dir->node_id = -1;
    if (asprintf(&path, "%s/meta.properties", dir->path) < 0 ||
        kafka_dir_read(path, &text, NULL) < 0)
        return;
    char *rest = text;
    for (char *line; (line = next_line(&rest)) != NULL;) {
        if (strncmp(line, "cluster.id=", 11) == 0)
            (void)snprintf(dir->cluster_id, sizeof(dir->cluster_id), "%.63s", line + 11);
        else if (strncmp(line, "node.id=", 8) == 0 && parse_whole(line + 8, &number) &&
                 number >= 0 && number <= INT32_MAX)
            dir->node_id = (int32_t)number;
    }
}

/* Java's file locks are POSIX record locks. */
static int check_stopped(const struct kafka_dir *dir, struct beck_error *error)
{
    _cleanup_free_ char *path = NULL;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (asprintf(&path, "%s/.lock", dir->path) < 0)
        return report(error, -ENOMEM, "not enough memory");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return 0;
    return report(error, -EBUSY, "%s is open in a broker, process %d: stop it first", dir->path,
                  (int)lock.l_pid);
}

/* ---- which partitions there are ----------------------------------------------------------- */

/* "TOPIC-N" */
static bool parse_partition(const char *name, struct kafka_partition *partition)
{
    const char *dash = strrchr(name, '-');
    int64_t number;

    if (dash == NULL || (size_t)(dash - name) > BECK_TOPIC_NAME_BYTES ||
        strspn(dash + 1, "0123456789") != strlen(dash + 1) || !parse_whole(dash + 1, &number) ||
        number > INT32_MAX)
        return false;
    *partition = (struct kafka_partition){.number = (int32_t)number};
    memcpy(partition->topic, name, (size_t)(dash - name));
    return beck_topic_name_valid(partition->topic);
}

static int add_partition(struct kafka_dir *dir, const struct kafka_partition *partition)
{
    size_t count = dir->count;

    if (count == PARTITIONS_MAX)
        return -EMSGSIZE;
    if ((count & (count - 1)) == 0) {
        struct kafka_partition *larger =
            reallocarray(dir->partitions, count > 0 ? 2 * count : 1, sizeof(*larger));
        if (larger == NULL)
            return -ENOMEM;
        dir->partitions = larger;
    }
    dir->partitions[dir->count++] = *partition;
    return 0;
}

static int compare_partitions(const void *a, const void *b)
{
    const struct kafka_partition *first = a;
    const struct kafka_partition *second = b;

    int order = strcmp(first->topic, second->topic);
    return order != 0 ? order : (first->number > second->number) - (first->number < second->number);
}

static int list_partitions(struct kafka_dir *dir, struct beck_error *error)
{
    struct kafka_partition partition;
    struct dirent *found;
    int result = 0;

    DIR *listing = opendir(dir->path);
    if (listing == NULL)
        return report_errno(error, -errno, "cannot read the directory %s", dir->path);
    while (result == 0 && (errno = 0, found = readdir(listing)) != NULL) {
        if (parse_partition(found->d_name, &partition))
            result = add_partition(dir, &partition);
    }
    if (result == 0 && errno != 0)
        result = -errno;
    (void)closedir(listing);
    if (result < 0)
        return report_errno(error, result, "cannot read the directory %s", dir->path);
    if (dir->count == 0)
        return report(error, -ENOENT, "%s has no partitions: no directory in it is named TOPIC-N",
                      dir->path);
    qsort(dir->partitions, dir->count, sizeof(dir->partitions[0]), compare_partitions);
    return 0;
}

int kafka_dir_open(const char *path, struct kafka_dir *ret_dir, struct beck_error *error)
{
    struct kafka_dir dir = {.path = strdup(path)};

    if (dir.path == NULL)
        return report(error, -ENOMEM, "not enough memory");
    for (size_t length = strlen(dir.path); length > 1 && dir.path[length - 1] == '/';)
        dir.path[--length] = '\0';
    int result = list_partitions(&dir, error);
    if (result == 0)
        result = check_stopped(&dir, error);
    if (result < 0) {
        kafka_dir_done(&dir);
        return result;
    }
    read_properties(&dir);
    *ret_dir = dir;
    return 0;
}

void kafka_dir_done(struct kafka_dir *dir)
{
    free(dir->path);
    free(dir->partitions);
    *dir = (struct kafka_dir){0};
}

ssize_t kafka_dir_find(const struct kafka_dir *dir, const char *topic, int32_t number)
{
    struct kafka_partition wanted = {.number = number};

    if (strlen(topic) > BECK_TOPIC_NAME_BYTES)
        return -1;
    (void)snprintf(wanted.topic, sizeof(wanted.topic), "%s", topic);
    const struct kafka_partition *found = bsearch(&wanted, dir->partitions, dir->count,
                                                  sizeof(dir->partitions[0]), compare_partitions);
    return found != NULL ? found - dir->partitions : -1;
}

/* ---- one partition ------------------------------------------------------------------------ */

char *kafka_dir_file(const struct kafka_dir *dir, const struct kafka_partition *partition,
                     const char *name)
{
    char *path;

    if (asprintf(&path, "%s/%s-%d%s%s", dir->path, partition->topic, (int)partition->number,
                 name != NULL ? "/" : "", name != NULL ? name : "") < 0)
        return NULL;
    return path;
}

/* base64url, without padding. */
static bool parse_id(const char *text, uint8_t id[BECK_ID_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0;
    size_t done = 0;

    if (strlen(text) != ID_TEXT)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        const char *digit = strchr(digits, *at);
        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have >= 8 && done < BECK_ID_BYTES) {
            have -= 8;
            id[done++] = (uint8_t)(bits >> have);
        }
    }
    return done == BECK_ID_BYTES;
}

int kafka_dir_topic_id(const struct kafka_dir *dir, const struct kafka_partition *partition,
                       uint8_t ret_id[BECK_ID_BYTES], struct beck_error *error)
{
    _cleanup_free_ char *path = kafka_dir_file(dir, partition, "partition.metadata");
    _cleanup_free_ char *text = NULL;
    uint8_t id[BECK_ID_BYTES];

    if (path == NULL)
        return report(error, -ENOMEM, "not enough memory");
    int result = kafka_dir_read(path, &text, error);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    char *rest = text;
    const char *version = next_line(&rest);
    const char *line = next_line(&rest);
    if (version == NULL || strcmp(version, "version: 0") != 0)
        return report(error, -EBADMSG, "%s: its first line should be \"version: 0\"", path);
    if (line == NULL || strncmp(line, "topic_id: ", 10) != 0 || !parse_id(line + 10, id))
        return report(error, -EBADMSG, "%s: its second line has no topic id", path);
    memcpy(ret_id, id, sizeof(id));
    return 1;
}

static int compare_offsets(const void *a, const void *b)
{
    const int64_t *first = a;
    const int64_t *second = b;

    return (*first > *second) - (*first < *second);
}

/* The base offsets of a directory's segments. */
static int list_offsets(const char *path, int64_t **ret_offsets, size_t *ret_count,
                        struct beck_error *error)
{
    _cleanup_free_ int64_t *offsets = NULL;
    struct dirent *found;
    size_t count = 0;
    int result = 0;

    DIR *listing = opendir(path);
    if (listing == NULL)
        return report_errno(error, -errno, "cannot read the directory %s", path);
    while (result == 0 && (errno = 0, found = readdir(listing)) != NULL) {
        size_t length = strlen(found->d_name);
        if (length > 9 && strcmp(found->d_name + length - 9, ".log.swap") == 0)
            result = report(error, -EBADMSG,
                            "%s/%s: a compaction was cut short; start the broker and stop it, so "
                            "that it comes to an end",
                            path, found->d_name);
        int64_t offset = segment_name_offset(found->d_name);
        if (result < 0 || offset < 0)
            continue;
        if ((count & (count - 1)) == 0) {
            int64_t *larger = reallocarray(offsets, count > 0 ? 2 * count : 1, sizeof(*offsets));
            if (larger == NULL) {
                result = report(error, -ENOMEM, "not enough memory");
                continue;
            }
            offsets = larger;
        }
        offsets[count++] = offset;
    }
    if (result == 0 && errno != 0)
        result = report_errno(error, -errno, "cannot read the directory %s", path);
    (void)closedir(listing);
    if (result < 0)
        return result;
    if (count > 0)
        qsort(offsets, count, sizeof(*offsets), compare_offsets);
    *ret_offsets = TAKE_POINTER(offsets);
    *ret_count = count;
    return 0;
}

int kafka_dir_segments(const struct kafka_dir *dir, const struct kafka_partition *partition,
                       struct segments *segments, struct beck_error *error)
{
    _cleanup_free_ char *path = kafka_dir_file(dir, partition, NULL);
    _cleanup_free_ int64_t *offsets = NULL;
    size_t count = 0;

    if (path == NULL)
        return report(error, -ENOMEM, "not enough memory");
    int result = list_offsets(path, &offsets, &count, error);
    for (size_t i = 0; result == 0 && i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%020lld.log", (long long)offsets[i]);
        _cleanup_free_ char *file = kafka_dir_file(dir, partition, name);
        result = file != NULL ? segments_add(segments, file, offsets[i]) : -ENOMEM;
        if (result < 0)
            (void)report_errno(error, result, "cannot read %s/%s", path, name);
    }
    return result;
}

/* ---- checkpoints -------------------------------------------------------------------------- */

/* Read a checkpoint up to its first entry: version and count are checked. Kafka makes the file
 * before it has anything to write, and takes an empty one for one without entries. */
static int open_checkpoint(const char *path, char **ret_text, char **ret_rest, int64_t *ret_count,
                           struct beck_error *error)
{
    int64_t version;

    int result = kafka_dir_read(path, ret_text, error);
    if (result < 0)
        return result;
    char *rest = *ret_text;
    *ret_count = 0;
    *ret_rest = NULL;
    if (rest[0] == '\0')
        return 0;
    const char *first = next_line(&rest);
    const char *second = next_line(&rest);
    if (!parse_whole(first, &version) || version != 0)
        return report(error, -EBADMSG, "%s: its first line should be 0", path);
    if (second == NULL || !parse_whole(second, ret_count) || *ret_count < 0)
        return report(error, -EBADMSG, "%s: its second line should be a count", path);
    *ret_rest = rest;
    return 0;
}

/* "TOPIC N OFFSET" */
static bool parse_entry(char *line, struct kafka_partition *partition, int64_t *ret_offset)
{
    int64_t number;
    char *offset = strrchr(line, ' ');

    if (offset == NULL)
        return false;
    *offset++ = '\0';
    char *digits = strrchr(line, ' ');
    if (digits == NULL)
        return false;
    *digits++ = '\0';
    if (!parse_whole(offset, ret_offset) || *ret_offset < 0 || !parse_whole(digits, &number) ||
        number < 0 || number > INT32_MAX || !beck_topic_name_valid(line))
        return false;
    *partition = (struct kafka_partition){.number = (int32_t)number};
    (void)snprintf(partition->topic, sizeof(partition->topic), "%s", line);
    return true;
}

int kafka_dir_checkpoint(const struct kafka_dir *dir, const char *name,
                         const struct kafka_partition *partition, int64_t *ret_offset,
                         struct beck_error *error)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *text = NULL;
    char *rest = NULL;
    int64_t count = 0;
    int64_t offset;
    int found = 0;

    if (asprintf(&path, "%s/%s", dir->path, name) < 0)
        return report(error, -ENOMEM, "not enough memory");
    int result = open_checkpoint(path, &text, &rest, &count, error);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    int64_t done = 0;
    for (char *line; (line = next_line(&rest)) != NULL; done++) {
        struct kafka_partition at;
        if (!parse_entry(line, &at, &offset))
            return report(error, -EBADMSG, "%s: line %lld is no topic, partition and offset", path,
                          (long long)done + 3);
        if (compare_partitions(&at, partition) == 0) {
            *ret_offset = offset;
            found = 1;
        }
    }
    if (done != count)
        return report(error, -EBADMSG, "%s has %lld entries where it should have %lld", path,
                      (long long)done, (long long)count);
    return found;
}

int kafka_dir_epoch(const struct kafka_dir *dir, const struct kafka_partition *partition,
                    int32_t *ret_epoch, int64_t *ret_start_offset, struct beck_error *error)
{
    _cleanup_free_ char *path = kafka_dir_file(dir, partition, "leader-epoch-checkpoint");
    _cleanup_free_ char *text = NULL;
    char *rest = NULL;
    int64_t count = 0;
    int found = 0;

    if (path == NULL)
        return report(error, -ENOMEM, "not enough memory");
    int result = open_checkpoint(path, &text, &rest, &count, error);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    for (char *line; (line = next_line(&rest)) != NULL;) {
        int64_t epoch;
        int64_t start;
        char *space = strchr(line, ' ');
        if (space != NULL)
            *space++ = '\0';
        if (space == NULL || !parse_whole(line, &epoch) || epoch < 0 || epoch > INT32_MAX ||
            !parse_whole(space, &start) || start < 0)
            return report(error, -EBADMSG, "%s: a line is no epoch and offset", path);
        *ret_epoch = (int32_t)epoch;
        *ret_start_offset = start;
        found = 1;
    }
    return found;
}
