/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One partition's files are read from the first byte to the last that was published, and held
 * against the catalogue. What is found: batches that are damaged, bytes and files that are missing
 * (both stay, or are dropped), a catalogue that says something else than sound files, a torn end.
 *
 * To drop damage: the partition's part of index.mdb is forgotten first, so that it never speaks of
 * files as they were; then what goes is kept, and each file written anew without it and renamed
 * over the old one; then the index is made anew, with the log's end where it was, so that no offset
 * is given out again. Whoever is cut off in between leaves a partition that recovery makes the
 * index of, beginning behind all offsets.
 */
#include "check.h"
#include "cleanup.h"
#include "exchange.h"
#include "recover_apply.h"
#include "recover_partition.h"
#include "repair.h"
#include "repair_names.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEW_SUFFIX ".repair"
#define COPY_BYTES (256 * 1024)
#define ALL_BYTES  UINT64_MAX /* of a file: as many as there are */

/* Damage in a segment. */
struct damage {
    int64_t segment;
    int64_t offset;    /* the first that may be gone */
    uint64_t position; /* in the file */
    uint64_t bytes;    /* that are there and are no good; 0: they are missing */
    char why[160];
};

struct check {
    struct repair *repair;
    const struct beck_topic *topic;
    int32_t number;
    char path[STORE_TOPIC_PATH_BYTES];
    bool is_missing;    /* the folder, which who only looks does not make */
    bool is_obstructed; /* by what who only looks does not move aside */
    struct beck_error *error;
    struct scan scan;
    XXH3_state_t *hash; /* of the file that is read, with the leader epochs that are right */
    struct repair_epochs epochs;
    int64_t log_start;

    bool has_checkpoint;
    struct index_checkpoint checkpoint;
    struct segment_record *records; /* the catalogue */
    size_t record_count;
    struct repair_rename *renames;
    size_t rename_count;
    struct damage *damages;
    size_t damage_count;
    const char *rebuild; /* why the partition's part of index.mdb has to be made anew */
};

/* Who only looks finds it under the name that it has now. */
static void segment_file(const struct check *check, int64_t segment, char to[REPAIR_PATH_BYTES])
{
    char name[SEGMENT_NAME_BYTES];
    int64_t named = segment;
    for (size_t i = 0; i < check->rename_count && !repair_executes(check->repair); i++)
        if (check->renames[i].to == segment)
            named = check->renames[i].from;
    segment_name(name, named);
    (void)snprintf(to, REPAIR_PATH_BYTES, "%s/%s", check->path, name);
}

static struct beck_repair_step step_for(const struct check *check, enum beck_repair_kind kind,
                                        const char *file)
{
    struct beck_repair_step step = repair_step(kind, file);
    (void)snprintf(step.topic, sizeof(step.topic), "%s", check->topic->name);
    step.partition = check->number;
    return step;
}

/* ---- what there is -------------------------------------------------------------------------- */

struct names {
    int64_t *segments; /* rising */
    size_t count;
    char (*strays)[256];
    size_t stray_count;
    bool has_impostor; /* a stray that has a segment's name */
};

