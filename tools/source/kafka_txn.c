/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions of a Kafka partition. The happy path reads the small files: each .txnindex, and the
 * .snapshot that bears the log's end as its name. The other walks the log; a control batch is then
 * read whole, as its only record says what it is.
 */
#include "kafka_txn.h"

#include "bytes.h"
#include "cleanup.h"
#include "compression.h"
#include "crc32c.h"
#include "kafka_dir.h"
#include "record.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    TXNINDEX_BYTES = 34,
    SNAPSHOT_HEAD_BYTES = 10,
    SNAPSHOT_ENTRY_BYTES = 46,
    SNAPSHOT_CRC_BEGIN = 6,
    FILE_BYTES_MAX = 256 << 20,
};

int control_type(const struct beck_record *record)
{
    if (record->key_size < 4 || load_be16(record->key) > INT16_MAX)
        return -1;
    return (int16_t)load_be16((const uint8_t *)record->key + 2);
}

/* ---- small files -------------------------------------------------------------------------- */

/* Read a file beside a segment whole. Returns its size, 0 where there is none. */
static ssize_t read_file(const char *path, uint8_t **ret_data, struct beck_error *error)
{
    struct stat status;

    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : report_errno(error, -errno, "cannot open %s", path);
    if (fstat(fd, &status) < 0)
        return report_errno(error, -errno, "cannot read %s", path);
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_BYTES_MAX)
        return report(error, -EBADMSG, "%s is no file, or too large for what it is", path);
    _cleanup_free_ uint8_t *data = malloc((size_t)status.st_size + 1);
    if (data == NULL)
        return report(error, -ENOMEM, "not enough memory for %s", path);
    ssize_t got = pread(fd, data, (size_t)status.st_size, 0);
    if (got < 0)
        return report_errno(error, -errno, "cannot read %s", path);
    *ret_data = TAKE_POINTER(data);
    return got;
}

static bool parse_aborted(const uint8_t *at, int64_t least, struct aborted *ret_aborted)
{
    struct aborted aborted = {
        .producer_id = (int64_t)load_be64(at + 2),
        .first_offset = (int64_t)load_be64(at + 10),
        .last_offset = (int64_t)load_be64(at + 18),
    };

    *ret_aborted = aborted;
    return load_be16(at) == 0 && aborted.producer_id >= 0 && aborted.first_offset >= 0 &&
           aborted.first_offset <= aborted.last_offset && aborted.last_offset >= least;
}

ssize_t transactions_read_index(const struct segment_entry *segment, struct aborted **ret_entries,
                                struct beck_error *error)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ uint8_t *data = NULL;

    if (segment->base_offset < 0)
        return 0;
    if (asprintf(&path, "%.*s.txnindex", (int)strlen(segment->path) - 4, segment->path) < 0)
        return report(error, -ENOMEM, "not enough memory");
    ssize_t size = read_file(path, &data, error);
    if (size <= 0)
        return size;
    if (size % TXNINDEX_BYTES != 0)
        return report(error, -EBADMSG, "%s: %zd bytes are no number of entries", path, size);
    size_t count = (size_t)size / TXNINDEX_BYTES;
    _cleanup_free_ struct aborted *entries = calloc(count, sizeof(*entries));
    if (entries == NULL)
        return report(error, -ENOMEM, "not enough memory for %s", path);
    int64_t least = segment->base_offset;
    for (size_t i = 0; i < count; i++) {
        if (!parse_aborted(data + i * TXNINDEX_BYTES, least, &entries[i]))
            return report(error, -EBADMSG, "%s byte %zu: this entry cannot be", path,
                          i * TXNINDEX_BYTES);
        least = entries[i].last_offset;
    }
    *ret_entries = TAKE_POINTER(entries);
    return (ssize_t)count;
}

/* The first offset of an open transaction by the snapshot that was written at the log's end. 1; 0:
 * there is no good one. */
