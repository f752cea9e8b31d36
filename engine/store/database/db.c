/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB's calls with our errors and our checked values. What is kept where: meta.h and index.h. */
#include "db.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "io.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

int db_errno(int code)
{
    if (code == 0)
        return 0;
    if (code > 0)
        return -code;
    switch (code) {
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_KEYEXIST:
        return -EEXIST;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_VERSION_MISMATCH:
        return -EPROTONOSUPPORT;
    case MDB_MAP_RESIZED: /* another process gave LMDB more address space than we did */
        return -EBUSY;
    case MDB_READERS_FULL:
    case MDB_DBS_FULL:
    case MDB_TLS_FULL:
        return -EUSERS;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_PANIC:
    case MDB_INVALID:
    default:
        return -EBADMSG;
    }
}

/* LMDB maps the file with its locks and readers without having blocks for it: where the disk is
 * full, touching it would be SIGBUS. Have them. Not while this process has the file open already:
 * closing it here would let go of LMDB's locks. */
static int db_reserve_lock(const char *path)
{
    _cleanup_free_ char *lock = NULL;
    struct stat info;
    if (asprintf(&lock, "%s-lock", path) < 0)
        return -ENOMEM;
    _cleanup_close_ int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) /* LMDB says what it makes of that */
        return 0;
    io_write_in_place(fd);
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, DB_LOCK_BYTES) == 0 || errno != ENOSPC)
        return 0;
    /* Of a file that was in use the first pages are there: a store on a full disk has to open. */
    return fstat(fd, &info) == 0 && info.st_size > 0 ? 0 : -ENOSPC;
}

static int db_open_env(struct db *db, const char *path, unsigned flags, uint64_t map_bytes)
{
    int r = flags & MDB_NOLOCK ? 0 : db_reserve_lock(path);
    if (r == 0)
        r = db_errno(mdb_env_create(&db->env));
    if (r == 0)
        r = db_errno(mdb_env_set_mapsize(db->env, map_bytes));
    if (r == 0)
        r = db_errno(mdb_env_set_maxreaders(db->env, DB_READERS));
    if (r == 0)
        r = db_errno(mdb_env_set_maxdbs(db->env, DB_DATABASES_MAX));
    if (r == 0)
        r = db_errno(mdb_env_open(db->env, path, flags | MDB_NOSUBDIR | MDB_NOTLS, 0644));
    if (r < 0)
        db_close(db);
    return r;
}

/* What came of writing. Of a write that came to an end half way, which is how a disk becomes full,
 * LMDB only says EIO. */
static int db_write_errno(const struct db *db, int code)
{
    struct statvfs info;
    mdb_filehandle_t fd;
    if (code == EIO && mdb_env_get_fd(db->env, &fd) == 0 && fstatvfs(fd, &info) == 0 &&
        info.f_bavail * info.f_frsize < DB_FULL_BYTES)
        return -ENOSPC;
    return db_errno(code);
}

static bool db_is_in(const struct db_layout *layout, const MDB_val *name, size_t *ret_which)
{
    for (*ret_which = 0; *ret_which < layout->count; ++*ret_which)
        if (strlen(layout->databases[*ret_which]) == name->mv_size &&
            memcmp(layout->databases[*ret_which], name->mv_data, name->mv_size) == 0)
            return true;
    return false;
}

/* Are the names of databases those that a store has? A name that is damaged would hide what is in
 * the database, which reads as empty then, or is made anew. One that is missing while all the
 * others are there was hidden so, unless it is younger than the store; a younger beck's, which are
 * unknown here, come only where all of ours are. */
static int db_check_names(MDB_txn *txn, const struct db_layout *layout)
{
    MDB_cursor *cursor;
    MDB_dbi names;
    MDB_val name;
    bool found[DB_DATABASES_MAX] = {false};
    size_t known = 0;
    size_t unknown = 0;
    size_t required = 0;
    size_t which;
    int r = db_errno(mdb_dbi_open(txn, NULL, 0, &names));
    if (r == 0)
        r = db_errno(mdb_cursor_open(txn, names, &cursor));
    if (r < 0)
        return r;
    while ((r = db_errno(mdb_cursor_get(cursor, &name, NULL, MDB_NEXT))) == 0) {
        bool ours = db_is_in(layout, &name, &which);
        if (ours && !found[which]) {
            found[which] = true;
            known++;
            required += which < layout->required;
        } else if (++unknown > DB_NAMES_MAX) {
            break; /* they go round in a circle */
        }
    }
    mdb_cursor_close(cursor);
    if (r != 0 && r != -ENOENT)
        return r;
    if (unknown > DB_NAMES_MAX ||
        (known > 0 && (required < layout->required || (unknown > 0 && known < layout->count))))
        return -EBADMSG;
    return 0;
}

