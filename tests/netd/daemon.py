# SPDX-License-Identifier: Apache-2.0
"""A beckd of the test's own: on a free port, with a store in a temporary directory.

The test's arguments are the programs: beckd, and the helper that plays another process on the same
store (other_process.c).
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

BECKD = sys.argv[1]
OTHER = sys.argv[2] if len(sys.argv) > 2 else None
# More options for each daemon.
OPTIONS = os.environ.get('BECKD_OPTIONS', '').split()


def sanitizer():
    """The one that the daemon was built with, '': none."""
    with open(BECKD, 'rb') as file:
        program = file.read()
    return next((name for name in ('asan', 'tsan') if f'__{name}_init\0'.encode() in program), '')


# Where memory is measured, a sanitizer needs more of it; what is freed is to come back soon.
MEMORY = 4 if sanitizer() else 1
os.environ.setdefault('ASAN_OPTIONS', 'quarantine_size_mb=1:allocator_release_to_os_interval_ms=100')
# The one for threads has little address space.
if sanitizer() == 'tsan':
    os.environ['BECK_TEST_MAP_BYTES'] = str(64 << 20)
    OPTIONS += ['--set', f'store.map.bytes={64 << 20}']
# For slow machines and sanitizers: how long something that should happen at once may take.
PATIENCE = 20.0


def within(condition, seconds=PATIENCE):
    """Does it hold, now or soon?"""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Daemon:
    """`with Daemon() as d:`. Everything it wrote is in d.log() when the block ends, too."""

    def __init__(self, *options, store=None, listen='127.0.0.1:0', under=(), environment=None, pass_fds=()):
        self.own = tempfile.mkdtemp(prefix='beck-netd-') if store is None else None
        self.store = store or os.path.join(self.own, 'store')
        self.options = options
        self.listen = listen
        self.under = under  # a program that runs it, and its options
        self.environment = environment
        self.pass_fds = pass_fds
        self.process = None
        self.lines = []
        self.port = None
        self.first_line = None

    def start(self):
        self.lines = []
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*self.under, BECKD, '--store', self.store,
             *(('--listen', self.listen) if self.listen else ()), *self.options,
             *OPTIONS],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace',
            env=self.environment, pass_fds=self.pass_fds)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.first_line = self.wait_line(r'listening on (.*):(\d+),')
        if self.first_line is None:
            self.kill()
            raise RuntimeError('beckd did not start: ' + self.log())
        self.port = int(re.search(r'listening on \S*:(\d+)[ ,]', self.first_line)[1])
        return self

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip('\n'))

    def log(self):
        return '\n'.join(self.lines)

    def wait_line(self, pattern, seconds=PATIENCE):
        """The first line of the log that matches, now or later; None: there is none."""
        end = time.monotonic() + seconds
        while True:
            alive = self.process.poll() is None
            for line in list(self.lines):
                if re.search(pattern, line):
                    return line
            if not alive and not self.reader.is_alive() or time.monotonic() > end:
                return None
            time.sleep(0.01)

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    @property
    def pid(self):
        return self.process.pid

    def status(self, field):
        """A number of /proc/PID/status: VmRSS and VmHWM are in kB."""
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            return int(re.search(rf'^{field}:\s+(\d+)', file.read(), re.M)[1])

    def descriptors(self):
        return os.listdir(f'/proc/{self.pid}/fd')

    def uptime(self):
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def cpu_seconds(self):
        """What it has used so far, of all its threads."""
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self, number=signal.SIGTERM):
        """Ends it; returns the exit code, negative for a signal."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self):
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        self.reader.join(PATIENCE)
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop()
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)


def other(*arguments, **options):
    """Run the other process and return what it printed."""
    return subprocess.run([OTHER, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=PATIENCE * 2, **options).stdout


def other_start(*arguments):
    """Start it; its standard output can be read."""
    return subprocess.Popen([OTHER, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
