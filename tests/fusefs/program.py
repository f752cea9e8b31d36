# SPDX-License-Identifier: Apache-2.0
"""The program around the mount: arguments, errors at start, background, the ways it ends."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

from harness import (PATIENCE_SECONDS, Skip, check, equal, fails, main, need, refused, run, shell,
                     test_unmounted, wait_for)

NOBODY = 65534


def one_sentence(complaint, *words):
    """An error is one line that begins with the program's name and says what is meant."""
    equal(len(complaint.strip().splitlines()), 1, "lines in: " + complaint)
    check(complaint.startswith("beckfs: "), complaint)
    for word in words:
        check(word in complaint, f"'{word}' is not in:", complaint)


def start_daemon(place, *arguments):
    """Start beckfs in the background; returns its process id."""
    before = set(pids_of(place))
    run(place.options.beckfs, place.store, place.mountpoint, *arguments)
    check(os.path.ismount(place.mountpoint), "beckfs returned before the mount was up")
    (pid,) = set(pids_of(place)) - before
    return pid


def pids_of(place):
    """Processes that run beckfs for this place."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{pid}/stat", "rb") as file:
                zombie = b") Z " in file.read()
        except OSError:
            continue
        if (os.fsencode(place.mountpoint) in words and words[0].endswith(b"beckfs") and not zombie):
            yield int(pid)


def ended(place):
    return not list(pids_of(place))


# ---- errors at start --------------------------------------------------------------------------


@test_unmounted
def arguments_are_needed(place):
    one_sentence(fails(place.options.beckfs), "--help")
    one_sentence(fails(place.options.beckfs, place.store), "--help")
    one_sentence(fails(place.options.beckfs, place.store, place.mountpoint, "third"), "third")


@test_unmounted
def help_and_version_are_printed(place):
    for option in ("-h", "--help"):
        check(run(place.options.beckfs, option).startswith(b"usage: beckfs STORE MOUNTPOINT"))
    for option in ("-V", "--version"):
        check(run(place.options.beckfs, option).startswith(b"beckfs 0."))


@test_unmounted
def a_mount_point_that_is_missing(place):
    for extra in ([], ["-f"]):
        one_sentence(fails(place.options.beckfs, place.store, place.scratch("missing"), *extra),
                     place.scratch("missing"), "No such file")


@test_unmounted
def a_mount_point_that_is_a_file(place):
    path = place.scratch("file")
    with open(path, "w", encoding="ascii"):
        pass
    one_sentence(fails(place.options.beckfs, place.store, path), path, "not a directory")


@test_unmounted
def a_store_that_is_missing(place):
    for extra in ([], ["-f"]):
        one_sentence(fails(place.options.beckfs, place.scratch("missing"), place.mountpoint, *extra),
                     place.scratch("missing"), "No such file")
    check(not os.path.ismount(place.mountpoint), "it is mounted")


@test_unmounted
def a_directory_without_a_store(place):
    os.mkdir(place.scratch("empty"))
    for extra in ([], ["-f"]):
        one_sentence(fails(place.options.beckfs, place.scratch("empty"), place.mountpoint, *extra),
                     place.scratch("empty"))
    equal(os.listdir(place.scratch("empty")), [], "what was left in it")


@test_unmounted
def a_mount_point_that_would_hide_the_store(place):
    for path in (place.store, place.directory):
        one_sentence(fails(place.options.beckfs, place.store, path), "hide")


@test_unmounted
def an_unknown_option(place):
    one_sentence(fails(place.options.beckfs, place.store, place.mountpoint, "-o", "nonsense"),
                 "nonsense")
    check(not os.path.ismount(place.mountpoint), "it is mounted")


@test_unmounted
def a_device_that_is_missing(place):
    if os.geteuid() != 0:
        raise Skip("only root can hide /dev/fuse")
    need("unshare")
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev"], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("there can be no mount namespace here")
    script = 'mount -t tmpfs none /dev && exec "$@"'
    one_sentence(fails("unshare", "-m", "sh", "-c", script, "-", place.options.beckfs, place.store,
                       place.mountpoint), "/dev/fuse is missing")


# ---- background -------------------------------------------------------------------------------


@test_unmounted
def the_daemon_is_up_when_the_command_returns_and_ends_by_fusermount(place):
    pid = start_daemon(place)
    shell('mkdir "$M/t" && echo hi >> "$M/t/0" && cat "$M/t/0"', M=place.mountpoint)
    equal(os.readlink(f"/proc/{pid}/cwd"), "/", "working directory")
    equal(os.readlink(f"/proc/{pid}/fd/2"), "/dev/null", "stderr")
    check(os.getsid(pid) != os.getsid(0), "it is in the caller's session")
    run("fusermount3", "-u", place.mountpoint)
    wait_for(lambda: ended(place), "the daemon ends")
    equal(place.helper("records", "t", 0), b"2\thi\n", "records")


@test_unmounted
def relative_paths_work(place):
    run(place.options.beckfs, "store", "mnt", cwd=place.directory)
    os.mkdir(place.path("t"))
    run("fusermount3", "-u", place.mountpoint)
    wait_for(lambda: ended(place), "the daemon ends")
    place.helper("produce", "t", 0, "there")


@test_unmounted
def the_argument_order_of_mount_works(place):
    pid = start_daemon(place, "-o", "rw,nosuid,nodev,noauto,x-systemd.automount,_netdev,nofail")
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        line = [line for line in mounts if f" {place.mountpoint} " in line][0].split()
    equal((line[0], line[2]), (place.store, "fuse.beckfs"), "source and type")
    check("default_permissions" in line[3], line)
    check("allow_other" not in line[3], line)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: ended(place), "the daemon ends")


@test_unmounted
def mount_fuse3_mounts_it(place):
    helper = shutil.which("mount.fuse3", path="/sbin:/usr/sbin:" + os.environ["PATH"])
    if helper is None:
        raise Skip("mount.fuse3 is not installed")
    if os.geteuid() != 0:
        raise Skip("only root can run mount.fuse3 without fstab")
    path = os.path.dirname(place.options.beckfs) + ":" + os.environ["PATH"]
    run(helper, place.store, place.mountpoint, "-t", "fuse.beckfs", "-o", "rw,noauto,nofail",
        env={**os.environ, "PATH": path})
    os.mkdir(place.path("t"))
    run("fusermount3", "-u", place.mountpoint)
    wait_for(lambda: ended(place), "the daemon ends")


def as_nobody(place, script, ok=True):
    """Run a shell script as a user without privileges; $1 is beckfs, $2 the store, $3 the mount point.

    Where only root may open /dev/fuse, a private mount namespace has one for everybody.
    """
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    need("setpriv")
    need("unshare")
    device = place.scratch("fuse")
    if not os.path.exists(device):
        os.mknod(device, stat.S_IFCHR | 0o666, os.stat("/dev/fuse").st_rdev)
    os.chmod(device, 0o666)
    os.chown(place.mountpoint, NOBODY, NOBODY)
    if subprocess.run(["unshare", "-m", "mount", "--bind", device, "/dev/fuse"], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("there can be no mount namespace here")
    command = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /dev/fuse && exec "$@"', device,
               "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c",
               script, "-", place.options.beckfs, place.store, place.mountpoint]
    return run(*command) if ok else fails(*command)


@test_unmounted
def a_user_without_privileges_mounts(place):
    shell('chown -R 65534:65534 "$S"', S=place.store)
    out = as_nobody(place, """set -e
        "$1" "$2" "$3"
        mkdir "$3/t"
        echo mine >> "$3/t/0"
        cat "$3/t/0"
        stat -c %u "$3/t/0"
        fusermount3 -u "$3"
        """)
    equal(out, b"mine\n%d\n" % NOBODY, "output")
    wait_for(lambda: ended(place), "the daemon ends")


@test_unmounted
def a_store_that_may_only_be_read_is_mounted_read_only(place):
    place.helper("topic", "t", 1)
    place.helper("produce", "t", 0, "there")
    shell('chmod -R a+rX,go-w "$S"', S=place.store)
    one_sentence(as_nobody(place, '"$1" "$2" "$3"', ok=False), "-o ro")
    out = as_nobody(place, """set -e
        log=$(mktemp)
        "$1" "$2" "$3" -f -o ro 2> "$log" &
        until mountpoint -q "$3"; do sleep 0.02; done
        cat "$3/t/0"
        ! echo more 2> /dev/null >> "$3/t/0"
        sleep 1.2 # maintenance would have been due
        fusermount3 -u "$3"
        wait
        cat "$log"
        rm "$log"
        """)
    equal(out, b"there\n", "file, and no messages")


# ---- foreground and ends ----------------------------------------------------------------------


@test_unmounted
def unmounting_ends_it_with_0(place):
    equal(place.mount().end(), 0, "exit status")
    check(not os.path.ismount(place.mountpoint), "still mounted")


@test_unmounted
def signals_end_it_with_0(place):
    # Whom nohup started is born deaf to SIGHUP, and libfuse leaves it so.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        equal(place.mount().end(how), 0, f"exit status after {how}")
        wait_for(lambda: not os.path.ismount(place.mountpoint), "it is unmounted")


def keep_busy(place):
    """Append, sync, read and look until the mount is gone; returns a function that waits for the end
    and gives the lines of which each write was confirmed."""
    place.helper("topic", "t", 2)
    confirmed = []

    def repeat(step):
        i = 0
        try:
            while True:
                step(i)
                i += 1
        except OSError:
            pass

    def append(i):
        fd = os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, b"line %d\n" % i)
            confirmed.append(b"line %d" % i)
        finally:
            os.close(fd)

    def sync(i):
        fd = os.open(place.path("t", 1), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, b"%d\n" % i)
            os.fsync(fd)
        finally:
            os.close(fd)

    def read(_):
        with open(place.path("t", 0), "rb", buffering=0) as file:
            file.read(1 << 20)

    threads = [threading.Thread(target=repeat, args=(step,), daemon=True)
               for step in (append, sync, sync, read)]
    mounted_on = os.stat(place.mountpoint).st_dev

    def look(_):
        if os.stat(place.path("t", 0)).st_dev != mounted_on:
            raise OSError("another file system")
    threads.append(threading.Thread(target=repeat, args=(look,), daemon=True))
    for thread in threads:
        thread.start()
    wait_for(lambda: len(confirmed) > 100, "requests come")

    def finish():
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
            check(not thread.is_alive(), "a request hangs")
        return confirmed
    return finish


def records_are(place, confirmed):
    """Each confirmed line is there once; one more may be, whose answer came too late."""
    lines = place.helper("records", "t", 0).splitlines()
    values = [line.split(b"\t")[1] for line in lines]
    equal(values[:len(confirmed)] == confirmed, True, "records are the lines")
    check(len(values) <= len(confirmed) + 1, "records that nobody wrote")


@test_unmounted
def signals_end_a_busy_mount_with_0(place):
    mount = place.mount()
    finish = keep_busy(place)
    equal(mount.end(signal.SIGTERM), 0, "exit status")
    records_are(place, finish())


@test_unmounted
def a_busy_mount_can_be_unmounted_lazily(place):
    mount = place.mount()
    finish = keep_busy(place)
    run("fusermount3", "-uz", place.mountpoint)
    equal(mount.process.wait(timeout=PATIENCE_SECONDS), 0, "exit status")
    records_are(place, finish())


@test_unmounted
def a_mount_that_was_just_busy_can_be_unmounted(place):
    place.helper("topic", "t", 1)
    for i in range(20):
        mount = place.mount()
        shell('for i in {1..20}; do echo x >> "$F"; done', F=place.path("t", 0))
        equal(mount.end(), 0, f"exit status {i}")


def threads_of(mount):
    return len(os.listdir(f"/proc/{mount.process.pid}/task"))


@test_unmounted
def many_that_sync_get_threads_within_bounds(place):
    place.helper("topic", "t", 1)
    mount = place.mount()
    most = [0]

    def sync_often():
        fd = os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
        for _ in range(10):
            os.write(fd, b"x\n")
            os.fsync(fd)
            most[0] = max(most[0], threads_of(mount))
        os.close(fd)

    threads = [threading.Thread(target=sync_often) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(place.helper("records", "t", 0).count(b"\n"), 1000, "records")
    check(most[0] <= 70, most[0], "threads")
    wait_for(lambda: threads_of(mount) <= 14, "threads end that have nothing to do")
    equal(mount.end(), 0, "exit status")


@test_unmounted
def an_idle_mount_uses_no_processor_time(place):
    place.helper("topic", "t", 1)
    mount = place.mount()
    shell('for i in {1..200}; do echo x >> "$F"; done', F=place.path("t", 0))

    def ticks():
        with open(f"/proc/{mount.process.pid}/stat", encoding="ascii") as file:
            return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
    time.sleep(0.5)
    before = ticks()
    time.sleep(2)
    used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
    check(used <= 0.1, used, "s of 2 s were used")
    equal(mount.end(), 0, "exit status")


@test_unmounted
def a_partial_line_is_kept_when_the_mount_ends(place):
    place.helper("topic", "t", 1)
    mount = place.mount()
    fd = os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"whole\nbegin")
    equal(mount.end(signal.SIGTERM), 0, "exit status")
    with refused(errno.ENOTCONN, errno.ECONNABORTED):
        os.write(fd, b"more\n")
    try:
        os.close(fd)
    except OSError:
        pass
    equal(place.helper("records", "t", 0), b"5\twhole\n5\tbegin\n", "records")


@test_unmounted
def a_killed_daemon_hangs_nobody_and_loses_nothing(place):
    place.helper("topic", "t", 1)
    mount = place.mount()
    fd = os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
    for i in range(1000):
        os.write(fd, b"line %d\n" % i)
    mount.process.kill()
    mount.process.wait()
    start = time.monotonic()
    with refused(errno.ENOTCONN, errno.ECONNABORTED):
        os.write(fd, b"more\n")
    try:
        os.close(fd)
    except OSError:
        pass
    wait_for(lambda: not os.path.ismount(place.mountpoint), "the mount goes away")
    check(time.monotonic() - start < PATIENCE_SECONDS, "it took long")
    equal(os.listdir(place.mountpoint), [], "what is under the mount")
    equal(place.helper("records", "t", 0).count(b"\n"), 1000, "records")
    mount = place.mount()
    equal(run("tail", "-n", 1, place.path("t", 0)), b"line 999\n", "mounted again")
    equal(mount.end(), 0, "exit status")


@test_unmounted
def a_mount_is_busy_while_a_file_is_open(place):
    place.helper("topic", "t", 1)
    mount = place.mount()
    fd = os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
    fails("fusermount3", "-u", place.mountpoint)
    os.write(fd, b"goes on\n")
    os.close(fd)
    equal(mount.end(), 0, "exit status")


@test_unmounted
def a_lazily_unmounted_file_can_be_written_to_its_end(place):
    place.helper("topic", "t", 1)
    mount = place.mount()
    fd = os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
    run("fusermount3", "-uz", place.mountpoint)
    os.write(fd, b"goes on")
    os.close(fd)
    equal(mount.process.wait(timeout=PATIENCE_SECONDS), 0, "exit status")
    equal(place.helper("records", "t", 0), b"7\tgoes on\n", "records")


@test_unmounted
def a_read_only_mount_refuses_changes(place):
    place.helper("topic", "t", 1)
    place.helper("produce", "t", 0, "there")
    mount = place.mount("-o", "ro")
    equal(run("cat", place.path("t", 0)), b"there\n", "file")
    with refused(errno.EROFS):
        os.open(place.path("t", 0), os.O_WRONLY | os.O_APPEND)
    with refused(errno.EROFS):
        os.mkdir(place.path("new"))
    with refused(errno.EROFS):
        os.rmdir(place.path("t"))
    with refused(errno.EROFS):
        os.chmod(place.path("t"), 0o700)
    place.helper("produce", "t", 0, "more")
    equal(run("cat", place.path("t", 0)), b"there\nmore\n", "what others append")
    equal(mount.end(), 0, "exit status")


@test_unmounted
def two_mounts_of_one_store_see_the_same(place):
    place.helper("topic", "t", 1)
    first = place.mount()
    os.mkdir(place.scratch("second"))
    second = subprocess.Popen([place.options.beckfs, place.store, place.scratch("second"), "-f"])
    wait_for(lambda: os.path.ismount(place.scratch("second")), "the second mount is up")
    other = os.path.join(place.scratch("second"), "t", "0")
    for i in range(20):
        shell('echo "$I" >> "$A"; echo "$I" >> "$B"', I=str(i), A=place.path("t", 0), B=other)
        equal(run("cat", place.path("t", 0)), run("cat", other), "files")
    equal(run("wc", "-l", other).split()[0], b"40", "lines")
    run("fusermount3", "-u", place.scratch("second"))
    equal(second.wait(timeout=PATIENCE_SECONDS), 0, "exit status of the second")
    equal(first.end(), 0, "exit status of the first")


@test_unmounted
def idle_memory_is_small(place):
    place.helper("topic", "t", 100)
    mount = place.mount()
    run("ls", "-l", place.path("t"))
    for i in range(100):
        shell('echo x >> "$F"; cat "$F"', F=place.path("t", i))
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as status:
        rss = [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]
    check(rss < 20 * 1024, "RSS is", rss, "KiB")
    equal(mount.end(), 0, "exit status")


if __name__ == "__main__":
    main()
