# SPDX-License-Identifier: Apache-2.0
"""What no well-behaved client sends, and the order of answers."""

import contextlib
import os
import socket
import struct
import time

import raw
from daemon import MEMORY, Daemon, within
from raw import Raw, array, batch, string
from tap import equal, ok, run


def healthy(daemon, name):
    """Others are not disturbed."""
    with Raw(daemon.port) as client:
        ok(client.metadata()['brokers'], name + ': others are served')


def closes(daemon, data, name, pattern=None):
    with Raw(daemon.port) as client:
        client.socket.sendall(data)
        ok(client.closed(), name + ': the connection closes')
        mine = '%s:%d' % client.socket.getsockname()
    line = daemon.wait_line(mine.replace('.', r'\.') + (pattern or ': closed: '))
    ok(line, name + ': a line in the log names the peer', daemon.log())


# API -> the oldest and the newest version.
SERVED = {
    0: (0, 12), 1: (4, 17), 2: (1, 10), 3: (0, 13), 18: (0, 4), 22: (0, 5), 23: (2, 4),
    # groups
    8: (2, 9), 9: (1, 9), 10: (0, 6), 11: (0, 9), 12: (0, 4), 13: (0, 5), 14: (0, 5), 15: (0, 6),
    16: (0, 5), 42: (0, 2), 47: (0, 0), 68: (0, 1), 69: (0, 1),
    # administration
    19: (2, 7), 20: (1, 6), 21: (0, 2), 29: (1, 3), 30: (1, 3), 31: (1, 3), 32: (1, 4), 33: (0, 2),
    35: (1, 4), 37: (0, 3), 43: (0, 2), 44: (0, 1), 45: (0, 0), 46: (0, 0), 48: (0, 1), 49: (0, 1),
    60: (0, 2), 61: (0, 0), 74: (0, 1), 75: (0, 0),
}


def api_versions():
    with Daemon() as daemon, Raw(daemon.port) as client:
        reader = client.call(raw.API_VERSIONS, 0, b'')
        error = reader.take('h')
        apis = {k: (a, b) for k, a, b in reader.array(lambda: reader.take('hhh'))}
        equal(error, 0, 'ApiVersions answers')
        equal(apis, SERVED, 'it lists what is served, and nothing else')
        correlation = client.send(raw.API_VERSIONS, 99, b'whatever')
        found, reader = client.receive()
        equal((found, reader.take('h')), (correlation, 35), 'an unknown version of it: error 35')
        equal(reader.array(lambda: reader.take('hhh')), [(18, 0, 4)],
              'and the range that is served, in the format of version 0')
        equal(reader.read(), b'', 'and nothing behind it')
        ok(client.metadata()['brokers'], 'the connection can still be used')


def nonsense():
    with Daemon() as daemon:
        closes(daemon, b'\x70' + os.urandom(4096), 'random bytes')
        closes(daemon, struct.pack('>i', 100 * 1024 * 1024 + 1), 'a request above the limit',
               r'.*announced a request of 104857601 bytes')
        closes(daemon, struct.pack('>i', -1), 'a negative length')
        closes(daemon, struct.pack('>i', 0), 'an empty request')
        closes(daemon, struct.pack('>ih', 2, 18), 'a request that ends in its header')
        closes(daemon, Raw.frame(999, 0, 1, b''), 'an unknown API', '.*API 999')
        closes(daemon, Raw.frame(raw.METADATA, 77, 1, b''), 'an unknown version',
               '.*version 77 of Metadata')
        closes(daemon, Raw.frame(raw.FETCH, 3, 1, b''), 'a version that is too old')
        closes(daemon, Raw.frame(raw.METADATA, 1, 1, struct.pack('>i', 0x7fffffff)),
               'an array longer than the request', '.*malformed')
        closes(daemon, Raw.frame(raw.METADATA, 1, 1, array([struct.pack('>h', 500) + b'x'])),
               'a string longer than the request')
        healthy(daemon, 'after all this')
        for seed in range(200):
            with Raw(daemon.port) as client:
                body = bytes((seed * 7919 + i * i * 31) & 0xFF for i in range(seed))
                client.socket.sendall(Raw.frame((0, 1, 2, 3, 18, 19, 20, 22)[seed % 8], seed % 14,
                                                1, body))
        healthy(daemon, 'after 200 bodies of noise')
        lines = len(daemon.lines)
        ok(lines < 120, 'the log is limited', f'{lines} lines')
        equal(daemon.stop(), 0, 'it ends well')


