/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transactions that the walk is inside of are few, one for each producer at most, so they are
 * kept in an array without order.
 */
#include "cleaned_transactions.h"

#include "bytes.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ongoing_transaction {
    int64_t producer_id;
    bool is_aborted;
    bool has_batches; /* the walk met some of it */
};

int control_type_read(const void *batch, size_t size, enum control_type *ret_type)
{
    struct batch_header header;
    struct record_iterator iterator;
    struct beck_record record;
    int result = batch_header_read(batch, size, &header, NULL);
    if (result < 0)
        return result;
    if (header.record_count == 0)
        return -ENODATA;
    *ret_type = CONTROL_OTHER;
    if ((header.attributes & BATCH_CODEC_MASK) != 0)
        return 0; /* nobody writes them so */
    record_iterator_init(&iterator, &header, (const uint8_t *)batch + BATCH_HEADER_BYTES,
                         size - BATCH_HEADER_BYTES);
    /* The key: a version and the type, two bytes each (KIP-98). */
    if (record_next(&iterator, &record) != 1 || record.key == NULL || record.key_size < 4)
        return 0;
    int16_t version = (int16_t)load_be16(record.key);
    uint16_t type = load_be16((const uint8_t *)record.key + 2);
    if (version >= 0 && type <= CONTROL_COMMIT)
        *ret_type = type == 0 ? CONTROL_ABORT : CONTROL_COMMIT;
    return 0;
}

int cleaned_transactions_copy(struct cleaned_transactions *to,
                              const struct cleaned_transactions *from)
{
    struct ongoing_transaction *ongoing = NULL;
    if (from->ongoing_count > 0) {
        ongoing = malloc(from->ongoing_count * sizeof(*ongoing));
        if (ongoing == NULL)
            return -ENOMEM;
        memcpy(ongoing, from->ongoing, from->ongoing_count * sizeof(*ongoing));
    }
    *to = *from;
    to->ongoing = ongoing;
    to->ongoing_room = from->ongoing_count;
    return 0;
}

void cleaned_transactions_done(struct cleaned_transactions *transactions)
{
    free(transactions->ongoing);
    *transactions = (struct cleaned_transactions){0};
}

static struct ongoing_transaction *find(struct cleaned_transactions *transactions,
                                        int64_t producer_id, bool is_aborted)
{
    for (size_t i = 0; i < transactions->ongoing_count; i++) {
        struct ongoing_transaction *ongoing = &transactions->ongoing[i];
        if (ongoing->producer_id == producer_id && ongoing->is_aborted == is_aborted)
            return ongoing;
    }
    return NULL;
}

static int begin(struct cleaned_transactions *transactions, int64_t producer_id, bool is_aborted)
{
    if (find(transactions, producer_id, is_aborted) != NULL)
        return 0;
    if (transactions->ongoing_count == transactions->ongoing_room) {
        size_t room = transactions->ongoing_room > 0 ? 2 * transactions->ongoing_room : 16;
        struct ongoing_transaction *grown =
            reallocarray(transactions->ongoing, room, sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        transactions->ongoing = grown;
        transactions->ongoing_room = room;
    }
    transactions->ongoing[transactions->ongoing_count++] = (struct ongoing_transaction){
        .producer_id = producer_id, .is_aborted = is_aborted, .has_batches = !is_aborted};
    return 0;
}

/* End one. Returns whether there was one of which the walk met batches. */
static bool end(struct cleaned_transactions *transactions, int64_t producer_id, bool is_aborted)
{
    struct ongoing_transaction *ongoing = find(transactions, producer_id, is_aborted);
    if (ongoing == NULL)
        return false;
    bool has_batches = ongoing->has_batches;
    *ongoing = transactions->ongoing[--transactions->ongoing_count];
    return has_batches;
}

/* Take up the aborted ones that begin no later than here. */
static int come_to(struct cleaned_transactions *transactions, int64_t last_offset)
{
    int result = 0;
    while (result == 0 && transactions->aborted_next < transactions->aborted_count &&
           transactions->aborted[transactions->aborted_next].first_offset <= last_offset)
        result = begin(transactions,
                       transactions->aborted[transactions->aborted_next++].producer_id, true);
    return result;
}

static int visit_control(struct cleaned_transactions *transactions,
                         const struct batch_header *header, const void *batch, size_t size)
{
    enum control_type type;
    int result = control_type_read(batch, size, &type);
    if (result == -ENODATA)
        return 1; /* cleaned before, and kept for its producer's sake */
    if (result < 0 || type == CONTROL_OTHER)
        return result;
    return !end(transactions, header->producer_id, type == CONTROL_ABORT);
}

int cleaned_transactions_visit(struct cleaned_transactions *transactions,
                               const struct batch_header *header, const void *batch, size_t size)
{
    if (transactions->is_unknown)
        return (header->attributes & (BATCH_CONTROL | BATCH_TRANSACTIONAL)) != 0 ? -EAGAIN : 0;
    int result = come_to(transactions, batch_next_offset(header) - 1);
    if (result < 0)
        return result;
    if ((header->attributes & BATCH_CONTROL) != 0)
        return visit_control(transactions, header, batch, size);
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        return 0;
    struct ongoing_transaction *aborted = find(transactions, header->producer_id, true);
    if (aborted == NULL)
        return begin(transactions, header->producer_id, false);
    aborted->has_batches = true;
    return 1;
}