static int read_snapshot(const struct segments *segments, int64_t end, int64_t *ret_stable)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ uint8_t *data = NULL;
    const char *segment = segments->entries[0].path;
    const char *slash = strrchr(segment, '/');

    if (slash == NULL || segments->entries[0].base_offset < 0 ||
        asprintf(&path, "%.*s/%020lld.snapshot", (int)(slash - segment), segment, (long long)end) <
            0)
        return 0;
    ssize_t size = read_file(path, &data, NULL);
    if (size < SNAPSHOT_HEAD_BYTES || load_be16(data) != 1 ||
        load_be32(data + 2) !=
            crc32c(0, data + SNAPSHOT_CRC_BEGIN, (size_t)size - SNAPSHOT_CRC_BEGIN) ||
        (uint64_t)load_be32(data + SNAPSHOT_CRC_BEGIN) * SNAPSHOT_ENTRY_BYTES !=
            (uint64_t)size - SNAPSHOT_HEAD_BYTES)
        return 0;
    int64_t stable = end;
    for (const uint8_t *at = data + SNAPSHOT_HEAD_BYTES; at < data + size;
         at += SNAPSHOT_ENTRY_BYTES) {
        int64_t first = (int64_t)load_be64(at + 38);
        if (first >= 0 && first < stable)
            stable = first;
    }
    *ret_stable = stable;
    return 1;
}

/* ---- the log's own word ------------------------------------------------------------------- */

/* Open transactions: there are as many as producers that write at once, so a list will do. */
struct transaction_scan {
    struct open_transaction {
        int64_t producer_id;
        int64_t first_offset;
    } * open;
    size_t count;
    size_t room;
};

int transaction_scan_new(struct transaction_scan **ret_scan)
{
    *ret_scan = calloc(1, sizeof(**ret_scan));
    return *ret_scan != NULL ? 0 : -ENOMEM;
}

struct transaction_scan *transaction_scan_free(struct transaction_scan *scan)
{
    if (scan != NULL)
        free(scan->open);
    free(scan);
    return NULL;
}

CLEANUP_DEFINE(struct transaction_scan, transaction_scan_free)

int transaction_scan_take(struct transaction_scan *scan, const struct batch_header *header,
                          int control, struct aborted *ret_aborted)
{
    size_t at = 0;

    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        return 0;
    while (at < scan->count && scan->open[at].producer_id != header->producer_id)
        at++;
    if ((header->attributes & BATCH_CONTROL) == 0) {
        if (at < scan->count)
            return 0;
        if (scan->count == scan->room) {
            size_t room = scan->room > 0 ? 2 * scan->room : 64;
            struct open_transaction *larger = reallocarray(scan->open, room, sizeof(*larger));
            if (larger == NULL)
                return -ENOMEM;
            scan->open = larger;
            scan->room = room;
        }
        scan->open[scan->count++] =
            (struct open_transaction){header->producer_id, header->base_offset};
        return 0;
    }
    if ((control != CONTROL_ABORT && control != CONTROL_COMMIT) || at == scan->count)
        return 0;
    *ret_aborted = (struct aborted){header->producer_id, scan->open[at].first_offset,
                                    batch_next_offset(header) - 1};
    scan->open[at] = scan->open[--scan->count];
    return control == CONTROL_ABORT;
}

int64_t transaction_scan_stable(const struct transaction_scan *scan, int64_t end)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->open[i].first_offset < end)
            end = scan->open[i].first_offset;
    }
    return end;
}

/* ---- loading ------------------------------------------------------------------------------ */

static int add_aborted(struct transactions *transactions, const struct aborted *aborted)
{
    size_t count = transactions->count;

    if ((count & (count - 1)) == 0) {
        struct aborted *larger =
            reallocarray(transactions->aborted, count > 0 ? 2 * count : 1, sizeof(*larger));
        if (larger == NULL)
            return -ENOMEM;
        transactions->aborted = larger;
    }
    transactions->aborted[transactions->count++] = *aborted;
    return 0;
}

