# SPDX-License-Identifier: Apache-2.0
"""Reading partitions with the tools that people use, still and growing."""

import errno
import hashlib
import mmap
import os
import pty
import select
import signal
import subprocess
import threading
import time

from harness import (Place, check, equal, fails, main, need, refused, run, shell, test, wait_for)

LINES = [b"line %06d %s" % (i, b"x" * (i % 97)) for i in range(5000)]
TEXT = b"".join(line + b"\n" for line in LINES)


def follow(topic, *command):
    """Start a `tail -f` on partition 0; returns the process, whose stdout does not block."""
    process = subprocess.Popen([*command, topic.path(0)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    os.set_blocking(process.stdout.fileno(), False)
    return process


def output_until(process, wanted, seconds=20):
    """Collect output until it is at least as long as `wanted`, and a moment longer."""
    got = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(got) < len(wanted):
        select.select([process.stdout], [], [], 0.1)
        got += process.stdout.read() or b""
    time.sleep(0.3)
    return got + (process.stdout.read() or b"")


@test
def cat_shows_values_and_newlines(topic):
    topic.produce("a", "", "@null", "b c")
    equal(run("cat", topic.path(0)), b"a\n\n\nb c\n", "cat")


@test
def an_empty_partition_reads_as_empty(topic):
    equal(run("cat", topic.path(0)), b"", "cat")
    equal(os.stat(topic.path(0)).st_size, 0, "size")


@test
def partitions_are_separate(topic):
    topic.append(b"zero\n", 0)
    topic.append(b"two\n", 2)
    equal([topic.read(i) for i in range(3)], [b"zero\n", b"", b"two\n"], "contents")


@test
def size_is_exact_after_each_append(topic):
    total = 0
    for i in range(50):
        topic.append(b"y" * i + b"\n")
        total += i + 1
        equal(os.stat(topic.path(0)).st_size, total, "st_size")


@test
def blocks_cover_the_size(topic):
    topic.append(TEXT[:1000])
    st = os.stat(topic.path(0))
    check(st.st_blocks * 512 >= st.st_size, "fewer blocks than bytes looks like holes")


@test
def mtime_is_the_last_append(topic):
    before = time.time()
    topic.append(b"now\n")
    mtime = os.stat(topic.path(0)).st_mtime
    check(before - 1 <= mtime <= time.time() + 1, "mtime", mtime, "not around", before)


@test
def wc_counts(topic):
    topic.append(TEXT)
    equal(run("wc", "-c", topic.path(0)).split()[0], b"%d" % len(TEXT), "wc -c")
    equal(run("wc", "-l", topic.path(0)).split()[0], b"%d" % len(LINES), "wc -l")


@test
def head_shows_the_beginning(topic):
    topic.append(TEXT)
    equal(run("head", "-n", 3, topic.path(0)), b"\n".join(LINES[:3]) + b"\n", "head -n")
    equal(run("head", "-c", 1000, topic.path(0)), TEXT[:1000], "head -c")


@test
def tail_shows_the_end(topic):
    topic.append(TEXT)
    equal(run("tail", "-n", 7, topic.path(0)), b"\n".join(LINES[-7:]) + b"\n", "tail -n")
    equal(run("tail", "-n", "+4990", topic.path(0)), b"\n".join(LINES[4989:]) + b"\n", "tail -n +")
    equal(run("tail", "-c", 12345, topic.path(0)), TEXT[-12345:], "tail -c")


@test
def grep_finds_lines(topic):
    topic.append(TEXT)
    equal(run("grep", "-c", "line 00[01]", topic.path(0)).strip(), b"2000", "grep -c")
    equal(run("grep", "-n", "line 004321", topic.path(0)), b"4322:" + LINES[4321] + b"\n", "grep -n")


@test
def sort_tac_and_split_read_it(topic):
    topic.append(TEXT)
    equal(run("sort", "-r", topic.path(0), env={"LC_ALL": "C", "PATH": os.environ["PATH"]}),
          b"\n".join(sorted(LINES, reverse=True)) + b"\n", "sort")
    equal(run("tac", topic.path(0)), b"\n".join(reversed(LINES)) + b"\n", "tac")
    equal(shell('split -n 4 --filter cat "$FILE"', FILE=topic.path(0)), TEXT, "split")


@test
def cat_begins_at_the_head_and_the_size_is_of_what_is_there(topic):
    topic.produce("one", "two", "three")
    topic.place.helper("trim", topic.name, 0, 1)
    equal(run("cat", topic.path(0)), b"two\nthree\n", "cat")
    equal(os.stat(topic.path(0)).st_size, 10, "size")
    equal(run("tail", "-c", "6", topic.path(0)), b"three\n", "tail")


@test
def an_open_file_keeps_its_positions_when_the_head_goes(topic):
    topic.produce("one", "two", "three")
    with open(topic.path(0), "rb", buffering=0) as file:
        equal(os.pread(file.fileno(), 4, 0), b"one\n", "before")
        topic.place.helper("trim", topic.name, 0, 2)
        equal(os.pread(file.fileno(), 6, 8), b"three\n", "what is there still")
        with refused(errno.ESTALE):
            os.pread(file.fileno(), 2, 5)
    equal(run("cat", topic.path(0)), b"three\n", "opened anew")


@test
def less_shows_it_through_a_pipe(topic):
    need("less")
    topic.append(TEXT)
    equal(shell('less "$FILE" | cat', FILE=topic.path(0)), TEXT, "less")


@test
def less_finds_the_end_and_new_lines(topic):
    need("less")
    topic.append(TEXT)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="vt100", LESS="")
        os.execvp("less", ["less", topic.path(0)])
    seen = b""

    def saw(text):
        nonlocal seen
        if select.select([terminal], [], [], 0)[0]:
            seen += os.read(terminal, 65536)
        return text in seen
    try:
        wait_for(lambda: saw(b"line 000001"), "less shows the beginning")
        os.write(terminal, b"G")
        wait_for(lambda: saw(b"line 004999"), "less goes to the end")
        topic.append(b"appended meanwhile\n")
        os.write(terminal, b"G")
        wait_for(lambda: saw(b"appended meanwhile"), "less shows what was appended")
    finally:
        os.write(terminal, b"q")
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(terminal)


@test
def cp_copies_out(topic):
    topic.append(TEXT)
    copy = topic.place.scratch("copy")
    run("cp", topic.path(0), copy)
    run("cmp", topic.path(0), copy)


@test
def dd_reads_any_piece(topic):
    topic.append(TEXT)
    equal(run("dd", f"if={topic.path(0)}", "bs=1000", "skip=17", "count=9"), TEXT[17000:26000], "dd")


@test
def tar_takes_it(topic):
    topic.append(TEXT)
    out = shell('tar -C "$DIR" -cf - "$NAME/0" | tar -xOf -', DIR=topic.place.mountpoint,
                NAME=topic.name)
    equal(out, TEXT, "tar")


@test
def rsync_copies_out(topic):
    need("rsync")
    topic.append(TEXT)
    copy = topic.place.scratch("rsynced")
    run("rsync", topic.path(0), copy)
    run("cmp", topic.path(0), copy)


@test
def ripgrep_finds_lines(topic):
    need("rg")
    topic.append(TEXT)
    equal(run("rg", "-c", "line 00[01]", topic.path(0)).strip(), b"2000", "rg -c")


@test
def tail_f_follows(topic):
    topic.append(b"first\n")
    process = follow(topic, "tail", "-f")
    try:
        output_until(process, b"first\n")
        topic.append(b"second\nthird\n")
        equal(output_until(process, b"second\nthird\n"), b"second\nthird\n", "what tail -f added")
    finally:
        process.terminate()
        equal(process.communicate()[1], b"", "what tail -f complained of")


@test
def tail_big_f_follows_many_appends_without_loss(topic):
    process = follow(topic, "tail", "-n", "+1", "-s", "0.05", "-F")
    wanted = b""
    try:
        for i in range(200):
            line = b"append %d\n" % i
            wanted += line
            topic.append(line)
            time.sleep(0.005)
        equal(output_until(process, wanted), wanted, "what tail -F showed")
    finally:
        process.terminate()
        equal(process.communicate()[1], b"", "what tail -F complained of")


@test
def tail_f_sees_what_another_process_produces(topic):
    process = follow(topic, "tail", "-f")
    try:
        time.sleep(0.3)
        topic.produce("from outside")
        equal(output_until(process, b"from outside\n"), b"from outside\n", "tail -f")
    finally:
        process.terminate()
        process.communicate()


@test
def pread_reads_at_any_position(topic):
    topic.append(TEXT)
    fd = topic.open(os.O_RDONLY)
    for position in (0, 1, 99, 4096, 65535, len(TEXT) - 1, len(TEXT) - 5000):
        equal(os.pread(fd, 5000, position), TEXT[position:position + 5000], f"pread at {position}")
    os.close(fd)


@test
def reading_at_the_end_and_beyond_gives_nothing(topic):
    topic.append(b"abc\n")
    fd = topic.open(os.O_RDONLY)
    equal(os.pread(fd, 10, 2), b"c\n", "pread over the end")
    equal(os.pread(fd, 10, 4), b"", "pread at the end")
    equal(os.pread(fd, 10, 1 << 40), b"", "pread far beyond")
    os.close(fd)


@test
def lseek_knows_the_end_and_no_holes(topic):
    topic.append(b"0123456789\n")
    fd = topic.open(os.O_RDONLY)
    equal(os.lseek(fd, 0, os.SEEK_END), 11, "SEEK_END")
    equal(os.lseek(fd, 3, os.SEEK_DATA), 3, "SEEK_DATA")
    equal(os.lseek(fd, 3, os.SEEK_HOLE), 11, "SEEK_HOLE")
    with refused(errno.ENXIO):
        os.lseek(fd, 11, os.SEEK_DATA)
    os.close(fd)


@test
def one_descriptor_reads_on_when_the_file_grows(topic):
    fd = topic.open(os.O_RDONLY)
    for i in range(20):
        equal(os.read(fd, 100), b"", "at the end")
        topic.append(b"more %d\n" % i)
        equal(os.read(fd, 100), b"more %d\n" % i, "after growth")
    os.close(fd)


@test
def many_readers_see_the_same(topic):
    topic.place.helper("fill", topic.name, 0, 32 << 20, 512)
    size = os.stat(topic.path(0)).st_size
    wanted = hashlib.sha256((b"v" * 511 + b"\n") * (size // 512)).hexdigest()
    sums = shell('for i in 1 2 3 4 5 6 7 8; do sha256sum < "$FILE" & done; wait', FILE=topic.path(0))
    equal({line.split()[0].decode() for line in sums.splitlines()}, {wanted}, "checksums")


@test
def threads_share_one_descriptor(topic):
    for at in range(0, len(TEXT), 1 << 20):
        topic.append(TEXT[at:at + (1 << 20)])
    fd = topic.open(os.O_RDONLY)
    wrong = []

    def read_all(start):
        for position in range(start, len(TEXT), 7919):
            if os.pread(fd, 3000, position) != TEXT[position:position + 3000]:
                wrong.append(position)
    threads = [threading.Thread(target=read_all, args=(i * 31,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    equal(wrong, [], "wrong positions")


@test
def cat_of_a_growing_file_is_a_beginning_of_it(topic):
    stop = threading.Event()

    def grow():
        number = 0
        while not stop.is_set():
            topic.append(b"".join(b"%010d\n" % i for i in range(number, number + 500)))
            number += 500
    grower = threading.Thread(target=grow)
    grower.start()
    try:
        for _ in range(10):
            got = run("cat", topic.path(0))
            numbers = got.split(b"\n")
            equal(numbers.pop(), b"", "behind the last newline")
            check(all(int(number) == i for i, number in enumerate(numbers)), "a number is wrong")
    finally:
        stop.set()
        grower.join()


@test
def readers_near_a_growing_end_see_no_wrong_byte(topic):
    out = run(topic.place.options.growth, topic.path(0), 8, 4)
    check(int(out.split()[0]) > 1000, "few reads were made:", out)


@test
def private_mapping_works_and_shared_does_not(topic):
    topic.append(TEXT)
    fd = topic.open(os.O_RDONLY)
    with mmap.mmap(fd, len(TEXT), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapping:
        equal(mapping[:], TEXT, "MAP_PRIVATE")
    with refused(errno.ENODEV):
        mmap.mmap(fd, len(TEXT), flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    os.close(fd)


@test
def null_and_binary_values_keep_their_bytes(topic):
    value = bytes(byte for byte in range(256) if byte != 10) * 10
    topic.append(value + b"\n")
    equal(topic.read(), value + b"\n", "read")
    equal(topic.records(), [value], "records")


@test
def a_large_record_is_read_whole(topic):
    big = topic.another("-big", 1, "max.message.bytes=5000000")
    value = os.urandom(3000000).replace(b"\n", b" ")
    fd = big.open()
    equal(os.write(fd, value + b"\n"), len(value) + 1, "written")
    os.close(fd)
    equal(big.read(), value + b"\n", "read")
    equal(len(big.records()), 1, "records")


@test
def what_waits_for_a_sync_is_not_in_the_size(topic):
    topic.append(b"before\n")
    pending = subprocess.Popen([topic.place.options.helper, "pending", topic.place.store, topic.name,
                                "0", "synced"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    equal(pending.stdout.readline(), b"pending\n", "helper")
    equal(topic.read(), b"before\n", "while it waits")
    equal(os.stat(topic.path(0)).st_size, 7, "size while it waits")
    pending.communicate(b"\n")
    equal(pending.returncode, 0, "helper's status")
    equal(topic.read(), b"before\nsynced\n", "when it is synced")


@test
def damage_is_eio_with_a_line_in_the_log_and_other_partitions_go_on(topic):
    # A mount of its own: who appended the data has checked it already.
    place = Place(topic.place.options)
    try:
        place.helper("topic", "damaged", 2)
        place.helper("fill", "damaged", 0, 4 << 20, 1000)
        place.helper("produce", "damaged", 1, "whole")
        segments = shell('find "$S" -name "*.log" -size +1M', S=place.store).split()
        equal(len(segments), 1, "large segments")
        with open(segments[0], "r+b") as segment:
            segment.seek(2500000)
            byte = segment.read(1)
            segment.seek(2500000)
            segment.write(bytes([byte[0] ^ 1]))
        mount = place.mount()
        try:
            complaint = fails("cat", place.path("damaged", 0))
            check("Input/output error" in complaint, complaint)
            good = shell('cat "$F" 2>/dev/null | tr -d "v\\n" | wc -c; cat "$F" 2>/dev/null | wc -c',
                         ok=False, F=place.path("damaged", 0)).split()
            equal(good[0], b"0", "bytes before the damage that are wrong")
            check(int(good[1]) > 500000, "only", good[1], "bytes before the damage")
            equal(run("cat", place.path("damaged", 1)), b"whole\n", "the other partition")
            log = mount.messages()
            lines = [line for line in log.splitlines() if "damaged" in line]
            equal(len(lines), 1, "lines in the log: " + log)
            for word in ("topic damaged", "partition 0", "offset ", "byte "):
                check(word in lines[0], "the log does not name", word, ":", lines[0])
        finally:
            mount.end_anyhow()
    finally:
        place.remove()


if __name__ == "__main__":
    main()
