/* SPDX-License-Identifier: Apache-2.0 */
/* The system's calls as the engine makes them: whole reads and writes, negative errno, locks. */
#include "io.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct io *io = &io_system;

static int open_file(struct fixture *fixture)
{
    int fd = io->open(io, AT_FDCWD, fixture->path, O_RDWR | O_CREAT, 0644);
    assert_true(fd >= 0);
    return fd;
}

static void a_missing_file_is_enoent(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(io->open(io, AT_FDCWD, fixture->path, O_RDONLY, 0), -ENOENT);
}

static void descriptors_are_closed_on_exec(void **state)
{
    int fd = open_file(*state);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(io->close(io, fd), 0);
}

static void what_is_written_in_pieces_is_read_as_one(void **state)
{
    int fd = open_file(*state);
    char first[] = "hello";
    char second[] = "world";
    char buffer[32];
    struct iovec vectors[2] = {{first, 5}, {second, 5}};
    assert_int_equal(io->write(io, fd, vectors, 2, 7), 0);
    assert_int_equal(io->read(io, fd, buffer, sizeof(buffer), 7), 10);
    assert_memory_equal(buffer, "helloworld", 10);
    assert_int_equal(io->read(io, fd, buffer, 5, 0), 5);
    assert_int_equal(io->read(io, fd, buffer, 5, 17), 0);
    assert_int_equal(io->close(io, fd), 0);
}

/* A file size limit makes the kernel write a part first, and then refuse. */
static int write_to_the_limit(struct fixture *fixture)
{
    static char bytes[8192];
    struct rlimit limit = {.rlim_cur = 6000, .rlim_max = 6000};
    struct iovec vectors[2] = {{bytes, 4096}, {bytes, 4096}};
    int fd = open_file(fixture);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 2;
    return io->write(io, fd, vectors, 2, 0) == -EFBIG ? 0 : 1;
}

static void a_write_that_comes_to_an_end_half_way_fails(void **state)
{
    assert_int_equal(run_in_child(write_to_the_limit, *state), 0);
}

static void allocating_grows_a_file_and_truncating_cuts_it(void **state)
{
    int fd = open_file(*state);
    struct stat info;
    assert_int_equal(io->allocate(io, fd, 10000), 0);
    assert_int_equal(io->stat(io, fd, &info), 0);
    assert_int_equal(info.st_size, 10000);
    assert_int_equal(io->truncate(io, fd, 10), 0);
    assert_int_equal(io->stat(io, fd, &info), 0);
    assert_int_equal(info.st_size, 10);
    assert_int_equal(io->close(io, fd), 0);
}

static void a_lock_belongs_to_one_opening(void **state)
{
    int one = open_file(*state);
    int two = open_file(*state);
    assert_int_equal(io->lock(io, one, 5, IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(io->lock(io, two, 5, IO_LOCK_SHARED, false), -EAGAIN);
    assert_int_equal(io->lock(io, two, 6, IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(io->lock_is_held(io, two, 5), 1);
    assert_int_equal(io->lock_is_held(io, one, 5), 0);
    assert_int_equal(io->close(io, one), 0);
    assert_int_equal(io->lock_is_held(io, two, 5), 0);
    assert_int_equal(io->lock(io, two, 5, IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(io->close(io, two), 0);
}

static void many_share_a_lock(void **state)
{
    int one = open_file(*state);
    int two = open_file(*state);
    assert_int_equal(io->lock(io, one, 0, IO_LOCK_SHARED, false), 0);
    assert_int_equal(io->lock(io, two, 0, IO_LOCK_SHARED, false), 0);
    assert_int_equal(io->lock(io, one, 0, IO_LOCK_EXCLUSIVE, false), -EAGAIN);
    assert_int_equal(io->lock(io, two, 0, IO_LOCK_NONE, false), 0);
    assert_int_equal(io->lock(io, one, 0, IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(io->close(io, one), 0);
    assert_int_equal(io->close(io, two), 0);
}

static int count_name(void *context, const char *name)
{
    int *count = context;
    (*count)++;
    return strcmp(name, "stop") == 0 ? 7 : 0;
}

static void a_folder_is_listed_without_its_dots(void **state)
{
    struct fixture *fixture = *state;
    int count = 0;
    int fd = io->open(io, AT_FDCWD, fixture->folder, O_RDONLY | O_DIRECTORY, 0);
    assert_true(fd >= 0);
    assert_int_equal(io_list(io, fd, count_name, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(io->make_directory(io, fd, "stop", 0755), 0);
    assert_int_equal(io->make_directory(io, fd, "stop", 0755), -EEXIST);
    assert_int_equal(io_list(io, fd, count_name, &count), 7);
    assert_int_equal(io->rename(io, fd, "stop", "go"), 0);
    assert_int_equal(io->remove(io, fd, "stop", true), -ENOENT);
    assert_int_equal(io->remove(io, fd, "go", false), -EISDIR);
    assert_int_equal(io->remove(io, fd, "go", true), 0);
    assert_int_equal(io->close(io, fd), 0);
}

static void this_file_system_is_none_of_a_network(void **state)
{
    int fd = open_file(*state);
    assert_int_equal(io_is_network(fd), 0);
    assert_int_equal(io->close(io, fd), 0);
    assert_true(io_is_network(fd) < 0);
}

static void writing_back_is_done_with_what_is_written(void **state)
{
    int fd = open_file(*state);
    char bytes[] = "hello";
    struct iovec vector = {bytes, 5};
    assert_int_equal(io->write(io, fd, &vector, 1, 0), 0);
    assert_int_equal(io->write_back(io, fd), 0);
    assert_int_equal(io->sync_all(io, fd), 0);
    assert_true(io_is_synced_whole(fd) >= 0);
    assert_int_equal(io->close(io, fd), 0);
    assert_int_equal(io->write_back(io, fd), -EBADF);
    assert_true(io_is_synced_whole(fd) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_file_is_enoent),
        TEST(descriptors_are_closed_on_exec),
        TEST(what_is_written_in_pieces_is_read_as_one),
        TEST(a_write_that_comes_to_an_end_half_way_fails),
        TEST(allocating_grows_a_file_and_truncating_cuts_it),
        TEST(a_lock_belongs_to_one_opening),
        TEST(many_share_a_lock),
        TEST(a_folder_is_listed_without_its_dots),
        TEST(this_file_system_is_none_of_a_network),
        TEST(writing_back_is_done_with_what_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