static int note_stray(struct names *names, const char *name)
{
    char(*grown)[256] = reallocarray(names->strays, names->stray_count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    names->strays = grown;
    (void)snprintf(names->strays[names->stray_count++], sizeof(*grown), "%s", name);
    return 0;
}

static int note_name(void *context, const char *name)
{
    struct names *names = context;
    int64_t base;
    if (segment_name_parse(name, &base) == 0) {
        int64_t *grown = reallocarray(names->segments, names->count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        names->segments = grown;
        names->segments[names->count++] = base;
        return 0;
    }
    /* What compaction was making is recovery's to remove. */
    size_t stem = SEGMENT_NAME_BYTES - 1;
    if (strlen(name) > stem && strcmp(name + stem, EXCHANGE_SUFFIX) == 0)
        return 0;
    return note_stray(names, name);
}

static int compare_offsets(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void names_done(struct names *names)
{
    free(names->segments);
    free(names->strays);
}

/* A folder, a FIFO, a link to nothing or the like that has a segment's name does not belong there.
 */
static int sort_out(const struct io *io, int directory, struct names *names)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        char name[SEGMENT_NAME_BYTES];
        struct stat info;
        segment_name(name, names->segments[i]);
        _cleanup_close_ int fd = io->open(io, directory, name, O_PATH, 0);
        int r = fd < 0 ? fd : io->stat(io, fd, &info);
        bool is_stray = r == -ENOENT || r == -ELOOP || (r == 0 && !S_ISREG(info.st_mode));
        if (!is_stray)
            names->segments[kept++] = names->segments[i];
        else if ((r = note_stray(names, name)) < 0)
            return r;
        names->has_impostor = names->has_impostor || is_stray;
    }
    names->count = kept;
    return 0;
}

static int list_names(struct repair *repair, const char *path, struct names *names)
{
    const struct io *io = repair->store.io;
    _cleanup_close_ int fd = io->open(io, repair->store.directory, path, O_RDONLY | O_DIRECTORY, 0);
    int r = fd < 0 ? fd : io_list(io, fd, note_name, names);
    if (r == 0)
        r = sort_out(io, fd, names);
    if (r == 0 && names->count > 0)
        qsort(names->segments, names->count, sizeof(names->segments[0]), compare_offsets);
    return r;
}

static int move_strays(struct check *check, const struct names *names)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < names->stray_count; i++) {
        char path[REPAIR_PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s/%s", check->path, names->strays[i]);
        struct beck_repair_step step = step_for(check, BECK_REPAIR_MOVE, path);
        if (repair_executes(check->repair))
            r = repair_move(check->repair, path, check->error);
        if (r == 0)
            r = repair_tell(check->repair, &step, "it is no segment: moved aside");
    }
    return r;
}

