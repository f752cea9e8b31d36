/* SPDX-License-Identifier: Apache-2.0 */
/* Appending: as anybody, as a producer that sends some again, and with offsets of another log. */
#include "run.h"

#include "batch.h"
#include "bytes.h"

/* Keys of all sizes from 0 on; some of the short ones are the same. */
const struct key *make_keys(const char *buffer)
{
    static struct key keys[KEYS];
    for (int32_t i = 0; i < KEYS; i++) {
        keys[i] = (struct key){.bytes = buffer + (size_t)i * 31, .size = i % 24, .number = i};
        for (int32_t j = i - 1; j >= 0; j--)
            if (keys[j].size == keys[i].size &&
                memcmp(keys[j].bytes, keys[i].bytes, (size_t)keys[i].size) == 0)
                keys[i].number = j;
    }
    return keys;
}

/* Returns the key's number. */
static int32_t fill_record(struct run *run, struct beck_record *record)
{
    uint32_t size = below(run, 40) == 0   ? below(run, 150 * run->value_most)
                    : below(run, 10) == 0 ? 0
                                          : below(run, run->value_most);
    const struct key *key = &run->keys[below(run, KEYS)];
    *record = (struct beck_record){
        .timestamp_ms = FIXTURE_TIME + (int64_t)run->operation * 10 + below(run, 200) -
                        (below(run, 50) == 0 ? 50000 : 0),
        .value = run->buffer + below(run, BUFFER_BYTES / 2),
        .value_size = below(run, 20) == 0 ? -1 : (int32_t)size,
        .key = key->bytes,
        .key_size = key->size,
    };
    if (run->is_compacted || below(run, 20) > 0)
        return key->number;
    record->key_size = -1;
    return -1;
}

static enum beck_compression codec(struct run *run)
{
    return (enum beck_compression)(run->codecs == 5 ? below(run, 5) : run->codecs);
}

/* A compacted topic takes no record without a key. */
static void append_without_key(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_append_result result;
    struct beck_record records[2];
    (void)fill_record(run, &records[0]);
    (void)fill_record(run, &records[1]);
    records[below(run, 2)].key_size = -1;
    run->doing = "append without a key";
    int r = beck_produce(f->partition, records, 2, BECK_ACKS_LEADER, &result, &f->error);
    if (r != -ENOKEY)
        differs(run, "%d where a record has no key", r);
}

void append(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    const void *batch;
    size_t size;
    uint32_t count = 1 + below(run, RECORDS_MOST);
    enum beck_acks acks = below(run, 4) == 0 ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    int64_t base = (int64_t)run->model.count;
    if (run->is_compacted && below(run, 50) == 0)
        append_without_key(run);
    run->doing = "append";
    check(run, beck_batch_builder_new(codec(run), 1 << 20, &builder, &f->error));
    for (uint32_t i = 0; i < count; i++) {
        struct beck_record record;
        int32_t key = fill_record(run, &record);
        int r = beck_batch_builder_add(builder, &record);
        if (r == -EMSGSIZE)
            break;
        check(run, r);
        model_add(&run->model, &record, key);
    }
    check(run, beck_batch_builder_finish(builder, &batch, &size, &f->error));
    check(run, beck_append(f->partition, batch, size, acks, &result, &f->error));
    beck_batch_builder_free(builder);
    model_appended(&run->model, acks);
    if (result.base_offset != base || result.next_offset != (int64_t)run->model.count)
        differs(run, "offsets %" PRId64 " to %" PRId64 ", not %" PRId64 " to %zu",
                result.base_offset, result.next_offset, base, run->model.count);
}

