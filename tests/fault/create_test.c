/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power loss while a store is made, at each call, and again while it is made over what that left:
 * whoever then wants a store gets one. power_test seldom comes by here.
 */
#include "calls.h"
#include "disk.h"
#include "store.h"
#include "store_fixture.h"

#include <stdio.h>

#define CREATION_CALLS 20 /* the first ones of an opening, about */
#define TIMES          4  /* each with another choice of what is left */
#define SEED           1

/* Open the store that is on this disk, or make one there. */
static void make(struct fixture *fixture, struct disk *disk)
{
    struct beck_store *store = NULL;
    calls.boot++;
    disk_put(disk, fixture->path);
    disk_watch(disk);
    int r =
        beck_store_open(fixture->path, BECK_OPEN_CREATE, &fixture_options, &store, &fixture->error);
    beck_store_close(store);
    disk_unwatch();
    folder_remove(fixture->path);
    if (r < 0)
        fail_msg("%s", fixture->error.message);
}

static void make_over(struct fixture *fixture, struct disk *left, uint64_t *random)
{
    make(fixture, left);
    for (uint32_t at = 0; at < CREATION_CALLS && at < disk_calls(left); at++) {
        struct disk *again = disk_cut(left, at, random);
        make(fixture, again);
        disk_free(again);
    }
}

static void a_store_whose_creation_was_cut_twice_can_be_made(void **state)
{
    struct fixture fixture;
    uint64_t random = SEED;
    struct disk *disk = disk_new();
    (void)state;
    fixture_begin(&fixture);
    make(&fixture, disk);
    for (uint32_t at = 0; at < TIMES * CREATION_CALLS; at++) {
        struct disk *left = disk_cut(disk, at % CREATION_CALLS, &random);
        make_over(&fixture, left, &random);
        disk_free(left);
    }
    disk_free(disk);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_whose_creation_was_cut_twice_can_be_made),
    };
    use_memory_disk();
    calls.skip_syncs = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
