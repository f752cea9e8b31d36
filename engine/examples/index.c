/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index of a store: for each word in the values of a topic's partition 0, the offsets of the
 * records that have it. It goes on where it ended: the words are in memory here, a program that
 * keeps them would keep the next offset with them, in the same transaction.
 *
 *     cc index.c -o index $(pkg-config --cflags --libs libbeck)
 *     ./index STORE TOPIC WORD
 */
#include <beck.h>
#include <err.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    char text[64];
    int64_t *offsets;
    size_t count;
};

static void *words; /* a tree, by tsearch(3) */

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct word *)left)->text, ((const struct word *)right)->text);
}

static void add(const char *text, size_t size, int64_t offset)
{
    struct word *word = calloc(1, sizeof(*word));
    if (!word)
        err(1, "index");
    (void)snprintf(word->text, sizeof(word->text), "%.*s", (int)size, text);
    struct word **found = tsearch(word, &words, compare);
    if (!found)
        err(1, "index");
    if (*found != word)
        free(word);
    word = *found;
    if (word->count > 0 && word->offsets[word->count - 1] == offset)
        return;
    word->offsets = realloc(word->offsets, (word->count + 1) * sizeof(*word->offsets));
    if (!word->offsets)
        err(1, "index");
    word->offsets[word->count++] = offset;
}

static void add_record(const struct beck_record *record)
{
    const char *text = record->value;
    size_t begin = 0;
    size_t size = record->value_size > 0 ? (size_t)record->value_size : 0;

    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] != ' ')
            continue;
        if (i > begin)
            add(text + begin, i - begin, record->offset);
        begin = i + 1;
    }
}

/* Take in what there is; returns the offset to go on from. */
static int64_t take_in(struct beck_partition *partition, int64_t offset)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int r = beck_reader_new(partition, BECK_READ_COMMITTED, &reader, &error);

    if (r == 0)
        r = beck_reader_seek(reader, offset, &error);
    while (r >= 0 && (r = beck_reader_next(reader, &record, &error)) == 1) {
        add_record(&record);
        offset = record.offset + 1;
    }
    if (r < 0)
        errx(1, "%s", error.message);
    beck_reader_free(reader);
    return offset;
}

int main(int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct beck_partition_state state;
    struct beck_error error;
    struct word wanted = {.text = ""};

    if (argc != 4)
        errx(2, "usage: index STORE TOPIC WORD");
    /* Looking needs the right to read only, and changes nothing. */
    if (beck_store_open(argv[1], BECK_OPEN_READ_ONLY, NULL, &store, &error) < 0 ||
        beck_partition_open(store, argv[2], 0, &partition, &error) < 0 ||
        beck_partition_state(partition, &state, &error) < 0)
        errx(1, "%s", error.message);
    (void)take_in(partition, state.log_start_offset);
    (void)snprintf(wanted.text, sizeof(wanted.text), "%s", argv[3]);
    struct word **found = tfind(&wanted, &words, compare);
    for (size_t i = 0; found && i < (*found)->count; i++)
        printf("%lld\n", (long long)(*found)->offsets[i]);
    beck_partition_close(partition);
    beck_store_close(store);
    return found ? 0 : 1;
}
