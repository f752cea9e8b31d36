/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment files, one behind the other, read as one log: those of a partition in a Kafka broker's
 * log directory, or a single file. Only the .log files are believed, and those only batch by batch:
 * an .index beside one tells where to begin to look, and only where the batch that stands there is
 * the one that it names.
 *
 * Belongs to one thread.
 */
#ifndef SOURCE_SEGMENTS_H
#define SOURCE_SEGMENTS_H

#include "segment_file.h"

struct segment_entry {
    char *path;
    int64_t base_offset; /* by its name; -1: it has none, any offset will do */
    uint64_t bytes;
};

struct segments {
    struct segment_entry *entries; /* sorted by base offset */
    size_t count;
    size_t at; /* the file that comes next, or is open */
    struct segment_file *file;
    uint64_t hopped; /* where the batch begins that was hopped over last */
};

/* "00000000000000000042.log": 42. -1: no segment's name. */
int64_t segment_name_offset(const char *name);

/* Add a file, in order. -EMSGSIZE: there are too many. -ENOMEM, or the errno of stat(2). */
int segments_add(struct segments *segments, const char *path, int64_t base_offset);
void segments_done(struct segments *segments);

/* Go to the batch that has `offset`, or is the first behind it; for a `hop`, by headers only. */
int segments_seek(struct segments *segments, int64_t offset, struct beck_error *error);
/* Go to the begin of a file. */
void segments_rewind(struct segments *segments, size_t at);

/*
 * The next batch, checked whole, and the file that it is in: 1; 0: the end. -EBADMSG: damage, told
 * in `error` with path and byte, and passed over: `ret_step` says what. Another negative errno: a
 * file cannot be read. `ret_entry` is valid until segments_done().
 */
int segments_next(struct segments *segments, struct segment_step *ret_step,
                  const struct segment_entry **ret_entry, struct beck_error *error);

/* The next batch's header alone: see segment_file_hop(). Damage ends the walk of a file: the next
 * call goes on with the file behind it. */
int segments_hop(struct segments *segments, struct segment_step *ret_step,
                 const struct segment_entry **ret_entry, struct beck_error *error);

/* The batch that segments_hop() has just passed, checked whole: 1, or a negative errno. */
int segments_again(struct segments *segments, struct segment_step *ret_step);

/* The offset behind the last batch that is there; `least` where there are none. */
int segments_end_offset(struct segments *segments, int64_t least, int64_t *ret_offset,
                        struct beck_error *error);

#endif
