/* SPDX-License-Identifier: Apache-2.0
 *
 * How soon a fetch that waits in a daemon is answered after another process has appended:
 *
 *     wake STORE PORT TOPIC ROUNDS [PAUSE_MS]
 *
 * This process has the daemon's store open and a connection to the daemon. In each round it sends a
 * fetch that would wait for half a minute, pauses so that it does wait (PAUSE_MS, 2 if not given),
 * appends one record to the store with acks=1, and reads the answer. Printed are percentiles of the
 * time from before the append to the answer, in microseconds.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "beck.h"

struct request {
    uint8_t bytes[512];
    size_t size;
};

static void put(struct request *request, int64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        request->bytes[request->size++] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static void put_string(struct request *request, const char *text)
{
    put(request, (int64_t)strlen(text), 2);
    memcpy(request->bytes + request->size, text, strlen(text));
    request->size += strlen(text);
}

/* Fetch version 4 of partition 0. */
static struct request fetch_request(const char *topic, int64_t offset)
{
    struct request request = {.size = 4};
    put(&request, 1, 2);
    put(&request, 4, 2);
    put(&request, 7, 4);
    put_string(&request, "wake");
    put(&request, -1, 4);
    put(&request, 30000, 4);
    put(&request, 1, 4);
    put(&request, 1 << 20, 4);
    put(&request, 0, 1);
    put(&request, 1, 4);
    put_string(&request, topic);
    put(&request, 1, 4);
    put(&request, 0, 4);
    put(&request, offset, 8);
    put(&request, 1 << 20, 4);
    size_t size = request.size;
    request.size = 0;
    put(&request, (int64_t)size - 4, 4);
    request.size = size;
    return request;
}

static void read_exactly(int fd, void *buffer, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t more = read(fd, (char *)buffer + got, size - got);
        if (more <= 0)
            err(1, "the daemon's answer");
        got += (size_t)more;
    }
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        err(1, "port %u", port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static int64_t now_nsec(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* One round; returns nanoseconds. */
static int64_t measure(int fd, const char *topic, struct beck_partition *partition, int64_t *offset,
                       unsigned pause_ms)
{
    static uint8_t answer[1 << 20];
    struct request request = fetch_request(topic, *offset);
    struct beck_record record = {.key_size = -1, .value = "wake up", .value_size = 7};
    struct beck_append_result result;
    struct beck_error error;
    uint32_t size;
    if (write(fd, request.bytes, request.size) != (ssize_t)request.size)
        err(1, "the daemon");
    usleep(pause_ms * 1000);
    int64_t begin = now_nsec();
    if (beck_produce(partition, &record, 1, BECK_ACKS_LEADER, &result, &error) < 0)
        errx(1, "%s", error.message);
    read_exactly(fd, &size, sizeof(size));
    read_exactly(fd, answer, be32toh(size) < sizeof(answer) ? be32toh(size) : sizeof(answer));
    int64_t end = now_nsec();
    *offset = result.next_offset;
    return end - begin;
}

int main(int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct beck_partition_state state;
    struct beck_error error;
    if (argc < 5)
        errx(2, "usage: wake STORE PORT TOPIC ROUNDS [PAUSE_MS]");
    size_t rounds = (size_t)atol(argv[4]);
    int64_t *times = calloc(rounds, sizeof(*times));
    if (!times || rounds == 0)
        errx(1, "rounds");
    if (beck_store_open(argv[1], 0, NULL, &store, &error) < 0 ||
        beck_partition_open(store, argv[3], 0, &partition, &error) < 0 ||
        beck_partition_state(partition, &state, &error) < 0)
        errx(1, "%s", error.message);
    int fd = connect_to((uint16_t)atoi(argv[2]));
    int64_t offset = state.next_offset;
    for (size_t i = 0; i < rounds; i++)
        times[i] = measure(fd, argv[3], partition, &offset, argc > 5 ? (unsigned)atoi(argv[5]) : 2);
    qsort(times, rounds, sizeof(*times), compare);
    printf("append to fetch answer, us: p50 %.0f, p90 %.0f, p99 %.0f, most %.0f (%zu rounds)\n",
           (double)times[rounds / 2] / 1e3, (double)times[rounds * 9 / 10] / 1e3,
           (double)times[rounds * 99 / 100] / 1e3, (double)times[rounds - 1] / 1e3, rounds);
    free(times);
    close(fd);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}
