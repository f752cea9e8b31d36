/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values in LMDB: little-endian fields between a type, a version and a checksum that also covers
 * the key, so that neither a flipped bit nor a value that slipped under another key is believed.
 * LMDB has no checksums of its own.
 *
 *     type 1, version 1, fields ..., XXH3-64 of all before it seeded with the XXH3-64 of the key 8
 *
 * A packer that ran out of room, or an unpacker that ran out of bytes, remembers it and does
 * nothing more: check once, at the end.
 */
#ifndef STORE_VALUE_H
#define STORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
    VALUE_STORE = 1,
    VALUE_TOPIC = 2,
    VALUE_TOPIC_ID = 3,
    VALUE_PARTITION = 4,
    VALUE_SLOT = 5,
    VALUE_RECOVERY = 6,
    VALUE_DELETED = 7,
    VALUE_GROUP = 8,
    VALUE_OFFSET = 9,
    VALUE_EPOCH = 10,
    VALUE_FEATURES = 11,
    VALUE_QUOTA = 12,
    VALUE_RESERVED = 13,
    VALUE_STATE = 16,
    VALUE_CHECKPOINT = 17,
    VALUE_SEGMENT = 18,
    VALUE_ENTRIES = 19,
    VALUE_PRODUCERS = 20,
    VALUE_PRODUCER = 21,
    VALUE_CLEANING = 22,
    VALUE_CLEANED = 23,
};

struct packer {
    uint8_t *begin;
    uint8_t *at;
    uint8_t *end;
    bool failed;
};

void pack_begin(struct packer *packer, void *buffer, size_t size, enum value_type type);
void pack_u8(struct packer *packer, uint8_t value);
void pack_u32(struct packer *packer, uint32_t value);
void pack_u64(struct packer *packer, uint64_t value);
void pack_bytes(struct packer *packer, const void *bytes, size_t size);
/* A length of 2 bytes and the bytes. */
void pack_string(struct packer *packer, const char *text, size_t size);
/* Close with the checksum. Returns the value's size, or -EMSGSIZE when it did not fit. */
int pack_end(struct packer *packer, const void *key, size_t key_size);

struct unpacker {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

/* Check type, version and checksum. -EBADMSG; -EPROTONOSUPPORT: a later version of the value. */
int unpack_begin(struct unpacker *unpacker, const void *value, size_t size, enum value_type type,
                 const void *key, size_t key_size);
/* Is the checksum right, of whatever type and version? */
bool value_is_whole(const void *value, size_t size, const void *key, size_t key_size);
uint8_t unpack_u8(struct unpacker *unpacker);
uint32_t unpack_u32(struct unpacker *unpacker);
uint64_t unpack_u64(struct unpacker *unpacker);
void unpack_bytes(struct unpacker *unpacker, void *to, size_t size);
/* At most `room` - 1 bytes and a NUL. */
void unpack_string(struct unpacker *unpacker, char *to, size_t room);
/* The next bytes, or those of a string, where they stand; NULL where there are fewer. */
const uint8_t *unpack_in_place(struct unpacker *unpacker, size_t size);
const uint8_t *unpack_string_in_place(struct unpacker *unpacker, size_t *ret_size);
/* 0 where all fields were there and nothing is left over; else -EBADMSG. */
int unpack_end(const struct unpacker *unpacker);

#endif
