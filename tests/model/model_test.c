/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on a topic, each held against the model. The seed determines all of it: the
 * line that is printed first replays a failure.
 *
 *     model_test [--operations N] [--seed N]
 */
#include "run.h"
#include "store.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MODEL_MOST    60000 /* records, at which the topic is made anew */
#define SEGMENT_BYTES "1048576"

uint32_t below(struct run *run, uint32_t bound)
{
    return random_below(&run->random, bound);
}

void differs(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)printf("operation %u (%s): ", run->operation, run->doing);
    (void)vprintf(format, arguments);
    (void)printf("; the store is kept: %s\n", run->fixture.path);
    va_end(arguments);
    exit(1);
}

void check(struct run *run, ssize_t result)
{
    if (result < 0)
        differs(run, "%zd: %s", result, run->fixture.error.message);
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Have the follower begin where it was, or else where the log does. */
static void begin_following(struct run *run)
{
    struct fixture *f = &run->fixture;
    if (run->follow_offset < run->model.start)
        run->follow_offset = run->model.start;
    check(run, beck_reader_seek(run->follower, run->follow_offset, &f->error));
}

void take_head(struct run *run)
{
    struct beck_partition_state now = must_state(run->fixture.partition);
    beck_reader_view_from(run->reader, &now.view_head);
    run->head = model_view_begin(&run->model);
}

static void open_topic(struct run *run)
{
    struct fixture *f = &run->fixture;
    f->partition = must_open_partition(f->store, "t", 0);
    check(run, beck_reader_new(f->partition, BECK_READ_UNCOMMITTED, &run->reader, &f->error));
    check(run, beck_reader_new(f->partition, BECK_READ_UNCOMMITTED, &run->follower, &f->error));
    begin_following(run);
    take_head(run);
}

static void close_topic(struct run *run)
{
    run->reader = beck_reader_free(run->reader);
    run->follower = beck_reader_free(run->follower);
    run->fixture.partition = beck_partition_close(run->fixture.partition);
}

/* Without index.mdb the store knows of producers what is in the log still. Compaction leaves each
 * one's last batch, if without records. */
static void forget_trimmed(struct run *run)
{
    for (size_t i = 0; i < PRODUCERS; i++) {
        struct sent *sent = run->sent[i];
        if (sent[0].count > 0 && sent[0].offset < run->model.start) {
            int16_t epoch = (int16_t)(sent[0].sender.epoch + 1);
            memset(sent, 0, sizeof(run->sent[0]));
            sent[0].sender.epoch = epoch;
        }
        for (size_t j = 1; j < BATCHES; j++)
            if (sent[j].offset < run->model.start || run->model.has_holes)
                sent[j].count = 0;
    }
}

static void reopen(struct run *run)
{
    char path[PATH_MAX];
    uint32_t choice = below(run, 8);
    run->doing = "reopen";
    close_topic(run);
    fixture_close(&run->fixture);
    if (choice == 0) {
        run->doing = "reopen without index.mdb";
        store_file(&run->fixture, STORE_PATH_INDEX, path);
        (void)unlink(path);
        forget_trimmed(run);
    } else if (choice == 1) {
        run->doing = "reopen without live";
        store_file(&run->fixture, STORE_PATH_LIVE, path);
        (void)unlink(path);
    }
    run->fixture.store = must_open(run->fixture.path, 0);
    model_synced(&run->model);
    open_topic(run);
}

static void make_topic(struct run *run)
{
    static const char *const policies[] = {"delete", "compact", "compact,delete"};
    struct fixture *f = &run->fixture;
    uint32_t policy = below(run, 3);
    run->is_compacted = policy > 0;
    run->is_retained = policy != 1;
    run->drops_tombstones = below(run, 2);
    run->codecs = below(run, 3) ? below(run, 5) : 5;
    run->value_most = below(run, 2) ? 400 : 40;
    const struct beck_config configs[] = {
        {"segment.bytes", SEGMENT_BYTES},
        {"cleanup.policy", policies[policy]},
        {"min.cleanable.dirty.ratio", "0"},
        {"delete.retention.ms", run->drops_tombstones ? "0" : "86400000"},
    };
    const struct beck_topic_options options = {
        .partition_count = 1, .configs = configs, .config_count = 4};
    check(run, beck_topic_create(f->store, "t", &options, NULL, &f->error));
    memset(run->sent, 0, sizeof(run->sent));
    forget_commits(run);
    run->follow_offset = 0;
    open_topic(run);
}

static void make_anew(struct run *run)
{
    struct fixture *f = &run->fixture;
    run->doing = "delete and create";
    close_topic(run);
    check(run, beck_topic_delete(f->store, "t", &f->error));
    model_done(&run->model);
    make_topic(run);
}

/* ---- syncing ------------------------------------------------------------------------------- */

static void sync_log(struct run *run)
{
    int64_t offset = (int64_t)below(run, (uint32_t)run->model.count + 1);
    run->doing = "sync";
    check(run, beck_sync(run->fixture.partition, offset, &run->fixture.error));
    if (offset > run->model.synced)
        model_synced(&run->model);
}

static void maintain(struct run *run)
{
    uint32_t next_ms;
    run->doing = "maintain";
    check(run, beck_store_maintain(run->fixture.store, true, &next_ms, &run->fixture.error));
    if (run->model.count > 0)
        model_synced(&run->model);
}

/* ---- removing ------------------------------------------------------------------------------ */

/* What the store says that the log begins with now. */
static void take_start(struct run *run)
{
    struct beck_partition_state now = must_state(run->fixture.partition);
    if (now.log_start_offset < run->model.start || now.log_start_offset > now.high_watermark)
        differs(run, "the log starts at %" PRId64 " after %" PRId64 ", with %" PRId64 " its end",
                now.log_start_offset, run->model.start, now.high_watermark);
    model_trim(&run->model, now.log_start_offset);
}

static void trim(struct run *run)
{
    struct fixture *f = &run->fixture;
    uint32_t records = (uint32_t)(run->model.high - run->model.start);
    int64_t offset = run->model.start + below(run, below(run, 4) ? records / 4 + 1 : records + 1);
    int64_t due = offset;
    int64_t start = -1;
    run->doing = "trim";
    if (below(run, 20) == 0) {
        offset = -1;
        due = run->model.high;
    }
    check(run, beck_trim(f->partition, offset, &start, &f->error));
    if (start != due)
        differs(run, "the log starts at %" PRId64 ", not %" PRId64, start, due);
    model_trim(&run->model, start);
    /* It may have had to sync. */
    if (must_state(f->partition).synced_offset == (int64_t)run->model.count)
        model_synced(&run->model);
    if (beck_trim(f->partition, run->model.high + 1, &start, &f->error) != -ERANGE)
        differs(run, "no -ERANGE above the high watermark");
}

/* Maintain with a setting that is back to what it was afterwards. */
static void maintain_with(struct run *run, const char *name, const char *value)
{
    struct fixture *f = &run->fixture;
    const struct beck_config_change set = {.name = name, .value = value};
    const struct beck_config_change reset = {.name = name, .operation = BECK_CONFIG_RESET};
    uint32_t next_ms;
    run->doing = name;
    check(run, beck_topic_alter(f->store, "t", &set, 1, 0, &f->error));
    check(run, beck_store_maintain(f->store, true, &next_ms, &f->error));
    check(run, beck_topic_alter(f->store, "t", &reset, 1, 0, &f->error));
    if (run->model.count > 0)
        model_synced(&run->model);
    take_start(run);
}

static void retain_bytes(struct run *run)
{
    struct fixture *f = &run->fixture;
    char text[32];
    uint64_t before = 0;
    uint64_t after = 0;
    check(run, beck_partition_disk_bytes(f->partition, &before, &f->error));
    uint64_t limit = random_next(&run->random) % (before + 1);
    (void)snprintf(text, sizeof(text), "%" PRIu64, below(run, 10) ? limit : 0);
    maintain_with(run, "retention.bytes", text);
    check(run, beck_partition_disk_bytes(f->partition, &after, &f->error));
    if (after > before || (run->is_retained && before > 2 * (uint64_t)(1 << 20) &&
                           limit < 1 << 20 && after == before))
        differs(run, "%" PRIu64 " bytes of %" PRIu64 " are left, with a limit of %" PRIu64, after,
                before, limit);
}

/* Records before a time go, with the segments that have no other. */
static void retain_time(struct run *run)
{
    char text[32];
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    int64_t from =
        FIXTURE_TIME + (int64_t)(random_next(&run->random) % (run->operation * 10ULL + 1));
    (void)snprintf(text, sizeof(text), "%" PRId64, now_ms - from);
    int64_t kept = model_find_time(&run->model, from + 5000);
    maintain_with(run, "retention.ms", text);
    if (kept >= 0 && run->model.start > kept)
        differs(run, "the log starts at %" PRId64 ", but %" PRId64 " is not old enough",
                run->model.start, kept);
}

/* ---- reading ------------------------------------------------------------------------------- */

void compare_record(struct run *run, const struct beck_record *record, int64_t offset)
{
    const struct model_record *due = &run->model.records[offset];
    const struct key none = {.size = -1};
    const struct key *key = due->key < 0 ? &none : &run->keys[due->key];
    if (record->offset != offset)
        differs(run, "offset %" PRId64 ", not %" PRId64, record->offset, offset);
    if (record->timestamp_ms != due->timestamp_ms || record->value_size != due->value_size ||
        record->key_size != key->size || record->header_count != 0 ||
        (key->size > 0 && memcmp(record->key, key->bytes, (size_t)key->size) != 0) ||
        (due->value_size > 0 &&
         memcmp(record->value, run->model.view + due->view_begin, (size_t)due->value_size) != 0))
        differs(run, "the record at %" PRId64 " is another one", offset);
}

static void read_records(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_record record;
    int64_t offset =
        run->model.start + below(run, (uint32_t)(run->model.high - run->model.start) + 1);
    uint32_t count = below(run, 60);
    run->doing = "read records";
    check(run, beck_reader_seek(run->reader, offset, &f->error));
    for (; count > 0; count--, offset++) {
        offset = model_next(&run->model, offset);
        int r = beck_reader_next(run->reader, &record, &f->error);
        check(run, r);
        if (r != (offset < run->model.high))
            differs(run, "%d at %" PRId64 ", where %" PRId64 " is the end", r, offset,
                    run->model.high);
        if (r == 0)
            return;
        compare_record(run, &record, offset);
    }
}

/* Read on, whatever became of the segments meanwhile: none that is due is left out. What compaction
 * has removed the reader may still give out from the segment that it has open; what was trimmed,
 * from the batch that it stands in. */
static void follow(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_record record;
    uint32_t trimmed = 0;
    run->doing = "follow";
    for (uint32_t count = below(run, 200); count > 0; count--) {
        int64_t due =
            model_next(&run->model, run->follow_offset < run->model.start ? run->model.start
                                                                          : run->follow_offset);
        int r = beck_reader_next(run->follower, &record, &f->error);
        if (r == -ESTALE && run->follow_offset < run->model.start) {
            begin_following(run);
            continue;
        }
        check(run, r);
        if (r == 0 && due < run->model.high)
            differs(run, "the end, where %" PRId64 " is due", due);
        if (r == 0)
            return;
        trimmed += record.offset < run->model.start;
        if (record.offset < run->follow_offset || record.offset > due || trimmed > RECORDS_MOST ||
            record.offset >= run->model.high)
            differs(run, "offset %" PRId64 " behind %" PRId64 ", where %" PRId64 " is due",
                    record.offset, run->follow_offset, due);
        if (record.offset == due)
            compare_record(run, &record, due);
        run->follow_offset = record.offset + 1;
    }
}

static uint64_t big_endian(const unsigned char *bytes, int count)
{
    uint64_t number = 0;
    for (int i = 0; i < count; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Batches as they are: the first has the offset, each follows the one before, none is invisible.
 * Where compaction left holes, there is no record in them. Returns the end of the last. */
static int64_t walk_batches(struct run *run, const unsigned char *at, ssize_t n, int64_t offset)
{
    int64_t next = -1;
    while (n > 0) {
        int64_t base = (int64_t)big_endian(at, 8);
        ssize_t bytes = (ssize_t)big_endian(at + 8, 4) + 12;
        int64_t end = base + (int64_t)big_endian(at + 23, 4) + 1;
        int64_t due = next < 0 ? offset : next;
        bool fits = next < 0 ? base <= offset && end > offset : base == next;
        if (!fits && run->model.has_holes)
            fits = end > due && (base <= due ? next < 0 : model_next(&run->model, due) >= base);
        if (!fits)
            differs(run, "a batch from %" PRId64 " to %" PRId64 " after %" PRId64, base, end, next);
        if (bytes > n || end > run->model.high)
            differs(run, "a batch to %" PRId64 " of %zd bytes in %zd", end, bytes, n);
        at += bytes;
        n -= bytes;
        next = end;
    }
    return next;
}

static void read_batches(struct run *run)
{
    struct fixture *f = &run->fixture;
    char *at = run->buffer + BUFFER_BYTES;
    size_t size = 100 + below(run, below(run, 4) ? 5000 : 200000);
    int64_t offset =
        run->model.start + below(run, (uint32_t)((int64_t)run->model.count - run->model.start) + 1);
    run->doing = "read batches";
    ssize_t n = beck_read(f->partition, offset, at, size, BECK_READ_UNCOMMITTED, &f->error);
    if (n == -EMSGSIZE)
        return;
    check(run, n);
    if ((n > 0) != (offset < run->model.high))
        differs(run, "%zd bytes at %" PRId64 ", where %" PRId64 " is the end", n, offset,
                run->model.high);
    (void)walk_batches(run, (unsigned char *)at, n, offset);
}

static void read_range(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_range range;
    char *at = run->buffer + BUFFER_BYTES;
    size_t most = 100 + below(run, below(run, 4) ? 5000 : 200000);
    int64_t offset =
        run->model.start + below(run, (uint32_t)((int64_t)run->model.count - run->model.start) + 1);
    run->doing = "read a range";
    check(run,
          beck_read_range(f->partition, offset, most, BECK_READ_UNCOMMITTED, &range, &f->error));
    size_t size = range.size;
    int64_t end = range.next_offset;
    ssize_t n =
        size == 0 || size > BUFFER_BYTES ? 0 : pread(range.fd, at, size, (off_t)range.position);
    beck_range_release(&range);
    if ((size > 0) != (offset < run->model.high) || (size <= BUFFER_BYTES && n != (ssize_t)size))
        differs(run, "%zu bytes at %" PRId64 ", of which %zd can be read", size, offset, n);
    int64_t met = n > 0 ? walk_batches(run, (unsigned char *)at, n, offset) : end;
    if (run->model.has_holes && met < end)
        met = model_next(&run->model, met) >= end ? end : met;
    if (met != end)
        differs(run, "the range ends at %" PRId64 ", not %" PRId64, end, met);
}

void compare_view(struct run *run, ssize_t n, size_t at)
{
    if (n > 0 && memcmp(run->buffer + BUFFER_BYTES, run->model.view + at, (size_t)n) != 0)
        differs(run, "the %zd bytes at %zu are others", n, at);
}

/* Positions that were removed are; the segment that the reader stands in may still be read. */
static void read_removed_view(struct run *run)
{
    struct fixture *f = &run->fixture;
    size_t begin = model_view_begin(&run->model);
    if (run->head == begin)
        return;
    size_t at = run->head + (size_t)(random_next(&run->random) % (begin - run->head));
    run->doing = "read removed view";
    ssize_t n =
        beck_reader_view(run->reader, at - run->head, run->buffer + BUFFER_BYTES, 5000, &f->error);
    if (n != -ESTALE) {
        check(run, n);
        compare_view(run, n, at);
    }
    if (below(run, 2))
        take_head(run);
}

static void read_view(struct run *run)
{
    struct fixture *f = &run->fixture;
    size_t begin = model_view_begin(&run->model);
    size_t all = begin + model_view_bytes(&run->model);
    size_t at = begin + (size_t)(random_next(&run->random) % (all - begin + 1));
    run->doing = "read view";
    for (uint32_t i = below(run, 5); i <= 5; i++) { /* some reads, one after the other */
        size_t size = below(run, 8) ? below(run, 2000) : below(run, 300000);
        size_t due = size < all - at ? size : all - at;
        ssize_t n = beck_reader_view(run->reader, at - run->head, run->buffer + BUFFER_BYTES, size,
                                     &f->error);
        check(run, n);
        if ((size_t)n != due)
            differs(run, "%zd bytes at %zu of %zu, not %zu", n, at, all, due);
        compare_view(run, n, at);
        at += due;
        if (below(run, 20) == 0)
            read_records(run);
    }
}

static void find_time(struct run *run)
{
    struct fixture *f = &run->fixture;
    int64_t offset = -1;
    int64_t timestamp_ms = -1;
    int64_t wanted =
        FIXTURE_TIME + (int64_t)(random_next(&run->random) % (run->operation * 10ULL + 1000));
    run->doing = "find time";
    int64_t due = model_find_time(&run->model, wanted);
    check(run, beck_offset_for_time(f->partition, wanted, BECK_READ_UNCOMMITTED, &offset,
                                    &timestamp_ms, &f->error));
    if (offset != due)
        differs(run, "%" PRId64 " has offset %" PRId64 ", not %" PRId64, wanted, offset, due);
    due = model_find_max_time(&run->model);
    offset = -1;
    check(run, beck_offset_of_max_time(f->partition, &offset, &timestamp_ms, &f->error));
    if (offset != due || (due >= 0 && timestamp_ms != run->model.records[due].timestamp_ms))
        differs(run, "the largest time has offset %" PRId64 ", not %" PRId64, offset, due);
}

static void read_outside(struct run *run)
{
    struct beck_range range;
    struct fixture *f = &run->fixture;
    int64_t outside = below(run, 2) ? run->model.start - 1 - below(run, 3)
                                    : (int64_t)run->model.count + 1 + below(run, 5);
    run->doing = "read outside";
    int r = beck_read_range(f->partition, outside, 1000, BECK_READ_UNCOMMITTED, &range, &f->error);
    if (r != -ERANGE)
        differs(run, "%d for offset %" PRId64 " of %zu", r, outside, run->model.count);
    r = beck_reader_seek(run->reader, outside, &f->error);
    if (r != -ERANGE)
        differs(run, "seek: %d for offset %" PRId64, r, outside);
}

static void compare_state(struct run *run)
{
    struct beck_partition_state now;
    check(run, beck_partition_state(run->fixture.partition, &now, &run->fixture.error));
    if (now.next_offset != (int64_t)run->model.count || now.high_watermark != run->model.high ||
        now.last_stable_offset != run->model.high ||
        now.view_bytes != model_view_bytes(&run->model) ||
        now.log_start_offset != run->model.start || now.leader_epoch != 0)
        differs(run, "next %" PRId64 " high %" PRId64 " view %" PRIu64 ", not %zu %" PRId64 " %zu",
                now.next_offset, now.high_watermark, now.view_bytes, run->model.count,
                run->model.high, model_view_bytes(&run->model));
}

/* What the partition tells of itself beside. */
static void look_around(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_producer producers[PRODUCERS];
    struct beck_segment segment;
    int64_t offset =
        run->model.start + below(run, (uint32_t)(run->model.high - run->model.start) + 1);
    int64_t end = -1;
    int32_t epoch = -1;
    uint32_t count = 0;
    run->doing = "look around";
    check(run, beck_partition_epoch_end(f->partition, 0, &epoch, &end, &f->error));
    if (epoch != 0 || end != (int64_t)run->model.count)
        differs(run, "epoch %d ends at %" PRId64 ", not %zu", epoch, end, run->model.count);
    check(run, beck_partition_producers(f->partition, producers, PRODUCERS, &count, &f->error));
    for (uint32_t i = 0; i < count && count <= PRODUCERS; i++) {
        const struct sent *sent = &run->sent[producers[i].id % PRODUCERS][0];
        if (sent->count > 0 &&
            (producers[i].epoch != sent->sender.epoch ||
             producers[i].last_sequence != sent->sender.sequence + (int32_t)sent->count - 1))
            differs(run, "producer %" PRId64 " came to sequence %d of epoch %d", producers[i].id,
                    producers[i].last_sequence, producers[i].epoch);
    }
    int r = beck_segment_at(f->partition, offset, &segment, &f->error);
    if (r != 0 || segment.end_offset < offset ||
        (segment.base_offset > offset && model_next(&run->model, offset) < segment.base_offset))
        differs(run, "%d: offset %" PRId64 " is in the segment from %" PRId64 " to %" PRId64, r,
                offset, segment.base_offset, segment.end_offset);
}

static void verify(struct run *run)
{
    struct beck_damage damage;
    run->doing = "verify";
    if (verify_count(run->fixture.store, &damage) != 0)
        differs(run, "%s byte %" PRId64 ": %s", damage.file, damage.byte, damage.what);
}

static void step(struct run *run)
{
    uint32_t choice = below(run, 1000);
    if (choice < 220)
        append(run);
    else if (choice < 230)
        append_at(run);
    else if (choice < 330)
        append_for_producer(run);
    else if (choice < 450)
        read_records(run);
    else if (choice < 480)
        follow(run);
    else if (choice < 490)
        trim(run);
    else if (choice < 492)
        retain_bytes(run);
    else if (choice < 493)
        retain_time(run);
    else if (choice < 495)
        maintain_with(run, "segment.ms", "1");
    else if (choice < 497)
        clean(run);
    else if (choice < 510)
        read_removed_view(run);
    else if (choice < 570)
        read_batches(run);
    else if (choice < 630)
        read_range(run);
    else if (choice < 780)
        read_view(run);
    else if (choice < 840)
        find_time(run);
    else if (choice < 850)
        look_around(run);
    else if (choice < 860)
        commit_offsets(run);
    else if (choice < 900)
        read_outside(run);
    else if (choice < 970)
        sync_log(run);
    else if (choice < 990)
        maintain(run);
    else if (choice < 997)
        reopen(run);
    else if (choice < 999)
        verify(run);
    else if (below(run, 4) == 0 || run->model.count > MODEL_MOST)
        make_anew(run);
    compare_state(run);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"operations", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'}, {0}};
    struct run run = {.random = (uint64_t)time(NULL)};
    uint32_t operations = 20000;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'n')
            operations = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            run.random = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    (void)printf("model_test --operations %u --seed %" PRIu64 "\n", operations, run.random);
    (void)fflush(stdout);
    fixture_begin(&run.fixture);
    run.buffer = malloc(2 * BUFFER_BYTES);
    if (!run.buffer)
        return 2;
    uint64_t bytes = run.random;
    for (size_t i = 0; i < BUFFER_BYTES; i++) /* half of it compresses */
        run.buffer[i] = (char)(i & 4096 ? 'a' + (int)(i % 7) : (int)random_next(&bytes));
    run.keys = make_keys(run.buffer);
    run.fixture.store = must_open(run.fixture.path, BECK_OPEN_CREATE);
    make_topic(&run);
    for (; run.operation < operations; run.operation++)
        step(&run);
    verify(&run);
    reopen(&run);
    compare_state(&run);
    (void)printf("%u operations; records that compaction removed: %" PRIu64 "\n", operations,
                 run.removed);
    close_topic(&run);
    model_done(&run.model);
    free(run.buffer);
    fixture_end(&run.fixture);
    return 0;
}
