/* SPDX-License-Identifier: Apache-2.0 */
/* The codecs: what comes back, what is refused, and that memory follows the output and not a claim.
 */
#include "compression.h"

#include "bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"

#define MIB ((size_t)1 << 20)

static struct decompressor *decompressor;
static uint8_t *packed; /* what some test compressed */
static size_t packed_size;

/* Text of `size` bytes that compresses, but not to nothing. */
static uint8_t *make_text(size_t size)
{
    uint8_t *text = malloc(size + 1);
    assert_non_null(text);
    uint32_t seed = 7;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = (uint8_t) "the quick brown "[i % 16];
        if (seed >> 30 == 0)
            text[i] = (uint8_t)('a' + (seed >> 20) % 26);
    }
    return text;
}

/* Compress into memory of exactly that size, so that a sanitizer sees a read beyond. */
static void pack(int codec, const void *data, size_t size)
{
    struct compressor *compressor = NULL;
    const void *made = NULL;
    assert_int_equal(compressor_new((enum beck_compression)codec, &compressor), 0);
    assert_int_equal(compress_all(compressor, data, size, &made, &packed_size), 0);
    free(packed);
    packed = malloc(packed_size);
    assert_non_null(packed);
    memcpy(packed, made, packed_size);
    (void)compressor_free(compressor);
}

static void pack_bytes(const void *bytes, size_t size)
{
    free(packed);
    packed = malloc(size + 1);
    assert_non_null(packed);
    memcpy(packed, bytes, size);
    packed_size = size;
}

static void append_bytes(const void *bytes, size_t size)
{
    packed = realloc(packed, packed_size + size);
    assert_non_null(packed);
    memcpy(packed + packed_size, bytes, size);
    packed_size += size;
}

static int unpack(int codec, size_t size_max, const uint8_t **ret_data, size_t *ret_size)
{
    const void *data = NULL;
    size_t size = 0;
    int result = decompress(decompressor, codec, packed, packed_size, size_max, &data, &size);
    if (result == 0 && ret_data != NULL)
        *ret_data = data;
    if (result == 0 && ret_size != NULL)
        *ret_size = size;
    return result;
}

static void assert_unpacks(int codec, const void *expected, size_t size)
{
    const uint8_t *data = NULL;
    size_t got = 0;
    assert_int_equal(unpack(codec, size, &data, &got), 0);
    assert_int_equal(got, size);
    if (size > 0)
        assert_memory_equal(data, expected, size);
}

#define EACH_CODEC(codec)                                                                          \
    for (int codec = BECK_COMPRESSION_GZIP; codec <= BECK_COMPRESSION_ZSTD; codec++)

/* ---- what comes back ---- */

static void test_gives_back_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 61, 1000, 65535, 65536, 65537, 300000, 3 << 20, 9 << 20};
    EACH_CODEC(codec)
    {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            uint8_t *text = make_text(sizes[i]);
            pack(codec, text, sizes[i]);
            assert_unpacks(codec, text, sizes[i]);
            free(text);
        }
    }
}

/* One compressor, for what grows and does not compress: there is room each time. */
static void test_a_compressor_is_used_again(void **state)
{
    uint8_t noise[3000];
    uint32_t seed = 7;
    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    EACH_CODEC(codec)
    {
        struct compressor *compressor = NULL;
        const void *made = NULL;
        assert_int_equal(compressor_new((enum beck_compression)codec, &compressor), 0);
        for (size_t size = 0; size <= sizeof(noise); size += 100) {
            assert_int_equal(compress_all(compressor, noise, size, &made, &packed_size), 0);
            pack_bytes(made, packed_size);
            assert_unpacks(codec, noise, size);
        }
        (void)compressor_free(compressor);
    }
}

