/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each operation is done again and again on a store like the one before, and each time the next one
 * of its calls fails: the first, the second, and so on until it runs unharmed. The operation may
 * fail or get over it. Afterwards the store must be right, with all that was acknowledged, and the
 * operation must work. The same for memory.
 */
#include "calls.h"
#include "check.h"
#include "fault_io.h"
#include "open.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MOST 2000

/* ---- what fails ---------------------------------------------------------------------------- */

static unsigned requests; /* for what the running sweep counts */
static unsigned fail_at;  /* from 1; 0: none */
static int fail_code;
static bool fail_memory; /* and not calls, or LMDB's functions */
static bool fail_lmdb;
static bool fail_calls;

static bool fails(bool counted)
{
    return counted && fail_at > 0 && ++requests == fail_at;
}

#define OURS __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* The C library's, for the engine and all libraries. */
OURS void *malloc(size_t size)
{
    return fails(fail_memory) ? NULL : __libc_malloc(size);
}

OURS void *calloc(size_t count, size_t size)
{
    return fails(fail_memory) ? NULL : __libc_calloc(count, size);
}

OURS void *realloc(void *pointer, size_t size)
{
    return fails(fail_memory) ? NULL : __libc_realloc(pointer, size);
}

OURS int posix_memalign(void **ret_pointer, size_t alignment, size_t size)
{
    void *pointer = fails(fail_memory) ? NULL : __libc_memalign(alignment, size);
    if (!pointer)
        return ENOMEM;
    *ret_pointer = pointer;
    return 0;
}

static int before_call(const struct call *call)
{
    if (call->file == FILE_OTHER) /* standard output */
        return 0;
    return fails(fail_calls) ? fail_code : 0;
}

/* LMDB, where its map is full. */
int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);
int __real_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags);
int __real_mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);
int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags);
int __wrap_mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int __wrap_mdb_txn_commit(MDB_txn *txn);

int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
    if (fails(fail_lmdb))
        return flags & MDB_RDONLY ? MDB_READERS_FULL : MDB_MAP_FULL;
    return __real_mdb_txn_begin(env, parent, flags, txn);
}

int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
    return fails(fail_lmdb) ? MDB_MAP_FULL : __real_mdb_put(txn, dbi, key, data, flags);
}

int __wrap_mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    return fails(fail_lmdb) ? MDB_MAP_FULL : __real_mdb_del(txn, dbi, key, data);
}

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!fails(fail_lmdb))
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return MDB_MAP_FULL;
}

/* ---- what is done -------------------------------------------------------------------------- */

struct sweep {
    struct fixture fixture;
    struct fault_io fault;
    int64_t acknowledged; /* records of "t" that were acknowledged */
    char *value;          /* of 2,000 bytes */
    struct beck_error error;
    unsigned backups;
};

struct operation {
    const char *name;
    /* Before anything fails. The store is open, and "t" 0 with three records. */
    void (*prepare)(struct sweep *sweep);
    int (*run)(struct sweep *sweep);
};

static int produce(struct sweep *sweep, int32_t size, enum beck_acks acks)
{
    struct beck_record record = {.key_size = -1, .value = sweep->value, .value_size = size};
    struct beck_append_result result;
    int r = beck_produce(sweep->fixture.partition, &record, 1, acks, &result, &sweep->error);
    sweep->acknowledged += r == 0;
    return r;
}

static void prepare_nothing(struct sweep *sweep)
{
    (void)sweep;
}

static void close_all(struct sweep *sweep)
{
    fixture_close(&sweep->fixture);
}

static int open_store(struct sweep *sweep)
{
    struct fixture *f = &sweep->fixture;
    int r = store_open(f->path, 0, &fixture_options, &sweep->fault.io, &f->store, &sweep->error);
    return r < 0 ? r : beck_partition_open(f->store, "t", 0, &f->partition, &sweep->error);
}

/* Two more records that no checkpoint has, and no close. */
static void append_more(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    (void)fixture;
    must_append(partition, "four", BECK_ACKS_LEADER);
    must_append(partition, "five", BECK_ACKS_LEADER);
}

static void close_all_dirty(struct sweep *sweep)
{
    fixture_close(&sweep->fixture);
    run_and_kill(append_more, &sweep->fixture);
    sweep->acknowledged += 2;
}

static void close_all_without_index(struct sweep *sweep)
{
    char path[PATH_MAX];
    fixture_close(&sweep->fixture);
    store_file(&sweep->fixture, "index.mdb", path);
    assert_int_equal(remove(path), 0);
}

static int append_leader(struct sweep *sweep)
{
    return produce(sweep, 100, BECK_ACKS_LEADER);
}

static int append_all(struct sweep *sweep)
{
    return produce(sweep, 100, BECK_ACKS_ALL);
}

