/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what is to be read, and taking from it. The list is of the moment of
 * beck_verify_new(); a segment that was trimmed, compacted or deleted since is passed over, one
 * that has grown is read to its new end.
 */
#include "verify.h"

#include "check.h"
#include "cleanup.h"
#include "lookup.h"
#include "report.h"
#include "segments.h"
#include "topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_BYTES (4 * 1024 * 1024)

/* ---- telling ------------------------------------------------------------------------------- */

void verify_tell(struct verify_worker *worker, const char *file, int64_t offset, int64_t byte,
                 const char *format, ...)
{
    struct beck_verify *verify = worker->verify;
    struct beck_damage found = {.partition = -1, .offset = offset, .byte = byte};
    va_list arguments;
    (void)snprintf(found.file, sizeof(found.file), "%s", file);
    if (worker->partition) {
        (void)snprintf(found.topic, sizeof(found.topic), "%s", worker->partition->topic.name);
        found.partition = worker->partition->number;
    }
    va_start(arguments, format);
    (void)vsnprintf(found.what, sizeof(found.what), format, arguments);
    va_end(arguments);
    worker->damages++;
    CHECK(pthread_mutex_lock(&verify->mutex) == 0);
    verify->damages++;
    if (!verify->stop)
        verify->stop = verify->options.damage(verify->options.context, &found);
    CHECK(pthread_mutex_unlock(&verify->mutex) == 0);
}

/* Add what the worker has read to what all have. Under the mutex. */
static void add_totals(struct beck_verify *verify, struct verify_worker *worker)
{
    verify->totals.segments += worker->totals.segments;
    verify->totals.batches += worker->totals.batches;
    verify->totals.records += worker->totals.records;
    verify->totals.bytes += worker->totals.bytes;
    worker->totals = (struct beck_verify_totals){0};
}

void verify_progress(struct verify_worker *worker, uint64_t bytes)
{
    struct beck_verify *verify = worker->verify;
    worker->totals.bytes += bytes;
    if (worker->totals.bytes < PROGRESS_BYTES)
        return;
    CHECK(pthread_mutex_lock(&verify->mutex) == 0);
    add_totals(verify, worker);
    if (verify->options.progress && !verify->stop &&
        verify->totals.bytes - verify->told_bytes >= PROGRESS_BYTES) {
        verify->told_bytes = verify->totals.bytes;
        verify->stop = verify->options.progress(verify->options.context, verify->totals.bytes,
                                                verify->all_bytes);
    }
    CHECK(pthread_mutex_unlock(&verify->mutex) == 0);
}

/* ---- partitions and their segments --------------------------------------------------------- */

int verify_lock(struct verify_worker *worker, bool loud)
{
    struct beck_error error;
    int r = segments_lock(worker->partition, &worker->tail, &error);
    if (r < 0 && r != -ESTALE && r != -ENOMEM && loud)
        verify_tell(worker, STORE_PATH_INDEX, -1, -1, "the list of segments is damaged");
    return r == -ENOMEM ? r : r == 0;
}

/* One that another thread is about to begin: what is known of it, or becomes so while it is read,
 * is not of the tail that the worker has. */
static bool is_unpublished(const struct verify_worker *worker, const struct segment *segment)
{
    return segment->base_offset > worker->tail.end.segment;
}

int verify_find(struct verify_worker *worker, int64_t base_offset)
{
    struct segment *before = worker->segment;
    int r = verify_lock(worker, false);
    if (r <= 0)
        return r;
    struct segment *segment = segments_find(worker->partition, base_offset);
    if (segment && is_unpublished(worker, segment))
        segment = NULL;
    worker->segment = segment ? segment_ref(segment) : NULL;
    segments_unlock(worker->partition);
    segment_unref(before);
    return segment != NULL;
}

/* ---- the list ------------------------------------------------------------------------------ */

/* Have room for one more in an array that doubles. */
static int grow(void *array, size_t count, size_t *room, size_t size)
{
    void **where = array;
    if (count < *room)
        return 0;
    size_t more = *room ? 2 * *room : 16;
    void *grown = reallocarray(*where, more, size);
    if (!grown)
        return -ENOMEM;
    *where = grown;
    *room = more;
    return 0;
}

