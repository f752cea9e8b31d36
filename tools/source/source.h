/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the reading commands get records from, whatever it is that holds them: a store, the log
 * directory of a stopped Kafka broker, single segment files. A command sees topics, partitions,
 * records and batches through this alone; brokers over the network are one of them
 * (cluster_source.h), so nothing here says that there are files.
 *
 * A source belongs to one thread. Functions return 0 or a count, or a negative errno with a
 * sentence in `error`, as the library does.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "batch.h"
#include "beck.h"
#include "record.h"

#include <stdbool.h>

struct source;
struct source_partition;

struct source_topic {
    char name[BECK_TOPIC_NAME_BYTES + 1];
    uint8_t id[BECK_ID_BYTES];
    bool has_id;
    uint32_t partition_count; /* that are here: their numbers may have holes */
};

/* Offsets of a partition, as they are now. */
struct source_bounds {
    int64_t start;
    int64_t stable; /* the end of what is committed */
    int64_t end;
    int64_t promised; /* below it, all was known to be on disk: above `end`, something is lost */
};

/* A batch as it is stored. All is valid until the next call with this partition. */
struct source_batch {
    struct batch_header header;
    const uint8_t *bytes; /* batch_bytes(&header) of them; the CRC is right */
    uint64_t position;    /* of the first one in its segment file */
    bool aborted;         /* its transaction was */
};

/* What was found damaged. */
struct source_damage {
    int64_t offset;   /* the first that was expected there */
    int64_t position; /* in the segment file */
    uint64_t skipped; /* bytes that were passed over; 0: not known */
};

struct source_ops {
    void (*close)(struct source *source);
    int (*topic_next)(struct source *source, const char *after, struct source_topic *ret_topic,
                      struct beck_error *error);
    int (*topic_find)(struct source *source, const char *name, struct source_topic *ret_topic,
                      struct beck_error *error);
    int32_t (*partition_next)(struct source *source, const struct source_topic *topic,
                              int32_t after);
    int (*partition_open)(struct source *source, const struct source_topic *topic, int32_t number,
                          enum beck_isolation isolation, struct source_partition **ret_partition,
                          struct beck_error *error);
    void (*partition_close)(struct source_partition *partition);
    int (*bounds)(struct source_partition *partition, struct source_bounds *ret_bounds,
                  struct beck_error *error);
    int (*offset_for_time)(struct source_partition *partition, int64_t timestamp_ms,
                           int64_t *ret_offset, struct beck_error *error);
    int (*seek)(struct source_partition *partition, int64_t offset, struct beck_error *error);
    int (*next)(struct source_partition *partition, struct beck_record *ret_record,
                struct beck_error *error);
    int (*next_batch)(struct source_partition *partition, struct source_batch *ret_batch,
                      struct source_damage *ret_damage, struct beck_error *error);
    int (*wake_fd)(struct source *source, struct beck_error *error);
    void (*wake_clear)(struct source *source);
    void (*arm)(struct source_partition *partition);
};

/* What each implementation begins with. */
struct source {
    const struct source_ops *ops;
    bool grows; /* more may come while it is read */
    /* Called before source_next() waits for what a broker says; NULL: nothing is to be done. */
    void (*before_wait)(void *context);
    void *before_wait_context;
};

struct source_partition {
    const struct source_ops *ops;
    struct source *source;
    enum beck_isolation isolation;
    int32_t number;
};

/* ---- opening ------------------------------------------------------------------------------ */

/* A store that is open already, and stays so until the source was closed. -ENOMEM. */
int source_of_store(struct beck_store *store, struct source **ret_source);

/* The log directory of a broker that is stopped: see kafka_dir.h. */
int source_open_log_dir(const char *path, struct source **ret_source, struct beck_error *error);

/* Segment files of one partition, in its order, as partition 0 of a topic: whatever name is looked
 * up is that topic's. `paths` outlives the source. */
int source_open_files(char *const *paths, size_t count, struct source **ret_source,
                      struct beck_error *error);

struct source *source_close(struct source *source);

/* ---- topics and partitions ---------------------------------------------------------------- */

/* The first topic whose name sorts after `after`: 1, or 0. */
static inline int source_topic_next(struct source *source, const char *after,
                                    struct source_topic *ret_topic, struct beck_error *error)
{
    return source->ops->topic_next(source, after, ret_topic, error);
}