static void test_none_is_the_input_itself(void **state)
{
    (void)state;
    pack_bytes("plain", 5);
    const void *data = NULL;
    size_t size = 0;
    assert_int_equal(decompress(NULL, BECK_COMPRESSION_NONE, packed, 5, 5, &data, &size), 0);
    assert_ptr_equal(data, packed);
    assert_int_equal(size, 5);
    assert_int_equal(decompress(NULL, BECK_COMPRESSION_NONE, packed, 5, 4, &data, &size),
                     -EMSGSIZE);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(codec_name(0), "none");
    assert_string_equal(codec_name(1), "gzip");
    assert_string_equal(codec_name(2), "snappy");
    assert_string_equal(codec_name(3), "lz4");
    assert_string_equal(codec_name(4), "zstd");
    assert_string_equal(codec_name(5), "unknown");
    assert_string_equal(codec_name(-1), "unknown");
}

static void test_refuses_unknown_codecs(void **state)
{
    (void)state;
    struct compressor *compressor = NULL;
    pack_bytes("x", 1);
    assert_int_equal(unpack(5, 100, NULL, NULL), -EPROTONOSUPPORT);
    assert_int_equal(unpack(-1, 100, NULL, NULL), -EPROTONOSUPPORT);
    assert_int_equal(compressor_new((enum beck_compression)5, &compressor), -EPROTONOSUPPORT);
}

static void test_gzip_of_several_members(void **state)
{
    (void)state;
    pack(BECK_COMPRESSION_GZIP, "one and ", 8);
    uint8_t *first = malloc(packed_size);
    size_t first_size = packed_size;
    assert_non_null(first);
    memcpy(first, packed, packed_size);
    pack(BECK_COMPRESSION_GZIP, "another", 7);
    append_bytes(first, first_size);
    free(first);
    assert_unpacks(BECK_COMPRESSION_GZIP, "anotherone and ", 15);
}

static void test_zstd_of_several_frames(void **state)
{
    (void)state;
    pack(BECK_COMPRESSION_ZSTD, "one and ", 8);
    uint8_t *first = malloc(packed_size);
    size_t first_size = packed_size;
    assert_non_null(first);
    memcpy(first, packed, packed_size);
    append_bytes(first, first_size);
    free(first);
    assert_unpacks(BECK_COMPRESSION_ZSTD, "one and one and ", 16);
}

/* xerial: magic, two versions, and chunks of length and raw snappy. */
static void pack_xerial(const char *const *chunks, size_t count)
{
    uint8_t whole[512] = "\x82SNAPPY\0\0\0\0\1\0\0\0\1";
    size_t size = 16;
    for (size_t i = 0; i < count; i++) {
        pack(BECK_COMPRESSION_SNAPPY, chunks[i], strlen(chunks[i]));
        store_be32(whole + size, (uint32_t)packed_size);
        memcpy(whole + size + 4, packed, packed_size);
        size += 4 + packed_size;
    }
    pack_bytes(whole, size);
}

static void test_xerial_chunks(void **state)
{
    (void)state;
    pack_xerial((const char *const[]){"one ", "two ", "", "three"}, 4);
    assert_unpacks(BECK_COMPRESSION_SNAPPY, "one two three", 13);
    pack_xerial(NULL, 0);
    assert_unpacks(BECK_COMPRESSION_SNAPPY, "", 0);
}

static void test_xerial_chunks_that_are_cut_off(void **state)
{
    (void)state;
    pack_xerial((const char *const[]){"one ", "two "}, 2);
    size_t whole = packed_size;
    size_t first = 16 + (whole - 16) / 2; /* both chunks have one size */
    for (size_t size = 1; size < whole; size++) {
        packed_size = size;
        bool ends_with_a_chunk = size == 16 || size == first;
        assert_int_equal(unpack(BECK_COMPRESSION_SNAPPY, 100, NULL, NULL),
                         ends_with_a_chunk ? 0 : -EBADMSG);
    }
}

