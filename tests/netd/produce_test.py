# SPDX-License-Identifier: Apache-2.0
"""Produce: what is taken, and that what is refused leaves the log as it was."""

import gzip
import struct
import time

import raw
from daemon import MEMORY, Daemon
from raw import Raw, batch, record
from tap import equal, ok, run

CORRUPT, UNKNOWN_TOPIC, TOO_LARGE, INVALID_ACKS, UNSUPPORTED_VERSION = 2, 3, 10, 21, 35
UNSUPPORTED_COMPRESSION, INVALID_RECORD = 76, 87
BAD = (CORRUPT, TOO_LARGE, INVALID_RECORD)


def ends(client):
    part = client.fetch('t')['parts'][0]
    return part['high'], part['records']


def taken():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        equal(client.produce('t', batch(b'a', b'b'), acks=-1), (0, 0), 'acks=all: offset 0')
        equal(client.produce('t', batch(b'c'), acks=1), (0, 2), 'acks=1: the next offset')
        equal(client.produce('t', batch(b'd'), acks=-1, version=8), (0, 3), 'in version 8')
        high, records = ends(client)
        equal(high, 4, 'four records are there')
        equal(records[21:61 + 16], batch(b'a', b'b')[21:61 + 16], 'a batch comes out as it went in')
        null = batch(payload=record(0, None) + record(1, b'') + record(2, b'v', key=b''), count=3)
        equal(client.produce('t', null), (0, 4), 'null and empty values and keys')
        big = batch(bytes(1000000))
        equal(client.produce('t', big), (0, 7), 'a value of 1 MB')
        ok(client.fetch('t', offset=7, partition_max=100, max_bytes=100)['parts'][0]['size'] > 1000000,
           'a fetch returns it whole, above its limits')


def refused():
    """Each wrong batch, and after it the log is what it was."""
    compressed = gzip.compress(record(0, b'x'))
    bomb = gzip.compress(b'\0' * (300 << 20), 9)
    many = batch(b'x')
    cases = {
        'a wrong CRC': (batch(b'x', crc=12345), (CORRUPT,)),
        'a flipped byte': (many[:-1] + bytes([many[-1] ^ 1]), (CORRUPT,)),
        'a length beyond the records': (many[:8] + struct.pack('>i', 10000) + many[12:], (CORRUPT,)),
        'a negative length': (many[:8] + struct.pack('>i', -5) + many[12:], BAD),
        'a header cut short': (many[:40], BAD),
        'a count that is too high': (batch(b'x', count=5), BAD),
        'a count that is too low': (batch(b'x', b'y', count=1), BAD),
        'a count that is negative': (batch(b'x', count=-1), BAD),
        'a count of two thousand million': (batch(b'x', count=0x7fffffff), BAD),
        'a last offset that is not the count': (batch(b'x', last_delta=7), BAD),
        'an unknown magic': (batch(b'x', magic=3), BAD),
        'an old magic': (batch(b'x', magic=1), BAD),
        'an unknown codec': (batch(b'x', attributes=5), BAD),
        'a control batch': (batch(b'x', attributes=1 << 5), BAD),
        'a batch of a transaction that nobody began': (
            batch(b'x', attributes=1 << 4, producer=(1, 0, 0)), BAD),
        'a record longer than the batch': (batch(payload=raw.varint(500) + b'x', count=1), BAD),
        'bytes behind the records': (batch(payload=record(0, b'x') + b'junk', count=1), BAD),
        'two batches': (batch(b'x') + batch(b'y'), (INVALID_RECORD,)),
        'no records at all': (b'', (INVALID_RECORD,)),
        'a null': (None, (INVALID_RECORD,)),
        'random bytes': (bytes(i * 7 & 0xFF for i in range(200)), BAD),
        'gzip that is not': (batch(payload=b'not gzip at all', count=1, attributes=1), BAD),
        'gzip cut short': (batch(payload=compressed[:-12], count=1, attributes=1), BAD),
        'a decompression bomb': (batch(payload=bomb, count=1, attributes=1), BAD),
        'more than max.message.bytes': (batch(bytes(1100000)), (TOO_LARGE,)),
    }
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        client.produce('t', batch(b'good'))
        before = ends(client)
        for acks in (1, -1):
            for name, (data, codes) in cases.items():
                code, offset = client.produce('t', data, acks=acks)
                ok(code in codes and offset == -1 and ends(client) == before,
                   f'{name} (acks={acks}): refused, the log unchanged', f'error {code}, {offset}')
        reader = client.call(raw.PRODUCE, 8, raw.produce_body('t', batch(b'x', crc=1), 1, 8))
        message = client.produce_answer(reader, 8)[0][3]
        ok(message, 'from version 8 on a sentence says why', repr(message))
        peak = daemon.status('VmHWM')
        ok(peak < 300 * 1024 * MEMORY, 'the bomb was not let off', f'{peak} kB at the most')
        equal(client.produce('t', batch(b'good')), (0, 1), 'a good batch is still taken')


