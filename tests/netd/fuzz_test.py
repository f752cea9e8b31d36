# SPDX-License-Identifier: Apache-2.0
"""Whole connections of nonsense, beside one that is served.

    fuzz_test.py BECKD FUZZ [CONNECTIONS [FIRST]]     how many there are, and the number of the first

Its seeds are requests that Kafka's own client made, and some that get further because they fit together: a topic
that is there, a group that is joined.
"""

import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import raw
from daemon import Daemon
from raw import Raw, array, batch, compact_array, compact_string, string
from tap import equal, ok, run

HERE = Path(__file__).parent
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
FIRST = int(sys.argv[4]) if len(sys.argv) > 4 else 1


def fitting():
    """Requests without their lengths."""
    topic, group = 't', 'g'
    for records in (batch(b'a', b'b'), batch(b'a', producer=(7, 0, 0)), batch(b'a', count=3)):
        for acks in (-1, 0, 1):
            yield raw.PRODUCE, 8, raw.produce_body(topic, records, acks, 8)
    for version in (4, 7, 11):
        yield raw.FETCH, version, raw.fetch_body(topic, version=version, session=(0, 0), max_wait=10)
    yield raw.LIST_OFFSETS, 4, struct.pack('>ib', -1, 0) + array([string(topic) + array([struct.pack('>iiq', 0, -1, -1)])])
    yield raw.METADATA, 4, array([string(topic)]) + b'\1'
    yield raw.METADATA, 1, struct.pack('>i', -1)
    one = string('new') + struct.pack('>ih', 3, 1) + array([]) + array([string('retention.ms') + string('1000')])
    yield raw.CREATE_TOPICS, 2, array([one]) + struct.pack('>ib', 1000, 0)
    yield raw.DELETE_TOPICS, 1, array([string('new')]) + struct.pack('>i', 1000)
    yield 21, 1, array([string(topic) + array([struct.pack('>iq', 0, 1)])]) + struct.pack('>i', 1000)
    yield 37, 1, array([string('new') + struct.pack('>i', 5) + struct.pack('>i', -1)]) + struct.pack('>ib', 1000, 0)
    yield 32, 1, array([b'\2' + string(topic) + struct.pack('>i', -1)]) + b'\1'
    yield 44, 0, array([b'\2' + string(topic) + array([string('retention.ms') + b'\0' + string('5000')])]) + b'\0'
    yield 22, 1, string(None) + struct.pack('>i', 1000)
    yield 10, 0, string(group)
    protocols = array([string('range') + struct.pack('>i', 4) + b'abcd'])
    yield 11, 1, string(group) + struct.pack('>ii', 6000, 100) + string('') + string('consumer') + protocols
    yield 14, 0, string(group) + struct.pack('>i', 1) + string('m') + array([string('m') + struct.pack('>i', 0)])
    yield 12, 0, string(group) + struct.pack('>i', 1) + string('m')
    yield 13, 0, string(group) + string('m')
    yield 8, 2, (string(group) + struct.pack('>i', -1) + string('') + struct.pack('>q', -1)
                 + array([string(topic) + array([struct.pack('>iq', 0, 1) + string('m')])]))
    yield 9, 1, string(group) + array([string(topic) + array([struct.pack('>i', 0)])])
    yield 15, 0, array([string(group)])
    yield 16, 0, b''
    yield 42, 0, array([string(group)])
    yield 75, 0, compact_array([compact_string(topic) + b'\0']) + struct.pack('>i', 100) + b'\xff\0'


def write_seeds(directory):
    for number, (api, version, body) in enumerate(fitting()):
        for copy in range(20):  # as many as of the others
            Path(directory, f'fitting-{number}-{copy}').write_bytes(
                Raw.frame(api, version, 1, body, flexible=api == 75)[4:])
    subprocess.run([sys.executable, HERE.parent / 'fuzz/request_seeds.py', HERE / 'codec/vectors/messages.txt',
                    HERE.parents[1] / 'netd/codec/schemas', directory], check=True)


def fuzz():
    with tempfile.TemporaryDirectory() as seeds, Daemon() as daemon:
        write_seeds(seeds)
        with Raw(daemon.port) as client:
            client.create('t', partitions=2)
        equal(subprocess.run([sys.argv[2], os.path.join(daemon.store, 'broker.sock'), seeds, str(COUNT), str(FIRST)],
                             stdout=subprocess.PIPE, text=True).returncode, 0,
              f'{COUNT} connections are made, and ended, from number {FIRST} on')
        with Raw(daemon.port) as client:
            client.create('after')
            equal(client.produce('after', batch(b'x'))[0], 0, 'the daemon serves others')
        equal(daemon.stop(), 0, 'and ends well')
        ok(not [line for line in daemon.lines if 'Sanitizer' in line or 'runtime error' in line], 'with a clean log',
           daemon.log()[-2000:])


run(fuzz)
