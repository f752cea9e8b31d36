/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child walks database after database, each with a mark at its begin and its end. Where it
 * dies, or has to be ended, the database that it was in is not whole, and another child goes on
 * with the next one. Keys have to rise and be as many as LMDB says there are: pages that are
 * chained wrongly show so.
 */
#include "repair_walk.h"

#include "check.h"
#include "cleanup.h"
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KEY_BYTES_MOST   511
#define VALUE_BYTES_MOST (16 * 1024 * 1024)
#define SEND_BYTES       (64 * 1024)
#define SEND_PAIRS       64 /* send at the latest after so many, so that the parent sees us going on */

enum message_kind {
    MESSAGE_BEAT,
    MESSAGE_BEGIN, /* of a database */
    MESSAGE_GOOD,  /* a pair */
    MESSAGE_BAD,   /* a pair whose value is damaged */
    MESSAGE_WHOLE, /* the database is through */
    MESSAGE_WRONG, /* why not */
    MESSAGE_DONE,
};

struct message {
    uint32_t kind;
    uint32_t database;
    uint32_t key_bytes;
    uint32_t value_bytes;
};

/* ---- the child ------------------------------------------------------------------------------ */

struct child {
    int fd;
    bool values;
    size_t used;
    unsigned unsent;
    uint8_t buffer[SEND_BYTES];
};

static void child_write(struct child *child, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(child->fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(1); /* nobody listens */
        at += n;
        size -= (size_t)n;
    }
}

static void child_flush(struct child *child)
{
    child_write(child, child->buffer, child->used);
    child->used = 0;
    child->unsent = 0;
}

static void child_put(struct child *child, const void *bytes, size_t size)
{
    if (child->used + size > sizeof(child->buffer))
        child_flush(child);
    if (size > sizeof(child->buffer)) {
        child_write(child, bytes, size);
        return;
    }
    if (size > 0)
        memcpy(child->buffer + child->used, bytes, size);
    child->used += size;
}

static void child_send(struct child *child, enum message_kind kind, unsigned database,
                       const MDB_val *key, const MDB_val *value)
{
    struct message message = {.kind = kind, .database = database};
    if (key)
        message.key_bytes = (uint32_t)key->mv_size;
    if (value)
        message.value_bytes = (uint32_t)value->mv_size;
    child_put(child, &message, sizeof(message));
    if (key)
        child_put(child, key->mv_data, key->mv_size);
    if (value)
        child_put(child, value->mv_data, value->mv_size);
    if ((kind != MESSAGE_GOOD && kind != MESSAGE_BEAT) || ++child->unsent >= SEND_PAIRS)
        child_flush(child);
}

__attribute__((format(printf, 3, 4))) static void child_wrong(struct child *child,
                                                              unsigned database, const char *format,
                                                              ...)
{
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const MDB_val value = {.mv_size = strlen(text), .mv_data = text};
    child_send(child, MESSAGE_WRONG, database, NULL, &value);
}

static void child_pair(struct child *child, unsigned database, const MDB_val *key,
                       const MDB_val *value)
{
    bool good =
        value_is_whole(value->mv_data, value->mv_size, key->mv_data, key->mv_size) ||
        /* The one pair without a frame; who takes it looks into it. */
        (key->mv_size == 6 && memcmp(key->mv_data, "format", 6) == 0 && value->mv_size == 12);
    if (good && child->values && value->mv_size <= VALUE_BYTES_MOST)
        child_send(child, MESSAGE_GOOD, database, key, value);
    else
        child_send(child, good ? MESSAGE_BEAT : MESSAGE_BAD, database, key, NULL);
}

static bool keys_rise(const uint8_t *last, size_t last_size, const MDB_val *key)
{
    size_t common = last_size < key->mv_size ? last_size : key->mv_size;
    int compared = memcmp(last, key->mv_data, common);
    return compared < 0 || (compared == 0 && last_size < key->mv_size);
}

