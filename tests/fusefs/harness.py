# SPDX-License-Identifier: Apache-2.0
"""What the tests of the mount have in common: stores, mounts, checks, and the TAP report.

A test is a function that takes a Mount (or a Place, where it mounts by itself) and raises what it finds
wrong. One program runs all tests that were registered with @test, or those named after its options, each
with a topic of its own in one shared mount. What a machine cannot do is skipped, with the reason.
"""

import argparse
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TESTS = []
PATIENCE_SECONDS = 20


class Skip(Exception):
    """The machine cannot do this test; the text says why."""


def test(function):
    """Register a test that gets the shared mount."""
    TESTS.append((function, True))
    return function


def test_unmounted(function):
    """Register a test that mounts by itself, in a Place of its own."""
    TESTS.append((function, False))
    return function


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(part) for part in what) or "does not hold")


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}: got {brief(got)}, wanted {brief(wanted)}")


def brief(value):
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}... ({len(value)} long)"


@contextlib.contextmanager
def refused(*codes):
    """The block must fail with one of these errnos."""
    names = "/".join(errno.errorcode[code] for code in codes)
    try:
        yield
    except OSError as problem:
        if problem.errno not in codes:
            raise AssertionError(f"failed with {problem}, not with {names}") from problem
        return
    raise AssertionError(f"succeeded, and should have been {names}")


def wait_for(condition, what, seconds=PATIENCE_SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"after {seconds} s still not: {what}")
        time.sleep(0.02)


def run(*command, data=None, ok=True, **more):
    """Run a program; returns what it wrote to stdout as bytes."""
    done = subprocess.run([str(part) for part in command], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False, **more)
    if ok:
        check(done.returncode == 0, command, "exited with", done.returncode, done.stderr)
    return done.stdout


def shell(text, ok=True, **variables):
    """Run a bash script with variables; returns its stdout."""
    return run("bash", "-c", text, ok=ok, env={**os.environ, "LC_ALL": "C.UTF-8", **variables})


