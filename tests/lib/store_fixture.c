/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, stores and records for tests of the engine. */
#include "store_fixture.h"

#include "batch.h"
#include "open.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Records of FIXTURE_TIME are old, and are not to be removed for it. */
static const struct beck_config fixture_configs[] = {{"retention.ms", "-1"}};
const struct beck_store_options fixture_options = {
    .map_bytes = FIXTURE_MAP_BYTES, .configs = fixture_configs, .config_count = 1};

static pid_t parent_pid; /* of the process that runs the tests; a child only exits */

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (parent_pid != 0 && getpid() != parent_pid) {
        (void)fprintf(stderr, "%s\n", text);
        _exit(1);
    }
    fail_msg("%s", text);
    abort();
}

ssize_t must_at(ssize_t result, const struct beck_error *error, const char *call, const char *file,
                int line)
{
    if (result < 0)
        give_up("%s:%d: %s: %zd: %s", file, line, call, result,
                error ? error->message : strerror((int)-result));
    return result;
}

/* ---- the folder ---------------------------------------------------------------------------- */

void fixture_begin(struct fixture *fixture)
{
    const char *base = getenv("TMPDIR");
    parent_pid = getpid();
    memset(fixture, 0, sizeof(*fixture));
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "%.40s/beck-test-XXXXXX",
                   base && base[0] ? base : "/tmp");
    if (!mkdtemp(fixture->folder))
        give_up("%s: %s", fixture->folder, strerror(errno));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/store", fixture->folder);
}

void use_memory_disk(void)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
}

void fixture_end(struct fixture *fixture)
{
    fixture_close(fixture);
    folder_remove(fixture->folder);
}

void fixture_close(struct fixture *fixture)
{
    fixture->partition = beck_partition_close(fixture->partition);
    fixture->store = beck_store_close(fixture->store);
}

void fixture_open(struct fixture *fixture)
{
    fixture->store = must_open(fixture->path, 0);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
}

void fixture_reopen(struct fixture *fixture)
{
    bool partition = fixture->partition != NULL;
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, 0);
    if (partition)
        fixture->partition = must_open_partition(fixture->store, "t", 0);
}

int64_t fixture_leave_ten(struct fixture *fixture)
{
    char path[PATH_MAX];
    char value[32];
    for (int i = 0; i < 10; i++) {
        (void)snprintf(value, sizeof(value), "record %d", i);
        assert_int_equal(must_append_at(fixture->partition, value, FIXTURE_TIME + i), i);
    }
    fixture_close(fixture);
    segment_path(fixture, "t", 0, 0, path);
    return file_size(path) / 10;
}

int setup_folder(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (!fixture)
        return -1;
    fixture_begin(fixture);
    *state = fixture;
    return 0;
}

int setup_store(void **state)
{
    if (setup_folder(state) < 0)
        return -1;
    struct fixture *fixture = *state;
    fixture->store = must_open(fixture->path, BECK_OPEN_CREATE);
    return 0;
}

int setup_partition(void **state)
{
    if (setup_store(state) < 0)
        return -1;
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 1, NULL, NULL);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    return 0;
}

int setup_small_segments(void **state)
{
    setup_store(state);
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    return 0;
}

int teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture_end(fixture);
    free(fixture);
    return 0;
}

/* ---- stores and topics --------------------------------------------------------------------- */

struct beck_store *must_open(const char *path, unsigned flags)
{
    struct beck_store *store = NULL;
    struct beck_error error;
    must(beck_store_open(path, flags, &fixture_options, &store, &error), &error);
    return store;
}

struct beck_store *must_open_io(const char *path, unsigned flags, const struct io *io)
{
    struct beck_store *store = NULL;
    struct beck_error error;
    must(store_open(path, flags, &fixture_options, io, &store, &error), &error);
    return store;
}

