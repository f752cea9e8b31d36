/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record is: the version of its frame, its kind and the kind's version as unsigned varints, then
 * fields in Kafka's flexible encoding. Of TopicRecord, RemoveTopicRecord, ConfigRecord and the ends
 * of transactions (all at version 0) the fields are read; fields that are tagged are passed over.
 * What a transaction that was given up had is forgotten.
 */
#include "kafka_metadata.h"

#include "cleanup.h"
#include "report.h"
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_VERSION = 1,
    TOPIC_RECORD = 2,
    CONFIG_RECORD = 4,
    REMOVE_TOPIC_RECORD = 9,
    BEGIN_TRANSACTION_RECORD = 23,
    END_TRANSACTION_RECORD = 24,
    ABORT_TRANSACTION_RECORD = 25,

    RESOURCE_TOPIC = 2,
    CHANGES_MAX = 1 << 20,
    BYTES_MAX = 256 << 20, /* of all strings */
};

/* A topic's creation (with its id, no name), its end (neither), or a setting; no value: reset. */
struct metadata_change {
    char *topic;
    char *name;
    char *value;
    uint8_t id[BECK_ID_BYTES];
    bool is_creation;
};

static void change_done(struct metadata_change *change)
{
    free(change->topic);
    free(change->name);
    free(change->value);
}

static void forget_behind(struct kafka_metadata *metadata, size_t count)
{
    while (metadata->count > count)
        change_done(&metadata->changes[--metadata->count]);
}

void kafka_metadata_done(struct kafka_metadata *metadata)
{
    forget_behind(metadata, 0);
    free(metadata->changes);
    *metadata = (struct kafka_metadata){0};
}

/* ---- fields ------------------------------------------------------------------------------- */

/* What is left of a record; once something is not there, nothing is. */
struct fields {
    const uint8_t *at;
    size_t left;
    bool is_bad;
};

static const uint8_t *take(struct fields *fields, size_t size)
{
    const uint8_t *at = fields->at;

    if (fields->is_bad || size > fields->left) {
        fields->is_bad = true;
        return NULL;
    }
    fields->at += size;
    fields->left -= size;
    return at;
}

static uint32_t take_varint(struct fields *fields)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint8_t *byte = take(fields, 1);
        if (byte == NULL)
            return 0;
        number |= (uint64_t)(*byte & 0x7f) << shift;
        if ((*byte & 0x80) == 0 && number <= UINT32_MAX)
            return (uint32_t)number;
    }
    fields->is_bad = true;
    return 0;
}

static uint8_t take_byte(struct fields *fields)
{
    const uint8_t *byte = take(fields, 1);

    return byte != NULL ? *byte : 0;
}

static void take_id(struct fields *fields, uint8_t ret_id[BECK_ID_BYTES])
{
    const uint8_t *id = take(fields, BECK_ID_BYTES);

    if (id != NULL)
        memcpy(ret_id, id, BECK_ID_BYTES);
}

/* A string of our own, to be freed; NULL: null, or it is bad, or there is no memory. */
static char *take_string(struct fields *fields, int *result)
{
    uint32_t length = take_varint(fields);
    const uint8_t *bytes = length > 0 ? take(fields, length - 1) : NULL;

    if (bytes == NULL)
        return NULL;
    if (memchr(bytes, '\0', length - 1) != NULL) {
        fields->is_bad = true;
        return NULL;
    }
    char *copy = strndup((const char *)bytes, length - 1);
    if (copy == NULL)
        *result = -ENOMEM;
    return copy;
}

/* ---- records ------------------------------------------------------------------------------ */

