/* SPDX-License-Identifier: Apache-2.0 */
/* The segment's bounds are the catalogue's. The first step says how much the damage takes. */
#include "damaged_segment.h"

#include "cleanup.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void damaged_segment_done(struct damaged_segment *segment)
{
    segment->file = segment_file_close(segment->file);
}

static int open_file(struct damaged_segment *segment, struct beck_store *store,
                     const struct beck_segment *found, struct beck_error *error)
{
    struct beck_store_info info;
    _cleanup_free_ char *path = NULL;

    int result = beck_store_info(store, &info, error);
    if (result < 0)
        return result;
    if (asprintf(&path, "%s/%s", info.path, found->path) < 0) {
        path = NULL;
        return report(error, -ENOMEM, "out of memory");
    }
    result = segment_file_open(path, &segment->file);
    return result < 0 ? report_errno(error, result, "%s: cannot be opened", found->path) : 0;
}

/* That there is no file, or none that can be a segment, is told by the error that led here. */
static bool is_no_file(int result)
{
    return result == -ENOENT || result == -EISDIR || result == -EINVAL || result == -ELOOP;
}

int damaged_segment_begin(struct damaged_segment *segment, struct beck_store *store,
                          struct beck_partition *partition, int64_t offset, int64_t byte,
                          uint64_t *ret_skipped, struct beck_error *error)
{
    struct beck_segment found;
    struct segment_step step;
    struct beck_error why;

    damaged_segment_done(segment);
    int result = beck_segment_at(partition, offset, &found, error);
    if (result < 0)
        return result;
    *segment = (struct damaged_segment){
        .bytes = found.bytes, .end_offset = found.end_offset, .passed = offset};
    if (byte < 0)
        return 0;
    result = open_file(segment, store, &found, error);
    if (result < 0)
        return is_no_file(result) ? 0 : result;
    segment_file_expect(segment->file, found.base_offset, found.end_offset);
    segment_file_seek(segment->file, (uint64_t)byte);
    result = segment_file_next(segment->file, &step, &why);
    if (result == 1) {
        segment_file_seek(segment->file, (uint64_t)byte);
        return 0;
    }
    if (result == -EBADMSG) {
        *ret_skipped = step.size;
        return 0;
    }
    damaged_segment_done(segment);
    if (result < 0)
        (void)report_errno(error, result, "%s, byte %" PRId64 ": cannot be read", found.path, byte);
    return result;
}

int damaged_segment_next(struct damaged_segment *segment, struct segment_step *ret_step,
                         struct beck_error *error)
{
    int result;

    do
        result = segment_file_next(segment->file, ret_step, error);
    while (result == 1 && batch_next_offset(&ret_step->summary.header) <= segment->passed);
    /* Behind its end may be bytes of an append that is under way. */
    if (result != 0 && ret_step->position < segment->bytes)
        return result;
    damaged_segment_done(segment);
    return 0;
}
