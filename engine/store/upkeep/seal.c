/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path, partition by partition: the catalogue's segments without a digest are noted in one
 * short transaction; each file is read once, its CRCs checked and its digest taken on the way; the
 * digests are committed, many small segments at once.
 *
 * Nobody waits for the reading. A segment that was trimmed, compacted or deleted while it was read
 * is found out at the commit: the record must be as it was, and a file that compaction replaces
 * never keeps its size.
 */
#include "seal.h"

#include "batch.h"
#include "check.h"
#include "cleanup.h"
#include "report.h"
#include "scan.h"
#include "topics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SEAL_RETRY_MS     (60 * 60 * 1000)
#define SEAL_COMMIT_COUNT 64                  /* digests in one commit, at most */
#define SEAL_COMMIT_BYTES (256 * 1024 * 1024) /* what a kill makes to be read again, about */

struct sealer {
    struct clean *clean;
    struct beck_store *store;
    struct scan scan;
    XXH3_state_t *hash;
    struct beck_topic topic;
    uint32_t partition;
    /* Segments of the partition without digest: the first `done` have got theirs meanwhile. */
    struct segment_record segments[SEAL_COMMIT_COUNT];
    size_t count;
};

/* ---- what is passed over ------------------------------------------------------------------- */

static bool is_refused(const struct sealer *sealer, int64_t base_offset)
{
    const struct beck_store *store = sealer->store;
    int64_t now_ms = store_monotonic_ms();
    size_t count = 0;
    for (size_t i = 0; i < SEAL_REFUSED_MAX; i++) {
        const struct seal_refused *refused = &store->seal_refused[i];
        if (refused->until_ms <= now_ms)
            continue;
        if (refused->base_offset == base_offset && refused->partition == sealer->partition &&
            refused->topic_number == sealer->topic.number)
            return true;
        count++;
    }
    return count == SEAL_REFUSED_MAX;
}

/* Remember it in the place of one whose time is over. */
static void refuse(struct sealer *sealer, int64_t base_offset)
{
    struct seal_refused *refused = sealer->store->seal_refused;
    int64_t now_ms = store_monotonic_ms();
    size_t i = 0;
    while (i + 1 < SEAL_REFUSED_MAX && refused[i].until_ms > now_ms)
        i++;
    refused[i] = (struct seal_refused){.topic_number = sealer->topic.number,
                                       .partition = sealer->partition,
                                       .base_offset = base_offset,
                                       .until_ms = now_ms + SEAL_RETRY_MS};
}

/* ---- what there is to do ------------------------------------------------------------------- */

static int note_segment(void *context, const struct segment_record *segment)
{
    struct sealer *sealer = context;
    if (!segment->has_digest && !is_refused(sealer, segment->base_offset))
        sealer->segments[sealer->count++] = *segment;
    return sealer->count == SEAL_COMMIT_COUNT;
}

/* Note what of the partition has no digest. A damaged catalogue is the next recovery's matter. */
static int list_segments(struct sealer *sealer, struct beck_error *error)
{
    struct db *index = &sealer->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    sealer->count = 0;
    int r = db_begin(index, false, &txn, error);
    if (r < 0)
        return r;
    if (index_segments(index, txn, sealer->topic.number, sealer->partition, note_segment, sealer) <
        0)
        sealer->count = 0;
    return 0;
}

/* ---- one segment --------------------------------------------------------------------------- */

static int offset_misplaced(const struct scan_batch *batch, struct beck_error *error)
{
    int r = report(error, -EBADMSG, "offset %" PRId64 " does not fit between its neighbours",
                   batch->summary.header.base_offset);
    report_place(error, NULL, -1, -1, (int64_t)batch->position);
    return r;
}

/* Check all batches of the open file, and take its digest. -ECANCELED: the run is to stop. */
static int digest_file(struct sealer *sealer, struct segment_record *segment, int fd,
                       struct beck_error *error)
{
    struct scan_batch batch;
    int64_t offset = segment->base_offset;
    int r;
    CHECK(XXH3_128bits_reset(sealer->hash) == XXH_OK);
    scan_begin(&sealer->scan, sealer->store->io, fd, SCAN_CRC, 0, segment->bytes);
    while ((r = scan_next(&sealer->scan, &batch, error)) == 1) {
        if (batch.summary.header.base_offset < offset ||
            batch_next_offset(&batch.summary.header) > segment->next_offset)
            return offset_misplaced(&batch, error);
        offset = batch_next_offset(&batch.summary.header);
        CHECK(XXH3_128bits_update(sealer->hash, batch.bytes, batch.size) == XXH_OK);
        if (clean_must_stop(sealer->clean))
            return -ECANCELED;
    }
    if (r < 0)
        return r;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(sealer->hash));
    memcpy(segment->digest, canonical.digest, sizeof(segment->digest));
    segment->has_digest = true;
    return 0;
}

