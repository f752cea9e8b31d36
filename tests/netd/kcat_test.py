# SPDX-License-Identifier: Apache-2.0
"""kcat, unmodified: what a user types."""

import hashlib
import os
import random
import select
import shutil
import subprocess
import time

import tap
from daemon import Daemon, PATIENCE
from tap import equal, ok, run

KCAT = shutil.which('kcat') or shutil.which('kafkacat')
if not KCAT:
    tap.skip_all('kcat is not installed')


def kcat(daemon, *arguments, data=None):
    done = subprocess.run([KCAT, '-b', daemon.address, *arguments], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          timeout=PATIENCE * 3)
    if done.returncode != 0:
        print('# ' + done.stderr.decode(errors='replace').replace('\n', '\n# '))
    return done.stdout


def consume(daemon, topic, *arguments, form='%o %k=%s\n', offset='beginning'):
    return kcat(daemon, '-C', '-t', topic, '-o', offset, '-e', '-q', '-f', form, *arguments).decode()


def listing():
    with Daemon('--set', 'num.partitions=3') as daemon:
        kcat(daemon, '-P', '-t', 'made', '-p', '2', data=b'hi\n')
        text = kcat(daemon, '-L').decode()
        ok('topic "made" with 3 partitions' in text, 'a topic is made by producing to it, and listed', text)
        ok(f'broker 1 at 127.0.0.1:{daemon.port} (controller)' in text, 'and so is the broker')
        equal(consume(daemon, 'made', form='%p %o %s\n'), '2 0 hi\n', 'an explicit partition')


def round_trips():
    with Daemon() as daemon:
        for acks in ('0', '1', 'all'):
            kcat(daemon, '-P', '-t', 'acks', '-X', f'acks={acks}', data=f'{acks}\n'.encode())
            deadline = time.monotonic() + PATIENCE
            while f'={acks}\n' not in (got := consume(daemon, 'acks')) and time.monotonic() < deadline:
                time.sleep(0.05)
            ok(f'={acks}\n' in got, f'acks={acks}', got)
        for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
            lines = ''.join(f'k{i}:{codec} {i}\n' for i in range(1000))
            kcat(daemon, '-P', '-t', codec, '-K', ':', '-z', codec, data=lines.encode())
            got = consume(daemon, codec, form='%k:%s\n')
            equal(hashlib.sha256(got.encode()).hexdigest(), hashlib.sha256(lines.encode()).hexdigest(),
                  f'1000 keyed records, {codec}')
        kcat(daemon, '-P', '-t', 'heads', '-k', 'key', '-H', 'a=1', '-H', 'b=', '-H', 'a=2', data=b'v\n')
        equal(consume(daemon, 'heads', form='%k|%s|%h\n'), 'key|v|a=1,b=,a=2\n', 'headers')
        kcat(daemon, '-P', '-t', 'nulls', '-Z', '-K', ':', data=b'a:\nb:x\n')
        equal(consume(daemon, 'nulls', form='%k=%s %S\n'), 'a= -1\nb=x 1\n', 'null values')
        blob = random.Random(1).randbytes(1000000 - 200)
        path = os.path.join(daemon.own, 'blob')
        with open(path, 'wb') as file:
            file.write(blob)
        kcat(daemon, '-P', '-t', 'blob', path)
        equal(hashlib.sha256(kcat(daemon, '-C', '-t', 'blob', '-e', '-q', '-D', '')).hexdigest(),
              hashlib.sha256(blob).hexdigest(), '1 MB of random bytes')


def places():
    with Daemon() as daemon:
        for i in range(10):
            kcat(daemon, '-P', '-t', 't', data=f'{i}\n'.encode())
            time.sleep(0.01)
        times = consume(daemon, 't', form='%T ').split()
        equal(consume(daemon, 't', form='%s'), '0123456789', 'from the beginning')
        equal(consume(daemon, 't', form='%s', offset='7'), '789', 'from an offset')
        equal(consume(daemon, 't', form='%s', offset='-2'), '89', 'the last two')
        equal(consume(daemon, 't', form='%s', offset='end'), '', 'from the end')
        equal(consume(daemon, 't', form='%s', offset=f's@{times[4]}'), '456789', 'from a time')
        equal(consume(daemon, 't', '-o', f's@{times[2]}', form='%s', offset=f'e@{times[5]}'), '234',
              'between two times')
        equal(kcat(daemon, '-Q', '-t', f't:0:{times[4]}').decode().strip(), 't [0] offset 4',
              'the offset of a time')


def tail():
    with Daemon() as daemon:
        kcat(daemon, '-P', '-t', 't', data=b'old\n')
        with subprocess.Popen([KCAT, '-b', daemon.address, '-C', '-t', 't', '-o', 'end', '-q', '-u',
                               '-X', 'fetch.wait.max.ms=30000', '-X', 'socket.timeout.ms=60000'],
                              stdout=subprocess.PIPE, text=True) as reader:
            deadline = time.monotonic() + PATIENCE  # less than it waits
            while not select.select([reader.stdout], [], [], 0.5)[0] and time.monotonic() < deadline:
                kcat(daemon, '-P', '-t', 't', data=b'new\n')  # again, as it may not have been at the end yet
            ok(select.select([reader.stdout], [], [], 0)[0] and reader.stdout.readline() == 'new\n',
               'a consumer at the end gets what comes, at once, though it waits up to 30 s')
            reader.terminate()


run(listing, round_trips, places, tail)