def fails(*command, **more):
    """Run a program that must fail; returns its stderr."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False, **more)
    check(done.returncode != 0, command, "succeeded")
    return done.stderr.decode()


def need(program):
    if shutil.which(program) is None:
        raise Skip(f"{program} is not installed")


class Place:
    """A directory with a store and a mount point, and the programs to use them with."""

    def __init__(self, options):
        self.options = options
        self.directory = tempfile.mkdtemp(prefix="beckfs-test-")
        os.chmod(self.directory, 0o755)
        self.store = os.path.join(self.directory, "store")
        self.mountpoint = os.path.join(self.directory, "mnt")
        os.mkdir(self.mountpoint)
        try:
            run(options.helper, "create", self.store)
        except BaseException:
            self.remove()
            raise

    def helper(self, command, *arguments):
        return run(self.options.helper, command, self.store, *arguments)

    def mount(self, *arguments):
        return Mount(self, *arguments)

    def path(self, *parts):
        return os.path.join(self.mountpoint, *[str(part) for part in parts])

    def scratch(self, name):
        return os.path.join(self.directory, name)

    def segment(self, topic_path):
        """The newest segment file below the store's directory of topics (there is one topic)."""
        found = []
        for directory, _, names in os.walk(topic_path):
            found += [os.path.join(directory, name) for name in names if name.endswith(".log")]
        return max(found)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Mount:
    """beckfs in the foreground, with its messages in a file."""

    def __init__(self, place, *arguments):
        self.place = place
        self.log_path = place.scratch("log")
        self.log = open(self.log_path, "ab")
        command = [place.options.beckfs, place.store, place.mountpoint, "-f", *arguments]
        if place.options.mount_options:
            command += ["-o", place.options.mount_options]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        wait_for(self.is_up, "the mount is up")

    def is_up(self):
        check(self.process.poll() is None, "beckfs ended:", self.messages())
        return os.path.ismount(self.place.mountpoint)

    def messages(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def end(self, how=None):
        """Unmount; returns the exit status."""
        if how is None:
            run("fusermount3", "-u", self.place.mountpoint)
        else:
            self.process.send_signal(how)
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        self.log.close()
        return status

    def end_anyhow(self):
        subprocess.run(["fusermount3", "-uz", self.place.mountpoint], stderr=subprocess.DEVNULL,
                       check=False)
        if self.process.poll() is None:
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()


class Topic:
    """A fresh topic in the shared mount: what a test works on."""

    def __init__(self, mount, name, partitions=3, config=None):
        self.mount = mount
        self.place = mount.place
        self.name = name
        self.place.helper("topic", name, partitions, *([config] if config else []))

    def path(self, *parts):
        return self.place.path(self.name, *parts)

    def another(self, suffix, partitions=1, config=None):
        return Topic(self.mount, self.name + suffix, partitions, config)

    def produce(self, *values, partition=0):
        self.place.helper("produce", self.name, partition, *values)

    def records(self, partition=0):
        """The values of all records, through the library."""
        text = self.place.helper("records", self.name, partition)
        values = []
        at = 0
        while at < len(text):
            tab = text.index(b"\t", at)
            size = max(int(text[at:tab]), 0)
            values.append(text[tab + 1:tab + 1 + size])
            at = tab + 1 + size + 1
        return values

    def batches(self, partition=0):
        return int(self.place.helper("batches", self.name, partition))

    def read(self, partition=0):
        with open(self.path(partition), "rb") as file:
            return file.read()

    def append(self, data, partition=0):
        """One write(2), all of it, on a descriptor of its own."""
        fd = self.open(partition=partition)
        try:
            equal(os.write(fd, data), len(data), "bytes written")
        finally:
            os.close(fd)

    def open(self, flags=os.O_WRONLY | os.O_APPEND, partition=0):
        return os.open(self.path(partition), flags)


def can_mount():
    """None, or why there can be no mount here."""
    if not os.path.exists("/dev/fuse"):
        return "/dev/fuse is missing"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse may not be opened by this user"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed"
    return None


def run_one(options, function, shared):
    if not shared:
        place = Place(options)
        try:
            function(place)
        finally:
            subprocess.run(["fusermount3", "-uzq", place.mountpoint], stderr=subprocess.DEVNULL,
                           check=False)
            place.remove()
        return
    function(Topic(options.mount, function.__name__.replace("_", "-")[:240]))


def report(number, name, problem):
    if problem is None:
        print(f"ok {number} - {name}", flush=True)
    elif isinstance(problem, Skip):
        print(f"ok {number} - {name} # SKIP {problem}", flush=True)
    else:
        print(f"not ok {number} - {name}", flush=True)
        for line in "".join(traceback.format_exception(problem)).splitlines():
            print(f"# {line}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--beckfs", required=True)
    parser.add_argument("--helper", required=True)
    parser.add_argument("--growth")
    parser.add_argument("--mount-options", help="for each mount in the foreground")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    for program in ("beckfs", "helper", "growth"):
        if getattr(options, program) is not None:
            setattr(options, program, os.path.abspath(getattr(options, program)))
    os.umask(0o022)
    tests = [entry for entry in TESTS if not options.names or entry[0].__name__ in options.names]
    print(f"1..{len(tests)}", flush=True)
    reason = can_mount()
    place = None
    failed = 0
    if reason is None and any(shared for _, shared in tests):
        place = Place(options)
        options.mount = place.mount()
    for number, (function, shared) in enumerate(tests, 1):
        problem = None
        try:
            if reason is not None:
                raise Skip(reason)
            run_one(options, function, shared)
        except Exception as found:  # a test may fail in any way
            problem = found
            failed += not isinstance(found, Skip)
        report(number, function.__name__, problem)
    if place is not None:
        options.mount.end_anyhow()
        place.remove()
    sys.exit(1 if failed else 0)