static void test_xerial_chunks_beyond_the_limit(void **state)
{
    (void)state;
    pack_xerial((const char *const[]){"one ", "two "}, 2);
    assert_int_equal(unpack(BECK_COMPRESSION_SNAPPY, 8, NULL, NULL), 0);
    assert_int_equal(unpack(BECK_COMPRESSION_SNAPPY, 7, NULL, NULL), -EMSGSIZE);
}

/* ---- what is refused ---- */

static void test_refuses_nothing_at_all(void **state)
{
    (void)state;
    pack_bytes("", 0);
    EACH_CODEC(codec)
    assert_int_equal(unpack(codec, 100, NULL, NULL), -EBADMSG);
}

static void test_refuses_what_is_cut_off_anywhere(void **state)
{
    (void)state;
    uint8_t *text = make_text(2000);
    EACH_CODEC(codec)
    {
        pack(codec, text, 2000);
        uint8_t *whole = packed;
        size_t whole_size = packed_size;
        packed = NULL;
        for (size_t size = 1; size < whole_size; size++) {
            pack_bytes(whole, size);
            assert_int_equal(unpack(codec, 4000, NULL, NULL), -EBADMSG);
        }
        free(whole);
    }
    free(text);
}

static void test_refuses_bytes_behind_the_end(void **state)
{
    (void)state;
    EACH_CODEC(codec)
    {
        pack(codec, "some text, some text, some text", 31);
        append_bytes("\0", 1);
        assert_int_equal(unpack(codec, 100, NULL, NULL), -EBADMSG);
        append_bytes("more bytes", 10);
        assert_int_equal(unpack(codec, 100, NULL, NULL), -EBADMSG);
    }
}

static void test_refuses_an_lz4_frame_behind_another(void **state)
{
    (void)state;
    pack(BECK_COMPRESSION_LZ4, "x", 1);
    uint8_t again[64];
    size_t size = packed_size;
    assert_true(size <= sizeof(again));
    memcpy(again, packed, size);
    append_bytes(again, size);
    assert_int_equal(unpack(BECK_COMPRESSION_LZ4, 100, NULL, NULL), -EBADMSG);
}

static void test_refuses_frames_that_hold_nothing_for_us(void **state)
{
    (void)state;
    pack_bytes("\x50\x2a\x4d\x18\4\0\0\0abcd", 12); /* a skippable frame: of lz4 and of zstd */
    assert_int_equal(unpack(BECK_COMPRESSION_LZ4, 100, NULL, NULL), -EBADMSG);
    assert_int_equal(unpack(BECK_COMPRESSION_ZSTD, 100, NULL, NULL), -EBADMSG);
    pack_bytes("\x27\xb5\x2f\xfd\0\0\0\0\0\0\0", 11); /* zstd before its format was fixed */
    assert_int_equal(unpack(BECK_COMPRESSION_ZSTD, 100, NULL, NULL), -EBADMSG);
}

static void test_limit_is_exact(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, 65536, 200000, 5 << 20};
    EACH_CODEC(codec)
    {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            uint8_t *text = make_text(sizes[i]);
            pack(codec, text, sizes[i]);
            assert_int_equal(unpack(codec, sizes[i], NULL, NULL), 0);
            assert_int_equal(unpack(codec, sizes[i] - 1, NULL, NULL), -EMSGSIZE);
            assert_int_equal(unpack(codec, 0, NULL, NULL), -EMSGSIZE);
            assert_int_equal(unpack(codec, SIZE_MAX, NULL, NULL), 0);
            free(text);
        }
    }
}

static void test_goes_on_after_every_change_of_a_byte(void **state)
{
    (void)state;
    uint8_t *text = make_text(700);
    EACH_CODEC(codec)
    {
        pack(codec, text, 700);
        for (size_t i = 0; i < packed_size; i++) {
            for (unsigned change = 1; change < 256; change += 37) {
                packed[i] ^= (uint8_t)change;
                int result = unpack(codec, 10000, NULL, NULL);
                assert_true(result == 0 || result == -EBADMSG || result == -EMSGSIZE);
                packed[i] ^= (uint8_t)change;
            }
            assert_unpacks(codec, text, 700);
        }
    }
    free(text);
}