/* Is the segment in the catalogue as it was noted? */
static bool is_as_noted(struct sealer *sealer, MDB_txn *txn, const struct segment_record *noted)
{
    struct segment_record now;
    return index_segment_get(&sealer->store->index, txn, sealer->topic.number, sealer->partition,
                             noted->base_offset, &now) == 0 &&
           !now.has_digest && now.bytes == noted->bytes && now.next_offset == noted->next_offset;
}

/* The file is not what was noted: was it replaced or removed meanwhile? Then there is no damage. */
static bool went_away(struct sealer *sealer, const struct segment_record *segment)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    return db_begin(&sealer->store->index, false, &txn, NULL) == 0 &&
           !is_as_noted(sealer, txn, segment);
}

static int digest_segment(struct sealer *sealer, struct segment_record *segment,
                          struct beck_error *error)
{
    const struct io *io = sealer->store->io;
    char directory[STORE_TOPIC_PATH_BYTES];
    char name[SEGMENT_NAME_BYTES];
    char path[SEGMENT_PATH_BYTES];
    struct stat info;
    store_topic_path(directory, sealer->topic.id, sealer->partition);
    segment_name(name, segment->base_offset);
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = io_open_file(io, sealer->store->directory, path, O_RDONLY, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r < 0)
        (void)report_errno(error, r, "cannot read segment %s", path);
    else if ((uint64_t)info.st_size != segment->bytes)
        r = report(error, -EBADMSG, "segment %s has %lld bytes, not %" PRIu64, path,
                   (long long)info.st_size, segment->bytes);
    else
        r = digest_file(sealer, segment, fd, error);
    if (fd >= 0)
        (void)io->close(io, fd);
    return r;
}

/* ---- the digests' way into the catalogue --------------------------------------------------- */

static int commit_digests(struct sealer *sealer, size_t count, struct beck_error *error)
{
    struct db *index = &sealer->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = 0;
    if (count == 0)
        return 0;
    r = db_begin(index, true, &txn, error);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < count; i++)
        if (sealer->segments[i].has_digest && is_as_noted(sealer, txn, &sealer->segments[i]))
            r = index_segment_put(index, txn, sealer->topic.number, sealer->partition,
                                  &sealer->segments[i]);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot write the digests of segments");
    return db_commit(index, TAKE_POINTER(txn), error);
}

/* Seal what was noted, or about as much of it as a commit is to have. What was read is committed
 * whatever ends the reading. */
static int seal_noted(struct sealer *sealer, struct beck_error *error)
{
    uint64_t bytes = 0;
    size_t i = 0;
    int r = 0;
    while (r == 0 && i < sealer->count && bytes < SEAL_COMMIT_BYTES) {
        struct segment_record *segment = &sealer->segments[i];
        r = digest_segment(sealer, segment, error);
        if (r < 0 && r != -ECANCELED && r != -ENOMEM) {
            if (went_away(sealer, segment)) {
                r = 0;
            } else {
                report_place(error, sealer->topic.name, (int32_t)sealer->partition,
                             segment->base_offset, -1);
                refuse(sealer, segment->base_offset);
            }
        }
        bytes += segment->bytes;
        i++;
    }
    int committed = commit_digests(sealer, i, r == 0 ? error : NULL);
    return r < 0 ? r : committed;
}

/* ---- all ----------------------------------------------------------------------------------- */

static int seal_topic(struct sealer *sealer, struct beck_error *error)
{
    for (uint32_t i = 0; i < sealer->topic.partition_count; i++) {
        sealer->partition = i;
        do {
            if (clean_must_stop(sealer->clean))
                return -ECANCELED;
            int r = list_segments(sealer, error);
            if (r == 0)
                r = seal_noted(sealer, error);
            if (r < 0)
                return r;
        } while (sealer->count > 0);
    }
    return 0;
}

int seal_run(struct clean *clean, struct beck_error *error)
{
    _cleanup_free_ struct sealer *sealer = calloc(1, sizeof(*sealer));
    int r;
    if (!sealer)
        return report(error, -ENOMEM, "out of memory");
    sealer->clean = clean;
    sealer->store = clean->store;
    sealer->scan.fd = -1;
    sealer->hash = XXH3_createState();
    if (!sealer->hash)
        return report(error, -ENOMEM, "out of memory");
    while ((r = topics_next(clean->store, sealer->topic.name, &sealer->topic, error)) == 1) {
        r = seal_topic(sealer, error);
        if (r < 0)
            break;
    }
    scan_done(&sealer->scan);
    (void)XXH3_freeState(sealer->hash);
    return r == -ECANCELED ? 0 : r;
}