/* Note the segments of the worker's partition, and hold their list against itself. Returns what
 * verify_lock() does. */
static int list_segments(struct verify_worker *worker, size_t topic)
{
    struct beck_verify *verify = worker->verify;
    struct beck_partition *partition = worker->partition;
    const struct segment *before = NULL;
    int r = verify_lock(worker, true);
    if (r <= 0)
        return r;
    for (size_t i = 0; r >= 0 && i < partition->segment_count; i++) {
        const struct segment *segment = partition->segments[i];
        if (is_unpublished(worker, segment))
            break;
        r = grow(&verify->items, verify->item_count, &verify->item_room, sizeof(*verify->items));
        if (r < 0)
            break;
        if (before && before->next_offset != INT64_MAX &&
            before->next_offset > segment->base_offset)
            verify_tell(worker, STORE_PATH_INDEX, segment->base_offset, -1,
                        "segment %s begins before the end of the one before it", segment->path);
        verify->items[verify->item_count++] = (struct verify_item){
            .topic = topic, .partition = partition->number, .segment = segment->base_offset};
        verify->all_bytes += segment_limit(segment, &worker->tail.end);
        before = segment;
    }
    if (r >= 0 && partition->segment_count > 0 &&
        partition->segments[0]->base_offset != worker->tail.log_start.segment)
        verify_tell(worker, STORE_PATH_INDEX, worker->tail.log_start.offset, -1,
                    "segment %" PRId64 ", which the log starts in, is not in the catalogue",
                    worker->tail.log_start.segment);
    segments_unlock(partition);
    return r < 0 ? r : 1;
}

/* Open a partition. Returns 1; 0: it is not there any more, or is damaged, which was told where
 * `loud`. */
static int worker_open(struct verify_worker *worker, const struct beck_topic *topic, int32_t number,
                       bool loud)
{
    struct beck_error error;
    int r = partition_open(worker->store, topic->name, number, &worker->partition, &error);
    if (r < 0 && r != -ENOENT && r != -ENOMEM && loud)
        verify_tell(worker, STORE_PATH_META, -1, -1, "%.180s", error.message);
    return r == -ENOMEM ? r : r == 0;
}

static void worker_close(struct verify_worker *worker)
{
    worker->segment = segment_unref(worker->segment);
    worker->partition = partition_close(worker->partition);
}

static int list_topic(struct verify_worker *worker, const struct beck_topic *topic)
{
    struct beck_verify *verify = worker->verify;
    const struct beck_verify_options *options = &verify->options;
    int r = grow(&verify->topics, verify->topic_count, &verify->topic_room, sizeof(*topic));
    if (r < 0)
        return r;
    verify->topics[verify->topic_count++] = *topic;
    for (uint32_t i = 0; r >= 0 && i < topic->partition_count; i++) {
        if (options->one_partition && (int32_t)i != options->partition)
            continue;
        r = worker_open(worker, topic, (int32_t)i, true);
        if (r == 1)
            r = list_segments(worker, verify->topic_count - 1);
        verify->totals.partitions += r == 1;
        worker_close(worker);
    }
    return r < 0 ? r : 0;
}

static int list_all(struct verify_worker *worker, struct beck_error *error)
{
    const char *only = worker->verify->options.topic;
    _cleanup_free_ struct meta_topic *found = calloc(1, sizeof(*found));
    struct beck_topic topic = {0};
    int r = found ? 0 : report(error, -ENOMEM, "out of memory");
    if (r == 0 && only) {
        r = topics_find(worker->store, only, found, error);
        if (r == 0 && worker->verify->options.one_partition &&
            (worker->verify->options.partition < 0 ||
             (uint32_t)worker->verify->options.partition >= found->topic.partition_count))
            r = report(error, -ENOENT, "topic %s has no partition %d", only,
                       worker->verify->options.partition);
        if (r < 0)
            return r;
        r = list_topic(worker, &found->topic);
    }
    while (r == 0 && !only && topics_next(worker->store, topic.name, &topic, NULL) == 1)
        r = list_topic(worker, &topic);
    return r < 0 ? report_errno(error, r, "the store cannot be verified") : 0;
}