void must_create_topic(struct beck_store *store, const char *name, uint32_t partitions,
                       const char *config, const char *value)
{
    struct beck_config entry = {.name = config, .value = value};
    struct beck_topic_options options = {
        .partition_count = partitions, .configs = &entry, .config_count = config != NULL};
    struct beck_error error;
    must(beck_topic_create(store, name, &options, NULL, &error), &error);
}

struct beck_partition *must_open_partition(struct beck_store *store, const char *topic,
                                           int32_t number)
{
    struct beck_partition *partition = NULL;
    struct beck_error error;
    must(beck_partition_open(store, topic, number, &partition, &error), &error);
    return partition;
}

struct beck_partition_state must_state(struct beck_partition *partition)
{
    struct beck_partition_state state;
    struct beck_error error;
    must(beck_partition_state(partition, &state, &error), &error);
    return state;
}

/* ---- records ------------------------------------------------------------------------------- */

static int64_t append_record(struct beck_partition *partition, const void *value, size_t size,
                             int64_t timestamp_ms, enum beck_acks acks)
{
    struct beck_batch_builder *builder = NULL;
    struct beck_record record = {
        .key_size = -1, .value = value, .value_size = (int32_t)size, .timestamp_ms = timestamp_ms};
    struct beck_append_result result;
    struct beck_error error;
    const void *batch;
    size_t bytes;
    must(beck_batch_builder_new(BECK_COMPRESSION_NONE, BECK_BATCH_BYTES_LIMIT, &builder, &error),
         &error);
    must(beck_batch_builder_add(builder, &record), NULL);
    must(beck_batch_builder_finish(builder, &batch, &bytes, &error), &error);
    must(beck_append(partition, batch, bytes, acks, &result, &error), &error);
    beck_batch_builder_free(builder);
    return result.base_offset;
}

int64_t must_append(struct beck_partition *partition, const char *value, enum beck_acks acks)
{
    return append_record(partition, value, strlen(value), 0, acks);
}

int64_t must_append_at(struct beck_partition *partition, const char *value, int64_t timestamp_ms)
{
    return append_record(partition, value, strlen(value), timestamp_ms, BECK_ACKS_LEADER);
}

int64_t must_append_bytes(struct beck_partition *partition, size_t size, unsigned seed,
                          enum beck_acks acks)
{
    uint64_t state = seed;
    unsigned char *bytes = malloc(size + 8);
    if (!bytes)
        give_up("out of memory");
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = random_next(&state);
        memcpy(bytes + i, &word, sizeof(word));
    }
    int64_t offset = append_record(partition, bytes, size, 0, acks);
    free(bytes);
    return offset;
}

int append_as(struct beck_partition *partition, const struct sender *sender,
              const struct beck_record *records, uint32_t count, enum beck_acks acks,
              struct beck_append_result *ret_result, struct beck_error *error)
{
    struct beck_batch_builder *builder = NULL;
    struct batch_header header;
    const void *built;
    size_t size;
    must(beck_batch_builder_new(sender->compression, 1 << 20, &builder, error), error);
    for (uint32_t i = 0; i < count; i++)
        if (beck_batch_builder_add(builder, &records[i]) < 0)
            give_up("a record does not fit");
    must(beck_batch_builder_finish(builder, &built, &size, error), error);
    unsigned char *batch = malloc(size);
    if (!batch || batch_header_read(built, size, &header, error) < 0)
        give_up("out of memory");
    memcpy(batch, built, size);
    header.producer_id = sender->producer_id;
    header.producer_epoch = sender->epoch;
    header.base_sequence = sender->sequence;
    batch_header_write(batch, &header);
    header.crc = batch_crc(batch, size);
    batch_header_write(batch, &header);
    int r = beck_append(partition, batch, size, acks, ret_result, error);
    free(batch);
    beck_batch_builder_free(builder);
    return r;
}