static int db_open_databases(struct db *db, bool create, const struct db_layout *layout)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_errno(mdb_txn_begin(db->env, NULL, create ? 0 : MDB_RDONLY, &txn));
    if (r == 0)
        r = db_check_names(txn, layout);
    for (size_t i = 0; r == 0 && i < layout->count; i++) {
        r = db_errno(
            mdb_dbi_open(txn, layout->databases[i], create ? MDB_CREATE : 0, &db->dbis[i]));
        if (r == -ENOENT && i >= layout->required) {
            db->dbis[i] = DB_ABSENT;
            r = 0;
        }
    }
    if (r < 0)
        return r;
    MDB_txn *done = TAKE_POINTER(txn);
    return db_write_errno(db, mdb_txn_commit(done));
}

/* What stands there is a file, or nothing: LMDB would wait for ever at a FIFO. */
static int db_check_kind(const char *path, const char *name, const char *suffix,
                         struct beck_error *error)
{
    _cleanup_free_ char *whole = NULL;
    struct stat info;
    if (asprintf(&whole, "%s%s", path, suffix) < 0)
        return report(error, -ENOMEM, "%s: out of memory", name);
    if (stat(whole, &info) < 0 ? errno != ELOOP : S_ISREG(info.st_mode))
        return 0;
    return suffix[0] ? report(error, -EINVAL,
                              "%s%s: it is no regular file; move it away, and it is made anew",
                              name, suffix)
                     : report(error, -EBADMSG, "%s: it is no regular file", name);
}

int db_open(struct db *db, const char *directory, const char *name, unsigned flags,
            uint64_t map_bytes, const struct db_layout *layout, struct beck_error *error)
{
    bool read_only = flags & DB_OPEN_READ_ONLY;
    unsigned env_flags = (read_only ? MDB_RDONLY : 0) | (flags & DB_OPEN_ALONE ? MDB_NOLOCK : 0);
    _cleanup_free_ char *path = NULL;
    struct stat info;

    CHECK(layout->count <= DB_DATABASES_MAX);
    *db = (struct db){.name = name};
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return report(error, -ENOMEM, "%s: out of memory", name);
    if (map_bytes == 0)
        map_bytes = DB_MAP_BYTES_DEFAULT;
    int r = db_check_kind(path, name, "", error);
    if (r == 0 && !(flags & DB_OPEN_ALONE))
        r = db_check_kind(path, name, "-lock", error);
    if (r < 0)
        return r;
    if ((read_only || !(flags & DB_OPEN_CREATE)) && stat(path, &info) < 0)
        return report_errno(error, -errno, "%s: cannot be opened", name);
    /* LMDB would fill it, or fail without saying why. */
    if ((read_only || !(flags & DB_OPEN_CREATE)) && info.st_size == 0)
        return report(error, -EBADMSG, "%s: it is empty", name);
    r = db_open_env(db, path, env_flags, map_bytes);
    /* Who may not write the lock file reads without it: every value is checked, reads are short,
     * and tried again where others may have written over what was read. */
    if (read_only && (r == -EACCES || r == -EROFS))
        r = db_open_env(db, path, env_flags | MDB_NOLOCK, map_bytes);
    if (r < 0)
        return report_errno(error, r, "%s: cannot be opened", name);
    db_clear_readers(db);
    r = db_open_databases(db, !read_only && (flags & DB_OPEN_CREATE), layout);
    for (int tries = 1; r == -EBADMSG && read_only && tries < DB_TRIES; tries++)
        r = db_open_databases(db, false, layout);
    if (r < 0) {
        db_close(db);
        return report_errno(error, r, "%s: a database in it cannot be opened", name);
    }
    return 0;
}

int db_complete(struct db *db, const struct db_layout *layout, struct beck_error *error)
{
    bool complete = true;
    for (size_t i = layout->required; i < layout->count; i++)
        complete = complete && db->dbis[i] != DB_ABSENT;
    int r = complete ? 0 : db_open_databases(db, true, layout);
    return r < 0 ? report_errno(error, r, "%s: a database in it cannot be made", db->name) : 0;
}

void db_close(struct db *db)
{
    if (db->env)
        mdb_env_close(db->env);
    db->env = NULL;
}

