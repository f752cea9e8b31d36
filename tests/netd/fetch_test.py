# SPDX-License-Identifier: Apache-2.0
"""Fetch and ListOffsets: limits, sessions, ids, waiting, and being woken from outside."""

import glob
import os
import signal
import struct
import time

import raw
from daemon import Daemon, other, other_start
from raw import Raw, array, batch, string
from tap import equal, ok, run

# A fetch that waits longer than this was not woken. It would wait 30 s.
AT_ONCE = 10.0
LONG_WAIT_MS = 30000


def limits():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=3)
        one = batch(bytes(1000))
        for partition in (0, 1):
            for _ in range(3):
                client.produce('t', one, partition=partition)
        size = len(one)

        def sizes(**more):
            return [p['size'] for p in client.fetch('t', **more)['parts']]
        equal(sizes(partition_max=1), [size], 'one whole batch, above the partition\'s limit')
        equal(sizes(max_bytes=1), [size], 'one whole batch, above the answer\'s limit')
        equal(sizes(partition_max=2 * size), [2 * size], 'as many as fit')
        equal(sizes(parts=[(2, 0, 9999), (0, 0, 1), (1, 0, 1)]), [0, size, 0],
              'only the first partition that has something may go above')
        equal(sizes(parts=[(0, 0, 9999), (1, 0, 9999)], max_bytes=4 * size), [3 * size, size],
              'the answer\'s limit is shared')
        part = client.fetch('t', offset=3)['parts'][0]
        equal((part['error'], part['size'], part['high']), (0, 0, 3), 'at the end: nothing, no error')
        equal(client.fetch('t', offset=4)['parts'][0]['error'], 1, 'behind the end: out of range')
        equal(client.fetch('t', offset=-1)['parts'][0]['error'], 1, 'a negative offset: likewise')
        equal(client.fetch('t', partition=3)['parts'][0]['error'], 3, 'an unknown partition')
        equal(client.fetch('none')['parts'][0]['error'], 3, 'an unknown topic')
        equal(client.fetch('a/b')['parts'][0]['error'], 3, 'an illegal name')
        client.produce('t', batch(b'a', b'b', b'c'), partition=2)
        inside = client.fetch('t', partition=2, offset=1)['parts'][0]['records']
        equal(inside[:8], bytes(8), 'from the middle of a batch: the whole batch')
        for version in range(4, 12):
            part = client.fetch('t', version=version, isolation=1)['parts'][0]
            equal((part['error'], part['size'], part['high'], part['stable']), (0, 3 * size, 3, 3),
                  f'version {version}')


def session_errors():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        for session, error in (((0, -1), 0), ((77, 5), 70), ((0, 3), 70), ((77, -1), 0)):
            found = client.fetch('t', version=7, session=session)
            equal((found['error'], found['session']), (error, 0), f'session id and epoch {session}')
        number = client.fetch('t', version=7, session=(0, 0))['session']
        equal(client.fetch('t', version=7, session=(number, 2))['error'], 71, 'an epoch too far')
        equal(client.fetch('t', version=7, session=(number, 1))['error'], 0, 'the next one')
        equal(client.fetch('t', version=7, session=(number, 1))['error'], 71, 'the same again')
        equal(client.fetch('t', version=7, session=(number, -1))['error'], 0, 'closed')
        equal(client.fetch('t', version=7, session=(number, 2))['error'], 70, 'gone')
        found = client.fetch('x' * 250, version=7, session=(0, 0))
        equal((found['session'], found['parts'][0]['error']), (0, 3),
              'no session keeps a name that is too long for a topic')
        for epoch, error in ((-1, 0), (10**6, 75)):
            equal(client.fetch('t', version=9, epoch=epoch)['parts'][0]['error'], error,
                  f'leader epoch {epoch}')


