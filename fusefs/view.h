/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a store looks as files, without FUSE: which names and inode numbers topics and partitions
 * have, how permission bits map, where lseek(2) goes, and how what is written to a partition is cut
 * into lines, one record each. Pure but for the memory of lines that are not complete yet:
 * everything here is tested unmounted.
 */
#ifndef FUSEFS_VIEW_H
#define FUSEFS_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VIEW_ROOT_INO 1

/* ---- names and numbers -------------------------------------------------------------------- */

/*
 * The partition that a file name stands for: a decimal number below `count`, without sign or
 * leading zeros, so that each partition has one name. -1: none.
 */
int32_t view_partition_number(const char *name, uint32_t count);

/* st_ino of a topic's directory and of a partition's file: the same for ever, never that of
 * another. */
uint64_t view_topic_ino(uint32_t topic_number);
uint64_t view_partition_ino(uint32_t topic_number, int32_t partition);

/* A topic keeps one mode, that of its directory: what its files show, and what chmod of one sets.
 */
mode_t view_file_mode(mode_t topic_mode);
mode_t view_topic_mode(mode_t file_mode);

/*
 * lseek(2) with SEEK_DATA or SEEK_HOLE in a file of `size` bytes that has no holes. Returns the
 * position; -ENXIO: at or beyond the end; -EINVAL: another whence.
 */
int64_t view_seek(int64_t offset, int whence, uint64_t size);

/* The longest line whose record fits into a batch of `max_message_bytes`. */
size_t view_line_limit(uint32_t max_message_bytes);

/* ---- lines -------------------------------------------------------------------------------- */

/* All incomplete lines of a mount together; beyond it a write that would hold more is -ENOMEM. */
#define VIEW_HELD_BYTES_MAX (256U << 20)

/*
 * Where lines go. The sink may keep several until store(), or store earlier. It maintains `stored`:
 * how many bytes of the present write belong to lines that are stored for good.
 */
struct view_sink {
    /* Take one line, without its newline; valid during the call. Behind it, `end` bytes of the
     * present write are used up. 0 or a negative errno. */
    int (*line)(struct view_sink *sink, const char *line, size_t bytes, size_t end);
    /* Store what was taken. 0 or a negative errno. */
    int (*store)(struct view_sink *sink);
    size_t stored;
};

/*
 * What is written through one open file: the beginning of a line that is not complete yet. Belongs
 * to one thread at a time. Zeroed is ready for use, with `held_total` set.
 */
struct view_splitter {
    char *held;
    size_t held_bytes;
    size_t held_capacity;
    atomic_size_t *held_total; /* capacity of all splitters of the mount */
    bool refusing;             /* a line was too long, and its newline has not come yet */
    size_t refused_bytes;      /* it came with the line's last part, so long; 0: nothing refused */
    uint64_t refused_hash;     /* of that part */
};

/* Forget what is held. */
void view_splitter_done(struct view_splitter *splitter);

/*
 * Take what one write(2) brought: complete lines go to the sink, the rest is held. Returns how many
 * bytes were taken: all, or fewer where the sink failed after some lines were stored or a line that
 * is too long follows complete ones (the writer sees a short write, and the error when it goes on).
 *
 * A negative errno means that nothing of this write was taken, and that what was held before is
 * held still, except with -EMSGSIZE: the line is above `limit`, and nothing of it is stored. Until
 * its newline came, writes go on being refused: else the end of the line would become a record. So
 * is its last part when it comes a second time: the kernel cuts a large write(2) into requests, and
 * where the first went well, a writer hears of a short write, not of the error, and goes on there.
 */
ssize_t view_splitter_write(struct view_splitter *splitter, size_t limit, const char *data,
                            size_t bytes, struct view_sink *sink);

/* The writer is done: what is held becomes a record. Nothing is held afterwards, also on failure.
 */
int view_splitter_finish(struct view_splitter *splitter, struct view_sink *sink);

#endif