def longer_request():
    """librdkafka 2.0.2 sends a byte more than ListGroups 4 has; Kafka does not mind either."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        correlation = client.send(raw.METADATA, 1, array([]) + b'more')
        equal(client.receive()[0], correlation, 'bytes behind a request are let be')


def lying_length():
    """Memory is taken for bytes that came, not for those that were announced."""
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.metadata()
        before = daemon.status('VmSize'), daemon.status('VmRSS')
        liars = [Raw(daemon.port) for _ in range(50)]
        for liar in liars:
            liar.socket.sendall(struct.pack('>i', 100 * 1024 * 1024) + bytes(1000))
        healthy(daemon, 'with 50 connections that announced 100 MiB each')
        time.sleep(0.3)
        grown = daemon.status('VmSize') - before[0], daemon.status('VmRSS') - before[1]
        ok(grown[1] < 20 * 1024 * MEMORY, 'they cost next to nothing', f'{grown} kB more')
        for liar in liars:
            liar.close()
        healthy(daemon, 'when they are gone')


def half_requests():
    with Daemon('--set', 'connections.max.idle.ms=2000') as daemon:
        with Raw(daemon.port) as client:
            client.metadata('t')
        with Raw(daemon.port) as waits, Raw(daemon.port) as half, Raw(daemon.port) as idle:
            wanted = waits.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=7000))
            half.socket.sendall(Raw.frame(raw.METADATA, 1, 1, array([]))[:9])
            ok(half.closed(), 'half a request and then silence: closed after the idle time')
            ok(idle.closed(), 'so is a connection on which nothing comes')
            equal(waits.receive()[0], wanted, 'but not one that waits for its answer')
        ok(daemon.wait_line('half a request'), 'the log tells of the half request', daemon.log())

    with Daemon() as daemon, Raw(daemon.port) as client:
        for byte in Raw.frame(raw.API_VERSIONS, 0, 7, b''):
            client.socket.sendall(bytes([byte]))
            time.sleep(0.002)
        equal(client.receive()[0], 7, 'a request that comes byte by byte is served')
        client.socket.sendall(Raw.frame(raw.METADATA, 1, 8, array([])))
        client.socket.shutdown(socket.SHUT_WR)
        equal(client.receive()[0], 8, 'one whose sender then closes its side is answered')
        ok(client.closed(), 'and then the other side is closed')


def commits_in_order():
    """A commit and a look at it in one write: as if they had come one after the other."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        look = string('g') + array([string('t') + array([struct.pack('>i', 0)])])
        found = []
        for i in range(20):
            commit = (string('g') + struct.pack('>i', -1) + string('') + struct.pack('>q', -1) + array([
                string('t') + array([struct.pack('>iq', 0, i) + string('')])]))
            client.socket.sendall(Raw.frame(8, 2, 2 * i, commit) + Raw.frame(9, 1, 2 * i + 1, look))
            _, reader = client.receive()
            _, reader = client.receive()
            found += reader.array(lambda: (reader.string(), reader.array(
                lambda: (reader.take('iq')[1], reader.string(), reader.take('h')))))[0][1]
        equal(found, [(i, '', 0) for i in range(20)], 'what was committed is found')


def order():
    with Daemon() as daemon, Raw(daemon.port) as client, Raw(daemon.port) as second:
        client.metadata('t')
        data = raw.batch(b'one')
        frames = [
            (raw.FETCH, 4, raw.fetch_body('t', max_wait=20000)),      # waits
            (raw.API_VERSIONS, 0, b''),
            (raw.PRODUCE, 3, raw.produce_body('t', data, acks=-1)),   # waits for the disk, wakes the first
            (raw.PRODUCE, 3, raw.produce_body('t', data, acks=0)),    # has no answer
            (raw.METADATA, 1, array([string('t')])),
            (raw.PRODUCE, 3, raw.produce_body('t', data, acks=1)),
            (raw.API_VERSIONS, 77, b''),
        ]
        begin = time.monotonic()
        client.socket.sendall(b''.join(Raw.frame(api, version, 100 + i, body)
                                       for i, (api, version, body) in enumerate(frames)))
        answers = [client.receive() for _ in range(6)]
        equal([a[0] for a in answers], [100, 101, 102, 104, 105, 106],
              'seven requests in one write: answered in order, but for acks=0')
        ok(time.monotonic() - begin < 15, 'the waiting fetch was woken by the produce behind it')
        ok(client.silent(0.2), 'and nothing came for acks=0')
        equal(client.fetch('t')['parts'][0]['high'], 3, 'all three were appended')

        for i in range(2000):
            client.send(raw.PRODUCE, 3, raw.produce_body('t', data, acks=-1))
        first = client.next_id - 2000
        equal([client.receive()[0] for _ in range(2000)], list(range(first, first + 2000)),
              '2000 produces without reading an answer')
        equal(second.fetch('t')['parts'][0]['high'], 2003, 'are all there')

        # More answers than fit into the socket, unread: the daemon stops reading, keeps its memory,
        # and goes on when the client does.
        before = daemon.status('VmRSS')
        body = raw.fetch_body('t', partition_max=1 << 20)
        client.socket.settimeout(1)
        sent = 0
        try:
            while sent < 3000:
                client.send(raw.FETCH, 4, body)
                sent += 1
        except socket.timeout:
            pass
        client.socket.settimeout(raw.TIMEOUT)
        healthy(daemon, 'while a client asks and does not read')
        grown = daemon.status('VmRSS') - before
        ok(grown < 30 * 1024 * MEMORY, 'what it asked for is not piled up in memory', f'{grown} kB more')
        if sent == 3000:
            got = [client.receive()[0] for _ in range(sent)]
            equal(got, list(range(got[0], got[0] + sent)), 'when it reads, all is there, in order')
        else:
            ok(client.receive()[0], 'when it reads, answers come')