int verify_new(struct beck_store *store, const struct beck_verify_options *options,
               struct beck_verify **ret_verify, struct beck_error *error)
{
    struct beck_verify *verify = calloc(1, sizeof(*verify));
    if (!verify)
        return report(error, -ENOMEM, "out of memory");
    verify->store = store;
    verify->options = *options;
    verify->records_are_taken = options->topic != NULL;
    CHECK(pthread_mutex_init(&verify->mutex, NULL) == 0);
    struct verify_worker worker = {.verify = verify, .store = store, .scan = {.fd = -1}};
    int r = list_all(&worker, error);
    if (r < 0) {
        verify_free(verify);
        return r;
    }
    *ret_verify = verify;
    return 0;
}

struct beck_verify *verify_free(struct beck_verify *verify)
{
    if (!verify)
        return NULL;
    (void)pthread_mutex_destroy(&verify->mutex);
    free(verify->items);
    free(verify->topics);
    free(verify);
    return NULL;
}

int verify_result(struct beck_verify *verify, struct beck_verify_totals *ret_totals)
{
    CHECK(pthread_mutex_lock(&verify->mutex) == 0);
    *ret_totals = verify->totals;
    int damages = verify->damages;
    CHECK(pthread_mutex_unlock(&verify->mutex) == 0);
    return damages;
}

/* ---- taking from it ------------------------------------------------------------------------ */

/* Have the item's segment. Returns 1; 0: there is no such one any more. */
static int take_segment(struct verify_worker *worker, const struct verify_item *item)
{
    const struct beck_topic *topic = &worker->verify->topics[item->topic];
    struct beck_partition *partition = worker->partition;
    int r = 1;
    worker->segment = segment_unref(worker->segment);
    if (!partition || partition->number != item->partition ||
        partition->topic.number != topic->number) {
        worker_close(worker);
        r = worker_open(worker, topic, item->partition, false);
    }
    return r == 1 ? verify_find(worker, item->segment) : r;
}

/* Take a segment to read, or the records. False: nothing is left. */
static bool take_item(struct beck_verify *verify, struct verify_item *ret_item, bool *ret_records)
{
    bool taken = false;
    CHECK(pthread_mutex_lock(&verify->mutex) == 0);
    *ret_records = !verify->records_are_taken;
    if (verify->stop) {
        *ret_records = false;
    } else if (*ret_records) {
        verify->records_are_taken = true;
        taken = true;
    } else if (verify->next_item < verify->item_count) {
        *ret_item = verify->items[verify->next_item++];
        taken = true;
    }
    CHECK(pthread_mutex_unlock(&verify->mutex) == 0);
    return taken;
}

static int work(struct verify_worker *worker)
{
    struct verify_item item;
    bool records;
    int r = 0;
    while (r == 0 && take_item(worker->verify, &item, &records)) {
        if (records) {
            worker_close(worker);
            r = verify_records(worker);
            continue;
        }
        r = take_segment(worker, &item);
        if (r == 1)
            r = verify_segment(worker);
        else if (r == 0)
            worker_close(worker);
    }
    return r;
}

int verify_run(struct beck_verify *verify, struct beck_error *error)
{
    struct verify_worker worker = {
        .verify = verify, .store = verify->store, .scan = {.fd = -1}, .hash = XXH3_createState()};
    int r = worker.hash ? work(&worker) : -ENOMEM;
    CHECK(pthread_mutex_lock(&verify->mutex) == 0);
    add_totals(verify, &worker);
    CHECK(pthread_mutex_unlock(&verify->mutex) == 0);
    if (r < 0)
        (void)report_errno(error, r, "%s: cannot be verified",
                           worker.segment ? worker.segment->path : "the store");
    worker_close(&worker);
    scan_done(&worker.scan);
    free(worker.entries);
    free(worker.sent);
    epoch_history_done(&worker.epochs);
    (void)XXH3_freeState(worker.hash);
    return r;
}
