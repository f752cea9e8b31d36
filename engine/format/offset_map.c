/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing, filled to four fifths. Entries are never taken out. Of the
 * hash 64 bits choose the slot, and the other 64, with 16 of the first, stand in the entry beside
 * 48 bits for the offset: what is kept is how far it is above the begin, and one. Of a free entry
 * that is 0.
 *
 * Two keys that look the same in all of this, and come to stand near each other, would be taken for
 * one, and the earlier record lost: with ten million keys that is one in 2^50, and who wanted it to
 * happen would have to know the seed.
 */
#include "offset_map.h"

#include "check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

/* In line: keys are short. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#define OFFSET_BITS 48
#define OFFSET_MASK ((UINT64_C(1) << OFFSET_BITS) - 1)

struct entry {
    uint64_t hash;
    uint64_t rest; /* more of the hash, and the offset */
};

_Static_assert(sizeof(struct entry) == OFFSET_MAP_ENTRY_BYTES, "the size of an entry is promised");

struct offset_map {
    struct entry *entries;
    uint64_t slots;
    uint64_t room;
    uint64_t count;
    uint64_t seed;
    int64_t begin;
};

int offset_map_new(size_t bytes, uint64_t keys, int64_t begin, struct offset_map **ret_map)
{
    uint64_t slots = bytes / sizeof(struct entry);
    if (slots < 3)
        return -EINVAL;
    /* A quarter more than there are keys: then they are four fifths. */
    if (keys < slots && keys + keys / 4 + 2 < slots)
        slots = keys + keys / 4 + 3;
    struct offset_map *map = calloc(1, sizeof(*map));
    if (map == NULL)
        return -ENOMEM;
    /* Of its own, so that it goes back to the system at once. */
    void *entries = mmap(NULL, slots * sizeof(struct entry), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (entries == MAP_FAILED) {
        free(map);
        return -ENOMEM;
    }
    /* A look-up is a place of its own each time: with small pages the processor has no room to
     * remember where they are. Without is no worse than that. */
    (void)madvise(entries, slots * sizeof(struct entry), MADV_HUGEPAGE);
    map->entries = entries;
    map->slots = slots;
    map->room = slots - slots / 5 - 1;
    map->begin = begin;
    if (getrandom(&map->seed, sizeof(map->seed), GRND_NONBLOCK) != sizeof(map->seed))
        map->seed = (uint64_t)(uintptr_t)entries; /* early at boot: an address is not known, too */
    *ret_map = map;
    return 0;
}

struct offset_map *offset_map_free(struct offset_map *map)
{
    if (map != NULL)
        CHECK(munmap(map->entries, map->slots * sizeof(struct entry)) == 0);
    free(map);
    return NULL;
}

uint64_t offset_map_room(const struct offset_map *map)
{
    return map->room;
}

uint64_t offset_map_count(const struct offset_map *map)
{
    return map->count;
}

static bool is_free(const struct entry *entry)
{
    return (entry->rest & OFFSET_MASK) == 0;
}

static XXH128_hash_t hash_of(const struct offset_map *map, const void *key, size_t size)
{
    return XXH3_128bits_withSeed(key, size, map->seed);
}

/* Where the search for a key begins. */
static uint64_t first_slot(const struct offset_map *map, XXH128_hash_t hash)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)hash.high64 * map->slots >> 64);
}

void offset_map_foresee(const struct offset_map *map, const void *key, size_t size)
{
    __builtin_prefetch(&map->entries[first_slot(map, hash_of(map, key, size))]);
}

/* The key's entry, or the free one where it would stand. There always is a free one. */
static struct entry *find(const struct offset_map *map, XXH128_hash_t hash)
{
    uint64_t slot = first_slot(map, hash);
    for (;;) {
        struct entry *entry = &map->entries[slot];
        if (is_free(entry) || (entry->hash == hash.low64 &&
                               ((entry->rest ^ hash.high64 << OFFSET_BITS) & ~OFFSET_MASK) == 0))
            return entry;
        slot = slot + 1 < map->slots ? slot + 1 : 0;
    }
}

int offset_map_put(struct offset_map *map, const void *key, size_t size, int64_t offset)
{
    CHECK(offset >= map->begin);
    XXH128_hash_t hash = hash_of(map, key, size);
    struct entry *entry = find(map, hash);
    uint64_t above = (uint64_t)(offset - map->begin) + 1;
    if (above > OFFSET_MASK)
        return -ENOSPC;
    if (is_free(entry)) {
        if (map->count >= map->room)
            return -ENOSPC;
        map->count++;
    }
    entry->hash = hash.low64;
    entry->rest = hash.high64 << OFFSET_BITS | above;
    return 0;
}

int64_t offset_map_get(const struct offset_map *map, const void *key, size_t size)
{
    const struct entry *entry = find(map, hash_of(map, key, size));
    return is_free(entry) ? -1 : (int64_t)((entry->rest & OFFSET_MASK) - 1) + map->begin;
}
