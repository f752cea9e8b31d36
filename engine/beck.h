/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbeck: a log in a directory, spoken to in Kafka's terms.
 *
 * A store is a directory that holds topics; a topic has partitions; a partition is a sequence of
 * records, each with an offset that is never used twice. Records travel and rest in Kafka
 * RecordBatches of format v2 (KIP-98). Any number of threads and processes may have one store open
 * at once: what one appends, the others see.
 *
 * A first program:
 *
 *     struct beck_store *store = NULL;
 *     struct beck_partition *partition = NULL;
 *     struct beck_error error;
 *     if (beck_store_open("/var/lib/beck", 0, NULL, &store, &error) < 0 ||
 *         beck_partition_open(store, "events", 0, &partition, &error) < 0)
 *         errx(1, "%s", error.message);
 *     struct beck_record record = {.key_size = -1, .value = "hi", .value_size = 2};
 *     struct beck_append_result result;
 *     if (beck_produce(partition, &record, 1, BECK_ACKS_ALL, &result, &error) < 0)
 *         errx(1, "%s", error.message);
 *     beck_partition_close(partition);
 *     beck_store_close(store);
 *
 * RESULTS. A function returns 0 or a count, or a negative errno. The codes that mean something of
 * their own here:
 *
 *     -EBADMSG          damaged data: in the store, or in a batch that was handed in
 *     -ESTALE           a position that was trimmed, or a partition that was deleted
 *     -ERANGE           an offset outside of the log
 *     -EMSGSIZE         a record, batch or count that is above a named limit
 *     -EPROTONOSUPPORT  a store, file or batch in a newer format than this library knows
 *     -ENOENT           no such store, topic or partition
 *     -EEXIST           a store or topic of that name exists
 *     -ENOTUNIQ         a topic exists whose name differs in dots and underscores only
 *     -EINVAL           an argument, name or record that can never be right
 *     -EROFS            the store was opened read-only
 *     -EBUSY            another process holds the role asked for, or what is needed
 *     -EILSEQ           a producer's sequence is out of order
 *     -EKEYEXPIRED      a producer's epoch is over
 *     -ETIME            a record's timestamp is too far from the clock for its topic
 *     -ENOKEY           a record without a key, for a topic that is compacted
 *     -EIO              a disk refused; the partition takes no more appends until it was read anew
 *     -ENOSPC           the disk is full; going on works when there is room again
 *     -ENODEV           the handle crossed a fork(2), or the store's file system cannot serve it
 *
 * A function that takes a `struct beck_error *` (which may be NULL) fills it when it fails: one
 * sentence, and the place where there is one. Out-parameters are named ret_... and are left
 * untouched on failure.
 *
 * THREADS AND PROCESSES. Every function may be called by any thread, unless its comment says that
 * an object belongs to one thread at a time. The library starts no threads, installs no signal
 * handlers, prints nothing and never exits. A handle is of no use after fork(2): calls answer
 * -ENODEV in the child; open the store anew there.
 *
 * DURABILITY. A record that beck_append() acknowledged survives the death of any process. One that
 * beck_sync() covered survives power loss. See enum beck_acks.
 */
#ifndef BECK_H
#define BECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- version ------------------------------------------------------------------------------ */

#define BECK_VERSION_MAJOR 0
#define BECK_VERSION_MINOR 1
#define BECK_VERSION_PATCH 0

/* The version of the library that runs, "major.minor.patch"; lives for ever. */
const char *beck_version(void);

/* ---- limits ------------------------------------------------------------------------------- */

#define BECK_TOPIC_NAME_BYTES 249   /* the longest topic name, without a final NUL */
#define BECK_PARTITIONS_MAX   65536 /* partitions in one store */
#define BECK_WAITING_PROCESSES_MAX                                                                 \
    64                              /* processes with a doorbell; further ones poll each 10 ms     \
                                     */
#define BECK_BATCH_HEADER_BYTES  61 /* what a RecordBatch v2 has before its first record */
#define BECK_BATCH_BYTES_DEFAULT (1048576 + 12)      /* max.message.bytes where a topic sets none */
#define BECK_BATCH_BYTES_LIMIT   (100 * 1024 * 1024) /* what max.message.bytes may be set to */
#define BECK_ID_BYTES            16 /* a store's or topic's id: a random (version 4) UUID */
/* Idempotent producers whose last batches are known, in one partition. Of more, those are forgotten
 * that were silent the longest. */
#define BECK_PARTITION_PRODUCERS_MAX 16384

#define BECK_GROUP_ID_BYTES        32767         /* the longest name of a consumer group */
#define BECK_GROUP_PROTOCOL_BYTES  255           /* the longest protocol type of one */
#define BECK_GROUP_STATE_BYTES     (1024 * 1024) /* what its coordinator may keep of one */
#define BECK_OFFSET_METADATA_BYTES 32767         /* what offset.metadata.max.bytes may be set to */
#define BECK_QUOTA_NAME_BYTES      255           /* the longest name of whom a quota is for */
#define BECK_QUOTAS_MAX            10000         /* quotas in one store */

/* ---- errors ------------------------------------------------------------------------------- */

/*
 * What went wrong, and where. `message` is one sentence that begins with the place and ends
 * without a full stop or newline. The place's parts stand beside it for programs: an empty topic
 * or a negative number means that the failure has no such part.
 */
struct beck_error {
    int code; /* the negative errno that the function returned */
    char message[512];
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t partition;
    int64_t offset; /* record offset */
    int64_t byte;   /* position in the segment file */
    int32_t record; /* of a batch that was handed in, the first from 0 */
};

/* ---- the store ---------------------------------------------------------------------------- */

struct beck_store;

enum beck_open_flags {
    /* Change nothing: needs only read permission on the files. If no other process has the store
     * open for writing, topics are those of the moment of opening. Waiting polls. */
    BECK_OPEN_READ_ONLY = 1 << 0,
    /* Make the store where the directory is missing or empty. */
    BECK_OPEN_CREATE = 1 << 1,
};

/* A configuration entry under Kafka's name for it, "retention.ms" say; value NULL: the default. */
struct beck_config {
    const char *name;
    const char *value;
};

/* Zero means the default, for each. */
struct beck_store_options {
    uint64_t map_bytes; /* LMDB's address space for each of its two files; default 1 TiB */
    /* What beck_store_clean() may use for keys, 20 bytes each; default 128 MiB, at least 1 MiB. It
     * takes no more than it needs. Where there are more keys than room, parts of the topic are
     * compacted one after the other, each with all that is before it. */
    uint64_t compaction_bytes;
    /* When the store is made: what its topics have where they set nothing themselves. */
    const struct beck_config *configs;
    size_t config_count;
};

/*
 * Make a store in `path`, a directory that is missing or empty, and sync it: it survives power loss
 * when this returns 0. -EINVAL: a configuration, or no path. -EEXIST: there is a store. -ENOTEMPTY:
 * there is something else. -EBADMSG: there is a store that has lost its meta.mdb. -ENODEV: on a
 * network file system. -EACCES, -ENOSPC.
 */
int beck_store_create(const char *path, const struct beck_store_options *options,
                      struct beck_error *error);

/*
 * Open the store in `path`. A store that is open in this process already is shared, as it was
 * opened first: each open needs its beck_store_close(). Where no other process has the store open,
 * what an earlier one left behind is recovered first: from the last checkpoint on, every batch's
 * CRC is checked, a torn tail is cut off, and beck_store_recovery() tells what was done.
 *
 * -ENOENT: no directory, or no store in it. -ENOTDIR. -EPROTONOSUPPORT: made by a newer beck, of
 * which this one understands nothing, or not enough to write (the message says that it can be
 * opened read-only then); or one of another version has the store open. -EINVAL: no path, or flags
 * that do not go together. -EBUSY: this process has it open read-only, and it is to be written to;
 * or LMDB's files have grown beyond `map_bytes`. -ENODEV: on a network file system, or open in
 * another pid namespace. -EACCES. -EBADMSG: meta.mdb is damaged or missing (see
 * beck_store_repair()). -ENOSPC: no room for the slots.
 */
