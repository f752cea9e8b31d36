/* SPDX-License-Identifier: Apache-2.0 */
/* The plain array. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *memory, size_t *room, size_t wanted, size_t each)
{
    if (wanted <= *room)
        return memory;
    while (*room < wanted)
        *room = *room ? 2 * *room : 1024;
    memory = reallocarray(memory, *room, each);
    if (!memory)
        abort();
    return memory;
}

void model_done(struct model *model)
{
    free(model->records);
    free(model->view);
    *model = (struct model){0};
}

void model_add(struct model *model, const struct beck_record *record, int32_t key)
{
    size_t size = record->value_size > 0 ? (size_t)record->value_size : 0;
    model->records =
        grow(model->records, &model->room, model->count + 1, sizeof(model->records[0]));
    model->view = grow(model->view, &model->view_room, model->view_bytes + size + 1, 1);
    model->records[model->count++] = (struct model_record){
        .timestamp_ms = record->timestamp_ms,
        .view_begin = model->view_bytes,
        .value_size = record->value_size,
        .key = key,
    };
    if (size > 0)
        memcpy(model->view + model->view_bytes, record->value, size);
    model->view_bytes += size;
    model->view[model->view_bytes++] = '\n';
}

void model_add_gap(struct model *model, uint32_t count)
{
    model->records =
        grow(model->records, &model->room, model->count + count, sizeof(model->records[0]));
    for (uint32_t i = 0; i < count; i++)
        model->records[model->count++] =
            (struct model_record){.view_begin = model->view_bytes, .key = -1, .is_gone = true};
}

void model_appended(struct model *model, enum beck_acks acks)
{
    int64_t end = (int64_t)model->count;
    if (acks == BECK_ACKS_ALL)
        model->pending = end;
    else if (model->pending <= model->high)
        model->high = end;
}

void model_synced(struct model *model)
{
    model->synced = model->high = (int64_t)model->count;
}

void model_trim(struct model *model, int64_t offset)
{
    if (offset > model->start)
        model->start = offset;
}

void model_compacted(struct model *model)
{
    size_t bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        struct model_record *record = &model->records[i];
        size_t end = i + 1 < model->count ? model->records[i + 1].view_begin : model->view_bytes;
        size_t size = record->is_gone ? 0 : end - record->view_begin;
        if (size > 0)
            memmove(model->view + bytes, model->view + record->view_begin, size);
        record->view_begin = bytes;
        bytes += size;
    }
    model->view_bytes = bytes;
    model->has_holes = true;
}

int64_t model_next(const struct model *model, int64_t offset)
{
    while (offset < model->high && model->records[offset].is_gone)
        offset++;
    return offset;
}

static size_t view_at(const struct model *model, int64_t offset)
{
    return (size_t)offset == model->count ? model->view_bytes : model->records[offset].view_begin;
}

size_t model_view_begin(const struct model *model)
{
    return view_at(model, model->start);
}

size_t model_view_bytes(const struct model *model)
{
    return view_at(model, model->high) - view_at(model, model->start);
}

int64_t model_find_time(const struct model *model, int64_t timestamp_ms)
{
    for (int64_t i = model->start; i < model->high; i++)
        if (!model->records[i].is_gone && model->records[i].timestamp_ms >= timestamp_ms)
            return i;
    return -1;
}

int64_t model_find_max_time(const struct model *model)
{
    int64_t found = -1;
    for (int64_t i = model->start; i < model->high; i++)
        if (!model->records[i].is_gone &&
            (found < 0 || model->records[i].timestamp_ms > model->records[found].timestamp_ms))
            found = i;
    return found;
}