def acks_zero():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        client.send(raw.PRODUCE, 3, raw.produce_body('t', raw.batch(b'x'), acks=0))
        equal(client.fetch('t', max_wait=5000)['parts'][0]['high'], 1, 'acks=0: appended')
        client.send(raw.PRODUCE, 3, raw.produce_body('t', raw.batch(b'x', crc=1), acks=0))
        ok(client.closed(), 'acks=0 and an error: the connection closes')
        healthy(daemon, 'after it')


def many_connections():
    with Daemon() as daemon:
        clients = [Raw(daemon.port) for _ in range(500)]
        for client in clients:
            client.send(raw.API_VERSIONS, 0, b'')
        equal(len([client.receive() for client in clients]), 500, '500 connections are served')
        threads = daemon.status('Threads')
        ok(threads < 20, 'without a thread for each', f'{threads} threads')
        small = daemon.status('VmRSS')
        for client in clients:
            client.socket.sendall(Raw.frame(raw.METADATA, 1, 1, array([string('x' * 200)] * 2000))[:-9])
        ok(within(lambda: daemon.status('VmRSS') > small + 100000), 'unfinished requests take memory')
        for client in clients:
            client.socket.sendall(b'x' * 9)
        equal(len([client.receive() for client in clients]), 500, 'when they are whole they are served')
        ok(within(lambda: daemon.status('VmRSS') - small <= 5000 * MEMORY), 'silent connections give it back',
           f'{daemon.status("VmRSS") - small} kB more than before')
        for client in clients:
            client.close()
        healthy(daemon, 'when they are gone')
    with Daemon('--set', 'max.connections=2') as daemon:
        with Raw(daemon.port) as one, Raw(daemon.port) as two, Raw(daemon.port) as three:
            one.metadata()
            two.metadata()
            ok(three.closed(), 'one connection more than max.connections is closed')


def large_requests_leave_room():
    with Daemon('--set', 'queued.max.request.bytes=1064960') as daemon, Raw(daemon.port) as old:
        old.metadata()
        hogs = [Raw(daemon.port) for _ in range(2)]
        for hog in hogs:
            with contextlib.suppress(OSError):  # it may be closed already
                hog.socket.sendall(struct.pack('>i', 1 << 20) + bytes(900 << 10))
        time.sleep(0.5)
        healthy(daemon, 'half requests take all the memory for requests, and small ones')
        equal(old.metadata()['controller'], 1, 'are answered all the same')
        ok(daemon.wait_line(r'no memory for its request \(queued\.max\.request\.bytes is 1064960\)'),
           'one that there is no memory for is closed', daemon.log())
        for hog in hogs:
            hog.close()


def descriptors_for_the_store():
    few = ('prlimit', '--nofile=256:256')
    with Daemon(under=few) as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=50)
        clients = [Raw(daemon.port) for _ in range(150)]
        ok(daemon.wait_line('connections already'), 'some connections are too many')
        errors = {client.produce('t', batch(b'x'), acks=1, partition=i)[0] for i in range(50)}
        equal(errors, {0}, 'connections leave descriptors for the store')
        for one in clients:
            one.close()


run(api_versions, nonsense, longer_request, lying_length, half_requests, order, commits_in_order, acks_zero,
    many_connections, large_requests_leave_room, descriptors_for_the_store)
