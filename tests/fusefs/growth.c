/* SPDX-License-Identifier: Apache-2.0 */
/*
 * growth FILE READERS SECONDS: one thread appends to FILE in pieces of random size, others read
 * near its end all the time and check every byte, and that a read is short only at the end. What
 * each byte must be follows from its position: lines of LINE_BYTES with their number in front.
 * Exits with 1 at the first wrong byte and says where; prints how many reads were checked.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 100
#define NEAR_BYTES 16384
#define PIECE_MAX  4000

static const char *path;
static atomic_bool stop;
static atomic_long checked;

static void line_make(int64_t number, char line[LINE_BYTES])
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%016lld", (long long)number);
    memcpy(line, text, 16);
    for (int64_t column = 16; column < LINE_BYTES - 1; column++)
        line[column] = (char)('a' + (number + column) % 26);
    line[LINE_BYTES - 1] = '\n';
}

/* What must stand at `position`. */
static void expect(int64_t position, size_t bytes, char *buffer)
{
    char line[LINE_BYTES];
    int64_t number = -1;
    for (size_t i = 0; i < bytes; i++) {
        int64_t at = position + (int64_t)i;
        if (at / LINE_BYTES != number) {
            number = at / LINE_BYTES;
            line_make(number, line);
        }
        buffer[i] = line[at % LINE_BYTES];
    }
}

static int64_t size_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        err(1, "fstat");
    return st.st_size;
}

static void check_once(int fd, unsigned *seed)
{
    char got[NEAR_BYTES];
    char wanted[NEAR_BYTES];
    int64_t size = size_of(fd);
    int64_t back = rand_r(seed) % NEAR_BYTES;
    int64_t position = size > back ? size - back : 0;
    size_t bytes = (size_t)(rand_r(seed) % NEAR_BYTES) + 1;
    ssize_t result = pread(fd, got, bytes, position);
    if (result < 0)
        err(1, "pread of %zu at %lld", bytes, (long long)position);
    if ((size_t)result < bytes && position + result < size)
        errx(1, "short read: %zd of %zu at %lld, size %lld", result, bytes, (long long)position,
             (long long)size);
    expect(position, (size_t)result, wanted);
    for (ssize_t i = 0; i < result; i++)
        if (got[i] != wanted[i])
            errx(1, "byte %lld is %d, not %d (size %lld)", (long long)(position + i), got[i],
                 wanted[i], (long long)size);
    if (size_of(fd) < position + result)
        errx(1, "the size is below what was read");
    atomic_fetch_add(&checked, 1);
}

static void *reader(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    while (!stop)
        check_once(fd, &seed);
    close(fd);
    return NULL;
}

static void *writer(void *argument)
{
    (void)argument;
    unsigned seed = 1;
    char piece[PIECE_MAX];
    int64_t position = 0;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    while (!stop) {
        size_t bytes = (size_t)(rand_r(&seed) % PIECE_MAX) + 1;
        expect(position, bytes, piece);
        if (write(fd, piece, bytes) != (ssize_t)bytes)
            err(1, "write");
        position += (int64_t)bytes;
    }
    /* Closing would end the line where it is: complete it first. */
    size_t rest = LINE_BYTES - (size_t)(position % LINE_BYTES);
    expect(position, rest, piece);
    if (write(fd, piece, rest) != (ssize_t)rest)
        err(1, "write");
    if (close(fd) < 0)
        err(1, "close");
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        errx(2, "usage: growth FILE READERS SECONDS");
    path = argv[1];
    int readers = atoi(argv[2]);
    pthread_t threads[65];
    if (readers < 1 || readers > 64)
        errx(2, "1 to 64 readers");
    pthread_create(&threads[0], NULL, writer, NULL);
    for (int i = 1; i <= readers; i++)
        pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i);
    struct timespec pause = {.tv_sec = atoi(argv[3])};
    (void)nanosleep(&pause, NULL);
    stop = true;
    for (int i = 0; i <= readers; i++)
        pthread_join(threads[i], NULL);
    printf("%ld reads checked\n", (long)checked);
    return 0;
}
