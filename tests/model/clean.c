/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction. The model knows for each record whether it may go and whether it must: in complete
 * segments a record goes where a later one there has its key, and where it is a tombstone it may
 * go, if the topic's are not kept. What is gone is found by reading all of the log.
 */
#include "run.h"

/* Of each key, the last record in complete segments; -1: none. */
struct last {
    int64_t offsets[KEYS];
    int64_t end; /* where the active segment begins */
};

static void find_last(struct run *run, struct last *ret_last)
{
    struct fixture *f = &run->fixture;
    struct beck_segment active;
    check(run, beck_segment_at(f->partition, (int64_t)run->model.count, &active, &f->error));
    ret_last->end = active.base_offset;
    for (int32_t i = 0; i < KEYS; i++)
        ret_last->offsets[i] = -1;
    for (int64_t i = run->model.start; i < ret_last->end && run->is_compacted; i++)
        if (!run->model.records[i].is_gone)
            ret_last->offsets[run->model.records[i].key] = i;
}

static bool is_obsolete(const struct run *run, const struct last *last, int64_t offset)
{
    return run->is_compacted && offset < last->end &&
           offset != last->offsets[run->model.records[offset].key];
}

/* Records up to `end` were not met. */
static void take_gone(struct run *run, const struct last *last, int64_t from, int64_t end)
{
    for (int64_t i = from; i < end; i++) {
        struct model_record *record = &run->model.records[i];
        bool is_tombstone =
            run->is_compacted && run->drops_tombstones && record->value_size < 0 && i < last->end;
        if (record->is_gone)
            continue;
        if (!is_obsolete(run, last, i) && !is_tombstone)
            differs(run, "offset %" PRId64 " is gone, and was the last of its key below %" PRId64,
                    i, last->end);
        record->is_gone = true;
        run->removed++;
    }
}

static void read_all(struct run *run, const struct last *last)
{
    struct fixture *f = &run->fixture;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    int64_t next = run->model.start;
    int r;
    check(run, beck_reader_new(f->partition, BECK_READ_UNCOMMITTED, &reader, &f->error));
    check(run, beck_reader_seek(reader, next, &f->error));
    while ((r = beck_reader_next(reader, &record, &f->error)) == 1) {
        if (record.offset < next || record.offset >= run->model.high ||
            run->model.records[record.offset].is_gone)
            differs(run, "offset %" PRId64 " after %" PRId64, record.offset, next);
        compare_record(run, &record, record.offset);
        if (is_obsolete(run, last, record.offset))
            differs(run, "offset %" PRId64 " is there, and %" PRId64 " has its key", record.offset,
                    last->offsets[run->model.records[record.offset].key]);
        take_gone(run, last, next, record.offset);
        next = record.offset + 1;
    }
    check(run, r);
    take_gone(run, last, next, run->model.high);
    beck_reader_free(reader);
}

/* A position that is counted from the head before means what it meant, or nothing. */
static void read_old_view(struct run *run)
{
    struct fixture *f = &run->fixture;
    size_t all = model_view_begin(&run->model) + model_view_bytes(&run->model);
    size_t at = run->head + (size_t)(random_next(&run->random) % (all - run->head + 1));
    ssize_t n =
        beck_reader_view(run->reader, at - run->head, run->buffer + BUFFER_BYTES, 5000, &f->error);
    if (n == -ESTALE)
        return;
    check(run, n);
    compare_view(run, n, at);
}

void clean(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct last last;
    uint32_t next_ms;
    run->doing = "clean";
    check(run, beck_store_maintain(f->store, true, &next_ms, &f->error)); /* segments are listed */
    if (run->model.count == 0)
        return;
    model_synced(&run->model);
    find_last(run, &last);
    check(run, beck_store_clean(f->store, NULL, NULL, &next_ms, &f->error));
    read_old_view(run);
    read_all(run, &last);
    model_compacted(&run->model);
    take_head(run);
}