/* Walk one database, or the list of free pages, whose keys are LMDB's own. */
static void child_walk(struct child *child, MDB_txn *txn, MDB_dbi dbi, unsigned database,
                       bool is_ours)
{
    uint8_t last[KEY_BYTES_MOST];
    size_t last_size = 0;
    size_t count = 0;
    MDB_cursor *cursor;
    MDB_stat stat;
    MDB_val key;
    MDB_val value;
    child_send(child, MESSAGE_BEGIN, database, NULL, NULL);
    int r = mdb_stat(txn, dbi, &stat);
    if (r == 0)
        r = mdb_cursor_open(txn, dbi, &cursor);
    if (r == 0)
        r = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; r == 0; r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (is_ours &&
            (key.mv_size > sizeof(last) || (count > 0 && !keys_rise(last, last_size, &key)))) {
            child_wrong(child, database, "its keys are in no order");
            return;
        }
        if (is_ours) {
            memcpy(last, key.mv_data, key.mv_size);
            last_size = key.mv_size;
            child_pair(child, database, &key, &value);
        }
        if (++count > stat.ms_entries)
            break;
    }
    if (r != MDB_NOTFOUND && r != 0)
        child_wrong(child, database, "LMDB says: %.100s", mdb_strerror(r));
    else if (count != stat.ms_entries)
        child_wrong(child, database, "%zu pairs are said to be there, and %zu can be found",
                    stat.ms_entries, count);
    else
        child_send(child, MESSAGE_WHOLE, database, NULL, NULL);
}

/* What LMDB would find wrong only in writing. */
static bool child_pages(struct child *child, MDB_env *env, unsigned database)
{
    struct beck_error error;
    int r = pages_check(env, NULL, NULL, &error);
    if (r < 0)
        child_wrong(child, database, "%.150s", error.message);
    return r == 0;
}

static void child_databases(struct child *child, MDB_env *env, const struct db_layout *layout,
                            unsigned from)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (r != 0) {
        child_wrong(child, from, "LMDB says: %.100s", mdb_strerror(r));
        _exit(0);
    }
    for (unsigned i = from; i <= layout->count; i++) {
        MDB_dbi dbi = 0; /* LMDB's number of the list of free pages */
        r = i < layout->count ? mdb_dbi_open(txn, layout->databases[i], 0, &dbi) : 0;
        if (r == MDB_NOTFOUND && i >= layout->required)
            child_send(child, MESSAGE_WHOLE, i, NULL, NULL);
        else if (r != 0)
            child_wrong(child, i, "database %s cannot be opened: %.80s", layout->databases[i],
                        mdb_strerror(r));
        else if (i < layout->count || child_pages(child, env, i))
            child_walk(child, txn, dbi, i, i < layout->count);
    }
}

/* What has to die does so quietly, and before the parent's handlers see it. */
static void child_settle(void)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPIPE, SIGTERM};
    const struct rlimit none = {0, 0};
    for (size_t i = 0; i < ELEMENTS(deadly); i++)
        (void)signal(deadly[i], SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &none);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        (void)dup2(null, STDERR_FILENO);
}

__attribute__((noreturn)) static void child_main(int fd, const char *path,
                                                 const struct db_layout *layout, uint64_t map_bytes,
                                                 bool values, unsigned from)
{
    static struct child child; /* of this process alone */
    MDB_env *env;
    child_settle();
    child.fd = fd;
    child.values = values;
    int r = mdb_env_create(&env);
    if (r == 0)
        r = mdb_env_set_mapsize(env, map_bytes ? map_bytes : DB_MAP_BYTES_DEFAULT);
    if (r == 0)
        r = mdb_env_set_maxdbs(env, DB_DATABASES_MAX);
    if (r == 0)
        r = mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0);
    if (r == 0)
        child_databases(&child, env, layout, from);
    else
        child_wrong(&child, (unsigned)layout->count, "LMDB says: %.100s", mdb_strerror(r));
    child_send(&child, MESSAGE_DONE, 0, NULL, NULL);
    _exit(0);
}

/* ---- the parent ----------------------------------------------------------------------------- */

struct parent {
    const struct db_layout *layout;
    struct repair_walk *walk;
    repair_pair_visit visit;
    void *context;
    int fd;
    unsigned database; /* that the child is in */
    uint8_t *room;     /* for a key and a value */
    size_t room_bytes;
};

static void note_wrong(struct parent *parent, const char *text, size_t size)
{
    if (parent->walk->why[0] == '\0')
        (void)snprintf(parent->walk->why, sizeof(parent->walk->why), "%.*s",
                       (int)(size < 159 ? size : 159), text);
}

