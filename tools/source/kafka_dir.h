/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log directory of an Apache Kafka broker (log.dirs), as far as it must be understood to read
 * the partitions in it: which there are, their topics' ids, where their logs begin. Nothing is
 * written here, and nothing is believed that was not checked. The broker has to be stopped, as its
 * files change under who reads them.
 *
 *     DIR/meta.properties                 node.id, cluster.id
 *     DIR/.lock                           locked by a broker that runs
 *     DIR/log-start-offset-checkpoint     "0\n<count>\n" and lines "<topic> <partition> <offset>",
 *                                         or nothing
 *     DIR/recovery-point-offset-checkpoint, replication-offset-checkpoint,
 *         cleaner-offset-checkpoint       the same
 *     DIR/<topic>-<partition>/            a partition; with more behind the number, or -delete,
 *                                         -future or -stray at the end, it is none that counts
 *         partition.metadata              "version: 0\ntopic_id: <22 characters of base64url>\n"
 *         leader-epoch-checkpoint         "0\n<count>\n" and lines "<epoch> <start offset>"
 *         <base offset>.log, .index, .timeindex, .txnindex, .snapshot
 *
 * Belongs to one thread.
 */
#ifndef SOURCE_KAFKA_DIR_H
#define SOURCE_KAFKA_DIR_H

#include "beck.h"

#include "segments.h"

#include <stdbool.h>

struct kafka_partition {
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int32_t number;
};

struct kafka_dir {
    char *path;
    char cluster_id[64];                /* empty: meta.properties does not say, or is not there */
    int32_t node_id;                    /* -1: the same */
    struct kafka_partition *partitions; /* by topic, then number */
    size_t count;
};

/*
 * Look into a directory. -EBUSY: a broker has it open. -ENOENT: it is not there, or no partition is
 * in it. Like all here, with a sentence in `error`.
 */
int kafka_dir_open(const char *path, struct kafka_dir *ret_dir, struct beck_error *error);
void kafka_dir_done(struct kafka_dir *dir);

/* The partition's place in `partitions`; -1: it is not there. */
ssize_t kafka_dir_find(const struct kafka_dir *dir, const char *topic, int32_t number);

/* "DIR/TOPIC-N" with "/NAME" behind it, or nothing where `name` is NULL; to be freed. */
char *kafka_dir_file(const struct kafka_dir *dir, const struct kafka_partition *partition,
                     const char *name);

/* The topic's id, by a partition's partition.metadata. 1; 0: it has none. -EBADMSG. */
int kafka_dir_topic_id(const struct kafka_dir *dir, const struct kafka_partition *partition,
                       uint8_t ret_id[BECK_ID_BYTES], struct beck_error *error);

/* The partition's segment files. -EBADMSG: a compaction was cut short; the broker has to put that
 * right first. */
int kafka_dir_segments(const struct kafka_dir *dir, const struct kafka_partition *partition,
                       struct segments *segments, struct beck_error *error);

#define KAFKA_CHECKPOINT_LOG_START   "log-start-offset-checkpoint"
#define KAFKA_CHECKPOINT_RECOVERY    "recovery-point-offset-checkpoint"
#define KAFKA_CHECKPOINT_REPLICATION "replication-offset-checkpoint"
#define KAFKA_CHECKPOINT_CLEANER     "cleaner-offset-checkpoint"

/* What one of these files has for a partition: 1; 0: nothing, or there is no file. -EBADMSG. */
int kafka_dir_checkpoint(const struct kafka_dir *dir, const char *name,
                         const struct kafka_partition *partition, int64_t *ret_offset,
                         struct beck_error *error);

/* The newest entry of leader-epoch-checkpoint: 1; 0: there is none. -EBADMSG. */
int kafka_dir_epoch(const struct kafka_dir *dir, const struct kafka_partition *partition,
                    int32_t *ret_epoch, int64_t *ret_start_offset, struct beck_error *error);

/* A small text file, as a whole, with a NUL behind it; to be freed. -EMSGSIZE: it is not small.
 * -EBADMSG: it has a NUL in it. */
int kafka_dir_read(const char *path, char **ret_text, struct beck_error *error);

#endif
