/* SPDX-License-Identifier: Apache-2.0 */
/* Batches and records as text and JSON. */
#include "dump_print.h"

#include "compression.h"
#include "control.h"

#include <stdio.h>

/* Several partitions: each line says which it is of. */
static void begin_json(struct dump_print *print)
{
    output_byte(&print->output, '{');
    if (print->topic != NULL)
        output_format(&print->output, "\"topic\":\"%s\",\"partition\":%d,", print->topic,
                      (int)print->partition);
}

static void begin_text(struct dump_print *print)
{
    if (print->topic != NULL)
        output_format(&print->output, "%s-%d ", print->topic, (int)print->partition);
}

static void print_flags(struct dump_print *print, const struct source_batch *batch)
{
    uint16_t attributes = batch->header.attributes;

    if (attributes & BATCH_LOG_APPEND_TIME)
        output_format(&print->output, " log-append-time");
    if (attributes & BATCH_TRANSACTIONAL)
        output_format(&print->output, " transactional");
    if (attributes & BATCH_CONTROL)
        output_format(&print->output, " control");
    if (batch->aborted)
        output_format(&print->output, " aborted");
    if (attributes & BATCH_DELETE_HORIZON)
        output_format(&print->output, " delete-horizon %lld",
                      (long long)batch->header.base_timestamp_ms);
}

static void print_batch_text(struct dump_print *print, const struct source_batch *batch)
{
    const struct batch_header *header = &batch->header;
    char first[24] = ""; /* a delete horizon stands in its place */

    if ((header->attributes & BATCH_DELETE_HORIZON) == 0)
        (void)snprintf(first, sizeof(first), "%lld", (long long)header->base_timestamp_ms);
    begin_text(print);
    output_format(
        &print->output,
        "batch %lld..%lld position %llu size %zu magic %d crc %08x ok codec %s records %d "
        "timestamps %s..%lld epoch %d",
        (long long)header->base_offset, (long long)batch_next_offset(header) - 1,
        (unsigned long long)batch->position, batch_bytes(header), (int)header->magic, header->crc,
        codec_name(header->attributes & BATCH_CODEC_MASK), (int)header->record_count, first,
        (long long)header->max_timestamp_ms, (int)header->leader_epoch);
    if (header->producer_id >= 0)
        output_format(&print->output, " producer %lld:%d sequence %d",
                      (long long)header->producer_id, (int)header->producer_epoch,
                      (int)header->base_sequence);
    print_flags(print, batch);
    output_byte(&print->output, '\n');
}

static const char *yes(bool is)
{
    return is ? "true" : "false";
}

static void print_batch_json(struct dump_print *print, const struct source_batch *batch)
{
    const struct batch_header *header = &batch->header;

    begin_json(print);
    output_format(&print->output,
                  "\"baseOffset\":%lld,\"lastOffset\":%lld,\"position\":%llu,\"size\":%zu,"
                  "\"magic\":%d,\"crc\":%u,\"codec\":\"%s\",\"records\":%d,",
                  (long long)header->base_offset, (long long)batch_next_offset(header) - 1,
                  (unsigned long long)batch->position, batch_bytes(header), (int)header->magic,
                  header->crc, codec_name(header->attributes & BATCH_CODEC_MASK),
                  (int)header->record_count);
    output_format(&print->output,
                  "\"baseTimestamp\":%lld,\"maxTimestamp\":%lld,\"leaderEpoch\":%d,"
                  "\"producerId\":%lld,\"producerEpoch\":%d,\"baseSequence\":%d,",
                  (long long)header->base_timestamp_ms, (long long)header->max_timestamp_ms,
                  (int)header->leader_epoch, (long long)header->producer_id,
                  (int)header->producer_epoch, (int)header->base_sequence);
    output_format(&print->output,
                  "\"logAppendTime\":%s,\"transactional\":%s,\"control\":%s,\"aborted\":%s,"
                  "\"deleteHorizon\":%s}\n",
                  yes(header->attributes & BATCH_LOG_APPEND_TIME),
                  yes(header->attributes & BATCH_TRANSACTIONAL),
                  yes(header->attributes & BATCH_CONTROL), yes(batch->aborted),
                  yes(header->attributes & BATCH_DELETE_HORIZON));
}

void dump_print_batch(struct dump_print *print, const struct source_batch *batch)
{
    if (print->json)
        print_batch_json(print, batch);
    else
        print_batch_text(print, batch);
}

/* What a record is besides, as members behind those of the JSON form. */
static void print_extra(struct dump_print *print, const struct source_batch *batch,
                        const struct beck_record *record)
{
    char text[CONTROL_TEXT];

    print->output.used -= 2; /* "}\n" */
    if (batch->header.attributes & BATCH_CONTROL)
        output_format(&print->output, "%s", control_json(record, text));
    if (batch->aborted)
        output_format(&print->output, ",\"aborted\":true");
    output_write(&print->output, "}\n", 2);
}

void dump_print_record(struct dump_print *print, const struct source_batch *batch,
                       const struct beck_record *record)
{
    if (print->indent && !print->json)
        output_write(&print->output, "  ", 2);
    ssize_t size = beck_record_json(record, print->topic, print->partition, NULL, 0);
    char *room = size > 0 ? output_room(&print->output, (size_t)size) : NULL;
    if (room == NULL)
        return;
    (void)beck_record_json(record, print->topic, print->partition, room, (size_t)size);
    output_used(&print->output, (size_t)size);
    if (batch->aborted || (batch->header.attributes & BATCH_CONTROL) != 0)
        print_extra(print, batch, record);
}

void dump_print_damage(struct dump_print *print, const struct source_damage *damage)
{
    if (print->json) {
        begin_json(print);
        output_format(&print->output, "\"damage\":true,\"offset\":%lld,\"position\":%lld}\n",
                      (long long)damage->offset, (long long)damage->position);
    } else {
        begin_text(print);
        output_format(&print->output, "damage at offset %lld position %lld\n",
                      (long long)damage->offset, (long long)damage->position);
    }
    output_flush(&print->output);
}
