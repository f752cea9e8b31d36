/* SPDX-License-Identifier: Apache-2.0 */
/* Packing and unpacking values, with their checksums. Pure. */
#include "value.h"

#include "bytes.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define VALUE_VERSION        1
#define VALUE_CHECKSUM_BYTES 8

static uint64_t value_checksum(const void *value, size_t size, const void *key, size_t key_size)
{
    return XXH3_64bits_withSeed(value, size, XXH3_64bits(key, key_size));
}

static uint8_t *pack_room(struct packer *packer, size_t size)
{
    if (packer->failed || (size_t)(packer->end - packer->at) < size) {
        packer->failed = true;
        return NULL;
    }
    uint8_t *at = packer->at;
    packer->at += size;
    return at;
}

void pack_begin(struct packer *packer, void *buffer, size_t size, enum value_type type)
{
    *packer = (struct packer){.begin = buffer, .at = buffer, .end = (uint8_t *)buffer + size};
    pack_u8(packer, (uint8_t)type);
    pack_u8(packer, VALUE_VERSION);
}

void pack_u8(struct packer *packer, uint8_t value)
{
    uint8_t *to = pack_room(packer, 1);
    if (to)
        *to = value;
}

void pack_u32(struct packer *packer, uint32_t value)
{
    uint8_t *to = pack_room(packer, 4);
    if (to)
        store_le32(to, value);
}

void pack_u64(struct packer *packer, uint64_t value)
{
    uint8_t *to = pack_room(packer, 8);
    if (to)
        store_le64(to, value);
}

void pack_bytes(struct packer *packer, const void *bytes, size_t size)
{
    uint8_t *to = pack_room(packer, size);
    if (to && size > 0)
        memcpy(to, bytes, size);
}

void pack_string(struct packer *packer, const char *text, size_t size)
{
    uint8_t *to = size > UINT16_MAX ? NULL : pack_room(packer, 2);
    if (!to) {
        packer->failed = true;
        return;
    }
    store_le16(to, (uint16_t)size);
    pack_bytes(packer, text, size);
}

int pack_end(struct packer *packer, const void *key, size_t key_size)
{
    size_t size = (size_t)(packer->at - packer->begin);
    pack_u64(packer, packer->failed ? 0 : value_checksum(packer->begin, size, key, key_size));
    return packer->failed ? -EMSGSIZE : (int)(size + VALUE_CHECKSUM_BYTES);
}

bool value_is_whole(const void *value, size_t size, const void *key, size_t key_size)
{
    const uint8_t *bytes = value;
    if (size < 2 + VALUE_CHECKSUM_BYTES)
        return false;
    size -= VALUE_CHECKSUM_BYTES;
    return load_le64(bytes + size) == value_checksum(bytes, size, key, key_size);
}

int unpack_begin(struct unpacker *unpacker, const void *value, size_t size, enum value_type type,
                 const void *key, size_t key_size)
{
    const uint8_t *bytes = value;
    if (size < 2 + VALUE_CHECKSUM_BYTES)
        return -EBADMSG;
    size -= VALUE_CHECKSUM_BYTES;
    if (load_le64(bytes + size) != value_checksum(bytes, size, key, key_size) || bytes[0] != type)
        return -EBADMSG;
    if (bytes[1] > VALUE_VERSION)
        return -EPROTONOSUPPORT;
    *unpacker = (struct unpacker){.at = bytes + 2, .end = bytes + size};
    return 0;
}

static const uint8_t *unpack_room(struct unpacker *unpacker, size_t size)
{
    if (unpacker->failed || (size_t)(unpacker->end - unpacker->at) < size) {
        unpacker->failed = true;
        return NULL;
    }
    const uint8_t *at = unpacker->at;
    unpacker->at += size;
    return at;
}

uint8_t unpack_u8(struct unpacker *unpacker)
{
    const uint8_t *from = unpack_room(unpacker, 1);
    return from ? *from : 0;
}

uint32_t unpack_u32(struct unpacker *unpacker)
{
    const uint8_t *from = unpack_room(unpacker, 4);
    return from ? load_le32(from) : 0;
}

uint64_t unpack_u64(struct unpacker *unpacker)
{
    const uint8_t *from = unpack_room(unpacker, 8);
    return from ? load_le64(from) : 0;
}

void unpack_bytes(struct unpacker *unpacker, void *to, size_t size)
{
    const uint8_t *from = unpack_room(unpacker, size);
    if (from)
        memcpy(to, from, size);
}

void unpack_string(struct unpacker *unpacker, char *to, size_t room)
{
    const uint8_t *length = unpack_room(unpacker, 2);
    size_t size = length ? load_le16(length) : 0;
    const uint8_t *from = size < room ? unpack_room(unpacker, size) : NULL;
    if (!from) {
        unpacker->failed = true;
        return;
    }
    memcpy(to, from, size);
    to[size] = '\0';
}

const uint8_t *unpack_in_place(struct unpacker *unpacker, size_t size)
{
    return unpack_room(unpacker, size);
}

const uint8_t *unpack_string_in_place(struct unpacker *unpacker, size_t *ret_size)
{
    const uint8_t *length = unpack_room(unpacker, 2);
    *ret_size = length ? load_le16(length) : 0;
    return unpack_room(unpacker, *ret_size);
}

int unpack_end(const struct unpacker *unpacker)
{
    return unpacker->failed || unpacker->at != unpacker->end ? -EBADMSG : 0;
}
