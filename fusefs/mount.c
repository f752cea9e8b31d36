/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mount; see mount.h. In order: the store is opened (which recovers it where needed), the
 * session is made and mounted, the keeper starts, requests are answered. Backwards at the end:
 * unmount, complete the lines of files that are open still, stop the keeper, close the store.
 *
 * libfuse and fusermount3 print their reasons on stderr themselves. While they mount, their words
 * are caught, so that the user sees one sentence that has them.
 */
#include "mount.h"
#include "file.h"
#include "logger.h"
#include "ops.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define CAUGHT_BYTES_MAX 400

/* ---- starting ----------------------------------------------------------------------------- */

static int say_error(const struct beck_error *error, const char *what)
{
    fprintf(stderr, "beckfs: %s: %s\n", what, error->message);
    return error->code;
}

static int store_open(struct fs *fs, const struct options *options)
{
    struct beck_error error;
    const struct beck_store_options how = {.map_bytes = (uint64_t)options->map_mib << 20};
    int result = beck_store_open(options->store, 0, &how, &fs->store, &error);
    if ((result == -EACCES || result == -EROFS || result == -EPERM) && options->read_only)
        result = beck_store_open(options->store, BECK_OPEN_READ_ONLY, &how, &fs->store, &error);
    if (result == -EACCES && !options->read_only) {
        fprintf(stderr, "beckfs: %s; a store that may only be read can be mounted with -o ro\n",
                error.message);
        return result;
    }
    return result < 0 ? say_error(&error, "the store cannot be opened") : 0;
}

/* Say once what recovery had to cut, where somebody may see it. */
static void recovery_say(struct fs *fs)
{
    struct beck_recovery entry;
    uint32_t count = 0;
    while (beck_store_recovery(fs->store, count, &entry, NULL) > 0) {
        logger_say(
            LOG_WARNING,
            "recovery cut %llu bytes off topic %s partition %d, which now ends at offset %lld: "
            "%s",
            (unsigned long long)entry.truncated_bytes, entry.topic, (int)entry.partition,
            (long long)entry.next_offset, entry.reason);
        count++;
    }
    if (count > 0 && !fs->read_only)
        (void)beck_store_recovery_forget(fs->store, NULL);
}

__attribute__((format(printf, 2, 0))) static void fuse_message(enum fuse_log_level level,
                                                               const char *format,
                                                               va_list arguments)
{
    char message[512];
    int bytes = vsnprintf(message, sizeof(message), format, arguments);
    if (bytes > 0 && (size_t)bytes < sizeof(message) && message[bytes - 1] == '\n')
        message[bytes - 1] = '\0';
    logger_say((int)level, "%s", message);
}

/* Send stderr into memory; returns what it was, -1 where that cannot be done. */
static int stderr_catch(int *ret_memory)
{
    int memory = memfd_create("beckfs-stderr", MFD_CLOEXEC);
    int before = memory < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (before < 0 || dup2(memory, STDERR_FILENO) < 0) {
        if (before >= 0)
            close(before);
        if (memory >= 0)
            close(memory);
        return -1;
    }
    *ret_memory = memory;
    return before;
}

/* Give stderr back; `words` gets what was said meanwhile, the last line. */
static void stderr_release(int before, int memory, char *words, size_t words_size)
{
    words[0] = '\0';
    if (before < 0)
        return;
    (void)dup2(before, STDERR_FILENO);
    close(before);
    ssize_t bytes = pread(memory, words, words_size - 1, 0);
    close(memory);
    words[bytes > 0 ? bytes : 0] = '\0';
    size_t length = strcspn(words, "\n");
    words[length] = '\0';
}

static int session_start(struct fs *fs, struct options *options, struct fuse_session **ret_session)
{
    int memory = -1;
    int before = stderr_catch(&memory);
    errno = 0;
    struct fuse_session *session =
        fuse_session_new(&options->fuse, &ops_table, sizeof(ops_table), fs);
    bool mounted = session != NULL && fuse_session_mount(session, options->mountpoint) == 0;
    int code = errno;
    char words[CAUGHT_BYTES_MAX];
    stderr_release(before, memory, words, sizeof(words));
    if (mounted) {
        *ret_session = session;
        return 0;
    }
    if (words[0] == '\0')
        (void)snprintf(words, sizeof(words), "%s", code != 0 ? strerror(code) : "no reason given");
    fprintf(stderr, "beckfs: %s cannot be mounted on %s: %s\n", options->store, options->mountpoint,
            strncmp(words, "beckfs: ", 8) == 0 ? words + 8 : words);
    if (session != NULL)
        fuse_session_destroy(session);
    return code != 0 ? -code : -EIO;
}

/* ---- running ------------------------------------------------------------------------------ */

void mount_is_up(struct fs *fs)
{
    if (fs->ready_fd < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    logger_to_syslog();
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        close(null);
    }
    if (write(fs->ready_fd, "+", 1) < 0)
        logger_say(LOG_NOTICE, "who started the mount is gone");
    close(fs->ready_fd);
    fs->ready_fd = -1;
}

static int session_serve(struct fs *fs, struct fuse_session *session)
{
    int result = fuse_set_signal_handlers(session) < 0 ? -EINVAL : 0;
    struct beck_store_info info;
    if (result == 0)
        result = beck_store_info(fs->store, &info, NULL);
    if (result == 0 && !info.read_only) /* else there is nothing that we may maintain */
        result = keeper_start(&fs->keeper, fs->store);
    if (result == 0)
        result = serve_session(session);
    if (result < 0)
        logger_say(LOG_ERR, "the mount ends: %s", strerror(-result));
    fuse_session_unmount(session);
    file_release_all(fs);
    keeper_stop(&fs->keeper);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    return result;
}

int mount_serve(struct options *options, int ready_fd)
{
    /* Buffers of large requests go back to the system when the request is over. */
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    struct fs fs = {
        .store_path = options->store,
        .read_only = options->read_only,
        .rmdir_nonempty = options->rmdir_nonempty != 0,
        .handles_lock = PTHREAD_MUTEX_INITIALIZER,
        .ready_fd = ready_fd,
    };
    int result = store_open(&fs, options);
    if (result < 0)
        return result;
    recovery_say(&fs);
    result = inode_table_init(&fs.inodes);
    if (result == 0) {
        struct fuse_session *session = NULL;
        result = session_start(&fs, options, &session);
        if (result == 0) {
            fuse_set_log_func(fuse_message);
            result = session_serve(&fs, session);
        }
        inode_table_done(&fs.inodes);
    }
    (void)beck_store_close(fs.store);
    return result;
}
