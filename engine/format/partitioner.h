/* SPDX-License-Identifier: Apache-2.0 */
/* Which partition a key belongs to, as Kafka's Java producer has it (murmur2, seed 0x9747b28c). */
#ifndef FORMAT_PARTITIONER_H
#define FORMAT_PARTITIONER_H

#include <stddef.h>
#include <stdint.h>

uint32_t partitioner_murmur2(const void *key, size_t size);

/* (murmur2 & 0x7fffffff) % count */
uint32_t partitioner_for_key(const void *key, size_t size, uint32_t partition_count);

#endif
