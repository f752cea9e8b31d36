# SPDX-License-Identifier: Apache-2.0
"""The configuration: files, the command line, reading it anew, listeners, and the store's socket."""

import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import raw
from daemon import BECKD, Daemon
from raw import Raw
from tap import equal, ok, run


def beckd(*arguments):
    done = subprocess.run([BECKD, *arguments], capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr


def write(directory, text):
    path = os.path.join(directory, 'beckd.conf')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def files():
    with tempfile.TemporaryDirectory() as directory:
        path = write(directory, '# a comment\n! another\n\n  num.partitions = 7 \n'
                     'listeners=PLAINTEXT://127.0.0.1:0,\\\n   SIX://[::1]:0\nlog.retention.hours=2\n')
        code, out, err = beckd('--check-config', '--config', path)
        equal((code, out, err), (0, '', ''), 'a file as Kafka has them is right')
        code, out, _ = beckd('--dump-config', '--config', path, '--set', 'num.partitions=8')
        ok(code == 0 and '\nnum.partitions=8\n' in out, 'what is said by hand wins', out)
        ok('\nlisteners=PLAINTEXT://127.0.0.1:0,SIX://[::1]:0\n' in out, 'a line is continued', out)
        ok('\n#fetch.max.bytes=57671680\n' in out, 'what was not set is there as a comment', out)
        again = write(directory, out)
        equal(beckd('--dump-config', '--config', again)[1], out, 'a dump is a file that says the same')
        for text, what in (('num.partitons=1\n', "did you mean 'num.partitions'"),
                           ('num.partitions=0\n', 'must be a whole number from 1 to'),
                           ('auto.create.topics.enable=yes\n', 'must be true or false'),
                           ('listeners=127.0.0.1:9092\n', 'is not NAME://HOST:PORT'),
                           ('listeners=A://:1,A://:2\n', 'two are named A'),
                           ('listener.security.protocol.map=A:SSL\n', 'PLAINTEXT is the only protocol'),
                           ('log.dirs=/a,/b\n', 'one directory'), ('nonsense\n', 'is not NAME=VALUE')):
            code, _, err = beckd('--check-config', '--config', write(directory, '\n' + text))
            ok(code == 2 and 'beckd.conf:2: ' in err and what in err, f'refused with its line: {text.strip()}',
               err)
        code, _, err = beckd('--check-config', '--config', directory + '/none')
        ok(code == 2 and 'No such file' in err, 'a file that is not there', err)


def manual():
    page = Path(__file__).parents[2] / 'netd' / 'beckd.conf.5'
    described = re.findall(r'^\.It Cm (\S+)( \*)?$', page.read_text(encoding='utf-8'), re.M)
    known = re.findall(r'^#([a-z.]+)=', beckd('--dump-config')[1], re.M)
    defaults = dict(re.findall(r'^#([a-z.]+)=(.*)$', beckd('--dump-config')[1], re.M))
    for name, text in re.findall(r'^\.It Cm (\S+)(?: \*)?\n(.*?)(?=^\.It |^\.El)', page.read_text(encoding='utf-8'),
                                 re.M | re.S):
        told = re.search(r"^Default: (?:the store's \((.*)\)|(.*))\.$", text, re.M)
        if told:
            equal(told[1] or told[2], defaults[name], f'beckd.conf(5) knows the default of {name}')
    equal([name for name, _ in described], known, 'beckd.conf(5) describes what there is')


def read_anew():
    with tempfile.TemporaryDirectory() as directory:
        path = write(directory, 'num.partitions=2\n')
        with Daemon('--config', path) as daemon, Raw(daemon.port) as client:
            equal(len(client.metadata('a')['topics']['a'][1]), 2, 'what the file says is done')
            write(directory, 'num.partitions=3\nnum.io.threads=1\n')
            daemon.process.send_signal(signal.SIGHUP)
            ok(daemon.wait_line('read anew; a restart is needed for num.io.threads'),
               'SIGHUP: it says what needs a restart', daemon.log())
            equal(len(client.metadata('b')['topics']['b'][1]), 3, 'and takes over the rest')
            write(directory, 'num.partitions=none\n')
            daemon.process.send_signal(signal.SIGHUP)
            ok(daemon.wait_line('stays as it was'), 'what is wrong changes nothing', daemon.log())
            equal(len(client.metadata('c')['topics']['c'][1]), 3, 'nothing')


def while_it_starts(signal_number, daemon, path):
    """Send it a signal while a pipe in the place of its configuration holds it."""
    os.mkfifo(path)
    starting = threading.Thread(target=daemon.start)
    starting.start()
    with open(path, 'w', encoding='ascii') as pipe:  # when it reads there
        while not daemon.process:
            time.sleep(0.001)
        daemon.process.send_signal(signal_number)
        os.replace(write(os.path.dirname(path), 'num.partitions=3\n'), path)
        pipe.write('num.partitions=2\n')
    starting.join()


def signals_before_it_is_ready():
    for number in (signal.SIGHUP, signal.SIGTERM):
        with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
            path = os.path.join(directory, 'held.conf')
            daemon = Daemon('--config', path)
            stack.push(daemon)
            while_it_starts(number, daemon, path)
            if number == signal.SIGTERM:
                equal(daemon.wait(), 0, 'SIGTERM while it starts: it ends in good order')
                continue
            ok(daemon.wait_line('the configuration was read anew'), 'SIGHUP while it starts: it goes on',
               daemon.log())
            with Raw(daemon.port) as client:
                equal(len(client.metadata('t')['topics']['t'][1]), 3, 'and reads its configuration anew')


def store_entries_read_anew():
    with tempfile.TemporaryDirectory() as directory:
        path = write(directory, 'log.retention.ms=60000\nlog.roll.ms=60000\n')
        with Daemon('--config', path) as daemon:
            write(directory, 'log.retention.minutes=2\n')
            daemon.process.send_signal(signal.SIGHUP)
            ok(daemon.wait_line('read anew; a restart is needed for log.retention.ms$'),
               "SIGHUP: what is to be put into the store needs a restart", daemon.log())


def store_entries():
    with Daemon('--set', 'log.retention.minutes=5', '--set', 'log.flush.policy=os') as daemon:
        ok('does not wait for the disk' in daemon.first_line, "the store's entries are put into the store")
        daemon.stop()
        daemon.options = ('--set', 'log.retention.ms=nothing')
        code, _, err = beckd('--store', daemon.store, '--listen', '127.0.0.1:0', *daemon.options)
        ok(code == 1 and 'retention.ms' in err, 'and refused by it', err)


def listeners():
    advertised = 'advertised.listeners=OUT://example.test:1234'
    with Daemon('--set', 'listeners=IN://127.0.0.1:0,OUT://127.0.0.1:0', '--set', advertised,
                listen=None) as daemon:
        ports = [int(p) for p in re.findall(r'127\.0\.0\.1:(\d+)', daemon.first_line)]
        equal(len(ports), 2, 'two listeners')

        def broker(port):
            with Raw(port) as client:
                reader = client.call(raw.METADATA, 1, struct.pack('>i', 0))
                return reader.array(lambda: (reader.take('i'), reader.string(), reader.take('i'),
                                             reader.string()))[0][1:3]
        equal(broker(ports[0]), ('127.0.0.1', ports[0]), 'one tells its own address')
        equal(broker(ports[1]), ('example.test', 1234), 'the other what is advertised')
        path = os.path.join(daemon.store, 'broker.sock')
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(path)
            local.sendall(Raw.frame(raw.API_VERSIONS, 0, 5, b''))
            size, correlation, error = struct.unpack('>iih', local.recv(10, socket.MSG_WAITALL))
            ok(size > 10 and (correlation, error) == (5, 0), "the store's socket speaks the protocol, too")
        daemon.kill()
        ok(os.path.exists(path), 'a killed daemon leaves its socket')
        daemon.start()
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(path)
            ok(True, 'the next one takes the place')
        daemon.stop()
        ok(not os.path.exists(path), 'and takes it away when it ends')


def switches():
    with Daemon('--set', 'replication.factor.any=true', '--set', 'delete.topic.enable=false') as daemon:
        with Raw(daemon.port) as client:
            equal(client.create('t', replicas=3)[0], 0, 'replication.factor.any: three copies are asked for')
            equal(client.delete('t'), 42, 'delete.topic.enable=false: no topic is deleted')
            ok('t' in client.metadata()['topics'], 'and stays')


run(files, manual, read_anew, signals_before_it_is_ready, store_entries, store_entries_read_anew, listeners, switches)