int beck_store_open(const char *path, unsigned flags, const struct beck_store_options *options,
                    struct beck_store **ret_store, struct beck_error *error);

/*
 * Give the store back. The last close in a process checkpoints what it can, so that the next open
 * has nothing to scan. Partitions and readers of the store must have been closed. Takes NULL;
 * returns NULL.
 */
struct beck_store *beck_store_close(struct beck_store *store);

struct beck_store_info {
    uint8_t id[BECK_ID_BYTES];
    const char *path; /* as given to open; lives as long as the store */
    uint32_t format_version;
    uint32_t topic_count;
    uint32_t partition_count;
    pid_t broker_pid; /* of the process that holds the broker role; 0: none */
    bool read_only;
    bool flush_os; /* the store's flush.policy is "os" */
};

/* What the store is, and how much it holds at this moment. -EBADMSG: a topic's record, or the
 * store's, is damaged. */
int beck_store_info(struct beck_store *store, struct beck_store_info *ret_info,
                    struct beck_error *error);

/* What recovery found or did in one partition; kept in the store until
 * beck_store_recovery_forget(). */
struct beck_recovery {
    int64_t time_ms; /* when, since the epoch */
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t partition;
    int64_t next_offset;      /* of the partition after recovery */
    int64_t segment;          /* base offset of the segment that was cut */
    uint64_t position;        /* the segment's size after the cut, bytes */
    uint64_t truncated_bytes; /* what was cut off behind it; 0: what was synced is missing there */
    char reason[128];         /* why the first batch that went was not good, or what is missing */
};

/*
 * The `index`th entry (from 0, oldest first) of what recovery had to cut, or missed. Returns 1, or
 * 0 when there are no more. -EBADMSG: the entry is damaged; ask for the one behind it.
 */
int beck_store_recovery(struct beck_store *store, uint32_t index, struct beck_recovery *ret_entry,
                        struct beck_error *error);
/* Forget all entries, once somebody has seen them; they stay forgotten after power loss when this
 * returns. -EROFS, -ENOSPC, -EIO. */
int beck_store_recovery_forget(struct beck_store *store, struct beck_error *error);

/*
 * Take the broker role, which one process at a time may hold, until beck_store_close() or the
 * process's death. -EBUSY: another process has it, or this one has already; the message names its
 * pid. -EROFS.
 */
int beck_store_become_broker(struct beck_store *store, struct beck_error *error);

/*
 * Do what is due: checkpoints (sync, then commit positions and index entries to index.mdb);
 * retention; expiry of offsets, groups and producers; a copy of meta.mdb each day. Returns 0, and
 * in how many milliseconds to call it again. Cheap when nothing is due; else it waits for the disk,
 * so call it from where that hurts nobody. What fails does not keep the rest from being done; the
 * first failure is the answer. After some seconds it leaves the rest to the next call, which it
 * wants soon; but one wait for the disk may take longer, as where other programs have much to write
 * on the same file system. When another process is at it already, returns at once. Where a process
 * was stopped in the middle of reading index.mdb, which grows with each commit as long as that
 * lasts, checkpoints wait for it once the file has grown by 64 MiB. `all`: checkpoint whatever is
 * not, due or not, however long it takes, and wait for whoever is at it. -EROFS, -ENOSPC, -EIO.
 */
int beck_store_maintain(struct beck_store *store, bool all, uint32_t *ret_next_ms,
                        struct beck_error *error);

/*
 * Do the long work that is due, by reading much. Compact topics whose cleanup.policy has `compact`,
 * with the rules and configurations of Kafka's log cleaner: of the records of a key the last one
 * stays, with its offset; complete segments are written anew and exchanged, each at once for
 * everybody and durably. Then give each complete segment a digest (XXH3-128), once every CRC in it
 * was seen to be right, so that verification can tell a changed file from a good one. It needs some
 * MiB of memory beside what compaction may use for keys, and disk space for one segment more.
 *
 * Holds up nobody; returns when there is no more to do, or soon after `stop` (may be NULL), which
 * is asked each 50 ms or so, returned true; and at once where another process or thread is at it.
 * In how many milliseconds it is next worth a call goes to `ret_next_ms`. Call it from a thread of
 * its own, or when there is time.
 *
 * -EBADMSG, -EIO: a segment could not be read whole; the error names it. It has no digest, or its
 * partition is not compacted, and is passed over for an hour: the next call goes on with the
 * others. -ENOSPC: there is no room for the new segment; the same. -EROFS. -ENOMEM.
 */
int beck_store_clean(struct beck_store *store, bool (*stop)(void *context), void *context,
                     uint32_t *ret_next_ms, struct beck_error *error);

/* ---- who is there ------------------------------------------------------------------------- */

/* A process that has the store open for writing. */
struct beck_process {
    pid_t pid;
    char name[16];                 /* of the program, as the kernel has it */
    int64_t started_ms;            /* since the epoch; 0: unknown */
    int64_t opened_ms;             /* when it opened the store */
    bool is_broker;                /* beck_store_become_broker() */
    bool is_cleaner;               /* at long work on the segments just now */
    bool is_maintaining;           /* in beck_store_maintain() just now */
    bool has_doorbell;             /* it waits, or did: see BECK_WAITING_PROCESSES_MAX */
    bool waits_for_topics;         /* is to be rung when topics change */
    uint32_t waits_for_partitions; /* of how many partitions it is to be rung when they grow */
};

/*
 * Walk the processes that have the store open for writing, this one among them: begin with
 * *position == 0. Returns 1, or 0 when there are no more. Up to 64 are known by name; readers are
 * not. Takes no lock: an answer is that of a moment.
 */
int beck_store_process_next(struct beck_store *store, uint32_t *position,
                            struct beck_process *ret_process, struct beck_error *error);

enum beck_lock_kind {
    BECK_LOCK_MAINTENANCE, /* the store's: checkpoints, retention, deletions */
    BECK_LOCK_APPEND,      /* a partition's */
    BECK_LOCK_SYNC,        /* a partition's: waiting for the disk */
};

/* A lock that somebody has. */
struct beck_lock {
    enum beck_lock_kind kind;
    pid_t thread;                    /* that has it */
    pid_t pid;                       /* of its process; 0: it is dead, and the next one mends */
    uint8_t topic_id[BECK_ID_BYTES]; /* but for BECK_LOCK_MAINTENANCE */
    int32_t partition;               /* or -1 */
};

/* Walk the locks that somebody has at this moment, as beck_store_process_next() does processes. */
int beck_store_lock_next(struct beck_store *store, uint32_t *position, struct beck_lock *ret_lock,
                         struct beck_error *error);

/* ---- repair ------------------------------------------------------------------------------- */

enum beck_repair_flags {
    BECK_REPAIR_EXECUTE = 1 << 0, /* do it; else only say what there is to do */
    /* Cut damaged batches out of the middle of segments, and forget segments whose files are gone:
     * what is behind them can be read again, and their offsets are a hole. Take segments as they
     * are that are not what was sealed. Else all of it stays. */
    BECK_REPAIR_DROP_DAMAGED = 1 << 1,
};

enum beck_repair_kind {
    BECK_REPAIR_REBUILD, /* make a file, or its part for a partition, anew */
    BECK_REPAIR_CUT,     /* cut off the torn end of a log */
    BECK_REPAIR_DROP,    /* cut damage out of a log */
    BECK_REPAIR_MOVE,    /* move aside what does not belong to the store */
    BECK_REPAIR_MAKE,    /* make a file or folder that is missing */
    BECK_REPAIR_LEAVE,   /* damage that stays as it is without BECK_REPAIR_DROP_DAMAGED */
};

/* One thing that is to be done, or was done. Fields that do not apply are empty or -1. */
struct beck_repair_step {
    enum beck_repair_kind kind;
    bool done;
    char file[320]; /* relative to the store's directory */
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t partition;
    int64_t offset;
    int64_t byte;   /* in the file */
    int64_t bytes;  /* how many of it */
    char what[256]; /* one sentence: what is wrong, and what is made of it */
};