/* Come near the segment's end. */
static void fill(struct sweep *sweep)
{
    for (unsigned i = 0; i < 20; i++)
        must_append_bytes(sweep->fixture.partition, 52000, i, BECK_ACKS_LEADER);
    sweep->acknowledged += 20;
}

static int roll(struct sweep *sweep)
{
    int r = 0;
    for (int i = 0; i < 8 && r == 0; i++)
        r = produce(sweep, 2000, i % 3 ? BECK_ACKS_LEADER : BECK_ACKS_ALL);
    return r;
}

static int maintain(struct sweep *sweep)
{
    uint32_t next_ms;
    return beck_store_maintain(sweep->fixture.store, true, &next_ms, &sweep->error);
}

static void dirty_and_rolled(struct sweep *sweep)
{
    fill(sweep);
    assert_int_equal(roll(sweep), 0);
}

static int create(struct sweep *sweep)
{
    struct beck_topic_options options = {.partition_count = 3};
    int r = beck_topic_create(sweep->fixture.store, "made", &options, NULL, &sweep->error);
    return r == -EEXIST ? 0 : r;
}

static void make(struct sweep *sweep)
{
    assert_int_equal(create(sweep), 0);
}

static int delete (struct sweep *sweep)
{
    int r = beck_topic_delete(sweep->fixture.store, "made", &sweep->error);
    return r == -ENOENT ? 0 : r;
}

static int read_all(struct sweep *sweep)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    char view[64];
    int64_t offset;
    int64_t timestamp_ms;
    int r =
        beck_reader_new(sweep->fixture.partition, BECK_READ_UNCOMMITTED, &reader, &sweep->error);
    if (r == 0)
        r = beck_reader_seek(reader, 0, &sweep->error);
    while (r >= 0 && (r = beck_reader_next(reader, &record, &sweep->error)) == 1)
        ;
    if (r >= 0)
        r = (int)beck_reader_view(reader, 2, view, sizeof(view), &sweep->error);
    if (r >= 0)
        r = beck_offset_for_time(sweep->fixture.partition, 1, BECK_READ_UNCOMMITTED, &offset,
                                 &timestamp_ms, &sweep->error);
    beck_reader_free(reader);
    return r < 0 ? r : 0;
}

static int read_batches(struct sweep *sweep)
{
    char buffer[4096];
    ssize_t n = beck_read(sweep->fixture.partition, 0, buffer, sizeof(buffer),
                          BECK_READ_UNCOMMITTED, &sweep->error);
    return n < 0 ? (int)n : 0;
}

static void close_partition(struct sweep *sweep)
{
    sweep->fixture.partition = beck_partition_close(sweep->fixture.partition);
}

static int open_partition(struct sweep *sweep)
{
    return beck_partition_open(sweep->fixture.store, "t", 0, &sweep->fixture.partition,
                               &sweep->error);
}

static void reopen_with_faults(struct sweep *sweep)
{
    close_all(sweep);
    assert_int_equal(open_store(sweep), 0);
}

static int wait_a_little(struct sweep *sweep)
{
    int r = beck_partition_wait(sweep->fixture.partition, sweep->acknowledged,
                                BECK_READ_UNCOMMITTED, 1, &sweep->error);
    return r < 0 ? r : 0;
}

static int alter(struct sweep *sweep)
{
    struct beck_config_change change = {.name = "retention.ms", .value = "1000000000"};
    return beck_topic_alter(sweep->fixture.store, "t", &change, 1, 0, &sweep->error);
}

static int add_partitions(struct sweep *sweep)
{
    int r = beck_topic_add_partitions(sweep->fixture.store, "made", 5, false, NULL, &sweep->error);
    return r == -EINVAL ? 0 : r; /* it has them */
}

static int clean(struct sweep *sweep)
{
    uint32_t next_ms;
    return beck_store_clean(sweep->fixture.store, NULL, NULL, &next_ms, &sweep->error);
}

static void rolled_and_catalogued(struct sweep *sweep)
{
    dirty_and_rolled(sweep);
    assert_int_equal(maintain(sweep), 0);
}

/* Into the second segment. */
static int trim(struct sweep *sweep)
{
    int64_t start;
    return beck_trim(sweep->fixture.partition, 25, &start, &sweep->error);
}

static void trimmed_and_closed(struct sweep *sweep)
{
    dirty_and_rolled(sweep);
    assert_int_equal(trim(sweep), 0);
    close_all(sweep);
}

static void dirty_and_nothing_may_stay(struct sweep *sweep)
{
    struct beck_config_change change = {.name = "retention.bytes", .value = "0"};
    dirty_and_rolled(sweep);
    assert_int_equal(beck_topic_alter(sweep->fixture.store, "t", &change, 1, 0, &sweep->error), 0);
}