static int sync_file(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int db_copy(struct db *db, const char *directory, const char *name, struct beck_error *error)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return report(error, -ENOMEM, "out of memory");
    /* LMDB does not compact a file in which it has lost pages. */
    (void)unlink(path);
    int r = db_errno(mdb_env_copy2(db->env, path, MDB_CP_COMPACT));
    if (r == -EBADMSG) {
        (void)unlink(path);
        r = db_errno(mdb_env_copy2(db->env, path, 0));
    }
    if (r == 0)
        r = sync_file(path);
    if (r == 0)
        return 0;
    /* On a full disk, half a copy would take the rest of the room. */
    (void)unlink(path);
    return report_errno(error, r, "%s: cannot be copied to %s", db->name, path);
}

void db_reserve(struct db *db)
{
    struct stat info;
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(db->env, &fd) != 0 || fstat(fd, &info) < 0 ||
        info.st_blocks * 512 >= info.st_size + DB_RESERVE_BYTES / 2)
        return;
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, info.st_size, DB_RESERVE_BYTES);
}

void db_clear_readers(struct db *db)
{
    int dead;
    (void)mdb_reader_check(db->env, &dead);
}

/* One line of LMDB's list of readers: process, thread, and the transaction that it sees or "-". */
static int note_reader(const char *line, void *context)
{
    size_t *oldest = context;
    size_t txn;
    if (sscanf(line, "%*d %*x %zu", &txn) == 1 && txn < *oldest)
        *oldest = txn;
    return 0;
}

bool db_is_held_back(struct db *db)
{
    size_t oldest = SIZE_MAX;
    struct stat info;
    MDB_envinfo now;
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(db->env, &fd) != 0 || fstat(fd, &info) < 0 ||
        mdb_env_info(db->env, &now) != 0 || mdb_reader_list(db->env, note_reader, &oldest) < 0)
        return false;
    if (oldest >= now.me_last_txnid || oldest != db->held_txn) {
        db->held_txn = oldest;
        db->held_bytes = (uint64_t)info.st_size;
    }
    return (uint64_t)info.st_size >= db->held_bytes + DB_HELD_BYTES;
}

int db_begin(struct db *db, bool write, MDB_txn **ret_txn, struct beck_error *error)
{
    int r = db_errno(mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, ret_txn));
    if (r < 0)
        return report_errno(error, r, "%s: cannot begin a transaction", db->name);
    return 0;
}

int db_commit(struct db *db, MDB_txn *txn, struct beck_error *error)
{
    int r = db_write_errno(db, mdb_txn_commit(txn));
    if (r < 0)
        return report_errno(error, r, "%s: cannot commit", db->name);
    return 0;
}

void db_abortp(MDB_txn **txn)
{
    if (*txn)
        mdb_txn_abort(*txn);
}

struct db_key db_key_partition(uint32_t topic_number, uint32_t partition)
{
    struct db_key key = {.size = 8};
    store_be32(key.bytes, topic_number);
    store_be32(key.bytes + 4, partition);
    return key;
}

struct db_key db_key_segment(uint32_t topic_number, uint32_t partition, int64_t base_offset)
{
    struct db_key key = db_key_partition(topic_number, partition);
    store_be64(key.bytes + 8, (uint64_t)base_offset);
    key.size = 16;
    return key;
}

struct db_key db_key_chunk(uint32_t topic_number, uint32_t partition, int64_t base_offset,
                           uint32_t chunk)
{
    struct db_key key = db_key_segment(topic_number, partition, base_offset);
    store_be32(key.bytes + 16, chunk);
    key.size = 20;
    return key;
}

struct db_key db_key_number(uint64_t number)
{
    struct db_key key = {.size = 8};
    store_be64(key.bytes, number);
    return key;
}

struct db_key db_key_bytes(const void *bytes, size_t size)
{
    struct db_key key = {.size = size};
    CHECK(size <= sizeof(key.bytes));
    memcpy(key.bytes, bytes, size);
    return key;
}

int db_get(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *ret_value)
{
    MDB_val k = *key;
    return dbi == DB_ABSENT ? -ENOENT : db_errno(mdb_get(txn, dbi, &k, ret_value));
}

int db_cursor(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret_cursor)
{
    return dbi == DB_ABSENT ? -ENOENT : db_errno(mdb_cursor_open(txn, dbi, ret_cursor));
}

int db_get_value(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_size, enum value_type type,
                 struct unpacker *ret_unpacker)
{
    MDB_val k = {.mv_size = key_size, .mv_data = (void *)(uintptr_t)key};
    MDB_val v;
    int r = db_get(txn, dbi, &k, &v);
    if (r < 0)
        return r;
    return unpack_begin(ret_unpacker, v.mv_data, v.mv_size, type, key, key_size);
}

int db_put_value(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_size, struct packer *packer)
{
    MDB_val k = {.mv_size = key_size, .mv_data = (void *)(uintptr_t)key};
    int size = pack_end(packer, key, key_size);
    if (size < 0)
        return size;
    MDB_val v = {.mv_size = (size_t)size, .mv_data = packer->begin};
    return db_errno(mdb_put(txn, dbi, &k, &v, 0));
}