/* -ENOENT. */
static inline int source_topic_find(struct source *source, const char *name,
                                    struct source_topic *ret_topic, struct beck_error *error)
{
    return source->ops->topic_find(source, name, ret_topic, error);
}

/* The first partition whose number is above `after` (-1 to begin); -1: there are no more. */
static inline int32_t source_partition_next(struct source *source, const struct source_topic *topic,
                                            int32_t after)
{
    return source->ops->partition_next(source, topic, after);
}

/*
 * Open a partition, which stands at its begin. Committed: source_next() ends at the last stable
 * offset and leaves aborted records out. -ENOENT: there is no such partition.
 */
static inline int source_partition_open(struct source *source, const struct source_topic *topic,
                                        int32_t number, enum beck_isolation isolation,
                                        struct source_partition **ret_partition,
                                        struct beck_error *error)
{
    return source->ops->partition_open(source, topic, number, isolation, ret_partition, error);
}

/* Takes NULL; returns NULL. */
static inline struct source_partition *source_partition_close(struct source_partition *partition)
{
    if (partition != NULL)
        partition->ops->partition_close(partition);
    return NULL;
}

static inline int source_bounds(struct source_partition *partition,
                                struct source_bounds *ret_bounds, struct beck_error *error)
{
    return partition->ops->bounds(partition, ret_bounds, error);
}

/* The end for who reads this partition. */
static inline int64_t source_bounds_end(const struct source_partition *partition,
                                        const struct source_bounds *bounds)
{
    return partition->isolation == BECK_READ_COMMITTED ? bounds->stable : bounds->end;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* The first record at `timestamp_ms` or later: 1; 0: there is none. May move the partition. */
static inline int source_offset_for_time(struct source_partition *partition, int64_t timestamp_ms,
                                         int64_t *ret_offset, struct beck_error *error)
{
    return partition->ops->offset_for_time(partition, timestamp_ms, ret_offset, error);
}

/* Go to an offset within the bounds. -ERANGE. */
static inline int source_seek(struct source_partition *partition, int64_t offset,
                              struct beck_error *error)
{
    return partition->ops->seek(partition, offset, error);
}

/* The next record, but no control record: 1; 0: there is none, for now. Its pointers are valid
 * until the next call. -EBADMSG: damage, before which the partition stays. -ETIMEDOUT: whether
 * there is one is not to be had, as brokers are gone; until something comes there is none then. */
static inline int source_next(struct source_partition *partition, struct beck_record *ret_record,
                              struct beck_error *error)
{
    return partition->ops->next(partition, ret_record, error);
}

/*
 * The next batch as it is stored, whatever the isolation: 1; 0: the end. The first after a seek may
 * have earlier offsets too. -EBADMSG: damage, told in `ret_damage` and passed over. -ENOTSUP: this
 * source has none. Not to be mixed with source_next() without a seek.
 */
static inline int source_next_batch(struct source_partition *partition,
                                    struct source_batch *ret_batch,
                                    struct source_damage *ret_damage, struct beck_error *error)
{
    return partition->ops->next_batch(partition, ret_batch, ret_damage, error);
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* As beck_store_wake_fd(), beck_store_wake_clear() and beck_partition_arm(); a source that does not
 * grow has no descriptor. */
static inline int source_wake_fd(struct source *source, struct beck_error *error)
{
    return source->ops->wake_fd(source, error);
}

static inline void source_wake_clear(struct source *source)
{
    source->ops->wake_clear(source);
}

static inline void source_arm(struct source_partition *partition)
{
    partition->ops->arm(partition);
}

/* ---- the records of a batch --------------------------------------------------------------- */

struct source_records {
    struct decompressor *decompressor; /* NULL: made when first needed */
    struct record_iterator iterator;
};

/* Begin with a batch's records, which record_next(&records->iterator, ...) hands out: valid as long
 * as the batch, and until the next one is begun. -EBADMSG, -EMSGSIZE, -ENOMEM. */
int source_records_begin(struct source_records *records, const struct batch_header *header,
                         const uint8_t *batch);
void source_records_done(struct source_records *records);

#endif
