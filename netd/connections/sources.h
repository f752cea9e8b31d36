/* SPDX-License-Identifier: Apache-2.0
 *
 * Where connections come from: how many there are from each address. One lock for all loops, taken
 * when a connection comes and when it ends.
 */
#ifndef BECK_NETD_SOURCES_H
#define BECK_NETD_SOURCES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SOURCES_BUCKETS       1024
#define SOURCES_ADDRESS_BYTES 16

struct sockaddr_storage;

/* An address that there is a connection from. */
struct source {
    struct source *next;
    uint8_t address[SOURCES_ADDRESS_BYTES]; /* IPv6; IPv4 as it is mapped there */
    int64_t count;
};

struct sources {
    pthread_mutex_t lock; /* for all of it, and what hangs on it */
    struct source *buckets[SOURCES_BUCKETS];
};

/* The address of who is at the other end. False: it is none of a network. */
bool source_address(const struct sockaddr_storage *from, uint8_t ret[SOURCES_ADDRESS_BYTES]);

void sources_init(struct sources *sources);
/* All connections must have been given back. */
void sources_done(struct sources *sources);

/* Count one more from this address, if there are less than `most`; the source is given back when
 * the connection ends. One that comes from no address has no source, NULL. -EBUSY, -ENOMEM. */
int sources_take(struct sources *sources, const struct sockaddr_storage *address, int64_t most,
                 struct source **ret_source);
void sources_give(struct sources *sources, struct source *source);

#endif
