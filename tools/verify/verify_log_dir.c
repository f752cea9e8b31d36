/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying Kafka's files. A partition's segments are walked once; on the way, what the headers and
 * markers say of transactions is held against each segment's .txnindex. An abort marker without an
 * entry is damage, as a reader would hand out what was aborted; so is an entry without its marker.
 */
#include "verify_log_dir.h"

#include "check.h"
#include "cleanup.h"
#include "kafka_dir.h"
#include "kafka_txn.h"
#include "record.h"
#include "report.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_BYTES (4 * 1024 * 1024)

struct verify_log_dir_work {
    struct verify_log_dir what;
    struct kafka_dir dir;
    uint64_t all_bytes;

    pthread_mutex_t mutex; /* for what follows; held while the caller is called back */
    size_t next_partition;
    struct beck_verify_totals totals;
    uint64_t told_bytes; /* when progress was told last */
    int damages;
    _Atomic bool stop;
};

/* What one thread works with. */
struct walk {
    struct verify_log_dir_work *work;
    struct beck_verify_totals totals;
    /* the partition at hand */
    const struct kafka_partition *partition;
    struct transaction_scan *scan;
    const struct segment_entry *segment; /* whose .txnindex is loaded */
    struct aborted *entries;
    ssize_t entry_count; /* below 0: they could not be read, and that was told */
    ssize_t entries_met;
    int64_t next_offset;
};

/* ---- telling ------------------------------------------------------------------------------ */

/* What a message says behind the path and the place, which a damage has by themselves. */
static const char *sentence_of(const char *message, const char *path)
{
    size_t length = strlen(path);
    const char *end = NULL;

    if (strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0)
        message += length + 2;
    if (strncmp(message, "offset ", 7) == 0 || strncmp(message, "byte ", 5) == 0)
        end = strstr(message, ": ");
    return end != NULL ? end + 2 : message;
}

static void tell(struct walk *walk, const char *file, int64_t offset, int64_t byte,
                 const char *what)
{
    struct verify_log_dir_work *work = walk->work;
    struct beck_damage damage = {.partition = -1, .offset = offset, .byte = byte};

    (void)snprintf(damage.file, sizeof(damage.file), "%s", file);
    (void)snprintf(damage.what, sizeof(damage.what), "%.*s", (int)sizeof(damage.what) - 1,
                   sentence_of(what, file));
    if (walk->partition != NULL) {
        (void)snprintf(damage.topic, sizeof(damage.topic), "%s", walk->partition->topic);
        damage.partition = walk->partition->number;
    }
    CHECK(pthread_mutex_lock(&work->mutex) == 0);
    work->damages++;
    if (!work->stop && work->what.damage(work->what.context, &damage) != 0)
        work->stop = true;
    CHECK(pthread_mutex_unlock(&work->mutex) == 0);
}

/* Add what was read to what all have. */
static void add_totals(struct walk *walk)
{
    struct verify_log_dir_work *work = walk->work;

    CHECK(pthread_mutex_lock(&work->mutex) == 0);
    work->totals.partitions += walk->totals.partitions;
    work->totals.segments += walk->totals.segments;
    work->totals.batches += walk->totals.batches;
    work->totals.records += walk->totals.records;
    work->totals.bytes += walk->totals.bytes;
    walk->totals = (struct beck_verify_totals){0};
    if (!work->stop && work->totals.bytes - work->told_bytes >= PROGRESS_BYTES) {
        work->told_bytes = work->totals.bytes;
        if (work->what.progress(work->what.context, work->totals.bytes, work->all_bytes) != 0)
            work->stop = true;
    }
    CHECK(pthread_mutex_unlock(&work->mutex) == 0);
}

/* What a function found damaged; another failure is passed on. */
static int tell_error(struct walk *walk, int result, const char *file, struct beck_error *error)
{
    if (result != -EBADMSG && result != -EINVAL && result != -EMSGSIZE)
        return result;
    tell(walk, file, -1, -1, error->message);
    return 0;
}

/* ---- transactions ------------------------------------------------------------------------- */

/* All of a segment was walked: what its index has behind the last marker has none. */
static void leave_segment(struct walk *walk)
{
    if (walk->segment != NULL && walk->entries_met < walk->entry_count)
        tell(walk, walk->segment->path, walk->entries[walk->entries_met].last_offset, -1,
             "its .txnindex has an aborted transaction whose marker is not in the log");
    free(walk->entries);
    walk->entries = NULL;
    walk->segment = NULL;
}

static int enter_segment(struct walk *walk, const struct segment_entry *segment,
                         struct beck_error *error)
{
    leave_segment(walk);
    walk->segment = segment;
    walk->entries_met = 0;
    walk->entry_count = transactions_read_index(segment, &walk->entries, error);
    return walk->entry_count < 0 ? tell_error(walk, (int)walk->entry_count, segment->path, error)
                                 : 0;
}

