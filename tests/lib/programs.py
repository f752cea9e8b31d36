# SPDX-License-Identifier: Apache-2.0
"""The programs under test, as a test starts and ends them: beck, beckd, beckfs, and kcat beside them.

Each program's path is an environment variable that meson sets (BECK, BECKD, BECKFS). Whatever is started
is ended again by its own object, never by name.
"""

import os
import re
import select
import shutil
import subprocess
import tempfile
import threading
import time

BECK = os.environ.get('BECK', 'beck')
BECKD = os.environ.get('BECKD')
BECKFS = os.environ.get('BECKFS')

# In front of a command: it ends with who starts it, however that ends. With the thread, that is.
MORTAL = ('setpriv', '--pdeathsig', 'KILL')

# How long something that should happen at once may take on a slow machine.
PATIENCE = 30.0


def wait_until(condition, seconds=PATIENCE):
    """Wait for something to become true; returns whether it did."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def line_after(process, tell, seconds=PATIENCE * 2):
    """The next line of a process that may not listen yet, b'': none. What tell() does is done again until there is
    one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tell()
        if select.select([process.stdout], [], [], 0.5)[0]:
            return process.stdout.readline()
    return b''


class Folder:
    """A temporary folder, `with Folder() as path`."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='beck-test-')
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Result:
    """What a command did: code, out and err; out_bytes is what it wrote, undecoded."""

    def __init__(self, done):
        self.code = done.returncode
        self.out_bytes = done.stdout
        self.out = done.stdout.decode(errors='replace')
        self.err = done.stderr.decode(errors='replace')

    def __repr__(self):
        return f'exit code {self.code}\nstdout: {self.out[-1500:]}\nstderr: {self.err[-1500:]}'


def run(*command, stdin=b'', seconds=PATIENCE * 4, **options):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([str(part) for part in command], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds, check=False, **options)
    return Result(done)


def beck(store, *arguments, **options):
    """Run beck on a store (None: say nothing of a store)."""
    where = [] if store is None else ['--store', store]
    return run(BECK, *where, *arguments, **options)


def must(result):
    """For what is no check itself: it has to have worked."""
    if result.code != 0:
        raise RuntimeError(repr(result))
    return result


def fetched(*command, tries=3, **options):
    """must() for what uses the network, which fails now and then."""
    result = run(*command, **options)
    while result.code != 0 and tries > 1:
        tries -= 1
        time.sleep(5)
        result = run(*command, **options)
    return must(result)


def segments(store):
    """The paths of a store's segment files, in order."""
    found = []
    for directory, _, files in os.walk(os.path.join(store, 'topics')):
        found += [os.path.join(directory, name) for name in files if name.endswith('.log')]
    return sorted(found)


class Program:
    """A process whose stderr is kept."""

    def launch(self, command):
        self.lines = []
        self.process = subprocess.Popen([*MORTAL, *command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, errors='replace')
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip('\n'))

    def log(self):
        return '\n'.join(self.lines[-40:])

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def end(self, kill=False):
        if self.process is None:
            return None
        if self.alive():
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        self.reader.join(PATIENCE)
        self.process = None
        return code


class Beckd(Program):
    """beckd on a port of its own, which it keeps when it is started again."""

    process = None

    def __init__(self, store, *options):
        self.store = store
        self.options = options
        self.port = 0

    def start(self):
        self.launch([BECKD, '--store', self.store, '--listen', f'127.0.0.1:{self.port}',
                     *self.options])
        if not wait_until(lambda: self._listening() or not self.alive()) or not self._listening():
            raise RuntimeError('beckd did not start: ' + self.log())
        self.port = int(self._listening()[1])
        return self

    def _listening(self):
        return next((match for match in
                     (re.search(r'listening on \S*:(\d+)', line) for line in list(self.lines))
                     if match), None)

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()


def no_mount():
    """Why nothing can be mounted here; None where it can."""
    if not BECKFS or not os.access(BECKFS, os.X_OK):
        return 'there is no beckfs'
    if not os.path.exists('/dev/fuse'):
        return 'there is no /dev/fuse'
    with Folder() as folder:
        store = os.path.join(folder, 'store')
        if beck(store, 'store', 'create').code != 0:
            return None
        mount = Mount(store, os.path.join(folder, 'mnt'))
        try:
            mount.start()
        except RuntimeError as error:
            log = str(error)
            denied = 'not permitted' in log.lower() or 'permission' in log.lower()
            return 'mounting is not permitted here' if denied else None
        mount.end_mount()
    return None


class Mount(Program):
    """beckfs on a directory of its own."""

    process = None

    def __init__(self, store, path):
        self.store = store
        self.path = path

    def start(self):
        os.makedirs(self.path, exist_ok=True)
        self.launch([BECKFS, self.store, self.path, '-f'])
        if not wait_until(lambda: os.path.ismount(self.path) or not self.alive()) or \
                not os.path.ismount(self.path):
            self.end()
            raise RuntimeError('beckfs did not mount: ' + self.log())
        return self

    def file(self, topic, partition=0):
        return os.path.join(self.path, topic, str(partition))

    def end_mount(self, kill=False):
        """End it, by kill -9 too, and see that nothing stays mounted."""
        self.end(kill)
        for _ in range(100):
            if not self._mounted():
                return
            subprocess.run(['fusermount3', '-u', '-z', self.path], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.05)

    def _mounted(self):
        with open('/proc/self/mounts', encoding='utf-8') as file:
            return any(line.split()[1] == self.path for line in file)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end_mount()