/* ---- memory ---- */

/* 64 MiB of zeros are little when compressed: the output is what must be watched. */
static void test_bombs_are_refused_in_bounded_memory(void **state)
{
    (void)state;
    uint8_t *zeros = calloc(1, 64 * MIB);
    assert_non_null(zeros);
    EACH_CODEC(codec)
    {
        pack(codec, zeros, 64 * MIB);
        memory_watch(0);
        assert_int_equal(unpack(codec, MIB, NULL, NULL), -EMSGSIZE);
        assert_true(memory_largest <= MIB + 1);
    }
    free(zeros);
}

/* Claims of sizes that do not come: memory is taken for what does. */
static void test_claims_take_no_memory(void **state)
{
    (void)state;
    /* raw snappy: 512 MiB claimed, and one literal byte */
    memory_watch(0);
    pack_bytes("\x80\x80\x80\x80\x02\0x", 7);
    assert_int_equal(unpack(BECK_COMPRESSION_SNAPPY, 1024 * MIB, NULL, NULL), -EBADMSG);
    /* zstd: a content size of 1 GiB, and one block of one byte */
    pack_bytes("\x28\xb5\x2f\xfd\xa0\0\0\0\x40\x09\0\0x", 13);
    assert_int_equal(unpack(BECK_COMPRESSION_ZSTD, 1024 * MIB, NULL, NULL), -EBADMSG);
    assert_int_equal(unpack(BECK_COMPRESSION_ZSTD, 1023 * MIB, NULL, NULL), -EMSGSIZE);
    /* zstd: a window of 2 GiB, unknown content size */
    pack_bytes("\x28\xb5\x2f\xfd\0\xa8\x09\0\0x", 10);
    assert_unpacks(BECK_COMPRESSION_ZSTD, "x", 1);
    assert_true(memory_largest <= 65536);
}

/* lz4: the claim is in its header, under a checksum of its own. */
static void test_lz4_claim_above_the_limit(void **state)
{
    (void)state;
    pack_bytes("\x04\x22\x4d\x18\x68\x40\0\0\0\x40\0\0\0\0\xb5", 15);
    bool refused = false;
    for (unsigned checksum = 0; checksum < 256; checksum++) {
        packed[14] = (uint8_t)checksum;
        int result = unpack(BECK_COMPRESSION_LZ4, MIB, NULL, NULL);
        assert_true(result == -EBADMSG || result == -EMSGSIZE);
        refused |= result == -EMSGSIZE; /* the one checksum that is right */
    }
    assert_true(refused);
}

static void test_gives_large_buffers_back(void **state)
{
    (void)state;
    uint8_t *text = make_text(6 * MIB);
    EACH_CODEC(codec)
    {
        decompressor = decompressor_free(decompressor);
        assert_int_equal(decompressor_new(&decompressor), 0);
        pack(codec, text, 6 * MIB);
        assert_int_equal(unpack(codec, 8 * MIB, NULL, NULL), 0);
        memory_watch(0);
        assert_int_equal(unpack(codec, 8 * MIB, NULL, NULL), 0);
        assert_int_equal(memory_requests, 0); /* as large again: kept */
        pack(codec, text, 1000);
        assert_int_equal(unpack(codec, 8 * MIB, NULL, NULL), 0);
        memory_watch(0);
        assert_int_equal(unpack(codec, 8 * MIB, NULL, NULL), 0);
        assert_true(memory_requests == 1 && memory_largest <= DECOMPRESSOR_KEPT_BYTES);
        memory_watch(0);
        assert_int_equal(unpack(codec, 8 * MIB, NULL, NULL), 0);
        assert_int_equal(memory_requests, 0);
    }
    free(text);
}

