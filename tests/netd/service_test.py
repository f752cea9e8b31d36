# SPDX-License-Identifier: Apache-2.0
"""beckd as a service: its messages, and how it talks to the service manager."""

import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from daemon import BECKD, OPTIONS, PATIENCE, Daemon
from raw import Raw
from tap import equal, ok, run

LIMIT_LINES = 20  # log.h


def nonsense(daemon):
    """A connection that announces a request that is too long."""
    with Raw(daemon.port) as client:
        client.socket.sendall(struct.pack('>i', -2))
        return '%s:%d' % client.socket.getsockname(), client.closed()


def text_messages():
    with Daemon() as daemon:
        peer, closed = nonsense(daemon)
        ok(closed, 'nonsense ends its connection')
        equal(daemon.wait_line('announced'),
              f'beckd: {peer}: closed: announced a request of -2 bytes (the limit is 104857600)',
              'a message in text: program, peer, what')


def json_messages():
    with Daemon('--log-format=json') as daemon:
        peer, _ = nonsense(daemon)
        daemon.wait_line('announced')
        daemon.stop()
        first, second = (json.loads(line) for line in daemon.lines)
        ok(first['message'].startswith('listening on 127.0.0.1:') and first['version'],
           'json: the first line is an object with message and version', first)
        ok(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', first['time']), 'it has the time', first)
        equal((first['level'], second['level']), ('info', 'warning'), 'and a level')
        equal(second.get('peer'), peer, 'a line about a connection says whose it is')
        ok(second['message'].startswith('closed: announced'), 'outside of the message', second)


def json_escapes():
    with Daemon('--log-format=json') as daemon:
        path = os.path.join(daemon.own, 'a"b\\c\n\u00e4')
        daemon.stop()
        daemon.store = path
        daemon.start()
        daemon.stop()
        ok(path in json.loads(daemon.lines[0])['message'], 'json: what has to be escaped is', daemon.log())
        daemon.store = path.encode() + b'\xff'
        daemon.start()
        daemon.stop()
        ok(path + '?' in json.loads(daemon.lines[0])['message'], 'and what is no UTF-8 is replaced',
           daemon.log())


def flood():
    with Daemon('--log-format=json', '--set', 'num.network.threads=1') as daemon:
        for _ in range(200):
            nonsense(daemon)
        nonsense(daemon)
        daemon.stop()
        lines = [json.loads(line) for line in daemon.lines[1:]]
        told = len(lines) + sum(line.get('left_out', 0) for line in lines)
        begin = daemon.lines and json.loads(daemon.lines[0])['time']
        seconds = {line['time'][:19] for line in lines} | {begin[:19]}
        ok(len(lines) <= LIMIT_LINES * (len(seconds) + 1), 'nonsense costs so many lines a second, no more',
           f'{len(lines)} lines in {len(seconds)} s')
        ok(told <= 201, 'those that are left out are counted', told)


def to_journal(*options):
    """Start a daemon whose stderr is said to be the journal."""
    daemon = Daemon(*options, under=('sh', '-c', 'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/fd/2) exec "$@"', 'sh'))
    daemon.start()
    nonsense(daemon)
    daemon.wait_line('announced')
    daemon.stop()
    return daemon


def priorities():
    daemon = to_journal()
    ok(daemon.lines[0].startswith('<6>beckd 0.'), 'to the journal, lines begin with their priority',
       daemon.log())
    ok(daemon.lines[1].startswith('<4>beckd: 127.0.0.1:'), 'each with its own', daemon.log())
    daemon.__exit__()
    daemon = to_journal('--log-format=json')
    ok(daemon.lines[0].startswith('<6>{"time":'), 'in front of an object, too', daemon.log())
    daemon.__exit__()
    os.environ['JOURNAL_STREAM'] = '1:1'
    with Daemon() as daemon:
        ok(daemon.lines[0].startswith('beckd 0.'), 'a JOURNAL_STREAM that is another is none', daemon.log())
    del os.environ['JOURNAL_STREAM']


class Manager:
    """The side of the service manager: a socket that hears what the daemon says."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        path = os.path.join(self.directory.name, 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.environment = {**os.environ, 'NOTIFY_SOCKET': path}

    def hear(self, seconds=PATIENCE):
        """The next message, as a dictionary; None: there was none."""
        self.socket.settimeout(seconds)
        try:
            text = self.socket.recv(4096).decode()
        except socket.timeout:
            return None
        return dict(line.split('=', 1) for line in text.splitlines())

    def forget(self):
        """What was said until now."""
        while self.hear(0.001):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.directory.cleanup()


def notifications():
    with Manager() as manager, Daemon(environment=manager.environment) as daemon:
        said = manager.hear()
        ok(said['READY'] == '1' and daemon.address in said['STATUS'], 'it says when it is ready, and where',
           said)
        with Raw(daemon.port) as client:
            ok(client.metadata()['brokers'], 'and is')
        daemon.process.send_signal(signal.SIGHUP)
        said = manager.hear()
        ok(said.get('RELOADING') == '1' and int(said['MONOTONIC_USEC']) > 0,
           'SIGHUP: that it reads its configuration', said)
        equal(manager.hear().get('READY'), '1', 'and when that is done')
        daemon.stop()
        equal(manager.hear().get('STOPPING'), '1', 'SIGTERM: that it ends')
        equal(manager.hear(0.01), None, 'nothing else')


def no_manager():
    with Daemon(environment={**os.environ, 'NOTIFY_SOCKET': '/nonexistent/x'}) as daemon:
        equal(daemon.stop(), 0, 'a manager that does not listen does not matter')


PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


class Frozen:
    """One thread of a process does not go on for a while."""

    def __init__(self, pid, name):
        self.call = ctypes.CDLL(None, use_errno=True).ptrace
        self.call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        for thread in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{thread}/comm', encoding='ascii') as file:
                if file.read().strip() == name:
                    self.thread = int(thread)

    def trace(self, request):
        if self.call(request, self.thread, None, None) < 0:
            raise OSError(ctypes.get_errno(), 'ptrace')

    def __enter__(self):
        self.trace(PTRACE_SEIZE)
        self.trace(PTRACE_INTERRUPT)
        os.waitpid(self.thread, WALL)

    def __exit__(self, *_):
        self.trace(PTRACE_DETACH)


def watchdog():
    with Manager() as manager:
        environment = {**manager.environment, 'WATCHDOG_USEC': '2000000'}
        with Daemon('--set', 'num.network.threads=2', environment=environment) as daemon:
            manager.hear()
            for _ in range(3):
                equal(manager.hear(), {'WATCHDOG': '1'}, 'a sign of life comes again and again')
            for name in ('loop 1', 'maintenance'):
                with Frozen(daemon.pid, name):
                    end = time.monotonic() + PATIENCE
                    while manager.hear(1.5) and time.monotonic() < end:
                        pass
                    equal(manager.hear(1.5), None, f'while "{name}" does not go on there is none')
                equal(manager.hear(), {'WATCHDOG': '1'}, 'and again when it does')


def no_watchdog():
    with Manager() as manager:
        environment = {**manager.environment, 'WATCHDOG_USEC': '100000', 'WATCHDOG_PID': '1'}
        with Daemon(environment=environment):
            manager.hear()
            equal(manager.hear(0.5), None, 'signs of life are for who is asked for them')


# Puts sockets where sd_listen_fds(3) looks for them: PROGRAM NAMES FD... -- COMMAND
PASS = """
import fcntl, os, sys
end = sys.argv.index('--')
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[2:end]]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[end + 1], sys.argv[end + 1:])
"""


def listening(kind=socket.SOCK_STREAM):
    one = socket.socket(socket.AF_INET, kind)
    one.bind(('127.0.0.1', 0))
    if kind == socket.SOCK_STREAM:
        one.listen()
    return one


def passing(names, sockets):
    fds = [one.fileno() for one in sockets]
    return (sys.executable, '-c', PASS, names, *map(str, fds), '--'), fds


def port_of(one):
    return one.getsockname()[1]


def passed_sockets():
    with listening() as a, listening() as b:
        under, fds = passing('OUT:IN', (a, b))
        with Daemon('--set', 'listeners=IN://:1,OUT://127.0.0.1:1,MORE://127.0.0.1:0', '--set',
                    'advertised.listeners=OUT://example.test:1234', listen=None, under=under,
                    pass_fds=fds) as daemon:
            ports = [int(p) for p in re.findall(r'127\.0\.0\.1:(\d+)', daemon.first_line)]
            equal(ports[:2], [port_of(b), port_of(a)], 'passed sockets take the places of listeners, by name')
            equal(len(ports), 3, 'a listener for which there is none has its own')

            def broker(port):
                with Raw(port) as client:
                    return client.metadata()['brokers'][0][1:3]
            equal(broker(port_of(a)), ('example.test', 1234), 'what is advertised is that of the listener')
            equal(broker(port_of(b)), ('127.0.0.1', port_of(b)), 'else where the socket listens')
            equal(daemon.stop(), 0, 'exit 0')
        with socket.create_connection(('127.0.0.1', port_of(a)), 5):
            ok(True, 'the sockets stay open with whoever passed them')


def one_listener():
    with listening() as one:
        under, fds = passing('beckd.socket', (one,))
        with Daemon(listen=None, under=under, pass_fds=fds) as daemon:
            equal(daemon.port, port_of(one), 'where there is one listener, any name means it')


def wrong_sockets():
    def refused(names, sockets, listeners, pattern):
        under, fds = passing(names, sockets)
        with tempfile.TemporaryDirectory() as store:
            done = subprocess.run([*under, BECKD, *OPTIONS, '--store', store + '/s', '--set', 'listeners=' + listeners],
                                  pass_fds=fds, capture_output=True, text=True, timeout=PATIENCE,
                                  check=False)
        ok(done.returncode == 1 and re.search(pattern, done.stderr), f'refused: {pattern}', done.stderr)
    with listening() as one, listening(socket.SOCK_DGRAM) as datagram:
        refused('OTHER', (one,), 'A://127.0.0.1:0,B://127.0.0.1:0', "'OTHER' .* like none of the listeners")
        refused('A', (datagram,), 'A://127.0.0.1:0', "'A' .* does not listen for TCP")
        refused(':'.join(['A'] * 9), (one,) * 9, 'A://127.0.0.1:0', 'too many')


run(text_messages, json_messages, json_escapes, flood, priorities, notifications, no_manager, watchdog,
    no_watchdog, passed_sockets, one_listener, wrong_sockets)