static int note_record(void *context, const struct segment_record *record)
{
    struct check *check = context;
    struct segment_record *grown =
        reallocarray(check->records, check->record_count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    check->records = grown;
    check->records[check->record_count++] = *record;
    return 0;
}

/* What meta.mdb says of the partition. */
static int load_meta(struct check *check)
{
    struct db *meta = &check->repair->store.meta;
    struct meta_partition record = {0};
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(meta, false, &txn, check->error);
    if (r < 0)
        return r;
    (void)meta_partition_get(meta, txn, check->topic->number, (uint32_t)check->number, &record);
    check->log_start = record.log_start_offset;
    return 0;
}

/* What index.mdb says of the partition. */
static int load_index(struct check *check)
{
    struct db *index = &check->repair->store.index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    uint32_t number = (uint32_t)check->number;
    if (!check->repair->has_index)
        return 0;
    int r = db_begin(index, false, &txn, check->error);
    if (r < 0)
        return r;
    check->has_checkpoint =
        index_checkpoint_get(index, txn, check->topic->number, number, &check->checkpoint) == 0;
    if (!check->has_checkpoint)
        check->rebuild = "the checkpoint is missing or damaged";
    r = index_segments(index, txn, check->topic->number, number, note_record, check);
    if (r == -EBADMSG) {
        check->rebuild = "the list of segments is damaged";
        check->record_count = 0;
        check->has_checkpoint = false;
    }
    return r == -ENOMEM ? r : 0;
}

/* Give files that were renamed their names back. */
static int fix_names(struct check *check, struct names *names)
{
    size_t count = check->has_checkpoint ? check->record_count + 1 : 0;
    _cleanup_free_ struct repair_place *places = calloc(count + 1, sizeof(*places));
    if (!places)
        return report(check->error, -ENOMEM, "out of memory");
    for (size_t i = 0; i + 1 < count; i++)
        places[i] = (struct repair_place){check->records[i].base_offset, check->records[i].bytes};
    if (count > 0)
        places[count - 1] = (struct repair_place){check->checkpoint.end.segment, UINT64_MAX};
    struct repair_names fix = {.repair = check->repair,
                               .topic = check->topic,
                               .partition = check->number,
                               .folder = check->path,
                               .places = places,
                               .place_count = count,
                               .segments = names->segments,
                               .count = names->count,
                               .scan = &check->scan};
    int r = repair_names(&fix, check->error);
    names->count = fix.count;
    check->renames = fix.renames;
    check->rename_count = fix.rename_count;
    if (fix.is_changed && !repair_executes(check->repair))
        check->is_obstructed = true;
    return r;
}

/* ---- reading one file ----------------------------------------------------------------------- */

/* What was read of a file so far. */
struct sum {
    int64_t offset;
    uint64_t view;
    int64_t max_timestamp_ms;
    /* The last batch, where it left a hole in the offsets; else its size is 0. Nothing covers a
     * base offset: who comes next may show that this one is wrong. */
    struct scan_batch doubtful;
    int64_t before_doubtful;
};

__attribute__((format(printf, 6, 7))) static int note_damage(struct check *check, int64_t segment,
                                                             int64_t offset, uint64_t position,
                                                             uint64_t bytes, const char *format,
                                                             ...)
{
    struct damage *grown = reallocarray(check->damages, check->damage_count + 1, sizeof(*grown));
    va_list arguments;
    if (!grown)
        return -ENOMEM;
    check->damages = grown;
    struct damage *damage = &grown[check->damage_count++];
    *damage =
        (struct damage){.segment = segment, .offset = offset, .position = position, .bytes = bytes};
    va_start(arguments, format);
    (void)vsnprintf(damage->why, sizeof(damage->why), format, arguments);
    va_end(arguments);
    return 0;
}

static int wrong_offset(struct check *check, int64_t segment, int64_t offset,
                        const struct scan_batch *batch)
{
    return note_damage(check, segment, offset, batch->position, batch->size,
                       "a batch says offset %" PRId64 ", which does not fit there",
                       batch->summary.header.base_offset);
}

/* Take a batch whose CRC is right; no offset may be above `limit`. */
static int take_batch(struct check *check, int64_t segment, int64_t limit, struct sum *sum,
                      const struct scan_batch *batch)
{
    const struct batch_header *header = &batch->summary.header;
    int r = 0;
    if (header->base_offset < sum->offset && sum->doubtful.size > 0 &&
        header->base_offset >= sum->before_doubtful) {
        r = wrong_offset(check, segment, sum->before_doubtful, &sum->doubtful);
        sum->offset = sum->before_doubtful;
        sum->view -= sum->doubtful.summary.view_bytes;
    }
    if (r < 0 || header->base_offset < sum->offset || batch_next_offset(header) > limit) {
        sum->doubtful.size = 0;
        return r < 0 ? r : wrong_offset(check, segment, sum->offset, batch);
    }
    sum->doubtful = *batch;
    if (header->base_offset == sum->offset)
        sum->doubtful.size = 0;
    sum->before_doubtful = sum->offset;
    sum->offset = batch_next_offset(header);
    sum->view += batch->summary.view_bytes;
    if (batch->summary.max_timestamp_ms > sum->max_timestamp_ms)
        sum->max_timestamp_ms = batch->summary.max_timestamp_ms;
    return 0;
}

/* Read a file up to `end`. What it has is summed up, damage noted. */
static int read_file(struct check *check, int fd, int64_t segment, uint64_t end, int64_t limit,
                     struct sum *sum)
{
    struct scan *scan = &check->scan;
    struct scan_batch batch;
    struct beck_error why;
    int r;
    scan_begin(scan, check->repair->store.io, fd, SCAN_RECORDS, 0, end);
    while ((r = scan_next(scan, &batch, &why)) != 0) {
        if (r == 1) {
            r = repair_epochs_take(&check->epochs, segment, &batch, check->hash);
            if (r == 0)
                r = take_batch(check, segment, limit, sum, &batch);
        } else if (r == -EBADMSG) {
            uint64_t from = scan->position;
            uint64_t good = end;
            const char *text = strstr(why.message, ": ");
            r = scan_find(scan, from + 1, end, sum->offset, &good);
            if (r >= 0)
                r = note_damage(check, segment, sum->offset, from, good - from, "%.150s",
                                text ? text + 2 : why.message);
            sum->doubtful.size = 0;
            scan_begin(scan, check->repair->store.io, fd, SCAN_RECORDS, good, end);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Read a segment's file, which should have `bytes` at least. */
static int check_file(struct check *check, int64_t segment, uint64_t bytes, int64_t limit,
                      struct sum *sum)
{
    const struct io *io = check->repair->store.io;
    char path[REPAIR_PATH_BYTES];
    struct stat info;
    segment_file(check, segment, path);
    *sum = (struct sum){.offset = segment, .max_timestamp_ms = INT64_MIN};
    CHECK(XXH3_128bits_reset(check->hash) == XXH_OK);
    _cleanup_close_ int fd = io_open_file(io, check->repair->store.directory, path, O_RDONLY, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    /* Who only looks leaves there what is no file. */
    if (r == -EBADMSG || (check->is_missing && r == -ENOTDIR))
        r = -ENOENT;
    if (r == -ENOENT)
        return bytes == 0 ? 0 : note_damage(check, segment, segment, 0, 0, "the file is missing");
    if (r < 0)
        return report_errno(check->error, r, "%s: cannot be read", path);
    uint64_t size = (uint64_t)info.st_size;
    r = read_file(check, fd, segment, size < bytes ? size : bytes, limit, sum);
    if (r == 0 && size < bytes && bytes != ALL_BYTES)
        r = note_damage(check, segment, sum->offset, size, 0,
                        "%" PRIu64 " bytes are missing at the end", bytes - size);
    return r < 0 ? report_errno(check->error, r, "%s: cannot be read", path) : 0;
}

static int cut_behind(struct check *check, const char *path, int fd, uint64_t bytes)
{
    const struct io *io = check->repair->store.io;
    int r = repair_keep(check->repair, path, bytes, ALL_BYTES, check->error);
    if (r < 0)
        return r;
    r = io->truncate(io, fd, bytes);
    if (r == 0)
        r = io->sync_data(io, fd);
    return r < 0 ? report_errno(check->error, r, "%s: cannot be cut off", path) : 0;
}

/* What stands behind the end of a complete segment is of no batch. */
static int check_behind(struct check *check, const struct segment_record *record)
{
    const struct io *io = check->repair->store.io;
    char path[REPAIR_PATH_BYTES];
    struct stat info;
    segment_file(check, record->base_offset, path);
    int flags = repair_executes(check->repair) ? O_RDWR : O_RDONLY;
    _cleanup_close_ int fd = io_open_file(io, check->repair->store.directory, path, flags, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r == -ENOENT || r == -ENOTDIR || r == -EBADMSG)
        return 0;
    if (r < 0)
        return report_errno(check->error, r, "%s: cannot be opened", path);
    if ((uint64_t)info.st_size <= record->bytes)
        return 0;
    struct beck_repair_step step = step_for(check, BECK_REPAIR_CUT, path);
    step.offset = record->next_offset;
    step.byte = (int64_t)record->bytes;
    step.bytes = info.st_size - step.byte;
    if (repair_executes(check->repair))
        r = cut_behind(check, path, fd, record->bytes);
    return r < 0 ? r : repair_tell(check->repair, &step, "the segment ends before these bytes");
}

/* All batches are good by themselves: are they those that were sealed? */
static int check_digest(struct check *check, const struct segment_record *record)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(check->hash));
    if (memcmp(canonical.digest, record->digest, sizeof(record->digest)) == 0)
        return 0;
    return note_damage(check, record->base_offset, record->base_offset, 0, 0,
                       "the file is not what it was when it was sealed");
}

static int check_record(struct check *check, size_t index)
{
    const struct segment_record *record = &check->records[index];
    size_t before = check->damage_count;
    int64_t limit = index + 1 < check->record_count ? check->records[index + 1].base_offset
                    : check->has_checkpoint         ? check->checkpoint.end.segment
                                                    : INT64_MAX;
    struct sum sum;
    int r = check_file(check, record->base_offset, record->bytes, limit, &sum);
    if (r == 0 && check->damage_count == before &&
        (sum.offset > record->next_offset || sum.view != record->view_bytes ||
         sum.max_timestamp_ms != record->max_timestamp_ms))
        check->rebuild = "the list of segments says something else than the files";
    else if (r == 0 && check->damage_count == before && record->has_digest)
        r = check_digest(check, record);
    return r == 0 ? check_behind(check, record) : r;
}

/* All that was published and checkpointed. What is behind it is for recovery to judge. */
static int check_files(struct check *check, const struct names *names)
{
    const struct log_point *end = &check->checkpoint.end;
    struct sum sum;
    int r = 0;
    if (!check->has_checkpoint) {
        for (size_t i = 0; r == 0 && i < names->count; i++)
            r = check_file(check, names->segments[i], ALL_BYTES,
                           i + 1 < names->count ? names->segments[i + 1] : INT64_MAX, &sum);
        return r;
    }
    for (size_t i = 0; r == 0 && i < check->record_count; i++)
        r = check_record(check, i);
    size_t before = check->damage_count;
    if (r == 0)
        r = check_file(check, end->segment, end->position, end->offset, &sum);
    if (r == 0 && check->damage_count == before && sum.view != end->view)
        check->rebuild = "the checkpoint says something else than the file";
    return r;
}

/* Compaction was cut off while it put a new file in the place of others: until that is done the
 * files are not those that index.mdb speaks of. Returns 1 where they cannot be looked at yet. */
static int finish_exchange(struct check *check)
{
    struct db *index = &check->repair->store.index;
    struct beck_repair_step step = step_for(check, BECK_REPAIR_REBUILD, check->path);
    _cleanup_free_ struct cleaning_intent *intent = calloc(1, sizeof(*intent));
    _cleanup_txn_ MDB_txn *txn = NULL;
    uint32_t number = (uint32_t)check->number;
    bool execute = repair_executes(check->repair);
    if (!intent || !check->repair->has_index)
        return intent ? 0 : -ENOMEM;
    int r = db_begin(index, execute, &txn, check->error);
    if (r == 0 && cleanings_get(index, txn, check->topic->number, number, intent) == -ENOENT)
        return 0;
    if (r == 0 && execute)
        r = exchange_recover(&check->repair->store, txn, check->topic, number, check->error);
    if (r >= 0 && execute)
        r = db_commit(index, TAKE_POINTER(txn), check->error);
    if (r == 0)
        r = repair_tell(check->repair, &step, "compaction was exchanging segments: carried out");
    return r < 0 ? r : !execute;
}

/* ---- dropping damage ------------------------------------------------------------------------- */

static int forget_index(struct check *check)
{
    struct db *index = &check->repair->store.index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (!check->repair->has_index)
        return 0;
    int r = db_begin(index, true, &txn, check->error);
    if (r == 0)
        r = index_forget(index, txn, check->topic->number, (uint32_t)check->number);
    if (r < 0)
        return report_errno(check->error, r, "index.mdb: cannot be written");
    return db_commit(index, TAKE_POINTER(txn), check->error);
}

int repair_copy(const struct io *io, int from, uint64_t begin, uint64_t end, int to,
                uint64_t *position)
{
    _cleanup_free_ char *buffer = malloc(COPY_BYTES);
    int r = buffer ? 0 : -ENOMEM;
    while (r == 0 && begin < end) {
        size_t wanted = end - begin < COPY_BYTES ? (size_t)(end - begin) : COPY_BYTES;
        ssize_t n = io->read(io, from, buffer, wanted, begin);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        struct iovec vector = {.iov_base = buffer, .iov_len = (size_t)n};
        r = io->write(io, to, &vector, 1, *position);
        begin += (uint64_t)n;
        *position += (uint64_t)n;
    }
    return r;
}

/* Copy a file but for the damages in it, which are in order. */
static int copy_good(struct check *check, int64_t segment, int from, int to)
{
    const struct io *io = check->repair->store.io;
    struct stat info;
    uint64_t at = 0;
    uint64_t position = 0;
    int r = io->stat(io, from, &info);
    for (size_t i = 0; r == 0 && i < check->damage_count; i++) {
        const struct damage *damage = &check->damages[i];
        if (damage->segment != segment)
            continue;
        r = repair_copy(io, from, at, damage->position, to, &position);
        at = damage->position + damage->bytes;
    }
    if (r == 0)
        r = repair_copy(io, from, at, (uint64_t)info.st_size, to, &position);
    return r == 0 ? io->sync_data(io, to) : r;
}

static int rewrite_file(struct check *check, int64_t segment)
{
    const struct io *io = check->repair->store.io;
    int directory = check->repair->store.directory;
    char path[REPAIR_PATH_BYTES];
    char new_path[REPAIR_PATH_BYTES];
    segment_file(check, segment, path);
    (void)snprintf(new_path, sizeof(new_path), "%.300s" NEW_SUFFIX, path);
    _cleanup_close_ int from = io_open_file(io, directory, path, O_RDONLY, 0);
    if (from == -ENOENT)
        return 0;
    _cleanup_close_ int to =
        from < 0 ? -1 : io->open(io, directory, new_path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct stat info = {0};
    int r = from < 0 ? from : to < 0 ? to : copy_good(check, segment, from, to);
    if (r == 0)
        r = io->stat(io, to, &info);
    if (r == 0)
        r = io->rename(io, directory, new_path, path);
    if (r == 0 && info.st_size == 0)
        r = io->remove(io, directory, path, false); /* what was in it was kept */
    if (r == 0)
        r = io_sync_names(check->repair->store.io, check->repair->store.directory, check->path);
    return r < 0 ? report_errno(check->error, r, "%s: cannot be written anew", path) : 0;
}

static int drop_damages(struct check *check)
{
    char path[REPAIR_PATH_BYTES];
    int r = forget_index(check);
    for (size_t i = 0; r == 0 && i < check->damage_count; i++) {
        const struct damage *damage = &check->damages[i];
        segment_file(check, damage->segment, path);
        if (damage->bytes > 0)
            r = repair_keep(check->repair, path, damage->position, damage->bytes, check->error);
    }
    for (size_t i = 0; r == 0 && i < check->damage_count; i++) {
        bool is_last = i + 1 == check->damage_count ||
                       check->damages[i + 1].segment != check->damages[i].segment;
        if (is_last)
            r = rewrite_file(check, check->damages[i].segment);
    }
    return r;
}

static int tell_damages(struct check *check, bool drop)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < check->damage_count; i++) {
        const struct damage *damage = &check->damages[i];
        char path[REPAIR_PATH_BYTES];
        segment_file(check, damage->segment, path);
        struct beck_repair_step step =
            step_for(check, drop ? BECK_REPAIR_DROP : BECK_REPAIR_LEAVE, path);
        step.offset = damage->offset;
        step.byte = (int64_t)damage->position;
        step.bytes = (int64_t)damage->bytes;
        r = repair_tell(check->repair, &step, "%s", damage->why);
    }
    return r;
}

/* Damage that ends a log which has no checkpoint is its torn end, and cut off as such. */
static void leave_out_torn_end(struct check *check, const struct names *names)
{
    const struct io *io = check->repair->store.io;
    char path[REPAIR_PATH_BYTES];
    struct stat info;
    if (check->has_checkpoint || check->damage_count == 0)
        return;
    const struct damage *last = &check->damages[check->damage_count - 1];
    if (last->segment != names->segments[names->count - 1])
        return;
    segment_file(check, last->segment, path);
    _cleanup_close_ int fd = io_open_file(io, check->repair->store.directory, path, O_RDONLY, 0);
    if (fd >= 0 && io->stat(io, fd, &info) == 0 &&
        last->position + last->bytes >= (uint64_t)info.st_size)
        check->damage_count--;
}

/* ---- the index and the end ------------------------------------------------------------------- */

/* What recovery would find. `anew`: without the index. */
static int recover(struct check *check, bool anew, struct recovered *found)
{
    struct beck_store *store = &check->repair->store;
    struct db index = store->index;
    *found = (struct recovered){0};
    if (anew)
        store->index.env = NULL;
    int r = recover_partition(store, check->topic, check->number, 0, check->log_start, &check->scan,
                              found, check->error);
    store->index = index;
    if (r == 0 && found->is_failed)
        r = report(check->error, -EIO, "the files of the partition cannot be read");
    return r;
}

static int put_index(struct check *check, struct recovered *found)
{
    struct db *index = &check->repair->store.index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    /* The log's end stays where it was: offsets below it were given out. */
    if (found->tail.end.offset < check->checkpoint.end.offset)
        found->tail.end.offset = check->checkpoint.end.offset;
    found->reserved_offset = check->checkpoint.reserved_offset;
    found->tail.append_ms = check->checkpoint.append_ms;
    int r = db_begin(index, true, &txn, check->error);
    if (r == 0)
        r = recovered_put(index, txn, check->topic, check->number, found);
    if (r < 0)
        return report_errno(check->error, r, "index.mdb: cannot be written");
    return db_commit(index, TAKE_POINTER(txn), check->error);
}

/* Make the partition's part of index.mdb anew; without a checkpoint, recovery will. */
static int make_index(struct check *check)
{
    __attribute__((cleanup(recovered_done))) struct recovered found = {0};
    int r = forget_index(check);
    if (r < 0 || !check->has_checkpoint || !check->repair->has_index)
        return r;
    r = recover(check, true, &found);
    return r < 0 ? r : put_index(check, &found);
}

static int keep_cut(struct check *check, const struct recovered *found, const char *path)
{
    int r = 0;
    if (found->is_torn)
        r = repair_keep(check->repair, path, found->cut.position, UINT64_MAX, check->error);
    for (size_t i = found->removed_count; r == 0 && i-- > 0;) {
        char removed[REPAIR_PATH_BYTES];
        segment_file(check, found->removed[i], removed);
        r = repair_move(check->repair, removed, check->error);
    }
    return r;
}

/* What recovery will cut off is kept; it is recovery that cuts. */
static int check_end(struct check *check)
{
    __attribute__((cleanup(recovered_done))) struct recovered found = {0};
    char path[REPAIR_PATH_BYTES];
    int r = recover(check, !check->repair->has_index, &found);
    if (r < 0 || !found.is_cut)
        return r;
    segment_file(check, found.cut.segment, path);
    struct beck_repair_step step = step_for(check, BECK_REPAIR_CUT, path);
    step.offset = found.tail.end.offset;
    step.byte = (int64_t)found.cut.position;
    step.bytes = (int64_t)found.cut.truncated_bytes;
    if (repair_executes(check->repair))
        r = keep_cut(check, &found, path);
    return r < 0 ? r : repair_tell(check->repair, &step, "%.200s", found.cut.reason);
}

static int put_right(struct check *check)
{
    bool drop = check->repair->flags & BECK_REPAIR_DROP_DAMAGED;
    bool dropped = drop && check->damage_count > 0;
    struct beck_repair_step step = step_for(check, BECK_REPAIR_REBUILD, STORE_PATH_INDEX);
    int r = repair_epochs_put_right(check->repair, &check->epochs, check->topic, check->number,
                                    check->path, check->error);
    if (r == 0 && dropped && repair_executes(check->repair))
        r = drop_damages(check);
    if (r == 0 && (dropped || check->rebuild) && repair_executes(check->repair))
        r = make_index(check);
    if (r == 0)
        r = tell_damages(check, drop);
    if (r == 0 && check->rebuild && check->repair->has_index)
        r = repair_tell(check->repair, &step, "%s: made anew from the segments", check->rebuild);
    return r == 0 && !check->is_missing && !check->is_obstructed ? check_end(check) : r;
}

int repair_partition(struct repair *repair, const struct beck_topic *topic, int32_t partition,
                     bool broken_index, struct beck_error *error)
{
    struct check check = {
        .repair = repair, .topic = topic, .number = partition, .error = error, .scan = {.fd = -1}};
    struct names names = {0};
    store_topic_path(check.path, topic->id, partition);
    if (broken_index)
        check.rebuild = "a value of it is damaged";
    int r = finish_exchange(&check);
    if (r != 0)
        return r < 0 ? r : 0;
    check.hash = XXH3_createState();
    if (!check.hash)
        return report(error, -ENOMEM, "out of memory");
    repair_epochs_load(repair, topic->number, (uint32_t)partition, &check.epochs);
    r = list_names(repair, check.path, &names);
    check.is_missing = (r == -ENOENT || r == -ENOTDIR) && !repair_executes(repair);
    if (check.is_missing)
        r = 0;
    if (r < 0)
        (void)report_errno(error, r, "%s: cannot be read", check.path);
    if (r == 0)
        r = move_strays(&check, &names);
    check.is_obstructed = names.has_impostor && !repair_executes(repair);
    if (r == 0)
        r = load_meta(&check);
    if (r == 0)
        r = load_index(&check);
    if (r == 0)
        r = fix_names(&check, &names);
    if (r == 0)
        r = check_files(&check, &names);
    leave_out_torn_end(&check, &names);
    if (r == 0)
        r = put_right(&check);
    scan_done(&check.scan);
    repair_epochs_done(&check.epochs);
    (void)XXH3_freeState(check.hash);
    free(check.records);
    free(check.renames);
    free(check.damages);
    names_done(&names);
    return r;
}