struct beck_repair_totals {
    uint32_t to_do; /* steps that BECK_REPAIR_EXECUTE would carry out */
    uint32_t done;  /* that it has */
    uint32_t left;  /* damage that stays */
    char side[64];  /* the folder in the store that has what was cut or replaced; "": none */
};

/*
 * Look for whatever keeps a store from being opened or read, and with BECK_REPAIR_EXECUTE put it
 * right: index.mdb is made anew from the segments; meta.mdb from what can be read of it, its
 * copy, and the small file in each topic's folder; torn ends are cut off, stray files moved
 * aside; batches get the leader epoch that meta.mdb's history says. A segment whose batches are
 * good by themselves, but that is not what was sealed, is damage that stays, or is taken as it
 * is. What is sound is not touched, and what goes is kept in a folder of its own in the store.
 * `step` (may be NULL) is told of each thing, and may return non-zero to stop. Where a log may
 * have been longer than what is left of it, its next offset goes on behind all that may have
 * been given out, in a new leader epoch. `options` may be NULL.
 *
 * Reads all segments. Forks children that read LMDB's files, as damage in these may crash who reads
 * them. Cut off in the middle by a crash it can be begun anew.
 *
 * Returns 0 or 1: there is something that was not done. -EBUSY: somebody has the store open; the
 * message names the processes. -ENOENT: no store. -EPROTONOSUPPORT: made by a newer beck.
 * -ECANCELED: `step` said so. -EACCES, -EROFS, -ENOSPC, -EIO, -ENOMEM.
 */
int beck_store_repair(const char *path, unsigned flags, const struct beck_store_options *options,
                      int (*step)(void *context, const struct beck_repair_step *found),
                      void *context, struct beck_repair_totals *ret_totals,
                      struct beck_error *error);

/* ---- backup ------------------------------------------------------------------------------- */

/* Zero means the default, for each. */
struct beck_backup_options {
    /* Copy every byte: share neither files nor blocks with the store. */
    bool copy;
    /* Called now and then, with bytes of segments done and in all, about. May be NULL. Non-zero:
     * stop. */
    int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes);
    void *context;
};

/*
 * Make a backup in `directory`, which is missing or empty: a store of its own, that is opened as it
 * is, or restored by copying all of it. Everything may go on meanwhile. It has every record that
 * was acknowledged, and every offset that was committed, before the call; of what comes during the
 * call each partition has a part of its own, from its begin on. Topics that are made meanwhile are
 * left out, and so are those that are deleted.
 *
 * On a file system that can, files share the store's blocks; else, on the same file system,
 * complete segments are further names of the store's files, which are replaced and removed but
 * never changed: so it takes little time and room, and does not protect from a disk that goes bad.
 * Other bytes are copied. The backup survives power loss when this returns 0, and is no store yet
 * if it fails. Where it is opened, offsets go on behind those that the store may have given out
 * since, in a new leader epoch.
 *
 * -ENOTEMPTY. -EINVAL: `directory` is the store's own, or in it. -ENOSPC. -EBADMSG: what is to be
 * copied is damaged; the error says where. -ECANCELED: progress() wanted no more. -EIO, -EACCES.
 */
int beck_store_backup(struct beck_store *store, const char *directory,
                      const struct beck_backup_options *options, struct beck_error *error);

/* ---- producer ids ------------------------------------------------------------------------- */

/*
 * A producer id that this store never gave out before (KIP-98). Ids come from durable blocks of
 * 1,000, one a process: the first of a block waits for the disk; after a crash some are skipped,
 * none repeats. -EROFS, -ENOSPC.
 */
int beck_producer_id_new(struct beck_store *store, int64_t *ret_producer_id,
                         struct beck_error *error);

/* ---- topics ------------------------------------------------------------------------------- */

struct beck_topic_options {
    uint32_t partition_count; /* 0: 1 */
    const struct beck_config *configs;
    size_t config_count;
    uid_t uid; /* owner, group and mode as the mount shows them; all 0: the caller's, and 0755 */
    gid_t gid;
    mode_t mode;        /* permission bits; 0: 0755 */
    bool validate_only; /* check everything, make nothing */
    bool distinct;      /* refuse a name that only '.' and '_' tell from another's, as Kafka */
};

struct beck_topic {
    char name[BECK_TOPIC_NAME_BYTES + 1];
    uint8_t id[BECK_ID_BYTES];
    uint32_t number; /* never used for another topic of the store: makes inodes */
    uint32_t partition_count;
    int64_t created_ms; /* since the epoch */
    uid_t uid;
    gid_t gid;
    mode_t mode; /* permission bits of the directory */
};

/* Is this a name that a topic may have: 1 to 249 of [a-zA-Z0-9._-], and not "." or ".."? */
bool beck_topic_name_valid(const char *name);

/*
 * Make a topic; it survives power loss when this returns. `ret_topic` (may be NULL) is left as it
 * is where options say `validate_only`. -EINVAL: name, a configuration's name or value. -EEXIST.
 * -ENOTUNIQ: a topic has a name too like it, and options say `distinct`. -EMSGSIZE: more partitions
 * than BECK_PARTITIONS_MAX in the store, or more than 4,096 bytes of configuration. -EROFS.
 * -ENOSPC.
 */
int beck_topic_create(struct beck_store *store, const char *name,
                      const struct beck_topic_options *options, struct beck_topic *ret_topic,
                      struct beck_error *error);

/*
 * Delete a topic and its data; it stays deleted after power loss when this returns. Handles to its
 * partitions, here and in other processes, answer -ESTALE from then on. -ENOENT. -EROFS. -ENOSPC.
 */
int beck_topic_delete(struct beck_store *store, const char *name, struct beck_error *error);

/* The same for a topic with this id, if it has no records: none is lost that anybody appends
 * meanwhile. -ENOTEMPTY. -ENOENT. */
int beck_topic_delete_empty(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                            struct beck_error *error);

/* Look a topic up by name, or by id. -ENOENT. */
int beck_topic_find(struct beck_store *store, const char *name, struct beck_topic *ret_topic,
                    struct beck_error *error);
int beck_topic_find_id(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                       struct beck_topic *ret_topic, struct beck_error *error);

/*
 * The leader epochs of a topic's partitions: fill `epochs`, which has room for
 * `topic->partition_count` of them. They change when a store is opened that may have lost something
 * (see beck_partition_epoch_end()), and never while it is open. -1 stands for a partition that the
 * topic no longer has, or whose record is damaged.
 */
int beck_topic_leader_epochs(struct beck_store *store, const struct beck_topic *topic,
                             int32_t *epochs, struct beck_error *error);

/*
 * The first topic whose name sorts (by bytes) after `after`; NULL or "": the very first. Returns 1,
 * or 0 when there is none.
 */
int beck_topic_next(struct beck_store *store, const char *after, struct beck_topic *ret_topic,
                    struct beck_error *error);

/* Set owner, group and permission bits; they survive power loss when this returns. (uid_t)-1,
 * (gid_t)-1 or (mode_t)-1 leave one as it is. -ENOENT. -EROFS. -ENOSPC. */
int beck_topic_set_access(struct beck_store *store, const char *name, uid_t uid, gid_t gid,
                          mode_t mode, struct beck_error *error);

/*
 * Add partitions to a topic, so that it has `partition_count`; it survives power loss when this
 * returns. Handles that are open go on as they are; keys belong to other partitions from now on.
 * Who dies in the middle leaves the old number or the new one. `validate_only`: check everything,
 * change nothing. `ret_topic` (may be NULL) is the topic as it is now, or would be.
 *
 * -ENOENT. -EINVAL: not above the number that it has. -EMSGSIZE: more than BECK_PARTITIONS_MAX in
 * the store. -EEXIST: there are files already where a new partition's would be, which no record
 * knows. -ENOSPC. -EROFS.
 */
int beck_topic_add_partitions(struct beck_store *store, const char *name, uint32_t partition_count,
                              bool validate_only, struct beck_topic *ret_topic,
                              struct beck_error *error);

/*
 * A number that changes whenever a topic is created, deleted or altered, or the store's
 * configuration is, by any process. Reading it costs one load: compare it before using anything
 * that was remembered of the topics.
 */
