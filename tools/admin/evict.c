/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, LeaveGroup version 3 (KIP-345: several members at once), and the error in its
 * answer. Both are built and taken apart by hand, as nothing else here speaks the protocol itself.
 */
#include "evict.h"

#include "cluster.h"
#include "report.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    LEAVE_GROUP = 13,
    LEAVE_GROUP_VERSION = 3,
    CORRELATION_ID = 1,
    ANSWER_BYTES_MAX = 1 << 20,
    ANSWER_HEAD_BYTES = 10, /* correlation id, throttle time, error */
    ERROR_AT = 8,
};

/* ---- the request -------------------------------------------------------------------------- */

static uint8_t *put16(uint8_t *at, int16_t number)
{
    uint16_t big = htobe16((uint16_t)number);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

static uint8_t *put32(uint8_t *at, int32_t number)
{
    uint32_t big = htobe32((uint32_t)number);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

static uint8_t *put_string(uint8_t *at, const char *text)
{
    size_t size = strlen(text);
    at = put16(at, (int16_t)size);
    memcpy(at, text, size);
    return at + size;
}

/* The whole request, its length first; NULL: a name is too long, or there is no memory. */
static uint8_t *make_request(const char *group, const struct admin_member *members, size_t count,
                             size_t *ret_size)
{
    size_t room = 64 + strlen(group);

    for (size_t i = 0; i < count; i++) {
        if (strlen(members[i].id) > INT16_MAX)
            return NULL;
        room += strlen(members[i].id) + 4;
    }
    uint8_t *request = strlen(group) <= INT16_MAX && count <= INT32_MAX ? malloc(room) : NULL;
    if (request == NULL)
        return NULL;
    uint8_t *at = request + 4;
    at = put16(at, LEAVE_GROUP);
    at = put16(at, LEAVE_GROUP_VERSION);
    at = put32(at, CORRELATION_ID);
    at = put_string(at, "beck");
    at = put_string(at, group);
    at = put32(at, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        at = put_string(at, members[i].id);
        at = put16(at, -1); /* no group.instance.id: the member's id is enough */
    }
    *ret_size = (size_t)(at - request);
    (void)put32(request, (int32_t)(*ret_size - 4));
    return request;
}

/* ---- there and back ----------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = send(fd, data, size, MSG_NOSIGNAL);
        if (written < 0)
            return -errno;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

static int read_all(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, data, size, 0);
        if (got < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (got == 0)
            return -ECONNRESET;
        data += got;
        size -= (size_t)got;
    }
    return 0;
}

/* The answer's error, as Kafka numbers it, or a negative errno. */
static int read_answer(int fd)
{
    uint8_t head[ANSWER_HEAD_BYTES];
    uint32_t size;
    int16_t wrong;

    int result = read_all(fd, (uint8_t *)&size, sizeof(size));
    if (result < 0)
        return result;
    size = be32toh(size);
    if (size < sizeof(head) || size > ANSWER_BYTES_MAX)
        return -EPROTO;
    result = read_all(fd, head, sizeof(head)); /* what is said of each member is of no interest */
    if (result < 0)
        return result;
    memcpy(&wrong, head + ERROR_AT, sizeof(wrong));
    wrong = (int16_t)be16toh((uint16_t)wrong);
    return wrong >= 0 ? wrong : -EPROTO;
}

static int exchange(int fd, const uint8_t *request, size_t size)
{
    const struct timeval patience = {.tv_sec = CLUSTER_PATIENCE_MS / 1000};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int result = write_all(fd, request, size);
    return result < 0 ? result : read_answer(fd);
}

int evict(const char *store_path, const char *group, const struct admin_member *members,
          size_t count, struct beck_error *error)
{
    size_t size = 0;

    uint8_t *request = make_request(group, members, count, &size);
    if (request == NULL)
        return report(error, -ENOMEM, "group %s: its members cannot be told to leave", group);
    int fd = cluster_socket(store_path, error);
    if (fd < 0) {
        free(request);
        return fd;
    }
    int result = exchange(fd, request, size);
    (void)close(fd);
    free(request);
    if (result == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)
        return 0;
    if (result > 0)
        return cluster_error(error, (rd_kafka_resp_err_t)result, "group %s", group);
    return result < 0 ? report(error, result, "beckd: %s", strerror(-result)) : 0;
}
