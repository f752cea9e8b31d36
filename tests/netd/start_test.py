# SPDX-License-Identifier: Apache-2.0
"""The command line, starting, and ending."""

import glob
import os
import signal
import socket
import subprocess
import tempfile
import time

import raw
from daemon import BECKD, OPTIONS, PATIENCE, Daemon
from raw import Raw, batch
from tap import equal, ok, run


def beckd(*arguments):
    done = subprocess.run([BECKD, *OPTIONS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def command_line():
    code, out, err = beckd('--help')
    ok(code == 0 and '--store DIR' in out and '--listen HOST:PORT' in out and not err, '--help', out)
    code, out, _ = beckd('--version')
    ok(code == 0 and out.startswith('beckd 0.'), '--version', out)
    for name, arguments in (
            ('no store', []), ('an unknown option', ['--nonsense']),
            ('an argument too many', ['--store', '/nonexistent/x', 'more']),
            ('a listen without a port', ['--store', '/nonexistent/x', '--listen', 'localhost']),
            ('a port that is none', ['--store', '/nonexistent/x', '--listen', 'localhost:99999']),
            ('an IPv6 address without brackets', ['--store', '/nonexistent/x', '--listen', '::1:1']),
            ('an unknown configuration', ['--store', '/nonexistent/x', '--set', 'no.such=1']),
            ('a wrong value', ['--store', '/nonexistent/x', '--set', 'num.partitions=0'])):
        code, out, err = beckd(*arguments)
        ok(code == 2 and not out and err, f'{name}: exit 2 and a reason', f'{code} {err}')
    code, _, err = beckd('--store', '/proc/nonexistent/x')
    ok(code == 1 and len(err.splitlines()) == 1, 'a store that cannot be made: exit 1, one sentence',
       f'{code} {err}')
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, 'letter.txt'), 'w', encoding='ascii') as file:
            file.write('mine')
        code, _, err = beckd('--store', directory, '--listen', '127.0.0.1:0')
        ok(code == 1 and err, 'a directory with something else in it is refused', f'{code} {err}')
        equal(os.listdir(directory), ['letter.txt'], 'and left alone')


def first_line():
    with Daemon() as daemon:
        line = daemon.first_line
        ok(line.startswith('beckd 0.'), 'the first line begins with name and version', line)
        for what in (f'listening on 127.0.0.1:{daemon.port}', f'store {daemon.store} (format ',
                     '0 topics)', 'acks=all waits for fdatasync', 'recovery: nothing to do'):
            ok(what in line, f'it says: {what.split(daemon.store)[0]}', line)
        equal(len(daemon.lines), 1, 'it is the only one')
        with Raw(daemon.port) as client:
            client.metadata('t')
        equal(daemon.stop(), 0, 'SIGTERM: exit 0')
        daemon.start()
        ok('1 topic)' in daemon.first_line, 'the next start finds the topic', daemon.first_line)


def second_daemon():
    with Daemon() as daemon:
        code, _, err = beckd('--store', daemon.store, '--listen', '127.0.0.1:0')
        ok(code == 1 and str(daemon.pid) in err, 'a second beckd on the store: refused, naming the pid',
           f'{code} {err}')
        with Raw(daemon.port) as client:
            ok(client.metadata()['brokers'], 'the first one is not disturbed')
        with tempfile.TemporaryDirectory() as directory:
            code, _, err = beckd('--store', directory, '--listen', daemon.address)
            ok(code == 1 and daemon.address in err and len(err.splitlines()) == 1,
               'a port that is taken: exit 1, one sentence that names it', f'{code} {err}')
        daemon.kill()
        daemon.start()
        ok(daemon.port, 'after its death by SIGKILL the next one starts')


def ending():
    with Daemon() as daemon:
        with Raw(daemon.port) as client, Raw(daemon.port) as idle, Raw(daemon.port) as half:
            client.metadata('t')
            half.socket.sendall(b'\0\0')
            wanted = client.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=60000))
            idle.metadata()
            begin = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            equal(client.receive()[0], wanted, 'SIGTERM: a waiting fetch is answered')
            ok(client.closed() and idle.closed() and half.closed(), 'all connections close')
            equal(daemon.wait(), 0, 'exit 0')
            ok(time.monotonic() - begin < 10, 'soon')
        equal(len(daemon.lines), 1, 'without a word')

    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.metadata('t')
            sent = [client.send(raw.PRODUCE, 3, raw.produce_body('t', batch(b'x' * 1000)))
                    for _ in range(200)]
            daemon.process.send_signal(signal.SIGTERM)
            answered = 0
            try:
                while answered < len(sent):
                    client.receive()
                    answered += 1
            except (EOFError, ConnectionResetError):
                pass
        equal(daemon.wait(), 0, 'SIGTERM under load: exit 0')
        daemon.start()
        with Raw(daemon.port) as client:
            high = client.fetch('t')['parts'][0]['high']
        ok(answered <= high <= len(sent), 'what was acknowledged is there', f'{answered} {high}')
        ok('recovery: nothing to do' in daemon.first_line, 'a clean end leaves nothing to recover')

    with Daemon() as daemon:
        with Raw(daemon.port) as stuck:
            stuck.metadata('t')
            stuck.produce('t', batch(bytes(1000000)))
            stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(100):
                stuck.send(raw.FETCH, 4, raw.fetch_body('t'))
            time.sleep(0.3)
            begin = time.monotonic()
            equal(daemon.stop(), 0, 'a client that does not read cannot keep it: exit 0')
            ok(time.monotonic() - begin < 15, 'within a bounded time')
    with Daemon() as daemon:
        equal(daemon.stop(signal.SIGINT), 0, 'SIGINT ends it as well')


def without_descriptors():
    """Too few for the loops, of which some are there already."""
    with tempfile.TemporaryDirectory(prefix='beck-netd-') as folder:
        for few in range(34, 70, 4):
            done = subprocess.run(
                ['prlimit', f'--nofile={few}:{few}', BECKD, *OPTIONS, '--store', folder + '/store',
                 '--listen', '127.0.0.1:0', '--set', 'num.network.threads=16'],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)
            ok(done.returncode == 1 and done.stderr, f'{few} descriptors: exit 1 and a reason',
               f'{done.returncode} {done.stderr}')


def crash():
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.metadata('t')
            for i in range(100):
                equal(client.produce('t', batch(b'%d' % i)), (0, i), f'produce {i}') if i > 98 else \
                    client.produce('t', batch(b'%d' % i))
        daemon.kill()
        segments = glob.glob(os.path.join(daemon.store, 'topics', '*', '0', '*.log'))
        equal(len(segments), 1, 'one segment file')
        with open(segments[0], 'r+b') as file:
            file.seek(100 * len(batch(b'10')) - 10)  # behind: ten batches are one byte shorter
            file.write(b'junk' * 100)
        daemon.start()
        ok('recovery: cut 1 partition' in daemon.first_line, 'junk behind the end after a kill is cut',
           daemon.log())
        line = daemon.wait_line(r'recovery: t/0: cut 400 bytes', 1)
        ok(line, 'one line says what, where and how much', daemon.log())
        with Raw(daemon.port) as client:
            equal(client.fetch('t')['parts'][0]['high'], 100, 'every acknowledged record is there')
            equal(client.produce('t', batch(b'next')), (0, 100), 'and the next one follows')


run(command_line, first_line, second_daemon, ending, without_descriptors, crash)