/* What a control batch is, by its one record. */
static int control_of(const struct segment_step *step)
{
    struct record_iterator iterator;
    struct beck_record record;

    if ((step->summary.header.attributes & (BATCH_CONTROL | BATCH_CODEC_MASK)) != BATCH_CONTROL)
        return -1;
    record_iterator_init(&iterator, &step->summary.header, step->batch + BATCH_HEADER_BYTES,
                         step->size - BATCH_HEADER_BYTES);
    return record_next(&iterator, &record) == 1 ? control_type(&record) : -1;
}

/* An abort marker: the index has the same. */
static void check_abort(struct walk *walk, const struct aborted *aborted, uint64_t position)
{
    const struct aborted *entry =
        walk->entries_met < walk->entry_count ? &walk->entries[walk->entries_met] : NULL;

    if (walk->entry_count < 0)
        return;
    while (entry != NULL && entry->last_offset < aborted->last_offset) {
        tell(walk, walk->segment->path, entry->last_offset, -1,
             "its .txnindex has an aborted transaction whose marker is not in the log");
        walk->entries_met++;
        entry = walk->entries_met < walk->entry_count ? entry + 1 : NULL;
    }
    if (entry == NULL || entry->last_offset != aborted->last_offset ||
        entry->producer_id != aborted->producer_id) {
        tell(walk, walk->segment->path, aborted->last_offset, (int64_t)position,
             "a transaction was aborted here, and the .txnindex does not have it");
        return;
    }
    /* The log may have lost its begin to retention or compaction since. */
    if (entry->first_offset > aborted->first_offset)
        tell(walk, walk->segment->path, aborted->last_offset, (int64_t)position,
             "the .txnindex lets an aborted transaction begin too late");
    walk->entries_met++;
}

/* An abort marker of a transaction whose records are gone, by retention or compaction: an entry for
 * it may be there. */
static void pass_entry(struct walk *walk, int64_t last_offset)
{
    if (walk->entries_met < walk->entry_count &&
        walk->entries[walk->entries_met].last_offset == last_offset)
        walk->entries_met++;
}

static int check_transactions(struct walk *walk, const struct segment_step *step,
                              struct beck_error *error)
{
    const struct batch_header *header = &step->summary.header;
    struct aborted aborted;
    int control = control_of(step);

    int result = transaction_scan_take(walk->scan, header, control, &aborted);
    if (result < 0)
        return report(error, result, "not enough memory");
    if (result > 0)
        check_abort(walk, &aborted, step->position);
    else if (control == CONTROL_ABORT)
        pass_entry(walk, batch_next_offset(header) - 1);
    return 0;
}

/* ---- a partition -------------------------------------------------------------------------- */

static int walk_batches(struct walk *walk, struct segments *segments, struct beck_error *error)
{
    const struct segment_entry *entry;
    struct segment_step step;
    int result = 0;

    while (result == 0 && !walk->work->stop) {
        result = segments_next(segments, &step, &entry, error);
        if (result == 0)
            return 0;
        walk->totals.bytes += step.size;
        if (walk->totals.bytes >= PROGRESS_BYTES)
            add_totals(walk);
        if (result == -EBADMSG) {
            tell(walk, entry->path, error->offset, (int64_t)step.position, error->message);
            result = 0;
            continue;
        }
        if (result > 0 && entry != walk->segment)
            result = enter_segment(walk, entry, error);
        if (result < 0)
            return result;
        walk->next_offset = batch_next_offset(&step.summary.header);
        walk->totals.batches++;
        walk->totals.records += (uint64_t)step.summary.header.record_count;
        result = check_transactions(walk, &step, error);
    }
    return result;
}

/* The files beside the segments. */
static int check_small_files(struct walk *walk, struct beck_error *error)
{
    _cleanup_free_ char *path = kafka_dir_file(&walk->work->dir, walk->partition, NULL);
    uint8_t id[BECK_ID_BYTES];
    int64_t offset = 0;
    int32_t epoch;

    if (path == NULL)
        return report(error, -ENOMEM, "not enough memory");
    int result = kafka_dir_topic_id(&walk->work->dir, walk->partition, id, error);
    if (result < 0)
        result = tell_error(walk, result, path, error);
    if (result >= 0)
        result = kafka_dir_epoch(&walk->work->dir, walk->partition, &epoch, &offset, error);
    if (result < 0)
        result = tell_error(walk, result, path, error);
    if (result < 0)
        return result;
    result = kafka_dir_checkpoint(&walk->work->dir, KAFKA_CHECKPOINT_RECOVERY, walk->partition,
                                  &offset, NULL);
    if (result > 0 && offset > walk->next_offset)
        tell(walk, path, walk->next_offset, -1,
             "the log ends here, and the recovery-point checkpoint says that there was more");
    return 0;
}

