/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing, filled to four fifths. Entries are never taken out. An entry
 * whose offset is 0 is free: what is kept is the offset and one.
 *
 * Two keys of one hash would be taken for one, and the earlier record lost: with 2^24 keys that is
 * one in 2^80, and who wanted it to happen would have to know the seed.
 */
#include "offset_map.h"

#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <xxhash.h>

struct entry {
    XXH128_hash_t hash;
    uint64_t offset; /* and one; 0: free */
};

_Static_assert(sizeof(struct entry) == OFFSET_MAP_ENTRY_BYTES, "the size of an entry is promised");

struct offset_map {
    struct entry *entries;
    uint64_t slots;
    uint64_t room;
    uint64_t count;
    uint64_t seed;
};

int offset_map_new(size_t bytes, uint64_t keys, struct offset_map **ret_map)
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
    map->entries = entries;
    map->slots = slots;
    map->room = slots - slots / 5 - 1;
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

/* The key's entry, or the free one where it would stand. There always is a free one. */
static struct entry *find(const struct offset_map *map, XXH128_hash_t hash)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t slot = (uint64_t)((wide)hash.high64 * map->slots >> 64);
    for (;;) {
        struct entry *entry = &map->entries[slot];
        if (entry->offset == 0 || XXH128_isEqual(entry->hash, hash))
            return entry;
        slot = slot + 1 < map->slots ? slot + 1 : 0;
    }
}

int offset_map_put(struct offset_map *map, const void *key, size_t size, int64_t offset)
{
    CHECK(offset >= 0);
    XXH128_hash_t hash = XXH3_128bits_withSeed(key, size, map->seed);
    struct entry *entry = find(map, hash);
    if (entry->offset == 0) {
        if (map->count >= map->room)
            return -ENOSPC;
        map->count++;
        entry->hash = hash;
    }
    entry->offset = (uint64_t)offset + 1;
    return 0;
}

int64_t offset_map_get(const struct offset_map *map, const void *key, size_t size)
{
    const struct entry *entry = find(map, XXH3_128bits_withSeed(key, size, map->seed));
    return (int64_t)entry->offset - 1;
}