uint64_t beck_store_generation(struct beck_store *store);

/*
 * Which partition of `partition_count` a record belongs to when its producer named none: by murmur2
 * of the key as Kafka's Java producer does; where the key is NULL, round-robin over all processes
 * (0, where the store was opened read-only).
 */
uint32_t beck_partition_for_key(struct beck_store *store, const void *key, int32_t key_size,
                                uint32_t partition_count);

/* ---- configuration ------------------------------------------------------------------------ */

/* The type of an entry's value, numbered as Kafka's DescribeConfigs does. */
enum beck_config_type {
    BECK_CONFIG_BOOLEAN = 1,
    BECK_CONFIG_STRING = 2,
    BECK_CONFIG_INT = 3,
    BECK_CONFIG_LONG = 5,
    BECK_CONFIG_DOUBLE = 6,
    BECK_CONFIG_LIST = 7, /* separated by commas; may be empty */
};

/* Who said what an entry's value is. */
enum beck_config_source {
    BECK_CONFIG_FROM_DEFAULT = 0, /* nobody: it is built in */
    BECK_CONFIG_FROM_STORE = 1, /* set for the store: for itself, or for topics that set nothing */
    BECK_CONFIG_FROM_TOPIC = 2, /* set for the topic */
};

struct beck_config_entry {
    const char *name; /* these three live as long as the library */
    const char *default_value;
    const char *documentation; /* what it does here, in a sentence or two */
    char value[256];
    bool is_default; /* nobody set it for the very topic, or store, that was asked about */
    enum beck_config_source source;
    enum beck_config_type type;
};

/*
 * The `index`th (from 0) of the configuration entries that topics know, sorted by name, with its
 * value for this topic. Returns 1, or 0 when there are no more. -ENOENT: no such topic.
 */
int beck_topic_config(struct beck_store *store, const char *name, uint32_t index,
                      struct beck_config_entry *ret_entry, struct beck_error *error);

/* The same of those that the store knows: all that topics know, as defaults for them, and behind
 * them its own. NULL: of one for which nothing was set. */
int beck_store_config(struct beck_store *store, uint32_t index, struct beck_config_entry *ret_entry,
                      struct beck_error *error);

/* What to do with an entry, numbered as Kafka's IncrementalAlterConfigs does. */
enum beck_config_operation {
    BECK_CONFIG_SET = 0,
    BECK_CONFIG_RESET = 1,    /* to what it is where nothing is set; `value` is ignored */
    BECK_CONFIG_APPEND = 2,   /* to a list: what it has not yet */
    BECK_CONFIG_SUBTRACT = 3, /* from a list */
};

struct beck_config_change {
    const char *name;
    const char *value;
    enum beck_config_operation operation;
};

enum beck_alter_flags {
    BECK_ALTER_VALIDATE_ONLY = 1 << 0, /* check everything, change nothing */
    BECK_ALTER_REPLACE = 1 << 1, /* reset first whatever is set: what Kafka's AlterConfigs does */
};

/*
 * Change the configuration of a topic, or of the store: all of the changes, or none where one is
 * refused. It survives power loss when this returns. All processes act by it from their next call
 * on that it concerns, and beck_store_generation() moves. Values are checked as Kafka checks them,
 * white space around them is dropped.
 *
 * -EINVAL: an entry that there is not (the message has the name that is most like it) or that is
 * not for topics, a value that it cannot have, an entry that is named twice, or entries that do not
 * go together. -EMSGSIZE: what is set takes more than 4,096 bytes in all. -ENOENT: no such topic.
 * -EROFS. -ENOSPC.
 */
int beck_topic_alter(struct beck_store *store, const char *name,
                     const struct beck_config_change *changes, size_t count, unsigned flags,
                     struct beck_error *error);
int beck_store_alter(struct beck_store *store, const struct beck_config_change *changes,
                     size_t count, unsigned flags, struct beck_error *error);

/* ---- partitions --------------------------------------------------------------------------- */

struct beck_partition;

/*
 * Open a partition. Handles may be shared by threads; opening one twice costs little. -ENOENT: no
 * such topic or partition.
 */
int beck_partition_open(struct beck_store *store, const char *topic, int32_t partition,
                        struct beck_partition **ret_partition, struct beck_error *error);

/* Takes NULL; returns NULL. */
struct beck_partition *beck_partition_close(struct beck_partition *partition);

/*
 * Where a file view begins. Records are removed at the head of a log, and with them bytes at the
 * head of its view: who has read some of it, and wants to go on with positions that he knows, says
 * which head they are counted from (beck_reader_view_from()). Within one `generation`, what was
 * removed between two heads is the difference of their `trimmed`; between two generations positions
 * cannot be told from each other.
 */
struct beck_view_head {
    uint64_t generation;
    uint64_t trimmed; /* bytes that were removed at the head before this one */
};

/* One consistent moment of a partition. Who reads it waits for no other process. */
struct beck_partition_state {
    int64_t log_start_offset;   /* the oldest offset that can be read */
    int64_t last_stable_offset; /* the end for read_committed, and of the file view */
    int64_t high_watermark; /* the end for readers, after the last record that they see: below it,
                               nothing goes away by power loss unless its producer did not ask for
                               more */
    int64_t next_offset;    /* what the next record gets; offsets between may never be used */
    int64_t synced_offset;  /* below it, all survives power loss */
    uint64_t view_bytes;    /* size of the file view: of the records from the log start on */
    struct beck_view_head view_head;
    int64_t last_append_ms;    /* time of the last append, since the epoch; creation where none */
    uint64_t unsynced_bytes;   /* of segments, that power loss can take */
    int64_t unsynced_since_ms; /* since the epoch; 0: there are none */
    uint64_t uncheckpointed_bytes; /* that the next opening would have to read after a crash */
    int64_t uncheckpointed_since_ms;
    int32_t leader_epoch;
    bool failed; /* the disk refused a write or sync: no appends until the store was opened anew */
};

/* -ESTALE: the topic was deleted. -EBADMSG. */
int beck_partition_state(struct beck_partition *partition, struct beck_partition_state *ret_state,
                         struct beck_error *error);

/*
 * A number that is another one whenever an offset or the leader epoch in there has moved, the topic
 * was deleted, or the partition failed: who knows what they were at that number need not ask again.
 * Take it before asking. 0: ask in any case. A look into shared memory, no more.
 */
uint64_t beck_partition_moves(const struct beck_partition *partition);

/* The topic as it was when the partition was opened. Lives as long as the handle. */
const struct beck_topic *beck_partition_topic(const struct beck_partition *partition);
int32_t beck_partition_number(const struct beck_partition *partition);

/*
 * Where a leader epoch ended: the offset at which the next one began, or of the newest the log's
 * end. A reader that has records of the epoch up to a higher offset has some that are lost
 * (KIP-101, OffsetForLeaderEpoch). An epoch begins after power loss, or wherever else it cannot be
 * shown that nothing was lost, with the first record behind all offsets that were ever given out.
 *
 * `*ret_epoch` is `epoch`, or the largest one below it, where it has no history of its own. Both
 * are -1 where `epoch` is negative or has not begun. -ESTALE: the topic was deleted. -EBADMSG.
 */
int beck_partition_epoch_end(struct beck_partition *partition, int32_t epoch, int32_t *ret_epoch,
                             int64_t *ret_end_offset, struct beck_error *error);

/* An idempotent producer (KIP-98) that a partition knows. */
struct beck_producer {
    int64_t id;
    int64_t last_ms;       /* when it last appended, since the epoch */
    int32_t last_sequence; /* of its last record; -1: none of its epoch is known */
    int16_t epoch;
};

/*
 * Fill `producers`, which has room for `room` of them, with the producers that the partition knows
 * and that did not expire, in no order, and tell how many there are; there may be more than there
 * was room for, at most BECK_PARTITION_PRODUCERS_MAX. It may read the log, as the first append of a
 * producer does. -ESTALE: the topic was deleted. -ENOMEM; errors of the disk.
 */
int beck_partition_producers(struct beck_partition *partition, struct beck_producer *producers,
                             uint32_t room, uint32_t *ret_count, struct beck_error *error);