def sessions():
    """Partitions are named once; only what is new is told (KIP-227)."""
    with Daemon() as daemon, Raw(daemon.port) as client, Raw(daemon.port) as second:
        client.create('t', partitions=3)
        one = batch(b'x')
        parts = [(0, 0, 9999), (1, 0, 9999), (2, 0, 9999)]
        found = client.fetch('t', version=7, session=(0, 0), parts=parts)
        number = found['session']
        ok(number > 0, 'a session has a number')
        equal([p['partition'] for p in found['parts']], [0, 1, 2], 'the first answer has all')

        def go_on(epoch, raw_client=client, **more):
            answer = raw_client.fetch('t', version=7, session=(number, epoch),
                                      parts=more.pop('parts', []), **more)
            equal((answer['error'], answer['session']), (0, number), f'epoch {epoch} goes on')
            return [(p['partition'], p['size']) for p in answer['parts']]
        equal(go_on(1), [], 'nothing is new: nothing is told')
        client.produce('t', one, partition=1)
        equal(go_on(2), [(1, len(one))], 'records are told of')
        equal(go_on(3), [(1, len(one))], 'again, as long as the offset stays')
        equal(go_on(4, parts=[(1, 1, 9999)]), [], 'a new offset, and all was told before')
        client.produce('t', one, partition=0)
        client.produce('t', one, partition=1)
        equal(go_on(5, raw_client=second), [(0, len(one)), (1, len(one))],
              'another connection goes on with the session')
        client.produce('t', one, partition=2)
        equal(go_on(6, forget=[0, 1]), [(2, len(one))], 'forgotten partitions are not told of')
        equal(go_on(7, parts=[(0, 0, 9999), (2, 1, 9999)]), [(0, len(one))], 'one is added again')
        begin = time.monotonic()
        client.send(raw.FETCH, 7, raw.fetch_body('t', version=7, session=(number, 8), parts=[(0, 1, 9999)],
                                                 max_wait=LONG_WAIT_MS))
        second.produce('t', one, partition=2)
        _, reader = client.receive()
        equal([p['partition'] for p in client.fetch_answer(reader, 7)['parts']], [2],
              'who waits is woken by a partition that was not named')
        ok(time.monotonic() - begin < AT_ONCE, 'at once')


def session_limit():
    with Daemon('--set', 'max.incremental.fetch.session.cache.slots=1') as daemon:
        with Raw(daemon.port) as client:
            client.metadata('t')
            first = client.fetch('t', version=7, session=(0, 0))['session']
            second = client.fetch('t', version=7, session=(0, 0))
            ok(first > 0, 'the first one has a session')
            equal((second['error'], second['session']), (0, 0), 'there is no room for a second one')
            client.fetch('t', version=7, session=(first, -1))
            ok(client.fetch('t', version=7, session=(0, 0))['session'] > 0, 'now there is')


def topic_ids():
    """Version 13 and later name topics by their ids."""
    def metadata_id(client, topic):
        body = (raw.compact_array([bytes(16) + raw.uvarint(len(topic) + 1) + topic.encode() + b'\0'])
                + b'\1\0\0')
        reader = client.call(raw.METADATA, 12, body, flexible=True)
        reader.take('i')
        for _ in range(reader.uvarint() - 1):
            reader.take('i')
            reader.read(reader.uvarint() - 1)
            reader.take('i')
            rack = reader.uvarint()
            reader.read(max(rack - 1, 0))
            reader.uvarint()
        reader.read(reader.uvarint() - 1)
        reader.take('i')
        reader.uvarint()
        reader.take('h')
        reader.read(reader.uvarint() - 1)
        return reader.read(16)

    def fetch_error(client, topic_id):
        reader = client.call(raw.FETCH, 13, raw.fetch_body_by_id(topic_id), flexible=True)
        reader.take('ihi')
        reader.uvarint()
        equal(reader.read(16), topic_id, 'the answer names the id')
        reader.uvarint()
        return reader.take('ih')[1]

    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        old = metadata_id(client, 't')
        ok(old != bytes(16), 'metadata tells the topic\'s id')
        equal(fetch_error(client, old), 0, 'a fetch by id is served')
        equal(fetch_error(client, bytes(range(16))), 100, 'an unknown id: error 100')
        equal(client.delete('t'), 0, 'the topic is deleted')
        client.metadata('t')
        new = metadata_id(client, 't')
        ok(new not in (old, bytes(16)), 'made again, it has another id')
        equal(fetch_error(client, old), 100, 'the old id: error 100')
        equal(fetch_error(client, new), 0, 'the new one is served')


