/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a partition's segments as Kafka has them: into a new directory TOPIC-N, or into the empty
 * one of a topic that a stopped broker has, so that the broker takes the records over as its own.
 *
 * Into a broker's directory: the log directory is locked as a broker does it. Segments are written
 * under names that a broker passes over, synced, and only then put in the place of what is there;
 * its indexes and snapshots go, as a broker makes them anew from the segments, and the partition's
 * lines in the directory's checkpoints go, as they speak of another log. Batches get the newest
 * leader epoch that the directory knows. Belongs to one thread.
 */
#ifndef TOOLS_KAFKA_WRITER_H
#define TOOLS_KAFKA_WRITER_H

#include "batch.h"

#include <stdbool.h>

struct kafka_writer;

/*
 * Begin with DIR/TOPIC-N. `into_broker`: it has to be there, without records; else it must not be
 * there, or be empty. `start`: the log's start, with which the first segment begins. Like all here
 * that fails: says so and returns an exit code.
 */
int kafka_writer_new(const char *dir, const char *topic, int32_t partition, bool into_broker,
                     int64_t start, struct kafka_writer **ret_writer);
/* What was not finished is removed. Takes NULL; returns NULL. */
struct kafka_writer *kafka_writer_free(struct kafka_writer *writer);

/* Write a batch, whose leader epoch is changed. */
int kafka_writer_put(struct kafka_writer *writer, struct batch_header *header, uint8_t *batch);

/* Let the log end at `end`, and put all in its place, synced. */
int kafka_writer_finish(struct kafka_writer *writer, int64_t end);

#endif