/* Bytes of the partition's segments. -ESTALE: the topic was deleted. -EBADMSG. */
int beck_partition_disk_bytes(struct beck_partition *partition, uint64_t *ret_bytes,
                              struct beck_error *error);

/* ---- records and batches ------------------------------------------------------------------ */

/*
 * One record. Key and value are byte strings, or null (size -1, pointer ignored); empty is not
 * null. `headers` is the sequence of `header_count` headers in RecordBatch v2 encoding, walked with
 * beck_header_next(). When handed in for appending, `offset` is ignored, and a timestamp of 0 or
 * less means now. When handed out, pointers are valid as long as the function that filled it says.
 */
struct beck_record {
    int64_t offset;
    int64_t timestamp_ms; /* since the epoch */
    const void *key;
    const void *value;
    const void *headers;
    int32_t key_size;
    int32_t value_size;
    uint32_t headers_size; /* bytes, without the count before them */
    uint32_t header_count;
    bool log_append_time; /* the broker set the timestamp, not the producer */
};

struct beck_header {
    const char *name; /* not NUL-terminated */
    const void *value;
    int32_t name_size;
    int32_t value_size; /* -1: null */
};

/*
 * Walk a record's headers: begin with *position == 0. Returns 1 and a header that points into the
 * record, 0 after the last, -EBADMSG.
 */
int beck_header_next(const struct beck_record *record, size_t *position,
                     struct beck_header *ret_header);

enum beck_compression {
    BECK_COMPRESSION_NONE = 0,
    BECK_COMPRESSION_GZIP = 1,
    BECK_COMPRESSION_SNAPPY = 2,
    BECK_COMPRESSION_LZ4 = 3,
    BECK_COMPRESSION_ZSTD = 4,
};

/*
 * Builds one batch out of records. Belongs to one thread at a time. Its memory grows to the largest
 * batch that was built and is kept for the next one.
 *
 * `max_bytes` bounds the batch before compression, header included. Where compression makes it no
 * smaller it is left out: the finished batch is never above `max_bytes`. -EINVAL: too few bytes for
 * one record. -EMSGSIZE: above BECK_BATCH_BYTES_LIMIT. -EPROTONOSUPPORT: no such compression.
 * -ENOMEM.
 */
struct beck_batch_builder;

int beck_batch_builder_new(enum beck_compression compression, uint32_t max_bytes,
                           struct beck_batch_builder **ret_builder, struct beck_error *error);
struct beck_batch_builder *beck_batch_builder_free(struct beck_batch_builder *builder);

/*
 * Add one record, copying it. Records without a timestamp get the time at which the first such was
 * added to this batch. 0; -EMSGSIZE: the batch would be above max_bytes, or is finished, and was
 * left as it was: take it, begin a new one and add again. (A single record that is too large for an
 * empty batch answers -EMSGSIZE too.) -EINVAL: a size below -1, or headers that are malformed or
 * not as many as they say. -ENOMEM.
 */
int beck_batch_builder_add(struct beck_batch_builder *builder, const struct beck_record *record);

/* The records added so far. */
uint32_t beck_batch_builder_count(const struct beck_batch_builder *builder);

/*
 * The finished batch, with base offset 0: for beck_append(). It stays valid, and the builder full,
 * until the next beck_batch_builder_reset(). -ENODATA: there are no records. -ENOMEM: it may be
 * tried again.
 */
int beck_batch_builder_finish(struct beck_batch_builder *builder, const void **ret_batch,
                              size_t *ret_size, struct beck_error *error);
void beck_batch_builder_reset(struct beck_batch_builder *builder);

/* ---- appending ---------------------------------------------------------------------------- */

/* When a record becomes visible to readers, and what its producer was promised. */
enum beck_acks {
    BECK_ACKS_NONE = 0, /* as BECK_ACKS_LEADER, for producers that do not listen */
    /* Visible at once, unless an unsynced BECK_ACKS_ALL record is before it. Survives the death of
     * any process. */
    BECK_ACKS_LEADER = 1,
    /* Visible when synced. The caller acknowledges after beck_sync() up to the next offset; then it
     * survives power loss. With flush.policy=os it means BECK_ACKS_LEADER. */
    BECK_ACKS_ALL = -1,
};

struct beck_append_result {
    int64_t base_offset;    /* of the batch's first record */
    int64_t next_offset;    /* what beck_sync() has to cover */
    int64_t append_time_ms; /* the timestamp given, where message.timestamp.type is LogAppendTime;
                               else -1 */
    int64_t log_start_offset;
    bool duplicate; /* it was there already: these are the offsets that it has had since */
};

/*
 * Append one RecordBatch v2 as it came from the wire or from a builder. It is checked whole first:
 * lengths, magic, CRC-32C, counts, offsets and, decompressed, every record; a batch that fails
 * changes nothing. Base offset and leader epoch are set in the log; `batch` is not written to.
 * Allocates nothing and takes one lock.
 *
 * A batch with a producer id (KIP-98) must be the next one of that producer in this partition: its
 * sequence follows that of the batch before, and 0 follows 2^31-1; with a larger epoch it begins at
 * 0. A producer that is not known may begin anywhere. A batch that equals one of the producer's
 * last five by epoch and sequences is not appended again: the answer is that of the first time,
 * with `duplicate` set. This holds over all processes and after any crash: whatever records are in
 * the log are known. Up to BECK_PARTITION_PRODUCERS_MAX producers a partition are known, and a
 * producer for producer.id.expiration.ms after its last batch. The first such batch that a process
 * appends to a partition reads what is known from index.mdb, and takes memory for it.
 *
 * -EBADMSG: length or CRC is wrong. -EINVAL: a record, count or attribute is wrong. -EMSGSIZE:
 * above the topic's max.message.bytes, or grows beyond BECK_BATCH_BYTES_LIMIT decompressed; or the
 * partition has no offsets left. -EPROTONOSUPPORT: magic or codec unknown. -ENOSPC: the disk is
 * full; going on works when there is room again. -EILSEQ: the producer's sequence is neither the
 * next one nor that of a batch it sent lately. -EKEYEXPIRED: the producer sent in a larger epoch
 * before. -ETIME: a record's timestamp is outside of message.timestamp.before.max.ms or
 * message.timestamp.after.max.ms. -ENOKEY: the topic is compacted, and a record has no key; -ETIME
 * is answered where records of a batch break both rules. -EIO. -ESTALE: the topic was deleted.
 * -EROFS. Where it is one record that is wrong, the error says which.
 */
int beck_append(struct beck_partition *partition, const void *batch, size_t size,
                enum beck_acks acks, struct beck_append_result *ret_result,
                struct beck_error *error);

/* A record that the topic's configuration keeps out. */
struct beck_refusal {
    int32_t record; /* its place in the batch, from 0 on */
    int code;       /* -ENOKEY or -ETIME, see beck_append(); -ENOKEY where it is both */
    int64_t timestamp_ms;
};

/*
 * Of a batch that beck_append() refused with -ENOKEY or -ETIME: which records are to blame. Fills
 * `list`, which has room for `room` of them, in the order of the batch, and tells how many there
 * are, which may be more. The batch is checked as there, by the configuration of now; it is refused
 * as there where it is no batch at all.
 */
int beck_append_refusals(struct beck_partition *partition, const void *batch, size_t size,
                         struct beck_refusal *list, uint32_t room, uint32_t *ret_count,
                         struct beck_error *error);

/*
 * Append a batch of another log with the offsets that it has there: for copies, imports, restores.
 * Its base offset must be the partition's next offset: what comes between is taken up by a batch
 * without records, which may stand for up to 2^31 offsets. The rules are a log's: offsets within it
 * may have holes, it may have no records, LogAppendTime and a delete horizon stay, and the topic's
 * max.message.bytes and timestamp settings do not matter. The leader epoch becomes the partition's.
 * What depends on state that is not copied is refused: clear a producer's id, or a transaction's
 * mark, first.
 *
 * Errors as beck_append(). -ERANGE: the base offset is not the next one. -EINVAL: a control batch,
 * a transaction's or a producer's. -EMSGSIZE: above BECK_BATCH_BYTES_LIMIT.
 */