static size_t length_of(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* Takes over what the change has, also where it fails. */
static int add_change(struct kafka_metadata *metadata, struct metadata_change *change)
{
    size_t count = metadata->count;
    size_t bytes = length_of(change->topic) + length_of(change->name) + length_of(change->value);
    int result = 0;

    if (count == CHANGES_MAX || bytes > BYTES_MAX - metadata->bytes)
        result = -EMSGSIZE;
    if (result == 0 && (count & (count - 1)) == 0) {
        struct metadata_change *larger =
            reallocarray(metadata->changes, count > 0 ? 2 * count : 1, sizeof(*larger));
        if (larger == NULL)
            result = -ENOMEM;
        else
            metadata->changes = larger;
    }
    if (result < 0) {
        change_done(change);
        return result;
    }
    metadata->changes[metadata->count++] = *change;
    metadata->bytes += bytes;
    return 0;
}

static int take_topic(struct kafka_metadata *metadata, struct fields *fields)
{
    struct metadata_change change = {.is_creation = true};
    int result = 0;

    change.topic = take_string(fields, &result);
    take_id(fields, change.id);
    if (result == 0 && (fields->is_bad || change.topic == NULL))
        result = -EBADMSG;
    if (result < 0) {
        change_done(&change);
        return result;
    }
    return add_change(metadata, &change);
}

static int take_end(struct kafka_metadata *metadata, struct fields *fields)
{
    struct metadata_change change = {0};

    take_id(fields, change.id);
    if (fields->is_bad)
        return -EBADMSG;
    for (size_t i = metadata->count; i-- > 0;) {
        const struct metadata_change *made = &metadata->changes[i];
        if (!made->is_creation || memcmp(made->id, change.id, sizeof(change.id)) != 0)
            continue;
        change.topic = strdup(made->topic);
        return change.topic != NULL ? add_change(metadata, &change) : -ENOMEM;
    }
    return 0;
}

static int take_setting(struct kafka_metadata *metadata, struct fields *fields)
{
    struct metadata_change change = {0};
    int result = 0;

    uint8_t resource = take_byte(fields);
    if (!fields->is_bad && resource != RESOURCE_TOPIC)
        return 0;
    change.topic = take_string(fields, &result);
    change.name = take_string(fields, &result);
    change.value = take_string(fields, &result);
    if (result == 0 && (fields->is_bad || change.topic == NULL || change.name == NULL))
        result = -EBADMSG;
    if (result < 0) {
        change_done(&change);
        return result;
    }
    return add_change(metadata, &change);
}

static int take_kind(struct kafka_metadata *metadata, uint32_t kind, struct fields *fields)
{
    switch (kind) {
    case TOPIC_RECORD:
        return take_topic(metadata, fields);
    case REMOVE_TOPIC_RECORD:
        return take_end(metadata, fields);
    case CONFIG_RECORD:
        return take_setting(metadata, fields);
    case BEGIN_TRANSACTION_RECORD:
        metadata->in_transaction = metadata->count;
        return 0;
    case ABORT_TRANSACTION_RECORD:
        if (metadata->in_transaction < metadata->count)
            forget_behind(metadata, metadata->in_transaction);
        metadata->in_transaction = SIZE_MAX;
        return 0;
    case END_TRANSACTION_RECORD:
        metadata->in_transaction = SIZE_MAX;
        return 0;
    default:
        return 0;
    }
}

static bool is_read(uint32_t kind)
{
    return kind == TOPIC_RECORD || kind == CONFIG_RECORD || kind == REMOVE_TOPIC_RECORD ||
           (kind >= BEGIN_TRANSACTION_RECORD && kind <= ABORT_TRANSACTION_RECORD);
}

int kafka_metadata_take(struct kafka_metadata *metadata, const void *value, size_t size,
                        struct beck_error *error)
{
    struct fields fields = {.at = value, .left = size};

    uint32_t frame = take_varint(&fields);
    uint32_t kind = take_varint(&fields);
    uint32_t version = take_varint(&fields);
    if (fields.is_bad)
        return report(error, -EBADMSG, "a record of the metadata is cut short");
    if (frame != FRAME_VERSION || (version != 0 && is_read(kind)))
        return report(error, -EPROTONOSUPPORT,
                      "a record of the metadata has frame %u and is of kind %u, version %u: only "
                      "frame 1 and version 0 are known",
                      frame, kind, version);
    int result = take_kind(metadata, kind, &fields);
    return result < 0 ? report_errno(error, result, "a record of the metadata, of kind %u", kind)
                      : 0;
}

/* ---- files -------------------------------------------------------------------------------- */

/* "00000000000000000123-0000000004.checkpoint": 123; else -1. */
static int64_t snapshot_offset(const char *name)
{
    if (strspn(name, "0123456789") != 20 || name[20] != '-' ||
        strspn(name + 21, "0123456789") != 10 || strcmp(name + 31, ".checkpoint") != 0)
        return -1;
    errno = 0;
    long long offset = strtoll(name, NULL, 10);
    return errno == 0 ? offset : -1;
}

/* The newest snapshot in a folder; of one offset, that of the newest epoch. */
static int find_snapshot(const char *folder, char ret_name[64], int64_t *ret_offset)
{
    const struct dirent *found;

    *ret_offset = -1;
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return -errno;
    while ((found = readdir(listing)) != NULL) {
        int64_t offset = snapshot_offset(found->d_name);
        if (offset < 0 || offset < *ret_offset ||
            (offset == *ret_offset && strcmp(found->d_name, ret_name) < 0))
            continue;
        (void)snprintf(ret_name, 64, "%.63s", found->d_name);
        *ret_offset = offset;
    }
    (void)closedir(listing);
    return 0;
}

static int take_batch(struct kafka_metadata *metadata, const struct segment_step *step,
                      struct source_records *records, struct beck_error *error)
{
    const struct batch_header *header = &step->summary.header;
    struct beck_record record;

    if ((header->attributes & BATCH_CONTROL) != 0)
        return 0;
    int result = source_records_begin(records, header, step->batch);
    while (result >= 0 && (result = record_next(&records->iterator, &record)) > 0) {
        if (record.value_size < 0)
            continue;
        result = kafka_metadata_take(metadata, record.value, (size_t)record.value_size, error);
        if (result < 0)
            return result;
    }
    return result < 0 ? report_errno(error, result, "a batch of the metadata") : 0;
}

/* All batches from an offset on. */
static int take_segments(struct kafka_metadata *metadata, struct segments *segments, int64_t from,
                         struct beck_error *error)
{
    struct source_records records = {0};
    const struct segment_entry *entry;
    struct segment_step step;
    int result;

    while ((result = segments_next(segments, &step, &entry, error)) > 0) {
        if (batch_next_offset(&step.summary.header) <= from)
            continue;
        result = take_batch(metadata, &step, &records, error);
        if (result < 0) {
            report_prefix(error, "%s", entry->path);
            break;
        }
    }
    source_records_done(&records);
    return result;
}

static int take_snapshot(struct kafka_metadata *metadata, const char *folder, const char *name,
                         struct beck_error *error)
{
    _cleanup_free_ char *path = NULL;
    struct segments segments = {0};

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return report(error, -ENOMEM, "not enough memory");
    }
    int result = segments_add(&segments, path, -1);
    result = result < 0 ? report_errno(error, result, "cannot open %s", path)
                        : take_segments(metadata, &segments, 0, error);
    segments_done(&segments);
    return result;
}