def turns():
    """Batches that take long to check, all at once, do not keep other clients waiting for them all."""
    count = 30
    large = batch(payload=gzip.compress(record(0, bytes(90 << 20)), 9), count=1, attributes=1)
    with Daemon() as daemon, Raw(daemon.port) as busy, Raw(daemon.port) as other:
        busy.metadata('t')
        busy.socket.sendall(b''.join(
            Raw.frame(raw.PRODUCE, 3, i, raw.produce_body('t', large, 1, 3)) for i in range(count)))
        other.metadata('t')
        answered = 0
        while answered < count and not busy.silent(0.001):
            busy.receive()
            answered += 1
        ok(answered < count, 'another client is answered in between',
           f'{answered} of {count} batches came first')
        for _ in range(count - answered):
            busy.receive()
        equal(busy.list_offsets('t', -1)['offset'], count, 'and each batch was taken')


def addressed():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=2)
        equal(client.produce('none', batch(b'x')), (UNKNOWN_TOPIC, -1), 'an unknown topic')
        equal(client.produce('t', batch(b'x'), partition=2), (UNKNOWN_TOPIC, -1),
              'an unknown partition')
        equal(client.produce('t', batch(b'x'), partition=-1), (UNKNOWN_TOPIC, -1),
              'a negative partition')
        equal(client.produce('no/such', batch(b'x'))[0], 17, 'an illegal name')
        equal(client.produce('t\0x', batch(b'x'))[0], 17, 'a name with a NUL in it')
        equal(client.produce('t', batch(b'x'), acks=2)[0], INVALID_ACKS, 'acks=2')
        equal(client.produce('t', batch(b'x'), acks=-2)[0], INVALID_ACKS, 'acks=-2')
        reader = client.call(raw.PRODUCE, 3, raw.produce_body(
            't', [(0, batch(b'x')), (7, batch(b'x')), (1, batch(b'x', crc=1)), (1, batch(b'y'))]))
        found = [(p, e, o) for p, e, o, _ in client.produce_answer(reader, 3)]
        equal(found, [(0, 0, 0), (7, 3, -1), (1, 2, -1), (1, 0, 0)],
              'each partition has its own answer')


def settings():
    """Settings of a topic that change what a produce does."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('os', configs=[('flush.policy', 'os')])
        equal(client.produce('os', batch(b'x'), acks=-1), (0, 0), 'flush.policy=os: acks=all is answered')
        equal(client.fetch('os')['parts'][0]['high'], 1, 'and the record can be read')

        client.create('stamped', configs=[('message.timestamp.type', 'LogAppendTime')])
        data = batch(b'x', timestamp=1000)
        begin = int(time.time() * 1000)
        reader = client.call(raw.PRODUCE, 3, raw.produce_body('stamped', data, -1, 3))
        reader.array(lambda: (reader.string(), reader.take('i')))
        _, error, offset, stamp = reader.take('ihqq')
        ok((error, offset) == (0, 0) and begin - 1000 <= stamp <= begin + 60000,
           'message.timestamp.type=LogAppendTime: the answer tells the time', f'{error} {offset} {stamp}')
        found = client.fetch('stamped')['parts'][0]['records']
        crc, attributes = struct.unpack('>IH', found[17:23])
        equal((crc, attributes & 8, struct.unpack('>q', found[35:43])[0]),
              (raw.crc32c(found[21:]), 8, stamp), 'which the batch has, with a CRC that fits')


def versions():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        for version in (0, 1, 2):
            equal(client.produce('t', batch(b'x'), version=version)[0], UNSUPPORTED_VERSION,
                  f'version {version} is answered with error 35')
        zstd = bytes.fromhex('28b52ffd0408') + b''
        data = batch(payload=zstd, count=1, attributes=4)
        for version in (3, 6):
            equal(client.produce('t', data, version=version)[0], UNSUPPORTED_COMPRESSION,
                  f'zstd in version {version}: error 76')
        equal(ends(client)[0], 0, 'nothing of it is in the log')


run(taken, refused, turns, addressed, settings, versions)