int beck_append_at(struct beck_partition *partition, const void *batch, size_t size,
                   enum beck_acks acks, struct beck_append_result *ret_result,
                   struct beck_error *error);

/*
 * Wait until everything below `offset`, or the log's end, survives power loss (a group commit: one
 * fdatasync serves whoever waits, over all processes). At once with flush.policy=os. -EIO: the disk
 * refused, for this and all later calls. -ESTALE: the topic was deleted. -EROFS.
 */
int beck_sync(struct beck_partition *partition, int64_t offset, struct beck_error *error);

/*
 * Build batches out of records, append them and, with BECK_ACKS_ALL, wait for the sync. The result
 * is of all: base offset of the first batch, next offset after the last. For convenience: it
 * allocates. Where it fails, the batches before the one that failed may be in the log. Errors as
 * beck_append() and beck_sync(). -ENODATA: no records. -EMSGSIZE: a record is too large for a
 * batch.
 */
int beck_produce(struct beck_partition *partition, const struct beck_record *records, size_t count,
                 enum beck_acks acks, struct beck_append_result *ret_result,
                 struct beck_error *error);

/* ---- trimming ----------------------------------------------------------------------------- */

/*
 * Remove the records below `offset`, or all below the high watermark where it is -1, as Kafka's
 * DeleteRecords does. From then on the log begins there, for all processes; it stays so after power
 * loss when this returns 0 and the log start, which is higher than `offset` where it was already.
 * Segments that are wholly below it are removed, the others later. Waits for a checkpoint that is
 * under way, and may make one. What somebody is just reading he reads to the end of its batch.
 *
 * -ERANGE: above the high watermark, or below -1. -EBADMSG: the records there are damaged. -ESTALE:
 * the topic was deleted. -EIO: the disk refused. -ENOSPC. -EROFS.
 */
int beck_trim(struct beck_partition *partition, int64_t offset, int64_t *ret_log_start_offset,
              struct beck_error *error);

/* ---- reading batches ---------------------------------------------------------------------- */

enum beck_isolation {
    BECK_READ_UNCOMMITTED = 0, /* up to the high watermark */
    BECK_READ_COMMITTED = 1,   /* up to the last stable offset */
};

/*
 * Whole batches as a range of a segment file, for sendfile(2). The range begins with the batch that
 * contains the offset asked for, ends at a batch's end, and was checked by CRC since this process
 * has the store open, and anew where the file of a complete segment was changed after that. `fd`
 * belongs to the library and is valid until beck_range_release().
 */
struct beck_range {
    int fd;
    uint64_t position;   /* in the file */
    size_t size;         /* bytes; 0: nothing there yet */
    int64_t next_offset; /* the offset after the last batch of the range */
    void *pin;
};

/* A segment of a partition, as the catalogue has it: its file need not be there, nor be whole. */
struct beck_segment {
    int64_t base_offset;
    int64_t end_offset; /* where the next segment begins; of the last one, the high watermark */
    uint64_t bytes;     /* of it, from its file's begin, are of the log */
    char path[96];      /* of its file, in the store's directory */
};

/*
 * The segment that the batch of an offset is in, or would be if it was there: for who reads on
 * behind damage, which an error of the functions below tells of. -ERANGE: the offset is below the
 * log start or above the end. -ENOENT: there is no segment.
 */
int beck_segment_at(struct beck_partition *partition, int64_t offset,
                    struct beck_segment *ret_segment, struct beck_error *error);

/*
 * Find the batches from `offset` on: at most `max_bytes`, but at least one whole batch (KIP-74),
 * and never across a segment's end. -ERANGE: the offset is below the log start or above the end. At
 * the end: 0 and a range of size 0, which needs no release but takes one. -EBADMSG: the data there
 * is damaged; the error names the place.
 */
int beck_read_range(struct beck_partition *partition, int64_t offset, size_t max_bytes,
                    enum beck_isolation isolation, struct beck_range *ret_range,
                    struct beck_error *error);
void beck_range_release(struct beck_range *range);

/* The same, copied: returns the bytes put into `buffer`. -EMSGSIZE: not even one batch fits. */
ssize_t beck_read(struct beck_partition *partition, int64_t offset, void *buffer, size_t size,
                  enum beck_isolation isolation, struct beck_error *error);

/*
 * The first record whose timestamp is at least `timestamp_ms`: its offset and timestamp. Control
 * records are records here, as they are for Kafka. Returns 1, or 0 when there is none.
 */
int beck_offset_for_time(struct beck_partition *partition, int64_t timestamp_ms,
                         enum beck_isolation isolation, int64_t *ret_offset,
                         int64_t *ret_timestamp_ms, struct beck_error *error);

/* The record with the largest timestamp, the first of such; it may be a control record. Returns 1,
 * or 0: no records. */
int beck_offset_of_max_time(struct beck_partition *partition, int64_t *ret_offset,
                            int64_t *ret_timestamp_ms, struct beck_error *error);

/* ---- reading records ---------------------------------------------------------------------- */

/*
 * A place in a partition from which records, or bytes of the file view, are read on. Holds buffers
 * that grow to the largest batch met. Belongs to one thread at a time. Its partition must stay
 * open. A new one stands at the log start. -ENOMEM.
 */
struct beck_reader;

int beck_reader_new(struct beck_partition *partition, enum beck_isolation isolation,
                    struct beck_reader **ret_reader, struct beck_error *error);
struct beck_reader *beck_reader_free(struct beck_reader *reader);

/* Go to `offset`, which need not exist yet. -ERANGE: it is below the log start or above the end. */
int beck_reader_seek(struct beck_reader *reader, int64_t offset, struct beck_error *error);

/*
 * The next record. Returns 1; or 0 at the end, for now. Each batch's CRC is checked as it is read.
 * The record's pointers are valid until the next call with this reader. Control records and those
 * of aborted transactions are passed over. -EBADMSG: damage; the reader stays before it. -ESTALE:
 * the next record was removed meanwhile; the message says where the log starts. Seek to go on.
 */
int beck_reader_next(struct beck_reader *reader, struct beck_record *ret_record,
                     struct beck_error *error);

/*
 * Read the file view: for each record its value and one newline. Returns the bytes put into
 * `buffer` from byte `position` of the view on: fewer than `size` only at the view's end, 0 there
 * or beyond. Position 0 is the log start: see beck_reader_view_from(). Reading on where the last
 * call ended needs no search. -EBADMSG: damage; what is good before it comes first, and the next
 * call meets it. -ESTALE: what was there was removed.
 */
ssize_t beck_reader_view(struct beck_reader *reader, uint64_t position, void *buffer, size_t size,
                         struct beck_error *error);

/*
 * Count the positions of the view from this head on: one that beck_partition_state() has told. A
 * reader that was not told counts from the head that there is when it first reads the view. A
 * position keeps its meaning, however much is removed; what was removed answers -ESTALE, unless the
 * reader is just reading on in the segment that has it. So does each position but the one to read
 * on at, where the head is of another generation.
 */
void beck_reader_view_from(struct beck_reader *reader, const struct beck_view_head *head);

/* ---- the lossless JSON form --------------------------------------------------------------- */

/*
 * Write a record as one JSON object and a newline, for instance
 *   {"offset":12,"timestamp":1763719200123,"key":"k","value":"v","headers":[["name","value"]]}
 * Fixed key order, no spaces. A byte string is a JSON string where it is valid UTF-8, else
 * {"base64":"..."}. `topic` (may be NULL: then topic and partition are left out) and `partition`
 * come first. Like snprintf: returns the bytes that it takes, and writes nothing beyond `size`;
 * there is no final NUL. -EBADMSG: the record's headers are damaged.
 */
ssize_t beck_record_json(const struct beck_record *record, const char *topic, int32_t partition,
                         void *buffer, size_t size);

/* ---- consumer groups and their offsets ---------------------------------------------------- */