static int walk_partition(struct walk *walk, struct beck_error *error)
{
    struct segments segments = {0};

    int result = kafka_dir_segments(&walk->work->dir, walk->partition, &segments, error);
    if (result == 0 && segments.count > 0)
        walk->next_offset = segments.entries[0].base_offset;
    if (result == 0)
        result = transaction_scan_new(&walk->scan);
    if (result == 0)
        result = walk_batches(walk, &segments, error);
    leave_segment(walk);
    walk->scan = transaction_scan_free(walk->scan);
    walk->totals.segments += segments.count;
    walk->totals.partitions++;
    segments_done(&segments);
    if (result == 0 && !walk->work->stop)
        result = check_small_files(walk, error);
    return result < 0 ? tell_error(walk, result, walk->work->dir.path, error) : 0;
}

static bool is_wanted(const struct verify_log_dir *verify, const struct kafka_partition *partition)
{
    return (verify->topic == NULL || strcmp(verify->topic, partition->topic) == 0) &&
           (verify->partition < 0 || verify->partition == partition->number);
}

/* The directory's own checkpoints: each is read whole, whichever partition is asked for. */
static int check_checkpoints(struct walk *walk, struct beck_error *error)
{
    static const char *const names[] = {KAFKA_CHECKPOINT_LOG_START, KAFKA_CHECKPOINT_RECOVERY,
                                        KAFKA_CHECKPOINT_REPLICATION, KAFKA_CHECKPOINT_CLEANER};
    int64_t offset;
    int result = 0;

    for (size_t i = 0; result >= 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        result = kafka_dir_checkpoint(&walk->work->dir, names[i], &walk->work->dir.partitions[0],
                                      &offset, error);
        if (result < 0)
            result = tell_error(walk, result, names[i], error);
    }
    return result < 0 ? result : 0;
}

/* Leave those out that are not wanted, and add up what there is to read. A partition whose files
 * cannot be listed is told of when its turn comes. */
static int list_partitions(struct verify_log_dir_work *work, struct beck_error *error)
{
    struct kafka_dir *dir = &work->dir;
    size_t kept = 0;

    for (size_t i = 0; i < dir->count; i++) {
        struct segments segments = {0};
        if (!is_wanted(&work->what, &dir->partitions[i]))
            continue;
        dir->partitions[kept] = dir->partitions[i];
        (void)kafka_dir_segments(dir, &dir->partitions[kept++], &segments, NULL);
        for (size_t s = 0; s < segments.count; s++)
            work->all_bytes += segments.entries[s].bytes;
        segments_done(&segments);
    }
    dir->count = kept;
    return kept > 0
               ? 0
               : report(error, -ENOENT, "there is no such topic or partition in %s", dir->path);
}

int verify_log_dir_new(const struct verify_log_dir *what, struct verify_log_dir_work **ret_work,
                       struct beck_error *error)
{
    struct verify_log_dir_work *work = calloc(1, sizeof(*work));
    struct walk walk = {.work = work};

    if (work == NULL)
        return report(error, -ENOMEM, "not enough memory");
    work->what = *what;
    CHECK(pthread_mutex_init(&work->mutex, NULL) == 0);
    int result = kafka_dir_open(what->path, &work->dir, error);
    if (result == 0)
        result = check_checkpoints(&walk, error);
    if (result == 0)
        result = list_partitions(work, error);
    if (result < 0) {
        (void)verify_log_dir_free(work);
        return result;
    }
    *ret_work = work;
    return 0;
}

struct verify_log_dir_work *verify_log_dir_free(struct verify_log_dir_work *work)
{
    if (work == NULL)
        return NULL;
    kafka_dir_done(&work->dir);
    (void)pthread_mutex_destroy(&work->mutex);
    free(work);
    return NULL;
}

int verify_log_dir_run(struct verify_log_dir_work *work, struct beck_error *error)
{
    struct walk walk = {.work = work};
    int result = 0;

    do {
        walk.partition = NULL;
        walk.next_offset = 0;
        CHECK(pthread_mutex_lock(&work->mutex) == 0);
        if (!work->stop && work->next_partition < work->dir.count)
            walk.partition = &work->dir.partitions[work->next_partition++];
        CHECK(pthread_mutex_unlock(&work->mutex) == 0);
        if (walk.partition != NULL)
            result = walk_partition(&walk, error);
        add_totals(&walk);
    } while (result == 0 && walk.partition != NULL);
    if (result < 0)
        work->stop = true;
    return result;
}

int verify_log_dir_result(const struct verify_log_dir_work *work,
                          struct beck_verify_totals *ret_totals)
{
    *ret_totals = work->totals;
    return work->damages;
}
