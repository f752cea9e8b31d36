# SPDX-License-Identifier: Apache-2.0
"""Appending to partitions: lines to records, errors to who wrote, and what is refused."""

import errno
import mmap
import os
import subprocess
import threading

from harness import (Skip, check, equal, fails, main, refused, run, shell, test,
                     test_unmounted)

LIMIT = "max.message.bytes=1000"


def writes(topic, *pieces, close=True):
    """Several write(2) calls on one descriptor; returns what each returned, or its errno."""
    fd = topic.open()
    results = []
    for piece in pieces:
        try:
            results.append(os.write(fd, piece))
        except OSError as problem:
            results.append(problem.errno)
    if not close:
        return fd
    os.close(fd)
    return results


# ---- lines to records -------------------------------------------------------------------------


@test
def echo_appends_one_record(topic):
    shell('echo hi >> "$F"', F=topic.path(0))
    equal(topic.records(), [b"hi"], "records")
    equal(topic.read(), b"hi\n", "file")


@test
def echo_in_a_loop_keeps_order(topic):
    shell('for ((i = 0; i < 500; i++)); do echo $i >> "$F"; done', F=topic.path(0))
    equal(topic.records(), [b"%d" % i for i in range(500)], "records")


@test
def each_line_is_one_record(topic):
    topic.append(b"a\nb\n\nd\n")
    equal(topic.records(), [b"a", b"b", b"", b"d"], "records")


@test
def the_lines_of_one_write_are_one_batch(topic):
    topic.append(b"".join(b"%d\n" % i for i in range(1000)))
    equal(topic.batches(), 1, "batches")


@test
def lines_that_do_not_fit_one_batch_are_as_few_as_fit(topic):
    small = topic.another("-small", 1, LIMIT)
    small.append(b"".join(b"%099d\n" % i for i in range(40)))
    equal(len(small.records()), 40, "records")
    check(small.batches() in (5, 6), "batches:", small.batches())  # 8 or 9 lines fit one


@test
def cat_appends_a_file(topic):
    lines = [b"%d %s" % (i, b"z" * (i % 300)) for i in range(50000)]
    source = topic.place.scratch("source")
    with open(source, "wb") as file:
        file.write(b"".join(line + b"\n" for line in lines))
    shell('cat "$S" >> "$F"', S=source, F=topic.path(0))
    run("cmp", source, topic.path(0))
    equal(topic.records(), lines, "records")


@test
def tee_a_appends(topic):
    run("tee", "-a", topic.path(0), topic.path(1), data=b"one\ntwo\n")
    equal(topic.read(0) + topic.read(1), b"one\ntwo\n" * 2, "files")


@test
def dd_appends(topic):
    run("dd", f"of={topic.path(0)}", "oflag=append", "conv=notrunc,fsync", "bs=7",
        data=b"first line\nsecond line\n")
    equal(topic.records(), [b"first line", b"second line"], "records")


@test
def a_write_larger_than_a_request_is_split_nowhere(topic):
    lines = [b"%d" % i * 50 for i in range(100000)]
    data = b"".join(line + b"\n" for line in lines)
    check(len(data) > 5 << 20)
    fd = topic.open()
    done = 0
    while done < len(data):
        done += os.write(fd, data[done:])
    os.close(fd)
    equal(topic.records() == lines, True, "records are the lines")


@test
def carriage_returns_belong_to_the_value(topic):
    topic.append(b"dos\r\n \n\t\n")
    equal(topic.records(), [b"dos\r", b" ", b"\t"], "records")


@test
def the_offset_of_a_write_does_not_matter(topic):
    fd = topic.open()
    os.write(fd, b"one\n")
    os.pwrite(fd, b"two\n", 0)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"three\n")
    os.close(fd)
    equal(topic.read(), b"one\ntwo\nthree\n", "file")


@test
def one_descriptor_reads_what_it_wrote(topic):
    fd = topic.open(os.O_RDWR | os.O_APPEND)
    os.write(fd, b"abc\n")
    equal(os.pread(fd, 10, 0), b"abc\n", "read")
    os.close(fd)