/*
 * A consumer group is a name under which readers keep how far they came: an offset for each
 * partition, which is that of the next record they want. Beside the offsets there may be a record
 * for the group as a whole, kept for whoever coordinates its members; the store does not look into
 * what he keeps. A group exists as long as it has an offset or a record.
 *
 * Names of groups are 0 to BECK_GROUP_ID_BYTES bytes, whatever is in them, and not terminated.
 *
 * Offsets go where nobody needs them any more: with their topic; when they are deleted; and in
 * beck_store_maintain(), when offsets.retention.minutes of the store's configuration are over since
 * the last member left the group (`empty_since_ms` of its record), or since the commit where that
 * is later or the group has no record, or when `expire_ms` has come where that was given. As long
 * as a group's record says that it has members nothing of it expires. The record of a group without
 * offsets goes when it was empty for that long.
 */

enum beck_offset_flags {
    /* Keep the offset even if the log does not reach it yet, as Kafka's brokers do. What is to be
     * appended before it would then never be read by the group. */
    BECK_OFFSET_BEYOND_END = 1 << 0,
};

/* One offset on its way into the store. */
struct beck_offset_commit {
    const char *group;
    size_t group_size;
    const char *topic;
    int32_t partition;
    int64_t offset;       /* of the next record that the group wants; below 0: it has none */
    int32_t leader_epoch; /* of the record before it, as the consumer knows it; -1: unknown */
    const char *metadata; /* the consumer's own, any bytes; may be NULL where there are none */
    size_t metadata_size;
    int64_t expire_ms; /* since the epoch: when to forget it; -1: as configured */
    unsigned flags;    /* enum beck_offset_flags */
    int result;        /* set by beck_offsets_commit(), for this one */
};

/*
 * Store offsets, of one group or of several: each instead of what the group had committed for the
 * partition. They survive power loss when this returns, and never point at what does not: the logs
 * are synced up to them first (not with flush.policy=os; then the log may come back shorter, but
 * its next offset is above all that were given out before).
 *
 * All of the array takes one durable commit, and calls that come from other threads while one is
 * under way share the next. So gather what there is, and call from as many threads as wait for
 * answers. Waits for the disk.
 *
 * Each commit's `result` is 0 or says why it was left out; the others are stored all the same:
 * -ENOENT: no such topic or partition (or deleted meanwhile). -EINVAL: an epoch or time below -1, a
 * name of a group that is too long, or no such flag. -EMSGSIZE: metadata longer than
 * offset.metadata.max.bytes of the store's configuration. -ERANGE: beyond the log's end, without
 * BECK_OFFSET_BEYOND_END. (An offset below the log start is stored: trimming may overtake any.)
 * -EIO: the log cannot be synced. -EEXIST: another group's name has the same hash (XXH3-128).
 *
 * Returns the number that was stored, or a negative errno where none could be: -EROFS, -ENOSPC,
 * -ENOMEM, -EIO, -EBUSY (a process that was stopped while it reads meta.mdb would make it grow with
 * each commit; 64 MiB are put up with); then all results are that. `error` tells of the call's, or
 * else of the last one that was left out.
 */
int beck_offsets_commit(struct beck_store *store, struct beck_offset_commit *commits, size_t count,
                        struct beck_error *error);

/* One offset as it is stored. 32 KiB large, so that no memory has to be managed. */
struct beck_offset {
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    uint32_t topic_number; /* with `partition`, where a walk is: zeroed, before the first */
    int32_t partition;
    int32_t leader_epoch; /* -1: unknown */
    int64_t offset;
    int64_t commit_ms; /* when it was committed, since the epoch */
    int64_t expire_ms; /* -1: as configured */
    size_t metadata_size;
    char metadata[BECK_OFFSET_METADATA_BYTES + 1]; /* a NUL behind it */
};

/*
 * What a group committed for a partition. Returns 1; or 0 where it committed nothing, or where
 * there is no such topic or partition. -EBADMSG: the record is damaged. Reads no log, and takes no
 * lock.
 */
int beck_offset_fetch(struct beck_store *store, const char *group, size_t group_size,
                      const char *topic, int32_t partition, struct beck_offset *ret_offset,
                      struct beck_error *error);

/*
 * The group's next offset behind `offset`, by number of the topic and partition; begin with a
 * zeroed one. Returns 1, or 0 behind the last. -EBADMSG: that one is damaged; only its
 * `topic_number` and `partition` are set, so that calling again goes on behind it.
 */
int beck_offset_next(struct beck_store *store, const char *group, size_t group_size,
                     struct beck_offset *offset, struct beck_error *error);

/* One offset to be deleted. */
struct beck_offset_delete {
    const char *topic;
    int32_t partition;
    int result; /* 0: it is gone, or never was; -ENOENT: no such topic or partition */
};

/* Delete some of a group's offsets, in one durable commit. 0, or -EINVAL: name too long; -EROFS,
 * -ENOSPC, -EIO. */
int beck_offsets_delete(struct beck_store *store, const char *group, size_t group_size,
                        struct beck_offset_delete *deletes, size_t count, struct beck_error *error);

/* A group as a whole. 32 KiB large. */
struct beck_group {
    uint8_t hash[16]; /* of the name: where a walk is; zeroed, before the first */
    size_t id_size;
    char id[BECK_GROUP_ID_BYTES + 1]; /* a NUL behind it */
    bool has_record;                  /* else it has offsets only, and these three say nothing */
    char protocol_type[BECK_GROUP_PROTOCOL_BYTES + 1]; /* "consumer"; empty where nobody joined */
    int64_t empty_since_ms;                            /* since the epoch; -1: it has members */
    size_t state_size;
};

/*
 * Store the record of a group, instead of the one it has: `protocol_type`, `empty_since_ms`, and
 * `state_size` bytes that mean what the coordinator likes (generation, members, assignments). It
 * survives power loss when this returns; concurrent calls share commits as beck_offsets_commit()
 * does. -EINVAL: name too long, or an `empty_since_ms` below -1. -EMSGSIZE: more than
 * BECK_GROUP_STATE_BYTES. -EEXIST: another group's name has the same hash. -EROFS, -ENOSPC, -EIO.
 */
int beck_group_put(struct beck_store *store, const struct beck_group *group, const void *state,
                   struct beck_error *error);

/*
 * Look a group up by name. Returns 1, or 0 where there is no such. Where it has a record and
 * `ret_group->state_size` is at most `state_room`, its state is copied to `state` (NULL: no room).
 * -EBADMSG: the record is damaged.
 */
int beck_group_get(struct beck_store *store, const char *group, size_t group_size,
                   struct beck_group *ret_group, void *state, size_t state_room,
                   struct beck_error *error);

/*
 * The next group behind `group`, in no order that means anything; begin with a zeroed one. Returns
 * 1, or 0 behind the last. -EBADMSG: that one is damaged; only its `hash` is set, so that calling
 * again goes on behind it.
 */
int beck_group_next(struct beck_store *store, struct beck_group *group, struct beck_error *error);

/* Delete a group: its record and all its offsets, in one durable commit. -ENOENT: there is none.
 * -EINVAL: name too long. -EROFS, -ENOSPC, -EIO. */
int beck_group_delete(struct beck_store *store, const char *group, size_t group_size,
                      struct beck_error *error);

/* ---- client quotas ------------------------------------------------------------------------ */

/*
 * How much the clients of a broker may do. The store keeps it for whoever serves them, and limits
 * nobody itself. A quota is for a user, a client id, a user with a client id, or an address; each
 * by its name, or for all that have no quota by theirs. It has a limit for one kind of use or for
 * several. There are BECK_QUOTAS_MAX at most.
 */

/* By what clients are told apart. */
enum beck_quota_part {
    BECK_QUOTA_USER,
    BECK_QUOTA_CLIENT_ID,
    BECK_QUOTA_IP, /* stands alone; the name is a text that the store does not look into */
    BECK_QUOTA_PARTS,
};

enum beck_quota_match {
    BECK_QUOTA_NOT_GIVEN, /* whatever it is; the part says nothing */
    BECK_QUOTA_DEFAULT,   /* whoever has no quota by name */
    BECK_QUOTA_NAMED,
};