/* A batch with its offsets, as of another log, and offsets before it that no record has. */
void append_at(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_append_result result;
    struct beck_batch_builder *builder = NULL;
    struct beck_record record;
    uint8_t *bytes = (uint8_t *)run->buffer + BUFFER_BYTES;
    const void *batch;
    size_t size;
    uint32_t gap = 1 + below(run, 50);
    enum beck_acks acks = below(run, 4) == 0 ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    struct batch_header none = {.base_offset = (int64_t)run->model.count,
                                .length = BATCH_HEADER_BYTES - BATCH_LENGTH_END,
                                .magic = BATCH_MAGIC,
                                .last_offset_delta = (int32_t)gap - 1,
                                .base_timestamp_ms = -1,
                                .max_timestamp_ms = -1,
                                .producer_id = -1,
                                .producer_epoch = -1,
                                .base_sequence = -1};
    run->doing = "append at an offset";
    batch_header_write(bytes, &none);
    none.crc = batch_crc(bytes, BATCH_HEADER_BYTES);
    batch_header_write(bytes, &none);
    check(run, beck_append_at(f->partition, bytes, BATCH_HEADER_BYTES, acks, &result, &f->error));
    model_add_gap(&run->model, gap);
    model_appended(&run->model, acks);

    int32_t key = fill_record(run, &record);
    check(run, beck_batch_builder_new(codec(run), 1 << 20, &builder, &f->error));
    check(run, beck_batch_builder_add(builder, &record));
    check(run, beck_batch_builder_finish(builder, &batch, &size, &f->error));
    memcpy(bytes, batch, size);
    beck_batch_builder_free(builder);
    store_be64(bytes, (uint64_t)run->model.count + 1);
    if (beck_append_at(f->partition, bytes, size, acks, &result, &f->error) != -ERANGE)
        differs(run, "no -ERANGE at the offset after the next");
    store_be64(bytes, (uint64_t)run->model.count);
    check(run, beck_append_at(f->partition, bytes, size, acks, &result, &f->error));
    if (result.base_offset != (int64_t)run->model.count)
        differs(run, "offset %" PRId64 ", not %zu", result.base_offset, run->model.count);
    model_add(&run->model, &record, key);
    model_appended(&run->model, acks);
}

/* A batch of a producer: the next, one of the last, or one that cannot be. */
void append_for_producer(struct run *run)
{
    struct fixture *f = &run->fixture;
    struct beck_append_result result;
    struct beck_record records[RECORDS_MOST];
    int32_t keys[RECORDS_MOST];
    uint32_t producer = below(run, PRODUCERS);
    struct sent *sent = run->sent[producer];
    enum beck_acks acks = below(run, 4) == 0 ? BECK_ACKS_ALL : BECK_ACKS_LEADER;
    uint32_t choice = below(run, 10);
    uint32_t again = below(run, BATCHES);
    struct sent batch = {.count = 1 + below(run, RECORDS_MOST),
                         .offset = (int64_t)run->model.count};
    bool is_again = choice < 3 && sent[again].count > 0;
    bool is_gap = choice == 3 && sent[0].count > 0;
    run->doing = is_again ? "append again"
                 : is_gap ? "append after a gap"
                          : "append for a producer";
    batch.sender = (struct sender){
        .producer_id = producer, .epoch = sent[0].sender.epoch, .compression = codec(run)};
    if (choice == 4 && sent[0].count > 0)
        batch.sender.epoch++;
    else if (sent[0].count > 0)
        batch.sender.sequence = sent[0].sender.sequence + (int32_t)sent[0].count + 7 * is_gap;
    if (is_again)
        batch = sent[again];
    for (uint32_t i = 0; i < batch.count; i++) {
        keys[i] = fill_record(run, &records[i]);
        records[i].value_size = records[i].value_size > 2000 ? 2000 : records[i].value_size;
    }
    int r = append_as(f->partition, &batch.sender, records, batch.count, acks, &result, &f->error);
    if (is_gap) {
        if (r != -EILSEQ)
            differs(run, "%d where a sequence is left out", r);
        return;
    }
    check(run, r);
    if (result.duplicate != is_again || result.base_offset != batch.offset)
        differs(run, "offset %" PRId64 " (known: %d), not %" PRId64 " (%d)", result.base_offset,
                result.duplicate, batch.offset, is_again);
    if (is_again)
        return;
    for (uint32_t i = 0; i < batch.count; i++)
        model_add(&run->model, &records[i], keys[i]);
    model_appended(&run->model, acks);
    if (batch.sender.epoch != sent[0].sender.epoch)
        memset(sent, 0, sizeof(run->sent[0]));
    memmove(sent + 1, sent, (BATCHES - 1) * sizeof(*sent));
    sent[0] = batch;
}