@test
def a_partial_line_waits_for_its_rest(topic):
    fd = topic.open()
    os.write(fd, b"first\nbegin")
    equal(topic.read(), b"first\n", "before the rest")
    equal(os.stat(topic.path(0)).st_size, 6, "size before the rest")
    os.write(fd, b"ning\nx")
    equal(topic.read(), b"first\nbeginning\n", "with the rest")
    os.close(fd)
    equal(topic.records(), [b"first", b"beginning", b"x"], "records")


@test
def closing_completes_a_partial_line_at_once(topic):
    shell('printf begin >> "$F"', F=topic.path(0))
    equal(topic.read(), b"begin\n", "file")
    shell('printf a >> "$F"; printf b >> "$F"', F=topic.path(0))
    equal(topic.records(), [b"begin", b"a", b"b"], "records")


@test
def a_child_that_inherits_the_descriptor_does_not_cut_the_line(topic):
    fd = topic.open()
    os.set_inheritable(fd, True)
    os.write(fd, b"be")
    subprocess.run(["true"], close_fds=False, check=True)
    equal(topic.read(), b"", "after the child's end")
    os.write(fd, b"gin\n")
    os.close(fd)
    equal(topic.records(), [b"begin"], "records")


@test
def commands_in_a_group_share_lines(topic):
    shell('{ printf be; sleep 0.01; /bin/true; echo gin; } >> "$F"', F=topic.path(0))
    check(b"".join(topic.records()) == b"begin", topic.records())


@test
def a_child_that_wrote_last_completes_the_line(topic):
    shell('{ /bin/printf child; /bin/printf second; } >> "$F"', F=topic.path(0))
    equal(topic.records(), [b"child", b"second"], "records")


