/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of the engine begin with: a folder that goes away again, a store in it, topics, and
 * records that say which they are. Functions named must_... fail the test with the error's text
 * where the engine refuses. In a forked child a failing check ends it with exit code 1.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "beck.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#include <cmocka.h>

struct io;

#define FIXTURE_MAP_BYTES ((uint64_t)64 << 20) /* sanitizers have no room for the default */
#define FIXTURE_TIME      INT64_C(1763719200000)

/* A folder, and whatever a test has open in it. */
struct fixture {
    char folder[64];
    char path[80]; /* of the store, in the folder */
    struct beck_store *store;
    struct beck_partition *partition; /* topic "t", partition 0, where it was asked for */
    struct beck_error error;
};

/* For cmocka: an empty folder; a store too; a topic "t" with one open partition too. */
int setup_folder(void **state);
int setup_store(void **state);
int setup_partition(void **state);
/* "t" with segments of 1 MiB. */
int setup_small_segments(void **state);
int teardown(void **state);

/* Without cmocka. */
void fixture_begin(struct fixture *fixture);
void fixture_end(struct fixture *fixture);

/* Have folders in memory, unless the caller of the test said where: for tests that do not need what
 * a disk does, and would take long on one. Before the fixture begins. */
void use_memory_disk(void);

/* Close partition and store; open the store and "t" 0; close, and open the store again, and "t" 0
 * where it was open. */
void fixture_close(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_reopen(struct fixture *fixture);

extern const struct beck_store_options fixture_options;

/* Check a result: below 0 fails the test with the error's text. */
#define must(call, error) must_at((call), (error), #call, __FILE__, __LINE__)
ssize_t must_at(ssize_t result, const struct beck_error *error, const char *call, const char *file,
                int line);

struct beck_store *must_open(const char *path, unsigned flags);
struct beck_store *must_open_io(const char *path, unsigned flags, const struct io *io);
void must_create_topic(struct beck_store *store, const char *name, uint32_t partitions,
                       const char *config, const char *value);
struct beck_partition *must_open_partition(struct beck_store *store, const char *topic,
                                           int32_t partition);
struct beck_partition_state must_state(struct beck_partition *partition);

/* A batch with one record whose value is this text; returns its base offset. */
int64_t must_append(struct beck_partition *partition, const char *value, enum beck_acks acks);
/* The same with `size` bytes that `seed` determines. */
int64_t must_append_bytes(struct beck_partition *partition, size_t size, unsigned seed,
                          enum beck_acks acks);
/* The same, at a time. */
int64_t must_append_at(struct beck_partition *partition, const char *value, int64_t timestamp_ms);
/* Ten records "record 0" to "record 9" into "t" 0, each a batch of one size, and a clean close.
 * Returns that size. */
int64_t fixture_leave_ten(struct fixture *fixture);

/* One batch of these records, sent by an idempotent producer. As beck_append(). */
struct sender {
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;
    enum beck_compression compression;
};
int append_as(struct beck_partition *partition, const struct sender *sender,
              const struct beck_record *records, uint32_t count, enum beck_acks acks,
              struct beck_append_result *ret_result, struct beck_error *error);

/* How many records can be read from `offset` on; each must have an offset above the one before. */
int64_t count_records(struct beck_partition *partition, int64_t offset);
/* The value of the record at `offset` is this text. */
void assert_value(struct beck_partition *partition, int64_t offset, const char *value);

/* The number of damages that verification finds in the whole store, and the last of them. */
int verify_count(struct beck_store *store, struct beck_damage *ret_last);

/* Kill -9 of a process that has the store open and does `work`: runs it in a child, which is killed
 * when `work` returns. What it appended was published and nothing more. */
void run_and_kill(void (*work)(struct fixture *fixture, struct beck_store *store),
                  struct fixture *fixture);
/* Run `check` in a child; returns its exit code, or 128 + the signal that ended it. */
int run_in_child(int (*check)(struct fixture *fixture), struct fixture *fixture);

/* ---- files --------------------------------------------------------------------------------- */

/* The path of a segment file of "t" partition 0: the `index`th, by base offset. Fails the test when
 * there is none. */
void segment_path(const struct fixture *fixture, const char *topic, int32_t partition, int index,
                  char to[PATH_MAX]);
int segment_count(const struct fixture *fixture, const char *topic, int32_t partition);
/* The folder of a topic's partition. Opens the store for a moment where the fixture has it not. */
void partition_folder(const struct fixture *fixture, const char *topic, int32_t partition,
                      char to[PATH_MAX]);
void store_file(const struct fixture *fixture, const char *name, char to[PATH_MAX]);

int64_t file_size(const char *path);
void file_append(const char *path, const void *bytes, size_t size);
void file_cut(const char *path, int64_t from_end);
void file_flip(const char *path, int64_t position);                     /* below 0: from the end */
void file_flip_many(const char *path, int64_t position, int64_t count); /* at most 1,024 */
/* The whole file; freed by the caller. */
char *file_read(const char *path, size_t *ret_size);
void file_write(const char *path, const void *bytes, size_t size);
void folder_copy(const char *from, const char *to);
void folder_remove(const char *path);
/* How many names in it end so. */
int folder_count(const char *path, const char *ending);

/* ---- randomness ---------------------------------------------------------------------------- */

/* A small generator whose sequence its seed determines everywhere (splitmix64). */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((random_next(state) >> 32) * bound >> 32);
}

#endif