int db_get_offset(MDB_txn *txn, MDB_dbi dbi, uint32_t topic_number, uint32_t partition,
                  enum value_type type, int64_t *ret_offset)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct unpacker u;
    int r = db_get_value(txn, dbi, key.bytes, key.size, type, &u);
    if (r < 0)
        return r;
    int64_t offset = (int64_t)unpack_u64(&u);
    if (unpack_end(&u) < 0 || offset < 0)
        return -EBADMSG;
    *ret_offset = offset;
    return 0;
}

int db_put_offset(MDB_txn *txn, MDB_dbi dbi, uint32_t topic_number, uint32_t partition,
                  enum value_type type, int64_t offset)
{
    struct db_key key = db_key_partition(topic_number, partition);
    uint8_t buffer[32];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), type);
    pack_u64(&p, (uint64_t)offset);
    return db_put_value(txn, dbi, key.bytes, key.size, &p);
}

int db_walk(MDB_txn *txn, MDB_dbi dbi, const struct db_key *prefix,
            int (*visit)(void *context, const MDB_val *key, const MDB_val *value), void *context)
{
    MDB_cursor *cursor;
    MDB_val key = {.mv_size = prefix->size, .mv_data = (void *)(uintptr_t)prefix->bytes};
    MDB_val value;
    int r = db_cursor(txn, dbi, &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    while (r == 0 && key.mv_size >= prefix->size &&
           memcmp(key.mv_data, prefix->bytes, prefix->size) == 0) {
        r = visit(context, &key, &value);
        if (r == 0)
            r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

int db_next_of_size(MDB_txn *txn, MDB_dbi dbi, const struct db_key *after, MDB_val *ret_key,
                    MDB_val *ret_value)
{
    MDB_cursor *cursor;
    MDB_val key = {.mv_size = after->size, .mv_data = (void *)(uintptr_t)after->bytes};
    int r = db_cursor(txn, dbi, &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = db_errno(mdb_cursor_get(cursor, &key, ret_value, MDB_SET_RANGE));
    while (r == 0 &&
           (key.mv_size != after->size || memcmp(key.mv_data, after->bytes, after->size) == 0))
        r = db_errno(mdb_cursor_get(cursor, &key, ret_value, MDB_NEXT));
    mdb_cursor_close(cursor);
    if (r == 0)
        *ret_key = key;
    /* Not -EBADMSG: that says that there is a next one, and which. */
    return r == 0 ? 1 : r == -ENOENT ? 0 : r == -EBADMSG ? -EIO : r;
}

int db_check_keys(MDB_txn *txn, MDB_dbi dbi, size_t size, const char *what,
                  int (*tell)(void *context, const char *what), void *context)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int r = db_cursor(txn, dbi, &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
    while (r == 0) {
        if (key.mv_size != size)
            r = tell(context, what);
        if (r == 0)
            r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

int db_delete(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_size)
{
    MDB_val k = {.mv_size = key_size, .mv_data = (void *)(uintptr_t)key};
    int r = dbi == DB_ABSENT ? -ENOENT : db_errno(mdb_del(txn, dbi, &k, NULL));
    return r == -ENOENT ? 0 : r;
}

int db_delete_prefix(MDB_txn *txn, MDB_dbi dbi, const void *prefix, size_t prefix_size)
{
    MDB_cursor *cursor;
    MDB_val k = {.mv_size = prefix_size, .mv_data = (void *)(uintptr_t)prefix};
    MDB_val v;
    int r = db_cursor(txn, dbi, &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = db_errno(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE));
    while (r == 0 && k.mv_size >= prefix_size && memcmp(k.mv_data, prefix, prefix_size) == 0) {
        r = db_errno(mdb_cursor_del(cursor, 0));
        if (r == 0)
            r = db_errno(mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

int db_delete_range(MDB_txn *txn, MDB_dbi dbi, const struct db_key *from, const struct db_key *to)
{
    MDB_cursor *cursor;
    const MDB_val end = {.mv_size = to->size, .mv_data = (void *)(uintptr_t)to->bytes};
    MDB_val k = {.mv_size = from->size, .mv_data = (void *)(uintptr_t)from->bytes};
    MDB_val v;
    int r = db_cursor(txn, dbi, &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = db_errno(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE));
    while (r == 0 && mdb_cmp(txn, dbi, &k, &end) < 0) {
        r = db_errno(mdb_cursor_del(cursor, 0));
        if (r == 0)
            r = db_errno(mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}
