/* SPDX-License-Identifier: Apache-2.0 */
/* What each file has is read from its headers; nothing is renamed over a file that is there. */
#include "repair_names.h"

#include "check.h"
#include "cleanup.h"
#include "report.h"
#include "scan.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a file has. */
struct content {
    int64_t name;
    int64_t begin; /* the first batch's base offset; -1: there is no good first batch */
    int64_t end;   /* behind the last offset that follows from it */
    uint64_t bytes;
    uint32_t crc; /* of the first batch */
    bool is_sure; /* the second one goes on where the first ends: a base offset has no CRC */
    bool is_gone; /* renamed or moved aside */
};

static void file_path(const struct repair_names *names, int64_t segment, char to[REPAIR_PATH_BYTES])
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, segment);
    (void)snprintf(to, REPAIR_PATH_BYTES, "%s/%s", names->folder, name);
}

/* ---- what there is -------------------------------------------------------------------------- */

static int read_batches(struct repair_names *names, int fd, struct content *content)
{
    struct scan *scan = names->scan;
    const struct io *io = names->repair->store.io;
    struct scan_batch batch;
    scan_begin(scan, io, fd, SCAN_RECORDS, 0, content->bytes);
    int r = scan_next(scan, &batch, NULL);
    if (r != 1)
        return r == -EBADMSG ? 0 : r;
    content->begin = batch.summary.header.base_offset;
    content->crc = batch.summary.header.crc;
    content->end = batch_next_offset(&batch.summary.header);
    scan_begin(scan, io, fd, SCAN_HEADERS, scan->position, content->bytes);
    for (bool is_second = true; (r = scan_next(scan, &batch, NULL)) == 1; is_second = false) {
        const struct batch_header *header = &batch.summary.header;
        if (is_second)
            content->is_sure = header->base_offset == content->end;
        if (header->base_offset >= content->end &&
            header->base_offset - content->begin <= INT32_MAX)
            content->end = batch_next_offset(header);
    }
    return r == -EBADMSG ? 0 : r;
}

static int read_content(struct repair_names *names, int64_t name, struct content *ret_content)
{
    const struct io *io = names->repair->store.io;
    char path[REPAIR_PATH_BYTES];
    struct stat info;
    struct content content = {.name = name, .begin = -1, .end = -1};
    file_path(names, name, path);
    _cleanup_close_ int fd = io_open_file(io, names->repair->store.directory, path, O_RDONLY, 0);
    /* What cannot be read is told of by who reads all. */
    int r = fd >= 0 && io->stat(io, fd, &info) == 0 ? 0 : -EIO;
    if (r == 0) {
        content.bytes = (uint64_t)info.st_size;
        r = read_batches(names, fd, &content);
    }
    *ret_content = content;
    return r == -ENOMEM ? r : 0;
}

/* ---- putting right -------------------------------------------------------------------------- */

static struct beck_repair_step step_for(const struct repair_names *names,
                                        const struct content *content)
{
    char path[REPAIR_PATH_BYTES];
    file_path(names, content->name, path);
    struct beck_repair_step step = repair_step(BECK_REPAIR_MOVE, path);
    (void)snprintf(step.topic, sizeof(step.topic), "%s", names->topic->name);
    step.partition = names->partition;
    step.offset = content->begin;
    return step;
}

static int move_aside(struct repair_names *names, struct content *content, struct beck_error *error)
{
    struct beck_repair_step step = step_for(names, content);
    int r = repair_executes(names->repair) ? repair_move(names->repair, step.file, error) : 0;
    content->is_gone = true;
    names->is_changed = true;
    return r < 0 ? r
                 : repair_tell(names->repair, &step,
                               "what is in it is in its own segment, too: moved aside");
}

static int rename_to(struct repair_names *names, struct content *content, int64_t to,
                     struct beck_error *error)
{
    const struct io *io = names->repair->store.io;
    struct beck_repair_step step = step_for(names, content);
    char path[REPAIR_PATH_BYTES];
    int r = 0;
    struct repair_rename *grown =
        reallocarray(names->renames, names->rename_count + 1, sizeof(*grown));
    if (!grown)
        return report(error, -ENOMEM, "out of memory");
    names->renames = grown;
    names->renames[names->rename_count++] = (struct repair_rename){content->name, to};
    file_path(names, to, path);
    if (repair_executes(names->repair)) {
        r = io->rename(io, names->repair->store.directory, step.file, path);
        if (r == 0)
            r = io_sync_names(names->repair->store.io, names->repair->store.directory,
                              names->folder);
    }
    if (r < 0)
        return report_errno(error, r, "%s: cannot be renamed", step.file);
    content->name = to;
    names->is_changed = true;
    return repair_tell(names->repair, &step, "it is segment %020" PRId64 ".log: renamed", to);
}

