/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash by which Kafka's Java producer places keys: MurmurHash 2 by Austin Appleby, with Kafka's
 * seed. It must stay bit for bit what it is: a key that moved to another partition lost its order.
 */
#include "partitioner.h"

#include "bytes.h"
#include "check.h"

#define SEED     UINT32_C(0x9747b28c)
#define MULTIPLY UINT32_C(0x5bd1e995)

uint32_t partitioner_murmur2(const void *key, size_t size)
{
    const uint8_t *at = key;
    uint32_t hash = SEED ^ (uint32_t)size;
    for (; size >= 4; size -= 4, at += 4) {
        uint32_t word = load_le32(at) * MULTIPLY;
        word ^= word >> 24;
        hash = (hash * MULTIPLY) ^ (word * MULTIPLY);
    }
    switch (size) {
    case 3:
        hash ^= (uint32_t)at[2] << 16;
        __attribute__((fallthrough));
    case 2:
        hash ^= (uint32_t)at[1] << 8;
        __attribute__((fallthrough));
    case 1:
        hash = (hash ^ at[0]) * MULTIPLY;
        break;
    default:
        break;
    }
    hash = (hash ^ (hash >> 13)) * MULTIPLY;
    return hash ^ (hash >> 15);
}

uint32_t partitioner_for_key(const void *key, size_t size, uint32_t partition_count)
{
    CHECK(partition_count > 0);
    return (partitioner_murmur2(key, size) & 0x7fffffff) % partition_count;
}