/* What is limited. */
enum beck_quota_kind {
    BECK_QUOTA_PRODUCER_BYTE_RATE,       /* bytes a second */
    BECK_QUOTA_CONSUMER_BYTE_RATE,       /* bytes a second */
    BECK_QUOTA_REQUEST_PERCENTAGE,       /* of one thread's time */
    BECK_QUOTA_CONTROLLER_MUTATION_RATE, /* partitions a second that are made or deleted */
    BECK_QUOTA_CONNECTION_CREATION_RATE, /* connections a second */
    BECK_QUOTA_KINDS,
};

struct beck_quota_name {
    enum beck_quota_match match;
    size_t size; /* 1 to BECK_QUOTA_NAME_BYTES where it is named, else 0 */
    char bytes[BECK_QUOTA_NAME_BYTES + 1]; /* any; a NUL behind them */
};

/* About 850 bytes large. */
struct beck_quota {
    uint8_t hash[16]; /* of whom it is for: where a walk is; zeroed, before the first */
    struct beck_quota_name parts[BECK_QUOTA_PARTS];
    uint32_t set;                    /* 1 << kind for each that is limited */
    double values[BECK_QUOTA_KINDS]; /* above 0; of those that are set */
};

/*
 * Store quotas, each instead of the one for the same clients; one that sets nothing takes that away
 * (and none is no error). All of them in one durable commit, or none: they survive power loss when
 * this returns. `hash` is not looked at. Waits for the disk.
 *
 * -EINVAL: one that is for nobody, for an address and something else, whose name has no such size,
 * that sets a kind that there is not, or a value that is not above 0. -EMSGSIZE: there would be
 * more than BECK_QUOTAS_MAX. -EEXIST: another quota has the same hash (XXH3-128). -EROFS, -ENOSPC,
 * -ENOMEM, -EIO, -EBUSY (see beck_offsets_commit()).
 */
int beck_quotas_put(struct beck_store *store, const struct beck_quota *quotas, size_t count,
                    struct beck_error *error);

/*
 * The next quota behind `quota`, in no order that means anything; begin with a zeroed one. Returns
 * 1, or 0 behind the last. -EBADMSG: that one is damaged; only its `hash` is set, so that calling
 * again goes on behind it.
 */
int beck_quota_next(struct beck_store *store, struct beck_quota *quota, struct beck_error *error);

/* ---- waiting ------------------------------------------------------------------------------ */

/*
 * Wait until a reader of that isolation could read `offset`, or the topic was deleted, or the time
 * is over. Returns 1 when there is something (or -ESTALE), 0 when the time is over. -1 ms: no
 * limit. Who has read up to the end waits for the end that beck_partition_state() told before: the
 * offset behind the last record may be below it, and then there is nothing to wait for. Does not
 * poll, unless BECK_WAITING_PROCESSES_MAX processes wait already or the store is read-only. -EINTR:
 * a signal came.
 */
int beck_partition_wait(struct beck_partition *partition, int64_t offset,
                        enum beck_isolation isolation, int timeout_ms, struct beck_error *error);

/*
 * For programs with a loop of their own. The store's one descriptor, which becomes readable when
 * something that was armed since has changed. Returns the descriptor, which belongs to the library.
 * -EROFS, -EUSERS: there is none to be had; poll each 10 ms instead.
 *
 * The order that misses nothing: arm, look whether there is something already, and only then poll
 * the descriptor; when it is readable, clear it first, then look at everything that was armed.
 * Being rung disarms. Rings may come for nothing. Once the descriptor was asked for,
 * beck_partition_wait() in this process leaves it alone and polls each 10 ms.
 */
int beck_store_wake_fd(struct beck_store *store, struct beck_error *error);
void beck_store_wake_clear(struct beck_store *store);
/*
 * The same as clearing it, but says who rang, so that only those need be looked at: fills in up to
 * `room` numbers as beck_partition_bell() gives them, or 0 for what beck_store_arm() is about. A
 * number may come more than once, and for partitions that were not armed any more. Returns how
 * many; less than `room`: the descriptor is clear. -EOVERFLOW: there were too many, everything that
 * was armed has to be looked at; it is clear. Any thread, and any number of them.
 */
int beck_store_wake_take(struct beck_store *store, uint32_t *ret_numbers, uint32_t room);
/* What the partition is called in there: above 0, at most BECK_PARTITIONS_MAX. A partition that is
 * made after this one was deleted may have the same. */
uint32_t beck_partition_bell(const struct beck_partition *partition);
/* Ring when the high watermark, last stable offset or log start offset moves, or the topic is
 * deleted. */
void beck_partition_arm(struct beck_partition *partition);
/* Ring when topics are created, deleted or altered, or the store's configuration is. */
void beck_store_arm(struct beck_store *store);

/* ---- verification ------------------------------------------------------------------------- */

/* One piece of damage. Fields that do not apply are empty or -1. */
struct beck_damage {
    char file[320]; /* relative to the store's directory */
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t partition;
    int64_t offset; /* of the batch or record */
    int64_t byte;   /* in the file */
    char what[192]; /* one sentence */
};

struct beck_verify_totals {
    uint64_t partitions;
    uint64_t segments;
    uint64_t batches;
    uint64_t records;
    uint64_t bytes; /* of segments */
};

/*
 * Read everything and compare it: each batch's CRC and records, offsets in order; leader epochs
 * against their history; each complete segment's digest (beck_store_clean()); the list of
 * segments, the index and the checkpoints against the segments; the records of topics,
 * partitions and slots against each other. Calls `damage` for each thing found, and `progress`
 * (may be NULL) now and then with bytes done and in all. Either may return non-zero to stop.
 * `topic` NULL: all; else its segments alone. Others may go on with the store meanwhile. Returns
 * the number of damages found. -ENOENT: no such topic. -ENOMEM.
 */
int beck_store_verify(struct beck_store *store, const char *topic,
                      int (*damage)(void *context, const struct beck_damage *found),
                      int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes),
                      void *context, struct beck_verify_totals *ret_totals,
                      struct beck_error *error);

/*
 * The same, shared by threads. beck_verify_new() lists what there is; any number of threads then
 * call beck_verify_run(), which returns when nothing is left to be taken; when all have returned,
 * beck_verify_result() has the number of damages and what was read. Callbacks come from all of
 * these threads, one at a time. Two threads share the work as long as there are two segments.
 *
 * beck_verify_new(): -ENOENT: no such topic. -EINVAL: nobody to be told, or a partition without its
 * topic. -ENOMEM. beck_verify_run(): 0, also where a callback wanted no more; -ENOMEM, or an error
 * of the disk: what one thread could not read the others do not make up for.
 */
struct beck_verify;

struct beck_verify_options {
    const char *topic;  /* NULL: all. Lives until beck_verify_new() returns */
    bool one_partition; /* of the topic: */
    int32_t partition;
    int (*damage)(void *context, const struct beck_damage *found);
    int (*progress)(void *context, uint64_t done_bytes, uint64_t all_bytes); /* may be NULL */
    void *context;
};

int beck_verify_new(struct beck_store *store, const struct beck_verify_options *options,
                    struct beck_verify **ret_verify, struct beck_error *error);
int beck_verify_run(struct beck_verify *verify, struct beck_error *error);
int beck_verify_result(struct beck_verify *verify, struct beck_verify_totals *ret_totals);
/* Before the store is closed. Takes NULL; returns NULL. */
struct beck_verify *beck_verify_free(struct beck_verify *verify);

/*
 * Read all of one of the two LMDB files, "meta.mdb" or "index.mdb", of the store in `path`, which
 * must not be open in this process. LMDB has no checksums of its pages: they are held against each
 * other first, but a damaged file may still crash or hang whoever reads it. So have a child process
 * do this, and give it up when `tick`, which is called now and then, is not called for some time,
 * before opening a store that is not trusted.
 * -EBADMSG: damaged, or missing from what is or was a store. -ENOENT: there is no store. -EACCES.
 * -ENOMEM.
 */
int beck_database_walk(const char *path, const char *file, void (*tick)(void *context),
                       void *context, struct beck_error *error);

#ifdef __cplusplus
}
#endif

#endif