static struct content *find_name(struct content *contents, size_t count, int64_t name)
{
    for (size_t i = 0; i < count; i++)
        if (contents[i].name == name && !contents[i].is_gone)
            return &contents[i];
    return NULL;
}

/* ---- by the catalogue ------------------------------------------------------------------------ */

/* The place that an offset belongs into: the index, or the count where there is none. */
static size_t place_of(const struct repair_names *names, int64_t offset)
{
    size_t above = 0;
    while (above < names->place_count && names->places[above].base_offset <= offset)
        above++;
    return above > 0 ? above - 1 : names->place_count;
}

static bool is_place(const struct repair_names *names, int64_t base_offset)
{
    size_t at = place_of(names, base_offset);
    return at < names->place_count && names->places[at].base_offset == base_offset;
}

/* One that the catalogue does not name. `same_size`: only where its size is the place's. */
static int put_in_place(struct repair_names *names, struct content *contents,
                        struct content *content, bool same_size, struct beck_error *error)
{
    const struct repair_place *last = &names->places[names->place_count - 1];
    size_t at = place_of(names, content->begin);
    if (content->begin < 0 || content->is_gone || is_place(names, content->name) ||
        at == names->place_count)
        return 0;
    /* One that was begun after the checkpoint is recovery's, and what a trim has left, too. */
    if ((content->name > last->base_offset && content->begin >= content->name) ||
        content->name < names->places[0].base_offset)
        return 0;
    const struct repair_place *place = &names->places[at];
    if (find_name(contents, names->count, place->base_offset))
        return same_size ? 0 : move_aside(names, content, error);
    bool fits = place->bytes == UINT64_MAX || place->bytes == content->bytes;
    return fits || !same_size ? rename_to(names, content, place->base_offset, error) : 0;
}

static int by_catalogue(struct repair_names *names, struct content *contents,
                        struct beck_error *error)
{
    int r = 0;
    for (int pass = 0; r == 0 && pass < 2; pass++)
        for (size_t i = 0; r == 0 && i < names->count; i++)
            r = put_in_place(names, contents, &contents[i], pass == 0, error);
    return r;
}

/* ---- by what is in the files ----------------------------------------------------------------- */

/* Does another file have some of these offsets? */
static bool overlaps(const struct content *contents, size_t count, const struct content *content)
{
    for (size_t i = 0; i < count; i++) {
        const struct content *other = &contents[i];
        if (other != content && !other->is_gone && other->begin >= 0 &&
            other->begin < content->end && content->begin < other->end)
            return true;
    }
    return false;
}

/* Is the file's name above its own first offset, or among the offsets of another one? Names below
 * the first offset are right where compaction took what was between. */
static bool is_wrong(const struct content *contents, size_t count, const struct content *content)
{
    if (content->name > content->begin)
        return true;
    for (size_t i = 0; i < count; i++) {
        const struct content *other = &contents[i];
        if (other != content && !other->is_gone && other->begin >= 0 &&
            other->begin < content->name && content->name < other->end)
            return true;
    }
    return false;
}

static int by_content(struct repair_names *names, struct content *contents,
                      struct beck_error *error)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < names->count; i++) {
        struct content *content = &contents[i];
        if (content->begin < 0 || content->name == content->begin)
            continue;
        const struct content *own = find_name(contents, names->count, content->begin);
        if (own && own->begin == content->begin && own->crc == content->crc &&
            own->bytes >= content->bytes)
            r = move_aside(names, content, error);
        else if (!own && content->is_sure && is_wrong(contents, names->count, content) &&
                 !overlaps(contents, names->count, content))
            r = rename_to(names, content, content->begin, error);
    }
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int compare_offsets(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Are all files where the catalogue wants them, so that none has to be looked into? */
static bool names_agree(const struct repair_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (!is_place(names, names->segments[i]))
            return false;
    return names->place_count > 0;
}

int repair_names(struct repair_names *names, struct beck_error *error)
{
    if (names->count == 0 || names_agree(names))
        return 0;
    _cleanup_free_ struct content *contents = calloc(names->count, sizeof(*contents));
    int r = contents ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < names->count; i++)
        r = read_content(names, names->segments[i], &contents[i]);
    if (r < 0)
        return report(error, r, "out of memory");
    r = names->place_count > 0 ? by_catalogue(names, contents, error)
                               : by_content(names, contents, error);
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++)
        if (!contents[i].is_gone)
            names->segments[kept++] = contents[i].name;
    names->count = kept;
    qsort(names->segments, kept, sizeof(names->segments[0]), compare_offsets);
    return r;
}
