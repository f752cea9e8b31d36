/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole connections of nonsense, from outside of the daemon:
 *
 *     connection_fuzz SOCKET SEEDS COUNT FIRST
 *
 * SOCKET is a Unix socket of the daemon, SEEDS a directory of requests as they stand in frames.
 * Each connection sends some of them, most with changes, some with a length that lies, and then
 * hangs up, resets, or says that it has sent all and reads what comes. All that a connection sends
 * follows from its number, from FIRST on. It fails when a connection cannot be made, or is not
 * ended by the daemon in PATIENCE_MS after all was sent.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define THREADS     8
#define FRAME_MAX   ((size_t)1 << 16)
#define PATIENCE_MS 60000
#define READ_MAX    ((size_t)1 << 24) /* of answers; more is not waited for */

struct seed {
    uint8_t *data;
    size_t size;
};

static struct seed *seeds;
static size_t seed_count;
static const char *path;
static atomic_ullong next_number;
static unsigned long long end_number;
static atomic_ullong answered;

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)(random_next(state) % limit) : 0;
}

/* ---- seeds ---- */

static void load_seed(const char *file)
{
    FILE *stream = fopen(file, "rb");
    if (!stream)
        err(1, "%s", file);
    seeds = reallocarray(seeds, seed_count + 1, sizeof(*seeds));
    uint8_t *data = malloc(FRAME_MAX);
    if (!seeds || !data)
        err(1, "seeds");
    size_t size = fread(data, 1, FRAME_MAX / 4, stream);
    seeds[seed_count++] = (struct seed){data, size};
    fclose(stream);
}

static void load_seeds(const char *directory)
{
    DIR *list = opendir(directory);
    struct dirent *entry;
    if (!list)
        err(1, "%s", directory);
    while ((entry = readdir(list))) {
        char file[4096];
        (void)snprintf(file, sizeof(file), "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            load_seed(file);
    }
    closedir(list);
    if (seed_count == 0)
        errx(1, "%s: no seeds", directory);
}

/* ---- changes ---- */

static void put_number(uint64_t *state, uint8_t *data, size_t size)
{
    static const int64_t edges[] = {0,   -1,    1,     2,         127,       128,
                                    255, 32767, 65535, INT32_MAX, INT32_MIN, INT64_MAX};
    int64_t value = edges[below(state, sizeof(edges) / sizeof(edges[0]))];
    size_t width = (size_t)1 << below(state, 4);
    if (size < width)
        return;
    uint8_t *at = data + below(state, size - width + 1);
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t)((uint64_t)value >> 8 * (width - 1 - i));
}

/* Puts some bytes of any seed over, or between, those that are there. */
static size_t splice(uint64_t *state, uint8_t *data, size_t size)
{
    const struct seed *other = &seeds[below(state, seed_count)];
    size_t from = below(state, other->size);
    size_t length = 1 + below(state, other->size - from);
    size_t at = below(state, size + 1);
    bool between = below(state, 2) && size + length <= FRAME_MAX;
    if (other->size == 0)
        return size;
    if (between)
        memmove(data + at + length, data + at, size - at);
    else if (at + length > FRAME_MAX)
        return size;
    memcpy(data + at, other->data + from, length);
    return between ? size + length : at + length > size ? at + length : size;
}

static size_t change(uint64_t *state, uint8_t *data, size_t size)
{
    size_t at = below(state, size);
    if (size == 0)
        return 0;
    switch (below(state, 6)) {
    case 0:
        data[at] ^= (uint8_t)(1 << below(state, 8));
        return size;
    case 1:
        data[at] = (uint8_t)random_next(state);
        return size;
    case 2:
    case 3:
        put_number(state, data, size);
        return size;
    case 4: { /* some are missing */
        size_t length = 1 + below(state, size - at);
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    }
    default:
        return splice(state, data, size);
    }
}

/* A frame at `to`, which has room for any. Returns its size. */
static size_t make_frame(uint64_t *state, uint8_t *to)
{
    const struct seed *seed = &seeds[below(state, seed_count)];
    size_t size = seed->size;
    memcpy(to + 4, seed->data, size);
    if (below(state, 4) > 0)
        for (size_t i = 1 + below(state, 4); i > 0; i--)
            size = change(state, to + 4, size);
    uint32_t length = (uint32_t)size;
    if (below(state, 32) == 0)
        length = below(state, 2) ? (uint32_t)random_next(state) : length + 1;
    length = htonl(length);
    memcpy(to, &length, sizeof(length));
    return size + 4;
}

/* ---- connections ---- */

static int connect_once(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        err(1, "%s: the daemon takes no connections", path);
    return fd;
}

static void send_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* closed, for good reason */
        data += sent;
        size -= (size_t)sent;
    }
}

static void read_all(int fd, unsigned long long number)
{
    static _Thread_local uint8_t buffer[1 << 16];
    size_t total = 0;
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, PATIENCE_MS) == 0)
            errx(1, "connection %llu: it is not ended", number);
        ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
        if (got <= 0 || total > READ_MAX)
            break;
        total += (size_t)got;
    }
    atomic_fetch_add(&answered, total > 0);
}

static void run_one(unsigned long long number, uint8_t *buffer)
{
    uint64_t state = number;
    int fd = connect_once();
    for (size_t i = 1 + below(&state, 4); i > 0; i--)
        send_all(fd, buffer, make_frame(&state, buffer));
    size_t end = below(&state, 8);
    if (end > 1) {
        shutdown(fd, SHUT_WR);
        read_all(fd, number);
    }
    close(fd);
}

static void *run(void *argument)
{
    uint8_t *buffer = malloc(FRAME_MAX + 4);
    unsigned long long number;
    (void)argument;
    if (!buffer)
        err(1, "a buffer");
    while ((number = atomic_fetch_add(&next_number, 1)) < end_number)
        run_one(number, buffer);
    free(buffer);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    if (argc != 5)
        errx(2, "SOCKET SEEDS COUNT FIRST");
    path = argv[1];
    load_seeds(argv[2]);
    next_number = strtoull(argv[4], NULL, 10);
    end_number = next_number + strtoull(argv[3], NULL, 10);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            errx(1, "a thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%s connections, %llu with answers\n", argv[3], (unsigned long long)answered);
    return 0;
}
