/* SPDX-License-Identifier: Apache-2.0 */
/* The file `topic`: its text, and replacing it. */
#include "topic_file.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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

static int write_new(struct beck_store *store, const char *path, char *text, size_t size)
{
    const struct io *io = store->io;
    _cleanup_close_ int fd =
        io->open(io, store->directory, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return fd;
    struct iovec vector = {.iov_base = text, .iov_len = size};
    int r = io->write(io, fd, &vector, 1, 0);
    return r < 0 ? r : io->sync_data(io, fd);
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
    int r = write_new(store, new_path, text, (size_t)size);
    if (r == 0)
        r = store->io->rename(store->io, store->directory, new_path, path);
    return r < 0 ? r : topic_file_sync_path(store, directory);
}

int topic_file_sync_path(struct beck_store *store, const char *path)
{
    _cleanup_close_ int fd =
        store->io->open(store->io, store->directory, path, O_RDONLY | O_DIRECTORY, 0);
    return fd < 0 ? fd : store->io->sync(store->io, fd);
}