@test
def threads_of_one_process_write_whole_lines(topic):
    fd = topic.open()

    def write_many(who):
        for i in range(300):
            os.write(fd, b"%d-%d-%s\n" % (who, i, b"q" * 200))
    threads = [threading.Thread(target=write_many, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    wanted = {b"%d-%d-%s" % (who, i, b"q" * 200) for who in range(6) for i in range(300)}
    records = topic.records()
    equal(len(records), 1800, "records")
    equal(set(records) == wanted, True, "records are the lines")


@test
def concurrent_processes_keep_each_line_whole(topic):
    shell('''for p in 1 2 3 4 5 6 7 8; do
                 (for ((i = 0; i < 200; i++)); do echo "$p $i 0123456789abcdef" >> "$F"; done) &
             done; wait''', F=topic.path(0))
    wanted = sorted(b"%d %d 0123456789abcdef" % (p, i) for p in range(1, 9) for i in range(200))
    equal(sorted(topic.records()) == wanted, True, "records are the lines")


@test
def partial_lines_of_two_handles_do_not_mix(topic):
    first, second = topic.open(), topic.open()
    os.write(first, b"aa")
    os.write(second, b"bb")
    os.write(first, b"AA\n")
    os.write(second, b"BB\n")
    os.close(first)
    os.close(second)
    equal(topic.records(), [b"aaAA", b"bbBB"], "records")


@test
def the_mount_and_another_process_append_to_one_partition(topic):
    topic.append(b"mount\n")
    topic.produce("outside")
    topic.append(b"mount again\n")
    equal(topic.records(), [b"mount", b"outside", b"mount again"], "records")


@test
def fsync_succeeds_and_the_record_is_there(topic):
    fd = topic.open()
    os.write(fd, b"synced\n")
    os.fsync(fd)
    os.fdatasync(fd)
    equal(topic.records(), [b"synced"], "records")
    os.close(fd)
    run("sync", topic.path(0))


@test
def writing_goes_on_while_others_sync(topic):
    stop = threading.Event()
    synced = [0]

    def sync():
        fd = topic.open(partition=1)
        while not stop.is_set():
            os.write(fd, b"y\n")
            os.fsync(fd)
            synced[0] += 1
        os.close(fd)
    threads = [threading.Thread(target=sync) for _ in range(3)]
    for thread in threads:
        thread.start()
    shell('for ((i = 0; i < 500; i++)); do echo "$i" >> "$F"; [[ -s $F ]] || exit 1; done',
          F=topic.path(0))
    stop.set()
    for thread in threads:
        thread.join()
    equal(topic.records(), [b"%d" % i for i in range(500)], "records")
    check(synced[0] > 0, "nothing was synced")
    equal(len(topic.records(1)) >= synced[0], True, "synced records are there")


@test
def fsync_does_not_cut_a_partial_line(topic):
    fd = topic.open()
    os.write(fd, b"be")
    os.fsync(fd)
    os.write(fd, b"gin\n")
    os.close(fd)
    equal(topic.records(), [b"begin"], "records")


@test
def o_sync_writes(topic):
    fd = topic.open(os.O_WRONLY | os.O_APPEND | os.O_SYNC)
    os.write(fd, b"one\ntwo")
    os.close(fd)
    equal(topic.records(), [b"one", b"two"], "records")


# ---- lines that are too long ------------------------------------------------------------------


@test
def a_line_above_the_limit_is_emsgsize(topic):
    small = topic.another("-small", 1, LIMIT)
    equal(writes(small, b"x" * 1001 + b"\n", b"ok\n"), [errno.EMSGSIZE, 3], "results")
    equal(small.records(), [b"ok"], "records")


@test
def the_longest_line_that_fits_is_taken(topic):
    small = topic.another("-small", 1, LIMIT)
    longest = 1000 - 61 - 10
    equal(writes(small, b"x" * longest + b"\n"), [longest + 1], "results")
    equal(writes(small, b"x" * (longest + 10) + b"\n"), [errno.EMSGSIZE], "results")
    equal(small.records(), [b"x" * longest], "records")


@test
def a_long_line_in_several_writes_leaves_nothing(topic):
    small = topic.another("-small", 1, LIMIT)
    equal(writes(small, b"x" * 600, b"x" * 600, b"x\n", b"ok\n"),
          [600, errno.EMSGSIZE, errno.EMSGSIZE, 3], "results")
    equal(small.records(), [b"ok"], "records")


@test
def lines_before_a_long_one_make_a_short_write(topic):
    small = topic.another("-small", 1, LIMIT)
    equal(writes(small, b"a\nb\n" + b"x" * 2000 + b"\n", b"x" * 2000 + b"\n"),
          [4, errno.EMSGSIZE], "results")
    equal(small.records(), [b"a", b"b"], "records")


@test
def cat_of_a_long_line_fails_and_leaves_nothing(topic):
    small = topic.another("-small", 1, LIMIT)
    complaint = fails("bash", "-c", f"head -c 5000 /dev/zero | tr '\\0' x | cat >> {small.path(0)}")
    check("Message too long" in complaint, complaint)
    equal(small.records(), [], "records")


@test
def a_long_line_in_one_write_of_several_requests(topic):
    """The kernel cuts the write; that the second request is refused is a short write at first."""
    large = topic.another("-large", 1, "max.message.bytes=1500000")
    data = b"a\n" + b"x" * 2000000 + b"\nb\n"
    fd = large.open()
    with refused(errno.EMSGSIZE):
        done = 0
        while done < len(data):
            done += os.write(fd, data[done:])
    os.close(fd)
    equal(large.records(), [b"a"], "records")


@test
def a_line_of_a_megabyte_and_more_by_default(topic):
    topic.append(b"m" * 1000000 + b"\n")
    fd = topic.open()
    with refused(errno.EMSGSIZE):
        done = 0
        while done < 3 << 20:
            done += os.write(fd, b"m" * ((3 << 20) - done))
    os.close(fd)
    equal([len(record) for record in topic.records()], [1000000], "record sizes")


# ---- what is refused --------------------------------------------------------------------------


@test
def truncation_is_refused(topic):
    topic.append(b"data\n")
    check("not permitted" in fails("bash", "-c", f"echo x > {topic.path(0)}"))
    check("not permitted" in fails("truncate", "-s", "0", topic.path(0)))
    for size in (0, 2, 5, 100):
        with refused(errno.EPERM):
            os.truncate(topic.path(0), size)
    with refused(errno.EPERM):
        topic.open(os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
    fd = topic.open()
    with refused(errno.EPERM):
        os.ftruncate(fd, 0)
    os.close(fd)
    equal(topic.read(), b"data\n", "file")


@test
def writing_without_append_is_refused(topic):
    topic.append(b"data\n")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT):
        with refused(errno.EPERM):
            topic.open(flags)
    fails("dd", f"of={topic.path(0)}", "if=/dev/zero", "count=1", "conv=notrunc")
    equal(topic.read(), b"data\n", "file")


@test
def an_empty_partition_may_be_opened_anyhow(topic):
    source = topic.place.scratch("source")
    with open(source, "wb") as file:
        file.write(b"copied\nin\n")
    run("cp", source, topic.path(0))
    equal(topic.records(), [b"copied", b"in"], "cp")
    check("not permitted" in fails("cp", source, topic.path(0)))
    shell('echo one > "$F"', F=topic.path(1))
    equal(topic.records(1), [b"one"], "echo >")
    os.truncate(topic.path(2), 0)
    with refused(errno.EPERM):
        os.truncate(topic.path(2), 1)


@test
def renaming_is_refused(topic):
    topic.append(b"data\n")
    check("not permitted" in fails("mv", topic.path(0), topic.path(1)))
    for source, target in ((0, 1), (0, "new")):
        with refused(errno.EPERM):
            os.rename(topic.path(source), topic.path(target))
    with refused(errno.EPERM):
        os.rename(topic.path(), topic.path() + "-renamed")
    equal(topic.read(), b"data\n", "file")


@test
def removing_a_partition_is_refused(topic):
    check("not permitted" in fails("rm", "-f", topic.path(0)))
    equal(sorted(os.listdir(topic.path())), ["0", "1", "2"], "listing")


@test
def making_files_and_links_is_refused(topic):
    with refused(errno.EPERM):
        os.open(topic.path("3"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with refused(errno.EPERM):
        os.open(topic.place.path("file"), os.O_WRONLY | os.O_CREAT)
    with refused(errno.EPERM):
        os.mkdir(topic.path("dir"))
    with refused(errno.EPERM):
        os.symlink("0", topic.path("link"))
    with refused(errno.EPERM):
        os.link(topic.path(0), topic.path("link"))
    with refused(errno.EPERM):
        os.mkfifo(topic.path("fifo"))


@test
def mapping_for_writing_is_refused(topic):
    topic.append(b"data\n")
    fd = topic.open(os.O_RDWR | os.O_APPEND)
    with refused(errno.ENODEV, errno.EACCES, errno.EPERM):
        mmap.mmap(fd, 5, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE | mmap.PROT_READ)
    os.close(fd)


@test
def holes_and_reservations_are_refused(topic):
    topic.append(b"data\n")
    fd = topic.open()
    with refused(errno.EPERM):
        os.posix_fallocate(fd, 0, 4096)
    os.close(fd)
    equal(topic.read(), b"data\n", "file")


@test
def times_can_be_set_to_now_only(topic):
    topic.append(b"data\n")
    run("touch", topic.path(0))
    os.utime(topic.path(0))
    with refused(errno.EPERM):
        os.utime(topic.path(0), (0, 0))


@test
def reading_through_a_writing_descriptor_is_refused(topic):
    fd = topic.open()
    with refused(errno.EBADF):
        os.read(fd, 1)
    os.close(fd)


# ---- errors of the store ----------------------------------------------------------------------


@test_unmounted
def a_full_disk_is_enospc_and_writing_goes_on_when_there_is_space(place):
    if os.geteuid() != 0:
        raise Skip("only root can mount a small file system")
    small = place.scratch("small")
    os.mkdir(small)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", small], check=False)
    if done.returncode != 0:
        raise Skip("no tmpfs can be mounted here")
    try:
        place.store = os.path.join(small, "store")
        run(place.options.helper, "create", place.store)
        place.helper("topic", "t", 1)
        ballast = os.path.join(small, "ballast")
        mount = place.mount()
        try:
            fill_until_full_and_go_on(place, ballast)
        finally:
            mount.end_anyhow()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def fill_until_full_and_go_on(place, ballast):
    path = place.path("t", 0)
    with open(ballast, "wb") as file:
        file.write(b"0" * (40 << 20))
    line = b"n" * 9999 + b"\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    taken = 0
    with refused(errno.ENOSPC):
        while taken < 1 << 30:
            taken += os.write(fd, line * 50)
    equal(os.stat(path).st_size, taken, "size is what was taken")
    last = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(last, b"l" * 1000000)
    with refused(errno.ENOSPC):
        os.close(last)
    os.unlink(ballast)
    equal(os.write(fd, b"goes on\n"), 8, "written when there was space")
    os.close(fd)
    equal(os.stat(path).st_size, taken + 8, "size")
    equal(run("tail", "-n", 1, path), b"goes on\n", "the end")


if __name__ == "__main__":
    main()
