/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction begins with the first batch of its producer and ends with its marker. Those that
 * are open are few; the list of what was aborted is in order of their ends until it is sorted.
 */
#include "aborted.h"

#include "check.h"
#include "report.h"
#include "rewrite.h"

#include <errno.h>
#include <stdlib.h>

/* The walk. */
struct finder {
    struct aborted_list open; /* last offset: not known yet */
    struct aborted_list *found;
};

void aborted_list_done(struct aborted_list *list)
{
    free(list->all);
    *list = (struct aborted_list){0};
}

static int list_add(struct aborted_list *list, const struct aborted_transaction *transaction)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 16;
        struct aborted_transaction *grown = reallocarray(list->all, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        list->all = grown;
        list->room = room;
    }
    list->all[list->count++] = *transaction;
    return 0;
}

static struct aborted_transaction *find_open(struct finder *finder, int64_t producer_id)
{
    for (size_t i = 0; i < finder->open.count; i++)
        if (finder->open.all[i].producer_id == producer_id)
            return &finder->open.all[i];
    return NULL;
}

static int visit(struct finder *finder, const struct scan_batch *batch)
{
    const struct batch_header *header = &batch->summary.header;
    enum control_type type = CONTROL_OTHER;
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        return 0;
    struct aborted_transaction *open = find_open(finder, header->producer_id);
    if ((header->attributes & BATCH_CONTROL) == 0) {
        struct aborted_transaction begun = {header->producer_id, header->base_offset, -1};
        return open ? 0 : list_add(&finder->open, &begun);
    }
    int r = control_type_read(batch->bytes, batch->size, &type);
    if (r < 0)
        return r == -ENODATA ? 0 : r;
    if (!open || type == CONTROL_OTHER)
        return 0;
    open->last_offset = batch_next_offset(header) - 1;
    r = type == CONTROL_ABORT ? list_add(finder->found, open) : 0;
    *open = finder->open.all[--finder->open.count];
    return r;
}

static int read_segment(struct finder *finder, struct clean *clean, struct scan *scan,
                        struct beck_error *error)
{
    struct scan_batch batch;
    int r;
    while ((r = scan_next(scan, &batch, error)) == 1) {
        r = visit(finder, &batch);
        if (r < 0)
            return report_errno(error, r, "a transaction's batch cannot be read");
        if (clean_must_stop(clean))
            return -ECANCELED;
    }
    return r;
}

static int compare(const void *left, const void *right)
{
    int64_t a = ((const struct aborted_transaction *)left)->first_offset;
    int64_t b = ((const struct aborted_transaction *)right)->first_offset;
    return (a > b) - (a < b);
}

int aborted_list_make(struct aborted_list *list, struct clean *clean,
                      struct beck_partition *partition, const struct segment_record *segments,
                      size_t count, int64_t *ret_first_open, struct beck_error *error)
{
    const struct io *io = partition->store->io;
    struct finder finder = {.found = list};
    struct scan scan = {.fd = -1};
    int64_t first_open = INT64_MAX;
    int r = 0;
    list->count = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        int fd = rewrite_open(partition, &segments[i], error);
        if (fd < 0) {
            r = fd;
            break;
        }
        scan_begin(&scan, io, fd, SCAN_CRC, 0, segments[i].bytes);
        r = read_segment(&finder, clean, &scan, error);
        (void)io->close(io, fd);
    }
    for (size_t i = 0; i < finder.open.count; i++)
        if (finder.open.all[i].first_offset < first_open)
            first_open = finder.open.all[i].first_offset;
    if (list->count > 0)
        qsort(list->all, list->count, sizeof(list->all[0]), compare);
    aborted_list_done(&finder.open);
    scan_done(&scan);
    if (r == 0)
        *ret_first_open = first_open;
    return r;
}