/* What a control batch is that was just hopped over. */
static int read_control(struct segments *segments)
{
    struct segment_step step;
    struct record_iterator iterator;
    struct beck_record record;

    if (segments_again(segments, &step) <= 0 ||
        (step.summary.header.attributes & BATCH_CODEC_MASK) != 0)
        return -1;
    record_iterator_init(&iterator, &step.summary.header, step.batch + BATCH_HEADER_BYTES,
                         step.size - BATCH_HEADER_BYTES);
    return record_next(&iterator, &record) == 1 ? control_type(&record) : -1;
}

static int scan_log(struct segments *segments, int64_t end, struct transactions *transactions,
                    struct beck_error *error)
{
    _cleanup_(transaction_scan_freep) struct transaction_scan *scan = NULL;
    const struct segment_entry *entry;
    struct segment_step step;
    struct aborted aborted;
    int result = transaction_scan_new(&scan);

    segments_rewind(segments, 0);
    while (result >= 0 && (result = segments_hop(segments, &step, &entry, error)) != 0) {
        if (result == -EBADMSG)
            result = 0; /* who reads the records meets it */
        if (result <= 0)
            continue;
        bool control = step.summary.header.attributes & BATCH_CONTROL;
        result = transaction_scan_take(scan, &step.summary.header,
                                       control ? read_control(segments) : -1, &aborted);
        if (result > 0)
            result = add_aborted(transactions, &aborted);
    }
    if (result < 0)
        return result == -ENOMEM ? report(error, result, "not enough memory") : result;
    transactions->stable_offset = transaction_scan_stable(scan, end);
    return 0;
}

static int load_indexes(const struct segments *segments, struct transactions *transactions,
                        struct beck_error *error)
{
    for (size_t i = 0; i < segments->count; i++) {
        _cleanup_free_ struct aborted *entries = NULL;
        ssize_t count = transactions_read_index(&segments->entries[i], &entries, error);
        for (ssize_t at = 0; at < count; at++) {
            if (add_aborted(transactions, &entries[at]) < 0)
                return report(error, -ENOMEM, "not enough memory");
        }
        if (count < 0)
            return (int)count;
    }
    return 0;
}

static int compare_aborted(const void *a, const void *b)
{
    const struct aborted *first = a;
    const struct aborted *second = b;

    if (first->producer_id != second->producer_id)
        return first->producer_id < second->producer_id ? -1 : 1;
    return (first->first_offset > second->first_offset) -
           (first->first_offset < second->first_offset);
}

int transactions_load(struct segments *segments, int64_t end, struct transactions *transactions,
                      struct beck_error *error)
{
    int result = -EBADMSG;

    *transactions = (struct transactions){.stable_offset = end};
    if (segments->count == 0)
        return 0;
    if (read_snapshot(segments, end, &transactions->stable_offset) == 1)
        result = load_indexes(segments, transactions, error);
    if (result == -EBADMSG) {
        transactions_done(transactions);
        result = scan_log(segments, end, transactions, error);
    }
    segments_rewind(segments, 0);
    if (result < 0) {
        transactions_done(transactions);
        return result;
    }
    if (transactions->count > 0)
        qsort(transactions->aborted, transactions->count, sizeof(transactions->aborted[0]),
              compare_aborted);
    return 0;
}

void transactions_done(struct transactions *transactions)
{
    free(transactions->aborted);
    *transactions = (struct transactions){0};
}

bool transactions_aborted(const struct transactions *transactions,
                          const struct batch_header *header)
{
    size_t low = 0;
    size_t high = transactions->count;

    if ((header->attributes & (BATCH_TRANSACTIONAL | BATCH_CONTROL)) != BATCH_TRANSACTIONAL)
        return false;
    while (low < high) { /* those below `low` are not behind the batch */
        size_t middle = low + (high - low) / 2;
        const struct aborted *at = &transactions->aborted[middle];
        if (at->producer_id < header->producer_id ||
            (at->producer_id == header->producer_id && at->first_offset <= header->base_offset))
            low = middle + 1;
        else
            high = middle;
    }
    const struct aborted *found = low > 0 ? &transactions->aborted[low - 1] : NULL;
    return found != NULL && found->producer_id == header->producer_id &&
           header->base_offset <= found->last_offset;
}