static void test_gives_the_buffer_of_a_bomb_back(void **state)
{
    (void)state;
    uint8_t *text = make_text(6 * MIB);
    EACH_CODEC(codec)
    {
        pack(codec, text, 6 * MIB);
        assert_int_equal(unpack(codec, 6 * MIB - 1, NULL, NULL), -EMSGSIZE);
        pack(codec, text, 6 * MIB);
        memory_watch(0);
        assert_int_equal(unpack(codec, 6 * MIB, NULL, NULL), 0);
        assert_true(memory_requests > 0);
        assert_int_equal(unpack(codec, 5 * MIB, NULL, NULL), -EMSGSIZE);
    }
    free(text);
}

static void test_each_failed_allocation_is_told(void **state)
{
    (void)state;
    uint8_t *text = make_text(3 * MIB);
    EACH_CODEC(codec)
    {
        memset(text, 'x', 3 * MIB); /* so that the buffer grows several times */
        pack(codec, text, 3 * MIB);
        int result = -ENOMEM;
        for (unsigned fail_at = 1; result < 0; fail_at++) {
            decompressor = decompressor_free(decompressor);
            memory_watch(fail_at);
            result = decompressor_new(&decompressor);
            if (result == 0)
                result = unpack(codec, 4 * MIB, NULL, NULL);
            assert_true(result == 0 || result == -ENOMEM);
        }
        memory_watch(0);
        assert_unpacks(codec, text, 3 * MIB);
    }
    free(text);
}

static void test_compressor_tells_failed_allocations(void **state)
{
    (void)state;
    uint8_t *text = make_text(1000);
    EACH_CODEC(codec)
    {
        int result = -ENOMEM;
        for (unsigned fail_at = 1; result < 0; fail_at++) {
            struct compressor *compressor = NULL;
            const void *data = NULL;
            size_t size = 0;
            memory_watch(fail_at);
            result = compressor_new((enum beck_compression)codec, &compressor);
            if (result == 0)
                result = compress_all(compressor, text, 1000, &data, &size);
            assert_true(result == 0 || result == -ENOMEM);
            (void)compressor_free(compressor);
        }
        memory_watch(0);
    }
    free(text);
}

static void test_free_takes_null(void **state)
{
    (void)state;
    assert_null(decompressor_free(NULL));
    assert_null(compressor_free(NULL));
}

static int begin(void **state)
{
    (void)state;
    memory_watch(0);
    return decompressor_new(&decompressor);
}

static int end(void **state)
{
    (void)state;
    memory_watch(0);
    decompressor = decompressor_free(decompressor);
    free(packed);
    packed = NULL;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gives_back_any_size),
        TEST(test_a_compressor_is_used_again),
        TEST(test_none_is_the_input_itself),
        TEST(test_names),
        TEST(test_refuses_unknown_codecs),
        TEST(test_gzip_of_several_members),
        TEST(test_zstd_of_several_frames),
        TEST(test_xerial_chunks),
        TEST(test_xerial_chunks_that_are_cut_off),
        TEST(test_xerial_chunks_beyond_the_limit),
        TEST(test_refuses_nothing_at_all),
        TEST(test_refuses_what_is_cut_off_anywhere),
        TEST(test_refuses_bytes_behind_the_end),
        TEST(test_refuses_an_lz4_frame_behind_another),
        TEST(test_refuses_frames_that_hold_nothing_for_us),
        TEST(test_limit_is_exact),
        TEST(test_goes_on_after_every_change_of_a_byte),
        TEST(test_bombs_are_refused_in_bounded_memory),
        TEST(test_claims_take_no_memory),
        TEST(test_lz4_claim_above_the_limit),
        TEST(test_gives_large_buffers_back),
        TEST(test_gives_the_buffer_of_a_bomb_back),
        TEST(test_each_failed_allocation_is_told),
        TEST(test_compressor_tells_failed_allocations),
        TEST(test_free_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