static int new_producer_id(struct sweep *sweep)
{
    int64_t id;
    return beck_producer_id_new(sweep->fixture.store, &id, &sweep->error);
}

static int ignore_damage(void *context, const struct beck_damage *found)
{
    (void)context;
    (void)found;
    return 0;
}

static int verify(struct sweep *sweep)
{
    struct beck_verify_totals totals;
    int r = beck_store_verify(sweep->fixture.store, NULL, ignore_damage, NULL, NULL, &totals,
                              &sweep->error);
    return r < 0 ? r : 0;
}

/* A backup for each time that this is called: the last one's path. */
static void backup_path(struct sweep *sweep, char to[PATH_MAX])
{
    (void)snprintf(to, PATH_MAX, "%s/backup-%u", sweep->fixture.folder, sweep->backups);
}

static int back_up(struct sweep *sweep)
{
    char path[PATH_MAX];
    sweep->backups++;
    backup_path(sweep, path);
    return beck_store_backup(sweep->fixture.store, path, NULL, &sweep->error);
}

/* A backup that was made although something failed. */
static void see_that_backup_is_well(struct sweep *sweep, unsigned k)
{
    char path[PATH_MAX];
    backup_path(sweep, path);
    struct beck_store *store = must_open(path, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    if (count_records(partition, 0) < sweep->acknowledged || verify_count(store, NULL) != 0)
        fail_msg("back up, call %u: the backup is not whole", k);
    beck_partition_close(partition);
    beck_store_close(store);
}

static int create_store(struct sweep *sweep)
{
    char path[PATH_MAX];
    store_file(&sweep->fixture, "../another", path);
    int r = beck_store_create(path, &fixture_options, &sweep->error);
    return r == -EEXIST ? 0 : r;
}

static const struct operation operations[] = {
    {"open", close_all, open_store},
    {"open after a kill", close_all_dirty, open_store},
    {"open without an index", close_all_without_index, open_store},
    {"open a partition", close_partition, open_partition},
    {"append, acks=1", reopen_with_faults, append_leader},
    {"append, acks=all", reopen_with_faults, append_all},
    {"roll", fill, roll},
    {"checkpoint", dirty_and_rolled, maintain},
    {"create a topic", prepare_nothing, create},
    {"delete a topic", make, delete},
    {"read records", reopen_with_faults, read_all},
    {"read batches", reopen_with_faults, read_batches},
    {"wait", prepare_nothing, wait_a_little},
    {"alter a topic", prepare_nothing, alter},
    {"add partitions", make, add_partitions},
    {"clean", rolled_and_catalogued, clean},
    {"trim", dirty_and_rolled, trim},
    {"open what was trimmed", trimmed_and_closed, open_store},
    {"remove all by retention", dirty_and_nothing_may_stay, maintain},
    {"take a producer id", reopen_with_faults, new_producer_id},
    {"verify", rolled_and_catalogued, verify},
    {"back up", rolled_and_catalogued, back_up},
    {"create a store", prepare_nothing, create_store},
};

/* ---- the sweep ----------------------------------------------------------------------------- */

static void sweep_begin(struct sweep *sweep)
{
    memset(sweep, 0, sizeof(*sweep));
    fixture_begin(&sweep->fixture);
    fault_io_init(&sweep->fault);
    sweep->value = calloc(1, 2000);
    assert_non_null(sweep->value);
    beck_store_close(must_open(sweep->fixture.path, BECK_OPEN_CREATE));
    sweep->fixture.store = must_open_io(sweep->fixture.path, 0, &sweep->fault.io);
    must_create_topic(sweep->fixture.store, "t", 1, "segment.bytes", "1048576");
    sweep->fixture.partition = must_open_partition(sweep->fixture.store, "t", 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(append_leader(sweep), 0);
}

static void sweep_end(struct sweep *sweep)
{
    fixture_end(&sweep->fixture);
    free(sweep->value);
}

/* Nothing fails any more: is everything there, and does the operation work? */
static void see_that_all_is_well(struct sweep *sweep, const struct operation *operation, unsigned k,
                                 bool tolerated)
{
    struct fixture *f = &sweep->fixture;
    struct beck_damage damage;
    fixture_close(f);
    f->store = must_open_io(f->path, 0, &sweep->fault.io);
    f->partition = must_open_partition(f->store, "t", 0);
    int64_t start = must_state(f->partition).log_start_offset;
    int64_t count = start + count_records(f->partition, start);
    if (count < sweep->acknowledged)
        fail_msg("%s, call %u: %lld records of %lld are left", operation->name, k, (long long)count,
                 (long long)sweep->acknowledged);
    if (verify_count(f->store, &damage) != 0)
        fail_msg("%s, call %u: %s %s-%d byte %lld: %s", operation->name, k, damage.file,
                 damage.topic, damage.partition, (long long)damage.byte, damage.what);
    if (operation->run == back_up && tolerated)
        see_that_backup_is_well(sweep, k);
    if (operation->run == open_store || operation->run == open_partition || tolerated)
        return;
    int r = operation->run(sweep);
    if (r < 0)
        fail_msg("%s, after call %u: %s", operation->name, k, sweep->error.message);
}

/* A kind of thing that fails: `arm` lets the `k`th fail from now on, `disarm` lets all go on and
 * returns whether it did. */
struct failing {
    const char *name;
    void (*arm)(struct sweep *sweep, unsigned k);
    bool (*disarm)(struct sweep *sweep);
};

static void sweep_one(const struct operation *operation, const struct failing *failing)
{
    for (unsigned k = 1; k < CALLS_MOST; k++) {
        struct sweep sweep;
        sweep_begin(&sweep);
        operation->prepare(&sweep);
        sweep.error.message[0] = '\0';
        failing->arm(&sweep, k);
        int r = operation->run(&sweep);
        bool failed = failing->disarm(&sweep);
        if (r < 0 && !failed)
            fail_msg("%s, %s %u: fails without a reason: %s", operation->name, failing->name, k,
                     sweep.error.message);
        if (r < 0 && sweep.error.message[0] == '\0')
            fail_msg("%s, %s %u: fails with %d and no text", operation->name, failing->name, k, r);
        see_that_all_is_well(&sweep, operation, k, r == 0);
        sweep_end(&sweep);
        if (!failed) {
            print_message("%s: %u times %s\n", operation->name, k - 1, failing->name);
            return;
        }
    }
    fail_msg("%s goes on for ever with %s", operation->name, failing->name);
}

static void sweep_all(const struct failing *failing)
{
    for (size_t i = 0; i < ELEMENTS(operations); i++)
        sweep_one(&operations[i], failing);
}

/* ---- the engine's calls, through its table -------------------------------------------------- */

static void arm_table(struct sweep *sweep, unsigned k)
{
    fault_io_arm(&sweep->fault, k, fail_code);
}

static bool disarm_table(struct sweep *sweep)
{
    bool failed = atomic_load(&sweep->fault.failed);
    fault_io_arm(&sweep->fault, 0, 0);
    return failed;
}

static void sweep_table(const char *name, int code)
{
    fail_code = code;
    sweep_all(&(struct failing){name, arm_table, disarm_table});
}

static void a_call_that_fails_with_eio_spoils_nothing(void **state)
{
    (void)state;
    sweep_table("EIO for the engine", -EIO);
}

static void a_call_that_fails_with_enospc_spoils_nothing(void **state)
{
    (void)state;
    sweep_table("ENOSPC for the engine", -ENOSPC);
}

static void a_call_that_fails_with_emfile_spoils_nothing(void **state)
{
    (void)state;
    sweep_table("EMFILE for the engine", -EMFILE);
}

/* ---- what is counted here ------------------------------------------------------------------- */

static void arm_counted(struct sweep *sweep, unsigned k)
{
    (void)sweep;
    requests = 0;
    fail_at = k;
}

static bool disarm_counted(struct sweep *sweep)
{
    bool failed = requests >= fail_at;
    (void)sweep;
    fail_at = 0;
    return failed;
}

static void sweep_counted(const char *name, bool *what, int code)
{
    *what = true;
    fail_code = code;
    sweep_all(&(struct failing){name, arm_counted, disarm_counted});
    *what = false;
}

static void memory_that_runs_out_spoils_nothing(void **state)
{
    (void)state;
    sweep_counted("no memory", &fail_memory, 0);
}

static void a_disk_that_refuses_the_engine_or_lmdb_spoils_nothing(void **state)
{
    (void)state;
    sweep_counted("EIO", &fail_calls, -EIO);
}

static void a_disk_that_is_full_for_the_engine_or_lmdb_spoils_nothing(void **state)
{
    (void)state;
    sweep_counted("ENOSPC", &fail_calls, -ENOSPC);
}

static void a_full_map_of_lmdb_spoils_nothing(void **state)
{
    (void)state;
    sweep_counted("a full map", &fail_lmdb, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_with_eio_spoils_nothing),
        cmocka_unit_test(a_call_that_fails_with_enospc_spoils_nothing),
        cmocka_unit_test(a_call_that_fails_with_emfile_spoils_nothing),
        cmocka_unit_test(memory_that_runs_out_spoils_nothing),
        cmocka_unit_test(a_disk_that_refuses_the_engine_or_lmdb_spoils_nothing),
        cmocka_unit_test(a_disk_that_is_full_for_the_engine_or_lmdb_spoils_nothing),
        cmocka_unit_test(a_full_map_of_lmdb_spoils_nothing),
    };
    use_memory_disk();
    calls.skip_syncs = true;
    calls.before = before_call;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
