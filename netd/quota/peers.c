/* SPDX-License-Identifier: Apache-2.0
 *
 * A table of lists and a list by use; see peers.h. Who is forgotten while somebody refers to him is
 * in neither, and goes with the last reference.
 */
#include "quota/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void quota_peers_init(struct quota_peers *peers, size_t most)
{
    *peers = (struct quota_peers){.most = most};
    TAILQ_INIT(&peers->uses);
    if (getrandom(&peers->seed, sizeof(peers->seed), 0) < 0)
        peers->seed = (uint64_t)(uintptr_t)peers;
}

void quota_peer_done(struct quota_peer *peer)
{
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++)
        free(peer->rates[i]);
}

static void forget(struct quota_peers *peers, struct quota_peer *peer)
{
    TAILQ_REMOVE(&peers->uses, peer, by_use);
    LIST_REMOVE(peer, by_key);
    peers->count--;
    peer->is_listed = false;
    if (peer->refs > 0)
        return;
    quota_peer_done(peer);
    free(peer);
}

void quota_peers_done(struct quota_peers *peers)
{
    struct quota_peer *peer;
    while ((peer = TAILQ_FIRST(&peers->uses))) {
        assert(peer->refs == 0);
        forget(peers, peer);
    }
}

static size_t bucket_of(const struct quota_peers *peers, const void *key, size_t size)
{
    uint64_t hash = peers->seed; /* as FNV-1a, but for where it begins */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)key)[i]) * UINT64_C(1099511628211);
    return (hash ^ hash >> 32) % QUOTA_PEERS_BUCKETS;
}

/* Two at most, so that nobody waits for many. */
static void forget_idle(struct quota_peers *peers, int64_t now_ms)
{
    for (int i = 0; i < 2; i++) {
        struct quota_peer *oldest = TAILQ_FIRST(&peers->uses);
        if (!oldest ||
            (peers->count < peers->most && now_ms - oldest->used_ms < QUOTA_PEER_IDLE_MS))
            return;
        forget(peers, oldest);
    }
}

struct quota_peer *quota_peers_take(struct quota_peers *peers, const void *key, size_t key_size,
                                    int64_t now_ms)
{
    size_t size = key_size < QUOTA_PEER_KEY_BYTES ? key_size : QUOTA_PEER_KEY_BYTES;
    size_t bucket = bucket_of(peers, key, size);
    struct quota_peer *peer;
    LIST_FOREACH(peer, &peers->buckets[bucket], by_key)
    if (peer->key_size == size && memcmp(peer->key, key, size) == 0)
        break;
    if (peer) {
        TAILQ_REMOVE(&peers->uses, peer, by_use);
    } else {
        forget_idle(peers, now_ms);
        peer = calloc(1, sizeof(*peer));
        if (!peer)
            return NULL;
        peer->key_size = size;
        memcpy(peer->key, key, size);
        peer->is_listed = true;
        peers->count++;
        LIST_INSERT_HEAD(&peers->buckets[bucket], peer, by_key);
    }
    TAILQ_INSERT_TAIL(&peers->uses, peer, by_use);
    peer->used_ms = now_ms;
    peer->refs++;
    return peer;
}

void quota_peer_give(struct quota_peer *peer)
{
    assert(peer->refs > 0);
    if (--peer->refs > 0 || peer->is_listed)
        return;
    quota_peer_done(peer);
    free(peer);
}
