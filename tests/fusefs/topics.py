# SPDX-License-Identifier: Apache-2.0
"""Topics as directories: names, listing, owners and modes, what other processes make and delete."""

import errno
import os
import stat
import subprocess
import time

from harness import (Skip, check, equal, fails, main, need, refused, run, test,
                     test_unmounted, wait_for)

NOBODY = 65534


def names_in(path):
    return sorted(os.listdir(path))


@test
def a_topic_lists_its_partitions(topic):
    equal(names_in(topic.path()), ["0", "1", "2"], "listing")
    many = topic.another("-many", 1500)
    equal(names_in(many.path()), sorted(str(i) for i in range(1500)), "a long listing")


@test
def ls_l_shows_sizes(topic):
    topic.append(b"12345\n", 1)
    lines = run("ls", "-ln", topic.path()).decode().splitlines()[1:]
    equal([line.split()[4] for line in lines], ["0", "6", "0"], "sizes")


@test
def find_sees_the_tree(topic):
    equal(run("find", topic.path(), "-type", "f").decode().split(),
          [topic.path(i) for i in range(3)], "find")


@test
def mkdir_makes_a_topic_of_one_partition(topic):
    path = topic.place.path("made-here")
    os.mkdir(path)
    equal(names_in(path), ["0"], "listing")
    topic.place.helper("produce", "made-here", 0, "from outside")
    equal(run("cat", f"{path}/0"), b"from outside\n", "file")


@test
def mkdir_of_an_existing_topic_is_eexist(topic):
    with refused(errno.EEXIST):
        os.mkdir(topic.path())


@test
def names_that_topics_cannot_have_are_einval(topic):
    for name in ("with space", "ümlaut", "a:b", "a\nb", "x" * 250):
        with refused(errno.EINVAL):
            os.mkdir(topic.place.path(name))
    os.mkdir(topic.place.path("x" * 249))
    os.mkdir(topic.place.path("A.b_c-9"))


@test
def unknown_topics_and_partitions_are_enoent(topic):
    for path in (topic.place.path("unknown"), topic.place.path("unknown", 0),
                 topic.place.path("no such name"), topic.path(3), topic.path("00"),
                 topic.path("+1"), topic.path("x")):
        with refused(errno.ENOENT):
            os.stat(path)
        with refused(errno.ENOENT):
            os.open(path, os.O_RDONLY)


@test
def rmdir_deletes_an_empty_topic(topic):
    os.rmdir(topic.path())
    with refused(errno.ENOENT):
        os.stat(topic.path())
    fails(topic.place.options.helper, "records", topic.place.store, topic.name, 0)
    check(topic.name not in names_in(topic.place.mountpoint), "still listed")


@test
def rmdir_of_a_topic_with_records_is_enotempty(topic):
    topic.append(b"data\n", 2)
    with refused(errno.ENOTEMPTY):
        os.rmdir(topic.path())
    equal(topic.read(2), b"data\n", "file")


@test_unmounted
def rmdir_nonempty_lets_rmdir_delete_records(place):
    mount = place.mount("-o", "rmdir_nonempty")
    place.helper("topic", "t", 1)
    place.helper("produce", "t", 0, "data")
    os.rmdir(place.path("t"))
    with refused(errno.ENOENT):
        os.stat(place.path("t"))
    equal(mount.end(), 0, "exit status")


@test
def topics_of_other_processes_appear_at_once(topic):
    with refused(errno.ENOENT):
        os.stat(topic.place.path("appears"))
    topic.place.helper("topic", "appears", 2)
    equal(names_in(topic.place.path("appears")), ["0", "1"], "listing")
    check("appears" in names_in(topic.place.mountpoint), "not listed")


@test
def topics_deleted_by_other_processes_go_within_a_second(topic):
    topic.append(b"data\n")
    fd = topic.open(os.O_RDWR | os.O_APPEND)
    topic.place.helper("delete", topic.name)
    wait_for(lambda: not os.path.exists(topic.path()), "the directory is gone", 2)
    with refused(errno.ESTALE):
        os.pread(fd, 10, 0)
    with refused(errno.ESTALE):
        os.write(fd, b"more\n")
    with refused(errno.ESTALE):
        os.fstat(fd)
    os.close(fd)


@test
def a_topic_made_again_is_another_one(topic):
    topic.append(b"old\n")
    old = os.stat(topic.path(0)).st_ino
    topic.place.helper("delete", topic.name)
    topic.place.helper("topic", topic.name, 1)
    time.sleep(1.1)
    equal(names_in(topic.path()), ["0"], "listing")
    check(os.stat(topic.path(0)).st_ino != old, "the inode is that of the old one")
    equal(topic.read(), b"", "file")
    topic.append(b"new\n")
    equal(topic.records(), [b"new"], "records")


