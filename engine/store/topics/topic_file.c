/* SPDX-License-Identifier: Apache-2.0 */
/* The file `topic`: its text, and replacing it. */
#include "topic_file.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES (STORE_TOPIC_PATH_BYTES + 16)
/* Each setting takes "config " and a newline, and its two NULs are a '=' and nothing. */
#define TEXT_BYTES (CONFIG_SET_BYTES * 2 + 1024)

static int topic_file_text(const struct meta_topic *topic, char text[TEXT_BYTES])
{
    const struct beck_topic *t = &topic->topic;
    char id[2 * BECK_ID_BYTES + 1];
    for (size_t i = 0; i < BECK_ID_BYTES; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", t->id[i]);
    int n = snprintf(text, TEXT_BYTES,
                     "beck-topic 1\nname %s\nid %s\nnumber %u\npartitions %u\ncreated %lld\n",
                     t->name, id, t->number, t->partition_count, (long long)t->created_ms);
    for (uint32_t i = 0; i < topic->configs.bytes && n < TEXT_BYTES;) {
        const char *key = topic->configs.text + i;
        const char *value = key + strlen(key) + 1;
        n += snprintf(text + n, TEXT_BYTES - (size_t)n, "config %s=%s\n", key, value);
        i += (uint32_t)(strlen(key) + strlen(value) + 2);
    }
    return n < TEXT_BYTES ? n : -EMSGSIZE;
}

static int write_new(const struct io *io, int directory, const char *path, char *text, size_t size,
                     bool durable)
{
    _cleanup_close_ int fd = io->open(io, directory, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return fd;
    struct iovec vector = {.iov_base = text, .iov_len = size};
    int r = io->write(io, fd, &vector, 1, 0);
    return r < 0 || !durable ? r : io->sync_data(io, fd);
}

int topic_file_write(struct beck_store *store, const struct meta_topic *topic)
{
    char directory[STORE_TOPIC_PATH_BYTES];
    char path[PATH_BYTES];
    char new_path[PATH_BYTES];
    char text[TEXT_BYTES];
    int size = topic_file_text(topic, text);
    if (size < 0)
        return size;
    store_topic_path(directory, topic->topic.id, -1);
    (void)snprintf(path, sizeof(path), "%s/topic", directory);
    (void)snprintf(new_path, sizeof(new_path), "%s/topic.new", directory);
    int r = write_new(store->io, store->directory, new_path, text, (size_t)size, true);
    if (r == 0)
        r = store->io->rename(store->io, store->directory, new_path, path);
    return r < 0 ? r : io_sync_names(store->io, store->directory, directory);
}

/* The next line of a text, which is cut into lines; NULL behind the last. */
static char *next_line(char **text)
{
    char *line = *text;
    char *end = line ? strchr(line, '\n') : NULL;
    if (!end)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static bool read_number(const char *text, uint64_t most, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > most)
        return false;
    *ret_number = number;
    return true;
}

/* Take one line, "word value". Lines that are not known are passed over. */
static bool read_line(char *line, struct meta_topic *topic)
{
    struct beck_topic *t = &topic->topic;
    uint64_t number = 0;
    char *value = strchr(line, ' ');
    if (!value)
        return false;
    *value++ = '\0';
    if (strcmp(line, "name") == 0) {
        (void)snprintf(t->name, sizeof(t->name), "%s", value);
        return beck_topic_name_valid(value);
    }
    if (strcmp(line, "id") == 0)
        return store_topic_id_parse(value, t->id) == 0;
    if (strcmp(line, "number") == 0) {
        bool good = read_number(value, UINT32_MAX - 1, &number);
        t->number = (uint32_t)number;
        return good;
    }
    if (strcmp(line, "partitions") == 0) {
        bool good = read_number(value, BECK_PARTITIONS_MAX, &number);
        t->partition_count = (uint32_t)number;
        return good;
    }
    if (strcmp(line, "created") == 0) {
        bool good = read_number(value, INT64_MAX, &number);
        t->created_ms = (int64_t)number;
        return good;
    }
    char *equals = strcmp(line, "config") == 0 ? strchr(value, '=') : NULL;
    if (equals) {
        *equals = '\0';
        (void)config_set_put(&topic->configs, CONFIG_OF_TOPIC, value, equals + 1, NULL);
    }
    return true;
}

static int read_text(struct beck_store *store, const char *path, char text[TEXT_BYTES])
{
    const struct io *io = store->io;
    _cleanup_close_ int fd = io_open_file(io, store->directory, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t n = io->read(io, fd, text, TEXT_BYTES - 1, 0);
    if (n < 0)
        return (int)n;
    text[n] = '\0';
    return strlen(text) == (size_t)n ? 0 : -EBADMSG;
}

int topic_file_read(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                    struct meta_topic *ret_topic)
{
    char directory[STORE_TOPIC_PATH_BYTES];
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
    char *at = text;
    store_topic_path(directory, id, -1);
    (void)snprintf(path, sizeof(path), "%s/topic", directory);
    int r = read_text(store, path, text);
    if (r < 0)
        return r;
    memset(ret_topic, 0, sizeof(*ret_topic));
    ret_topic->topic.uid = geteuid();
    ret_topic->topic.gid = getegid();
    ret_topic->topic.mode = 0755;
    char *line = next_line(&at);
    bool good = line && strcmp(line, "beck-topic 1") == 0;
    while (good && (line = next_line(&at)))
        good = read_line(line, ret_topic);
    if (!good || ret_topic->topic.name[0] == '\0' || ret_topic->topic.number == 0 ||
        ret_topic->topic.partition_count == 0 ||
        memcmp(ret_topic->topic.id, id, BECK_ID_BYTES) != 0)
        return -EBADMSG;
    return 0;
}

int topic_file_put(const struct io *io, int directory, const struct meta_topic *topic)
{
    char folder[STORE_TOPIC_PATH_BYTES];
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
    int size = topic_file_text(topic, text);
    if (size < 0)
        return size;
    store_topic_path(folder, topic->topic.id, -1);
    (void)snprintf(path, sizeof(path), "%s/topic", folder);
    return write_new(io, directory, path, text, (size_t)size, false);
}
