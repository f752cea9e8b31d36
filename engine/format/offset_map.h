/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and the last offset of each, in memory of a fixed size. A key is told from others by its
 * XXH3-128, under a seed that nobody can know before: 16 bytes a key, whatever its size. Full is no
 * error of the caller's: it works with what is in there, and comes again for the rest.
 */
#ifndef FORMAT_OFFSET_MAP_H
#define FORMAT_OFFSET_MAP_H

#include <stddef.h>
#include <stdint.h>

#define OFFSET_MAP_ENTRY_BYTES 16

struct offset_map;

/*
 * A map of at most `bytes`, but of no more than `keys` keys need, for offsets from `begin` on. It
 * is empty. -ENOMEM. -EINVAL: `bytes` has no room for two keys.
 */
int offset_map_new(size_t bytes, uint64_t keys, int64_t begin, struct offset_map **ret_map);
struct offset_map *offset_map_free(struct offset_map *map);

/* How many keys it holds at most, and holds. */
uint64_t offset_map_room(const struct offset_map *map);
uint64_t offset_map_count(const struct offset_map *map);

/* Note the offset, which is not below `begin`, as the key's last, instead of an earlier one.
 * -ENOSPC: the map is full and does not have the key, or the offset is 2^48 above `begin`; nothing
 * changed. */
int offset_map_put(struct offset_map *map, const void *key, size_t size, int64_t offset);

/* Say that the key is put or got soon, so that its place in the memory is on its way by then. */
void offset_map_foresee(const struct offset_map *map, const void *key, size_t size);

/* The key's offset, or -1. */
int64_t offset_map_get(const struct offset_map *map, const void *key, size_t size);

#endif