int64_t count_records(struct beck_partition *partition, int64_t offset)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int64_t count = 0;
    int64_t last = offset - 1;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    must(beck_reader_seek(reader, offset, &error), &error);
    while (must(beck_reader_next(reader, &record, &error), &error) == 1) {
        if (record.offset <= last)
            give_up("offset %" PRId64 " comes after %" PRId64, record.offset, last);
        last = record.offset;
        count++;
    }
    beck_reader_free(reader);
    return count;
}

void assert_value(struct beck_partition *partition, int64_t offset, const char *value)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    must(beck_reader_seek(reader, offset, &error), &error);
    if (must(beck_reader_next(reader, &record, &error), &error) != 1)
        give_up("there is no record at offset %" PRId64, offset);
    if (record.offset != offset || record.value_size != (int32_t)strlen(value) ||
        memcmp(record.value, value, strlen(value)) != 0)
        give_up("at offset %" PRId64 " stands %" PRId64 " \"%.*s\", not \"%s\"", offset,
                record.offset, record.value_size > 0 ? record.value_size : 0,
                (const char *)record.value, value);
    beck_reader_free(reader);
}

static int note_damage(void *context, const struct beck_damage *found)
{
    *(struct beck_damage *)context = *found;
    return 0;
}

int verify_count(struct beck_store *store, struct beck_damage *ret_last)
{
    struct beck_damage last = {0};
    struct beck_verify_totals totals;
    struct beck_error error;
    int damages = (int)must(
        beck_store_verify(store, NULL, note_damage, NULL, &last, &totals, &error), &error);
    if (ret_last)
        *ret_last = last;
    return damages;
}

/* ---- processes ----------------------------------------------------------------------------- */

void run_and_kill(void (*work)(struct fixture *fixture, struct beck_store *store),
                  struct fixture *fixture)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        work(fixture, must_open(fixture->path, 0));
        (void)raise(SIGKILL);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        give_up("fork: %s", strerror(errno));
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        give_up("the child ended with status %#x before it was killed", (unsigned)status);
}

