/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is measured: clients by their ids, or addresses. There is a limited number of them; when it
 * is reached, or after an hour, who did nothing for the longest time is forgotten, and begins anew.
 */
#ifndef BECK_NETD_QUOTA_PEERS_H
#define BECK_NETD_QUOTA_PEERS_H

#include <sys/queue.h>

#include "quota/meter.h"
#include "quota/table.h"

#define QUOTA_PEERS_MAX     10000
#define QUOTA_PEERS_BUCKETS 1024
#define QUOTA_PEER_IDLE_MS  3600000
/* Of a client id that is longer, what comes behind makes no difference. It is longer than the name
 * of a quota can be. */
#define QUOTA_PEER_KEY_BYTES (BECK_QUOTA_NAME_BYTES + 1)

/* What counts for somebody, of one kind. */
struct quota_limit {
    double value; /* INFINITY: nothing */
    bool is_users;
};

struct quota_peer {
    TAILQ_ENTRY(quota_peer) by_use;
    LIST_ENTRY(quota_peer) by_key;
    bool is_listed; /* in both */
    unsigned refs;
    int64_t used_ms;
    uint64_t generation; /* of the quotas that the limits are from; 0: of none */
    struct quota_limit limits[BECK_QUOTA_KINDS];
    struct rate *rates[BECK_QUOTA_KINDS]; /* NULL: nothing was done */
    struct bucket bucket;
    size_t key_size;
    char key[QUOTA_PEER_KEY_BYTES];
};

struct quota_peers {
    LIST_HEAD(, quota_peer) buckets[QUOTA_PEERS_BUCKETS];
    TAILQ_HEAD(, quota_peer) uses; /* the longest unused first */
    size_t count;
    size_t most;
    uint64_t seed; /* for the hash, so that nobody can choose his bucket */
};

void quota_peers_init(struct quota_peers *peers, size_t most);
/* Nobody may be referred to. */
void quota_peers_done(struct quota_peers *peers);

/* Who has this key, made if need be, with a reference. NULL: no memory. */
struct quota_peer *quota_peers_take(struct quota_peers *peers, const void *key, size_t key_size,
                                    int64_t now_ms);
void quota_peer_give(struct quota_peer *peer);
/* Frees what it has done, not the peer. */
void quota_peer_done(struct quota_peer *peer);

#endif
