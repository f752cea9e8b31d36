/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a byte string is UTF-8, by table 3-7 of the Unicode standard: the second byte's range
 * depends on the first, all others are 80..BF. Runs of ASCII pass 16 bytes at a time.
 */
#include "utf8.h"

#include "bytes.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

static const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 16) {
        if ((load_le64(at) | load_le64(at + 8)) & HIGH_BITS)
            break;
        at += 16;
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

static inline bool continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the character of two to four bytes that begins at `at`, or 0. */
static size_t character_size(const uint8_t *at, const uint8_t *end)
{
    size_t room = (size_t)(end - at);
    uint8_t lead = at[0];
    if (lead >= 0xc2 && lead <= 0xdf)
        return room >= 2 && continues(at[1]) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;
        uint8_t high = lead == 0xed ? 0x9f : 0xbf;
        return room >= 3 && at[1] >= low && at[1] <= high && continues(at[2]) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
        uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;
        return room >= 4 && at[1] >= low && at[1] <= high && continues(at[2]) && continues(at[3])
                   ? 4
                   : 0;
    }
    return 0;
}

bool utf8_valid(const void *data, size_t size)
{
    if (size == 0)
        return true;
    const uint8_t *at = data;
    const uint8_t *end = at + size;
    for (;;) {
        at = skip_ascii(at, end);
        if (at == end)
            return true;
        /* Text in other scripts: stay here while characters are long. */
        while (at < end && *at >= 0x80) {
            size_t length = character_size(at, end);
            if (length == 0)
                return false;
            at += length;
        }
    }
}
