# SPDX-License-Identifier: Apache-2.0
"""A compacted topic as its consumers see it: kcat, unmodified, on a daemon that compacts by itself."""

import random
import shutil
import subprocess
import time

import tap
from daemon import Daemon, PATIENCE
from tap import equal, ok, run

KCAT = shutil.which('kcat') or shutil.which('kafkacat')
if not KCAT:
    tap.skip_all('kcat is not installed')

KEYS = 50


def kcat(daemon, *arguments, data=None):
    done = subprocess.run([KCAT, '-b', daemon.address, *arguments], input=data, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE * 3)
    if done.returncode != 0:
        print('# ' + done.stderr.decode(errors='replace').replace('\n', '\n# '))
    return done.stdout


def produce(daemon, rng, lines, codec):
    """So many keyed records; returns the last value of each key."""
    values = [(f'k{rng.randrange(KEYS)}', rng.randbytes(400).hex()) for _ in range(lines)]
    kcat(daemon, '-P', '-t', 'table', '-K', ':', '-z', codec,
         data=''.join(f'{key}:{value}\n' for key, value in values).encode())
    return dict(values)


def consume(daemon):
    """All there is: a list of offset, key and value."""
    got = kcat(daemon, '-C', '-t', 'table', '-o', 'beginning', '-e', '-q', '-f', '%o %k %s\n')
    return [(int(offset), key, value) for offset, key, value in
            (line.split(' ') for line in got.decode().splitlines())]


def compacts_by_itself():
    rng = random.Random(1)
    with Daemon('--set', 'log.cleanup.policy=compact', '--set', 'log.segment.bytes=1048576',
                '--set', 'log.cleaner.min.cleanable.ratio=0') as daemon:
        last = {}
        for codec in ('none', 'zstd', 'snappy'):
            last.update(produce(daemon, rng, 3000, codec))
        produced = 9000
        deadline = time.monotonic() + 6 * PATIENCE
        while len(records := consume(daemon)) > produced / 2 and time.monotonic() < deadline:
            time.sleep(0.3)
        ok(KEYS <= len(records) <= produced / 2, 'obsolete records go', str(len(records)))
        offsets = [offset for offset, _, _ in records]
        ok(offsets == sorted(set(offsets)), 'offsets rise')
        equal({key: value for _, key, value in records}, last, 'the last value of each key is there')
        last.update(produce(daemon, rng, 10, 'none'))
        equal({key: value for _, key, value in consume(daemon)}, last, 'and what comes after it')
        kcat(daemon, '-P', '-t', 'table', data=b'no key\n')
        equal(len([key for _, key, _ in consume(daemon) if key == '']), 0,
              'a record without a key is refused')


run(compacts_by_itself)