/* Read so many bytes. 1; 0: the child ended; -ETIMEDOUT: it says nothing. */
static int read_whole(int fd, void *to, size_t size)
{
    uint8_t *at = to;
    while (size > 0) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        int ready = poll(&item, 1, REPAIR_STALL_MS);
        if (ready == 0)
            return -ETIMEDOUT;
        ssize_t n = ready < 0 ? -1 : read(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

static int take_pair(struct parent *parent, const struct message *message)
{
    const struct repair_pair pair = {
        .database = message->database,
        .good = message->kind == MESSAGE_GOOD,
        .key = parent->room,
        .key_size = message->key_bytes,
        .value = parent->room + message->key_bytes,
        .value_size = message->value_bytes,
    };
    if (!pair.good && parent->walk->bad_pairs++ == 0)
        note_wrong(parent, "a value is damaged", SIZE_MAX);
    return parent->visit ? parent->visit(parent->context, &pair) : 0;
}

/* The child may be made to say anything by what it reads. */
static bool message_is_sane(const struct parent *parent, const struct message *message)
{
    return message->database <= parent->layout->count && message->key_bytes <= KEY_BYTES_MOST &&
           message->value_bytes <= VALUE_BYTES_MOST;
}

static int take_bytes(struct parent *parent, const struct message *message)
{
    size_t size = (size_t)message->key_bytes + message->value_bytes;
    if (size > parent->room_bytes) {
        uint8_t *grown = realloc(parent->room, size);
        if (!grown)
            return -ENOMEM;
        parent->room = grown;
        parent->room_bytes = size;
    }
    return size == 0 ? 1 : read_whole(parent->fd, parent->room, size);
}

/* Listen until the child is done (returns 1) or has ended or stalled (0). */
static int listen_to(struct parent *parent, bool *ret_stalled)
{
    for (;;) {
        struct message message;
        int r = read_whole(parent->fd, &message, sizeof(message));
        if (r == 1)
            r = message_is_sane(parent, &message) ? take_bytes(parent, &message) : 0;
        *ret_stalled = r == -ETIMEDOUT;
        if (r != 1)
            return r == -ETIMEDOUT ? 0 : r;
        if (message.kind == MESSAGE_DONE)
            return 1;
        parent->database = message.database;
        if (message.kind == MESSAGE_WHOLE)
            parent->walk->is_whole[message.database] = true;
        else if (message.kind == MESSAGE_WRONG)
            note_wrong(parent, (const char *)parent->room, message.value_bytes);
        else if (message.kind == MESSAGE_GOOD || message.kind == MESSAGE_BAD)
            r = take_pair(parent, &message);
        if (r < 0)
            return r;
    }
}

static void note_death(struct parent *parent, int status, bool stalled)
{
    char text[160];
    if (stalled)
        (void)snprintf(text, sizeof(text), "reading it does not end");
    else if (WIFSIGNALED(status))
        (void)snprintf(text, sizeof(text), "reading it crashes LMDB (signal %d)", WTERMSIG(status));
    else
        (void)snprintf(text, sizeof(text), "reading it ends too early");
    note_wrong(parent, text, strlen(text));
}

/* Let a child walk from a database on. Returns 1 when it came to the end. */
static int walk_from(struct parent *parent, const char *path, uint64_t map_bytes, bool values,
                     unsigned from)
{
    int ends[2];
    int status = 0;
    bool stalled = false;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        child_main(ends[1], path, parent->layout, map_bytes, values, from);
    int r = pid < 0 ? -errno : 0;
    (void)close(ends[1]);
    parent->fd = ends[0];
    parent->database = from;
    if (r == 0) {
        r = listen_to(parent, &stalled);
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (r == 0)
            note_death(parent, status, stalled);
    }
    (void)close(ends[0]);
    return r;
}

int repair_walk(const char *directory, const char *name, const struct db_layout *layout,
                uint64_t map_bytes, bool values, repair_pair_visit visit, void *context,
                struct repair_walk *ret_walk)
{
    struct parent parent = {.layout = layout, .walk = ret_walk, .visit = visit, .context = context};
    _cleanup_free_ char *path = NULL;
    struct stat info = {0};
    int r = 0;
    *ret_walk = (struct repair_walk){0};
    CHECK(layout->count < DB_DATABASES_MAX);
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return -ENOMEM;
    if (stat(path, &info) < 0 && errno != ELOOP) {
        ret_walk->is_missing = errno == ENOENT;
        return errno == ENOENT ? 0 : -errno;
    }
    ret_walk->is_no_file = !S_ISREG(info.st_mode);
    if (ret_walk->is_no_file) {
        (void)snprintf(ret_walk->why, sizeof(ret_walk->why), "it is no regular file");
        return 0;
    }
    for (unsigned from = 0; r == 0 && from <= layout->count; from = parent.database + 1)
        r = walk_from(&parent, path, map_bytes, values, from);
    free(parent.room);
    return r < 0 ? r : 0;
}