def waiting():
    with Daemon() as daemon, Raw(daemon.port) as client, Raw(daemon.port) as writer:
        client.create('t', partitions=3)
        begin = time.monotonic()
        part = client.fetch('t', max_wait=300)['parts'][0]
        waited = time.monotonic() - begin
        ok(part['size'] == 0 and 0.25 < waited < AT_ONCE, 'max_wait is waited, and no longer', waited)

        begin = time.monotonic()
        equal([p['error'] for p in client.fetch('t', max_wait=LONG_WAIT_MS,
                                                parts=[(0, 0, 99), (9, 0, 99)])['parts']], [0, 3],
              'an error in one partition is answered')
        equal(client.fetch('t', max_wait=LONG_WAIT_MS, min_bytes=0)['parts'][0]['size'], 0,
              'min_bytes of 0 is enough')
        ok(time.monotonic() - begin < AT_ONCE, 'both at once')

        for acks in (1, -1, 0):
            offset = client.fetch('t')['parts'][0]['high']
            client.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=LONG_WAIT_MS, parts=[
                (1, 0, 999), (2, 0, 999), (0, offset, 999)]))
            ok(client.silent(0.2), 'a fetch at the end waits')
            begin = time.monotonic()
            writer.send(raw.PRODUCE, 3, raw.produce_body('t', batch(b'x'), acks=acks))
            parts = client.fetch_answer(client.receive()[1], 4)['parts']
            ok(parts[2]['size'] > 0 and time.monotonic() - begin < AT_ONCE,
               f'a produce with acks={acks} wakes it')
            if acks != 0:
                writer.receive()

        one = batch(b'x')
        client.send(raw.FETCH, 4, raw.fetch_body('t', partition=1, max_wait=LONG_WAIT_MS,
                                                 min_bytes=3 * len(one)))
        for _ in range(2):
            writer.produce('t', one, partition=1)
        ok(client.silent(0.3), 'two of three batches are less than min_bytes')
        writer.produce('t', one, partition=1)
        equal(client.fetch_answer(client.receive()[1], 4)['parts'][0]['size'], 3 * len(one),
              'with the third it is answered')

        client.send(raw.FETCH, 4, raw.fetch_body('t', offset=3, max_wait=LONG_WAIT_MS))
        ok(client.silent(0.2), 'a fetch waits')
        begin = time.monotonic()
        writer.delete('t')
        equal(client.fetch_answer(client.receive()[1], 4)['parts'][0]['error'], 3,
              'its topic is deleted: error 3')
        ok(time.monotonic() - begin < AT_ONCE, 'at once')


def hundred_waiters():
    with Daemon() as daemon, Raw(daemon.port) as writer:
        writer.create('t', partitions=10)
        clients = [Raw(daemon.port) for _ in range(100)]
        for i, client in enumerate(clients):
            client.send(raw.FETCH, 4, raw.fetch_body('t', partition=i % 10, max_wait=LONG_WAIT_MS))
        for client in clients[90:]:
            client.close()
        begin = time.monotonic()
        for partition in range(10):
            writer.produce('t', batch(b'x'), partition=partition, acks=1)
        sizes = [c.fetch_answer(c.receive()[1], 4)['parts'][0]['size'] for c in clients[:90]]
        ok(min(sizes) > 0 and time.monotonic() - begin < AT_ONCE,
           'a hundred wait, ten of them go away, ninety are woken')
        for client in clients[:90]:
            client.close()


def another_process():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        for acks in (1, -1):
            offset = client.fetch('t')['parts'][0]['high']
            client.send(raw.FETCH, 4, raw.fetch_body('t', offset=offset, max_wait=LONG_WAIT_MS))
            ok(client.silent(0.2), 'a fetch waits')
            begin = time.monotonic()
            equal(int(other('append', daemon.store, 't', 0, acks, 'from outside')), offset,
                  f'another process appends with acks={acks}')
            part = client.fetch_answer(client.receive()[1], 4)['parts'][0]
            ok(b'from outside' in part['records'], 'the waiting fetch is answered with it')
            ok(time.monotonic() - begin < AT_ONCE, 'long before max_wait')

        with other_start('wait', daemon.store, 't', 0, 2) as waiter:
            equal(waiter.stdout.readline(), 'waiting\n', 'another process waits')
            begin = time.monotonic()
            client.produce('t', batch(b'from a client'))
            equal(waiter.stdout.readline(), 'there\n', 'a produce wakes it')
            ok(time.monotonic() - begin < AT_ONCE, 'at once')


def two_who_have_seen_different_ends():
    """One waits; then data comes, and in the same moment another that has seen it waits, too."""
    with Daemon() as daemon, Raw(daemon.port) as first, Raw(daemon.port) as second:
        first.metadata('t')
        first.send(raw.FETCH, 4, raw.fetch_body('t', offset=0, max_wait=LONG_WAIT_MS))
        ok(first.silent(0.2), 'a fetch waits')
        second.metadata('t')
        os.kill(daemon.pid, signal.SIGSTOP)
        begin = time.monotonic()
        second.send(raw.FETCH, 4, raw.fetch_body('t', offset=1, max_wait=LONG_WAIT_MS))
        time.sleep(0.2)
        other('append', daemon.store, 't', 0, 1, 'x')
        os.kill(daemon.pid, signal.SIGCONT)
        ok(first.fetch_answer(first.receive()[1], 4)['parts'][0]['size'] > 0
           and time.monotonic() - begin < AT_ONCE,
           'it is woken, though another waits at the new end')