int run_in_child(int (*check)(struct fixture *fixture), struct fixture *fixture)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(check(fixture));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        give_up("fork: %s", strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- files --------------------------------------------------------------------------------- */

void store_file(const struct fixture *fixture, const char *name, char to[PATH_MAX])
{
    (void)snprintf(to, PATH_MAX, "%s/%s", fixture->path, name);
}

void partition_folder(const struct fixture *fixture, const char *topic, int32_t partition,
                      char to[PATH_MAX])
{
    struct beck_store *store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    struct beck_topic found;
    struct beck_error error;
    char relative[STORE_TOPIC_PATH_BYTES];
    must(beck_topic_find(store, topic, &found, &error), &error);
    beck_store_close(store);
    store_topic_path(relative, found.id, partition);
    store_file(fixture, relative, to);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* The names of the segment files, sorted. */
static int list_segments(const char *folder, char (**ret_names)[SEGMENT_NAME_BYTES])
{
    char(*names)[SEGMENT_NAME_BYTES] = NULL;
    int count = 0;
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    int64_t base;
    while (stream && (entry = readdir(stream))) {
        if (strlen(entry->d_name) != SEGMENT_NAME_BYTES - 1 ||
            segment_name_parse(entry->d_name, &base) < 0)
            continue;
        names = reallocarray(names, (size_t)count + 1, sizeof(*names));
        if (!names)
            give_up("out of memory");
        memcpy(names[count++], entry->d_name, SEGMENT_NAME_BYTES);
    }
    if (stream)
        (void)closedir(stream);
    if (count > 0)
        qsort(names, (size_t)count, sizeof(*names), by_name);
    *ret_names = names;
    return count;
}

int segment_count(const struct fixture *fixture, const char *topic, int32_t partition)
{
    char folder[PATH_MAX];
    char(*names)[SEGMENT_NAME_BYTES];
    partition_folder(fixture, topic, partition, folder);
    int count = list_segments(folder, &names);
    free(names);
    return count;
}

void segment_path(const struct fixture *fixture, const char *topic, int32_t partition, int index,
                  char to[PATH_MAX])
{
    char folder[PATH_MAX];
    char(*names)[SEGMENT_NAME_BYTES];
    partition_folder(fixture, topic, partition, folder);
    int count = list_segments(folder, &names);
    if (index >= count)
        give_up("%s has %d segments, and not one of index %d", folder, count, index);
    (void)snprintf(to, PATH_MAX, "%.*s/%s", PATH_MAX - 30, folder, names[index]);
    free(names);
}

int64_t file_size(const char *path)
{
    struct stat info;
    if (stat(path, &info) < 0)
        give_up("%s: %s", path, strerror(errno));
    return info.st_size;
}

char *file_read(const char *path, size_t *ret_size)
{
    size_t size = (size_t)file_size(path);
    char *bytes = malloc(size + 1);
    FILE *file = fopen(path, "re");
    if (!bytes || !file || fread(bytes, 1, size, file) != size)
        give_up("%s: %s", path, strerror(errno));
    (void)fclose(file);
    bytes[size] = '\0';
    if (ret_size)
        *ret_size = size;
    return bytes;
}

static void write_in(const char *path, const char *mode, int64_t position, const void *bytes,
                     size_t size)
{
    FILE *file = fopen(path, mode);
    if (!file || (position >= 0 && fseeko(file, position, SEEK_SET) < 0) ||
        (size > 0 && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0)
        give_up("%s: %s", path, strerror(errno));
}

void file_write(const char *path, const void *bytes, size_t size)
{
    write_in(path, "we", -1, bytes, size);
}

void file_append(const char *path, const void *bytes, size_t size)
{
    write_in(path, "ae", -1, bytes, size);
}

void file_cut(const char *path, int64_t from_end)
{
    if (truncate(path, file_size(path) - from_end) < 0)
        give_up("%s: %s", path, strerror(errno));
}

void file_flip_many(const char *path, int64_t position, int64_t count)
{
    FILE *file = fopen(path, "r+e");
    uint8_t bytes[1024];
    size_t size = (size_t)count;
    if (!file || size > sizeof(bytes) || fseeko(file, position, SEEK_SET) < 0 ||
        fread(bytes, 1, size, file) != size)
        give_up("%s: %s", path, strerror(errno));
    for (size_t i = 0; i < size; i++)
        bytes[i] ^= 0x10;
    if (fseeko(file, position, SEEK_SET) < 0 || fwrite(bytes, 1, size, file) != size ||
        fclose(file) != 0)
        give_up("%s: %s", path, strerror(errno));
}

void file_flip(const char *path, int64_t position)
{
    file_flip_many(path, position < 0 ? position + file_size(path) : position, 1);
}

static const char *copy_from;
static const char *copy_to;

static int copy_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    char to[PATH_MAX];
    size_t size;
    (void)where;
    (void)snprintf(to, sizeof(to), "%s%s", copy_to, path + strlen(copy_from));
    if (type == FTW_D)
        return mkdir(to, info->st_mode & 07777);
    if (!S_ISREG(info->st_mode)) /* doorbells are made when they are needed */
        return 0;
    char *bytes = file_read(path, &size);
    file_write(to, bytes, size);
    free(bytes);
    return 0;
}

void folder_copy(const char *from, const char *to)
{
    copy_from = from;
    copy_to = to;
    if (nftw(from, copy_one, 16, FTW_PHYS) != 0)
        give_up("%s cannot be copied to %s: %s", from, to, strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

int folder_count(const char *path, const char *ending)
{
    const struct dirent *entry;
    size_t ending_size = strlen(ending);
    int count = 0;
    DIR *folder = opendir(path);
    if (!folder)
        give_up("%s: %s", path, strerror(errno));
    while ((entry = readdir(folder)) != NULL) {
        size_t size = strlen(entry->d_name);
        count += size > ending_size && strcmp(entry->d_name + size - ending_size, ending) == 0;
    }
    (void)closedir(folder);
    return count;
}

void folder_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