@test
def a_deleted_topic_is_never_shown_as_its_successor(topic):
    topic.append(b"old\n")
    for i in range(20):
        topic.place.helper("delete", topic.name)
        topic.place.helper("topic", topic.name, 1)
        try:
            got = topic.read()
        except OSError as problem:
            check(problem.errno in (errno.ENOENT, errno.ESTALE), problem)
            got = b""
        equal(got, b"", "file")
        time.sleep(1.1 if i == 0 else 0)


@test_unmounted
def inode_numbers_are_stable_and_unique(place):
    for name, count in (("a", 3), ("b", 300), ("c", 1)):
        place.helper("topic", name, count)

    def numbers():
        found = {}
        for directory, _, names in os.walk(place.mountpoint):
            for path in [directory] + [os.path.join(directory, name) for name in names]:
                found[path] = os.stat(path).st_ino
        return found
    mount = place.mount()
    first = numbers()
    listed = {entry.path: entry.inode() for entry in os.scandir(place.path("b"))}
    mount.end()
    place.helper("delete", "c")
    place.helper("topic", "d", 1)
    mount = place.mount()
    second = numbers()
    mount.end()
    equal(len(set(first.values())), len(first), "different inodes")
    for path, number in listed.items():
        equal(number, first[path], f"d_ino of {path}")
    for path in set(first) & set(second):
        equal(second[path], first[path], path)
    check(second[place.path("d")] not in first.values(), "an inode was used again")


@test_unmounted
def a_thousand_topics_are_listed(place):
    place.helper("topics", "many", 1000)
    mount = place.mount()
    equal(names_in(place.mountpoint), sorted(f"many{i}" for i in range(1000)), "listing")
    equal(len(run("ls", "-l", place.mountpoint).splitlines()), 1001, "lines of ls -l")
    equal(run("find", place.mountpoint, "-name", "0").count(b"\n"), 1000, "found by find")
    equal(mount.end(), 0, "exit status")


@test
def a_listing_is_complete_while_topics_come_and_go(topic):
    for i in range(40):
        os.mkdir(topic.place.path(f"stays{i}"))
    worker = subprocess.Popen(["bash", "-c", 'for i in {1..100}; do mkdir "$1/comes$i"; '
                               'rmdir "$1/comes$i"; done', "-", topic.place.mountpoint])
    while worker.poll() is None:
        names = os.listdir(topic.place.mountpoint)
        equal(sorted(name for name in names if name.startswith("stays")),
              sorted(f"stays{i}" for i in range(40)), "listing")
    equal(worker.returncode, 0, "status of who makes and removes")


@test_unmounted
def modes_and_owners_are_kept(place):
    if os.geteuid() != 0:
        raise Skip("only root can change owners")
    mount = place.mount()
    path = place.path("t")
    os.mkdir(path, 0o750)
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o750, "mode of mkdir")
    os.chmod(path, 0o775)
    os.chown(path, 1234, 2345)
    os.chmod(place.path("t", 0), 0o640)
    mount.end()
    mount = place.mount()
    st = os.stat(path)
    file = os.stat(place.path("t", 0))
    equal((st.st_uid, st.st_gid, file.st_uid, file.st_gid), (1234, 2345, 1234, 2345), "owners")
    equal(stat.S_IMODE(file.st_mode), 0o640, "mode of the file")
    equal(stat.S_IMODE(st.st_mode), 0o750, "mode of the directory")
    os.chown(path, 77, -1)
    equal((os.stat(path).st_uid, os.stat(path).st_gid), (77, 2345), "owner alone")
    equal(mount.end(), 0, "exit status")


@test_unmounted
def other_users_are_kept_out_unless_allowed(place):
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    need("setpriv")
    other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    os.chmod(place.store, 0o755)
    mount = place.mount()
    os.mkdir(place.path("t"))
    check("Permission denied" in fails(*other, "ls", place.mountpoint))
    mount.end()
    mount = place.mount("-o", "allow_other")
    equal(run(*other, "cat", place.path("t", 0)), b"", "reading is allowed by 0755")
    check("Permission denied" in fails(*other, "tee", "-a", place.path("t", 0),
                                       stdin=subprocess.DEVNULL))
    check("Permission denied" in fails(*other, "mkdir", place.path("mine")))
    os.chmod(place.path("t"), 0o777)
    run(*other, "tee", "-a", place.path("t", 0), data=b"theirs\n")
    os.chmod(place.path("t"), 0o700)
    check("Permission denied" in fails(*other, "cat", place.path("t", 0)))
    equal(run("cat", place.path("t", 0)), b"theirs\n", "file")
    equal(mount.end(), 0, "exit status")


@test
def df_tells_of_the_store(topic):
    mine, store = os.statvfs(topic.path()), os.statvfs(topic.place.store)
    equal((mine.f_blocks, mine.f_bsize), (store.f_blocks, store.f_bsize), "size")
    equal(mine.f_namemax, 249, "longest name")


@test
def extended_attributes_are_not_supported(topic):
    with refused(errno.EOPNOTSUPP):
        os.setxattr(topic.path(0), "user.x", b"1")


if __name__ == "__main__":
    main()