int kafka_metadata_load(const struct kafka_dir *dir, struct kafka_metadata *ret_metadata,
                        struct beck_error *error)
{
    ssize_t at = kafka_dir_find(dir, "__cluster_metadata", 0);
    char name[64] = "";
    int64_t from = -1;

    *ret_metadata = (struct kafka_metadata){.in_transaction = SIZE_MAX};
    if (at < 0)
        return 0;
    const struct kafka_partition *partition = &dir->partitions[at];
    _cleanup_free_ char *folder = kafka_dir_file(dir, partition, NULL);
    if (folder == NULL)
        return report(error, -ENOMEM, "not enough memory");
    struct segments segments = {0};
    int result = find_snapshot(folder, name, &from);
    if (result < 0)
        return report_errno(error, result, "cannot read the directory %s", folder);
    if (from >= 0)
        result = take_snapshot(ret_metadata, folder, name, error);
    if (result == 0)
        result = kafka_dir_segments(dir, partition, &segments, error);
    if (result == 0)
        result = take_segments(ret_metadata, &segments, from, error);
    segments_done(&segments);
    return result < 0 ? result : 1;
}

/* ---- asking ------------------------------------------------------------------------------- */

/* Is it the last word on that? */
static bool holds(const struct kafka_metadata *metadata, size_t at)
{
    const struct metadata_change *change = &metadata->changes[at];

    for (size_t i = at + 1; i < metadata->count; i++) {
        const struct metadata_change *later = &metadata->changes[i];
        if (strcmp(later->topic, change->topic) == 0 &&
            (later->name == NULL ? !later->is_creation : strcmp(later->name, change->name) == 0))
            return false;
    }
    return true;
}

int kafka_metadata_next(const struct kafka_metadata *metadata, const char *topic, size_t *at,
                        const char **ret_name, const char **ret_value)
{
    while (*at < metadata->count) {
        const struct metadata_change *change = &metadata->changes[(*at)++];
        if (change->name == NULL || change->value == NULL || strcmp(change->topic, topic) != 0 ||
            !holds(metadata, *at - 1))
            continue;
        *ret_name = change->name;
        *ret_value = change->value;
        return 1;
    }
    return 0;
}
