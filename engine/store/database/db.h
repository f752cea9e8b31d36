/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's two LMDB files, and LMDB's calls with our errors. Without WRITEMAP: a full disk is an
 * error and no SIGBUS. Read transactions are short: opened, used and ended in one function, so that
 * no reader keeps old pages alive.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "beck.h"
#include "value.h"

#include <lmdb.h>
#include <stdint.h>

#define DB_MAP_BYTES_DEFAULT (1ULL << 40)
#define DB_READERS           1024
#define DB_LOCK_BYTES        (DB_READERS * 64 + 4096) /* at least the size that LMDB gives its file */
#define DB_RESERVE_BYTES     (512 * 1024)
#define DB_FULL_BYTES        ((uint64_t)64 * 1024) /* of a disk with less room than that: it is full */
#define DB_DATABASES_MAX     16
#define DB_NAMES_MAX         1000 /* of databases that we do not know */
#define DB_TRIES             20   /* for who has no lock that keeps others from writing */
#define DB_HELD_BYTES        (64 << 20)
#define DB_ABSENT            UINT32_MAX /* the handle of a database that the file lacks */

struct db {
    MDB_env *env;
    const char *name; /* of the file, for messages */
    MDB_dbi dbis[DB_DATABASES_MAX];
    /* Of db_is_held_back(), under the maintenance mutex. */
    size_t held_txn;
    uint64_t held_bytes;
};

/* LMDB's code as a negative errno: the only place where they are translated. */
int db_errno(int code);

/* The databases in a file. Those from `required` on came after the first stores were made: a file
 * may lack them, and then reads as if they were empty. */
struct db_layout {
    const char *const *databases;
    size_t count;
    size_t required;
};

enum db_open_flags {
    DB_OPEN_READ_ONLY = 1,
    DB_OPEN_CREATE = 2, /* databases that are missing are made */
    DB_OPEN_ALONE = 4,  /* without LMDB's locks: nobody else has it open, nor will while we do */
};

/*
 * Open the file `name` in `directory` with its databases. -ENOENT: it or a required one of them is
 * missing. -EBADMSG: not LMDB's, no file at all, or damaged. -EINVAL: where LMDB's
 * lock file has to be is something else.
 */
int db_open(struct db *db, const char *directory, const char *name, unsigned flags,
            uint64_t map_bytes, const struct db_layout *layout, struct beck_error *error);
/* Make the databases that the file lacks. Not before it is known that its format is ours. */
int db_complete(struct db *db, const struct db_layout *layout, struct beck_error *error);
void db_close(struct db *db);
/* Put a copy of all that is committed, on disk, into `directory` under a name; what had the name
 * before goes. Compacted, where LMDB can. */
int db_copy(struct db *db, const char *directory, const char *name, struct beck_error *error);
/* Set disk blocks aside behind the file's end, so that a commit finds room where a full disk has
 * none and deletions can make some. To be renewed after commits; what cannot be had is not. */
void db_reserve(struct db *db);
/* Let go of the pages that readers hold who died. */
void db_clear_readers(struct db *db);
/* Has the file grown by DB_HELD_BYTES since the oldest of those who read it began? He was stopped,
 * and each commit makes it grow further, because LMDB keeps what he may see. */
bool db_is_held_back(struct db *db);

int db_begin(struct db *db, bool write, MDB_txn **ret_txn, struct beck_error *error);
int db_commit(struct db *db, MDB_txn *txn, struct beck_error *error);
/* For cleanup attributes: abort a transaction that was not committed. */
void db_abortp(MDB_txn **txn);
#define _cleanup_txn_ __attribute__((cleanup(db_abortp)))

/* A key of numbers: big-endian, so that they sort. */
struct db_key {
    uint8_t bytes[24];
    size_t size;
};

struct db_key db_key_partition(uint32_t topic_number, uint32_t partition);
struct db_key db_key_segment(uint32_t topic_number, uint32_t partition, int64_t base_offset);
struct db_key db_key_chunk(uint32_t topic_number, uint32_t partition, int64_t base_offset,
                           uint32_t chunk);
struct db_key db_key_number(uint64_t number);
struct db_key db_key_bytes(const void *bytes, size_t size); /* at most 24 */

/* Get a value and check it. -ENOENT; -EBADMSG, -EPROTONOSUPPORT as unpack_begin(). */
int db_get_value(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_size, enum value_type type,
                 struct unpacker *ret_unpacker);
/* End the value and put it. */
int db_put_value(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_size,
                 struct packer *packer);
/* A partition's value that is one offset. Errors as above; -EBADMSG: it is below 0. */
int db_get_offset(MDB_txn *txn, MDB_dbi dbi, uint32_t topic_number, uint32_t partition,
                  enum value_type type, int64_t *ret_offset);
int db_put_offset(MDB_txn *txn, MDB_dbi dbi, uint32_t topic_number, uint32_t partition,
                  enum value_type type, int64_t offset);
/* The bytes of a value. -ENOENT. */
int db_get(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *ret_value);
/* -ENOENT: the file lacks the database, and there is nothing to walk over. */
int db_cursor(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret_cursor);
/* Call `visit` with each pair whose key begins so, in order, until it returns non-zero. */
int db_walk(MDB_txn *txn, MDB_dbi dbi, const struct db_key *prefix,
            int (*visit)(void *context, const MDB_val *key, const MDB_val *value), void *context);
/* The first pair behind a key whose own key has that size; others are passed over. 1 or 0. */
int db_next_of_size(MDB_txn *txn, MDB_dbi dbi, const struct db_key *after, MDB_val *ret_key,
                    MDB_val *ret_value);
/* Call `tell` with `what` for each key of another size, until it returns non-zero. */
int db_check_keys(MDB_txn *txn, MDB_dbi dbi, size_t size, const char *what,
                  int (*tell)(void *context, const char *what), void *context);
/* 0 also where there is none. */
int db_delete(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_size);
/* Delete all keys that begin so. */
int db_delete_prefix(MDB_txn *txn, MDB_dbi dbi, const void *prefix, size_t prefix_size);
/* Delete all keys from `from` on that sort before `to`. */
int db_delete_range(MDB_txn *txn, MDB_dbi dbi, const struct db_key *from, const struct db_key *to);

#endif
