/* SPDX-License-Identifier: Apache-2.0 */
/* The offset map: the last offset of each key, in memory that does not grow. */
#include "offset_map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct offset_map *new_map(size_t bytes, uint64_t keys)
{
    struct offset_map *map = NULL;
    assert_int_equal(offset_map_new(bytes, keys, 0, &map), 0);
    return map;
}

static int put(struct offset_map *map, uint64_t key, int64_t offset)
{
    return offset_map_put(map, &key, sizeof(key), offset);
}

static int64_t get(const struct offset_map *map, uint64_t key)
{
    return offset_map_get(map, &key, sizeof(key));
}

static void test_has_the_last_offset_of_each_key(void **state)
{
    (void)state;
    struct offset_map *map = new_map(1 << 20, UINT64_MAX);
    for (uint64_t i = 0; i < 20000; i++)
        assert_int_equal(put(map, i % 7000, (int64_t)i), 0);
    assert_int_equal(offset_map_count(map), 7000);
    for (uint64_t i = 0; i < 7000; i++)
        assert_int_equal(get(map, i), i < 6000 ? 14000 + i : 7000 + i);
    (void)offset_map_free(map);
}

static void test_does_not_have_other_keys(void **state)
{
    (void)state;
    struct offset_map *map = new_map(1 << 20, UINT64_MAX);
    assert_int_equal(put(map, 1, 5), 0);
    assert_int_equal(get(map, 2), -1);
    assert_int_equal(offset_map_get(map, "", 0), -1);
    (void)offset_map_free(map);
}

static void test_an_empty_key_is_a_key(void **state)
{
    (void)state;
    struct offset_map *map = new_map(1 << 20, UINT64_MAX);
    assert_int_equal(offset_map_put(map, "", 0, 0), 0);
    assert_int_equal(offset_map_get(map, "", 0), 0);
    (void)offset_map_free(map);
}

/* Up to 2^48 offsets above where it begins, wherever that is. */
static void test_takes_offsets_from_its_begin_on(void **state)
{
    (void)state;
    static const int64_t most = (INT64_C(1) << 48) - 2;
    static const int64_t begins[] = {0, 1, INT64_C(1) << 60, INT64_MAX - most - 2};
    for (size_t i = 0; i < 4; i++) {
        struct offset_map *map = NULL;
        assert_int_equal(offset_map_new(1 << 20, UINT64_MAX, begins[i], &map), 0);
        assert_int_equal(put(map, 1, begins[i]), 0);
        assert_int_equal(put(map, 2, begins[i] + most), 0);
        assert_int_equal(put(map, 3, begins[i] + most + 1), -ENOSPC);
        assert_int_equal(get(map, 1), begins[i]);
        assert_int_equal(get(map, 2), begins[i] + most);
        assert_int_equal(get(map, 3), -1);
        (void)offset_map_free(map);
    }
}

/* Whatever its size: a full map refuses new keys, goes on with those it has, and finds all. */
static void test_full_refuses_new_keys_only(void **state)
{
    (void)state;
    for (size_t slots = 3; slots < 200; slots++) {
        struct offset_map *map = new_map(slots * OFFSET_MAP_ENTRY_BYTES, UINT64_MAX);
        uint64_t room = offset_map_room(map);
        assert_in_range(room, 1, slots - 1);
        for (uint64_t i = 0; i < room; i++)
            assert_int_equal(put(map, i, (int64_t)i), 0);
        assert_int_equal(put(map, room, 1000), -ENOSPC);
        assert_int_equal(get(map, room), -1);
        assert_int_equal(put(map, 0, 1000), 0);
        assert_int_equal(get(map, 0), 1000);
        for (uint64_t i = 1; i < room; i++)
            assert_int_equal(get(map, i), i);
        (void)offset_map_free(map);
    }
}

/* Who says how many keys there can be gets room for them, and no more than he allowed. */
static void test_has_room_for_the_keys_that_were_announced(void **state)
{
    (void)state;
    for (uint64_t keys = 0; keys < 2000; keys += 7) {
        struct offset_map *map = new_map(1 << 20, keys);
        assert_true(offset_map_room(map) >= keys);
        assert_true(offset_map_room(map) < keys + 8);
        (void)offset_map_free(map);
    }
    struct offset_map *map = new_map(1 << 10, 1 << 20);
    assert_true(offset_map_room(map) < (1 << 10) / OFFSET_MAP_ENTRY_BYTES);
    (void)offset_map_free(map);
}

static void test_too_little_memory_is_refused(void **state)
{
    (void)state;
    struct offset_map *map = NULL;
    assert_int_equal(offset_map_new(2 * OFFSET_MAP_ENTRY_BYTES, 1, 0, &map), -EINVAL);
    assert_null(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has_the_last_offset_of_each_key),
        cmocka_unit_test(test_does_not_have_other_keys),
        cmocka_unit_test(test_an_empty_key_is_a_key),
        cmocka_unit_test(test_takes_offsets_from_its_begin_on),
        cmocka_unit_test(test_full_refuses_new_keys_only),
        cmocka_unit_test(test_has_room_for_the_keys_that_were_announced),
        cmocka_unit_test(test_too_little_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