def quiet_after_a_flood():
    """More rings in a millisecond than are answered one by one are answered by a timer."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        client.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=LONG_WAIT_MS, min_bytes=1 << 30,
                                                 max_bytes=1 << 30))
        for _ in range(3):
            other('flood', daemon.store, 't', 0, 30000)
        before = daemon.cpu_seconds()
        time.sleep(1)
        used = daemon.cpu_seconds() - before
        ok(used < 0.5, 'a daemon with nothing to do does nothing, after a flood, too', used)
        client.close()
        with Raw(daemon.port) as again:
            end = again.fetch('t')['parts'][0]['high']
            for i in range(3):
                again.send(raw.FETCH, 4, raw.fetch_body('t', offset=end + i, max_wait=LONG_WAIT_MS))
                begin = time.monotonic()
                other('append', daemon.store, 't', 0, 1, 'x')
                again.receive()
                ok(time.monotonic() - begin < AT_ONCE, 'and still wakes who waits')


def offsets():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        empty = client.list_offsets('t', -1)
        equal((empty['error'], empty['offset']), (0, 0), 'the end of an empty partition')
        equal(client.list_offsets('t', 5)['offset'], -1, 'a time in an empty partition: -1')
        for i in range(5):
            client.produce('t', batch(b'x', timestamp=1000 * (i + 1)))

        def at(when):
            found = client.list_offsets('t', when)
            return found['error'], found['offset'], found['timestamp']
        equal(at(-1), (0, 5, -1), 'latest')
        equal(at(-2), (0, 0, -1), 'earliest')
        equal(at(-4), (0, 0, -1), 'earliest local')
        equal(at(-5), (0, -1, -1), 'latest tiered: there is none')
        equal(at(-3), (0, 4, 5000), 'the largest timestamp')
        equal(at(3000), (0, 2, 3000), 'a time that a record has')
        equal(at(3001), (0, 3, 4000), 'the first at or after a time')
        equal(at(0), (0, 0, 1000), 'time 0')
        equal(at(-6)[0], 35, 'what nobody has heard of: error 35')
        equal(at(9999), (0, -1, -1), 'a time after all: -1, no error')
        equal(client.list_offsets('t', -1, isolation=1)['offset'], 5, 'latest, read_committed')
        equal(client.list_offsets('t', -1, partition=5)['error'], 3, 'an unknown partition')
        equal(client.list_offsets('u', -1)['error'], 3, 'an unknown topic')


def many_times_in_damage():
    """Each is an error that is said in the log, but not as often as somebody asks."""
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.metadata('t')
            for i in range(5):
                client.produce('t', batch(b'x' * 50, timestamp=raw.NOW_MS - 5000 + 1000 * i))
        daemon.stop()
        path, = glob.glob(daemon.store + '/topics/*/0/*.log')
        with open(path, 'r+b') as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0xFF]))
        daemon.start()
        with Raw(daemon.port) as client:
            one = struct.pack('>iiq', 0, -1, raw.NOW_MS - 2500)
            reader = client.call(raw.LIST_OFFSETS, 4, struct.pack('>ib', -1, 0)
                                 + array([string('t') + array([one] * 1000)]))
            reader.take('i')
            errors = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take('ihqqi')[1])))[0][1]
        equal(set(errors), {2}, 'a time that would be found in damage: error 2')
        daemon.stop()
        lines = daemon.log().count('a time cannot be looked up')
        ok(0 < lines < 500, 'the log is limited', lines)


def removed_head():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        for i in range(5):
            client.produce('t', batch(b'x'))
        other('trim', daemon.store, 't', 0, 3)
        equal(client.list_offsets('t', -2)['offset'], 3, 'earliest is where the log starts by now')
        equal(client.list_offsets('t', 0)['offset'], 3, 'a time before all: the first that is there')
        equal(client.fetch('t', version=5, offset=2)['parts'][0]['error'], 1, 'below it: out of range')
        found = client.fetch('t', version=5, offset=3)['parts'][0]
        equal((found['error'], found['start'], found['high']), (0, 3, 5), 'from it on')
        ok(found['size'] > 0, 'there are records')


run(removed_head, limits, session_errors, sessions, session_limit, topic_ids, waiting, hundred_waiters, offsets,
    another_process, two_who_have_seen_different_ends, quiet_after_a_flood, many_times_in_damage)
