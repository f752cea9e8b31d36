/* SPDX-License-Identifier: Apache-2.0
 *
 * A table of lists, by a hash of the address; see sources.h. An address is in it as long as it has
 * connections, so that the limit on those bounds the table, too.
 */
#include "sources.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

void sources_init(struct sources *sources)
{
    memset(sources->buckets, 0, sizeof(sources->buckets));
    pthread_mutex_init(&sources->lock, NULL);
}

void sources_done(struct sources *sources)
{
    for (size_t i = 0; i < SOURCES_BUCKETS; i++)
        assert(!sources->buckets[i]);
    pthread_mutex_destroy(&sources->lock);
}

bool source_address(const struct sockaddr_storage *from, uint8_t ret[SOURCES_ADDRESS_BYTES])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (from->ss_family == AF_INET6) {
        memcpy(ret, &((const struct sockaddr_in6 *)from)->sin6_addr, SOURCES_ADDRESS_BYTES);
        return true;
    }
    if (from->ss_family != AF_INET)
        return false;
    memcpy(ret, mapped, sizeof(mapped));
    memcpy(ret + sizeof(mapped), &((const struct sockaddr_in *)from)->sin_addr, 4);
    return true;
}

/* Who has many addresses may fill one list: it costs him, and others a few steps in a connect. */
static size_t bucket_of(const uint8_t address[SOURCES_ADDRESS_BYTES])
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < SOURCES_ADDRESS_BYTES; i++)
        hash = (hash ^ address[i]) * 16777619U;
    return (hash ^ hash >> 16) % SOURCES_BUCKETS;
}

/* Where the address's source hangs, or would. Under the lock. */
static struct source **find(struct sources *sources, const uint8_t address[SOURCES_ADDRESS_BYTES])
{
    struct source **at = &sources->buckets[bucket_of(address)];
    while (*at && memcmp((*at)->address, address, SOURCES_ADDRESS_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

static int take(struct sources *sources, const uint8_t address[SOURCES_ADDRESS_BYTES], int64_t most,
                struct source **ret_source)
{
    struct source **at = find(sources, address);
    if (*at && (*at)->count >= most)
        return -EBUSY;
    if (!*at) {
        *at = calloc(1, sizeof(**at));
        if (!*at)
            return -ENOMEM;
        memcpy((*at)->address, address, SOURCES_ADDRESS_BYTES);
    }
    (*at)->count++;
    *ret_source = *at;
    return 0;
}

int sources_take(struct sources *sources, const struct sockaddr_storage *address, int64_t most,
                 struct source **ret_source)
{
    uint8_t bytes[SOURCES_ADDRESS_BYTES];
    if (!source_address(address, bytes)) {
        *ret_source = NULL;
        return 0;
    }
    pthread_mutex_lock(&sources->lock);
    int result = take(sources, bytes, most, ret_source);
    pthread_mutex_unlock(&sources->lock);
    return result;
}

void sources_give(struct sources *sources, struct source *source)
{
    if (!source)
        return;
    pthread_mutex_lock(&sources->lock);
    if (--source->count == 0) {
        struct source **at = find(sources, source->address);
        *at = source->next;
        free(source);
    }
    pthread_mutex_unlock(&sources->lock);
}
