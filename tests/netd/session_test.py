# SPDX-License-Identifier: Apache-2.0
"""Fetch sessions of many partitions: only those are looked at of which something may be new, and none is missed."""

import fcntl
import os
import random
import struct
import tempfile
import threading
import time

import raw
from daemon import Daemon, other
from raw import Raw, batch
from tap import equal, ok, run

# A fetch that waits longer than this was not woken. It would wait 30 s.
AT_ONCE = 10.0
LONG_WAIT_MS = 30000
VERSION = 7
OFD_SETLK = 37  # of Linux; Python does not know it yet
MANY = 50


class Session:
    """A client's: it knows up to where it has read, and names what changed."""

    def __init__(self, port, partitions, topic='t', **more):
        self.client = Raw(port)
        self.topic, self.more = topic, more
        self.offsets = [0] * partitions
        self.number, self.epoch = 0, 0
        self.changed = range(partitions)
        self.count = 0
        self.next()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def send(self, **more):
        parts = [(one, self.offsets[one], 1 << 20) for one in self.changed]
        body = raw.fetch_body(self.topic, version=VERSION, session=(self.number, self.epoch), parts=parts,
                              **{**self.more, **more})
        self.client.send(raw.FETCH, VERSION, body)

    def receive(self):
        """The answer's partitions by number."""
        answer = self.client.fetch_answer(self.client.receive()[1], VERSION)
        if answer['error']:
            raise AssertionError(f'the session has error {answer["error"]}')
        self.number, self.epoch = answer['session'], self.epoch + 1
        self.changed = []
        for part in answer['parts']:
            if part['records']:
                end = raw.end_of(part['records'])
                self.count += end - self.offsets[part['partition']]
                self.offsets[part['partition']] = end
                self.changed.append(part['partition'])
        return {part['partition']: part for part in answer['parts']}

    def next(self, **more):
        self.send(**more)
        return self.receive()


def from_outside():
    """Another process appends to the store, and the daemon has to know of which partition."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        with Session(daemon.port, MANY) as session:
            for acks, partition in ((1, 7), (-1, 7), (1, MANY - 1), (-1, 0)):
                session.send(max_wait=LONG_WAIT_MS)
                ok(session.client.silent(0.1), 'a session waits')
                begin = time.monotonic()
                other('append', daemon.store, 't', partition, acks, 'x')
                equal(list(session.receive()), [partition], f'it is told of a record with acks={acks}')
                ok(time.monotonic() - begin < AT_ONCE, 'at once')
            other('append', daemon.store, 't', 3, 1, 'x')
            equal(list(session.next()), [3], 'what came while it did not wait is told when it asks')
            equal(session.next(), {}, 'once')


def no_record_is_missed():
    """Whoever appends, and whatever the session is just doing."""
    partitions, records = 200, 1500
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=partitions)

        def append(seed):
            numbers = random.Random(seed)
            with Raw(daemon.port) as producer:
                for _ in range(records):
                    producer.produce('t', batch(b'x'), acks=numbers.choice((1, -1)),
                                     partition=numbers.randrange(partitions))
        producers = [threading.Thread(target=append, args=(seed,)) for seed in range(2)]
        with Session(daemon.port, partitions) as session:
            for producer in producers:
                producer.start()
            for number in range(20):
                other('append', daemon.store, 't', number, 1, 'x')
            longest = 0
            while session.count < len(producers) * records + 20:
                begin = time.monotonic()
                session.next(max_wait=LONG_WAIT_MS)
                longest = max(longest, time.monotonic() - begin)
            ok(longest < AT_ONCE, 'each fetch is woken in time', longest)
            equal(session.next(), {}, 'then there is no more')
        for producer in producers:
            producer.join()


def others_later():
    """What there was no room for in an answer comes in the next ones, though nothing rings."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        with Session(daemon.port, MANY) as session:
            for partition in range(MANY):
                client.produce('t', batch(bytes(1000)), partition=partition)
            seen = []
            while len(seen) < MANY:
                seen += session.next(max_bytes=3000, max_wait=LONG_WAIT_MS)
            equal(sorted(set(seen)), list(range(MANY)), 'each has its turn')


def very_many():
    """An answer has records of so many partitions at most, and those that it has not come next."""
    partitions, most = 1500, 1024
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=partitions)
        all_of_them = [(one, batch(b'x')) for one in range(partitions)]
        client.call(raw.PRODUCE, 3, raw.produce_body('t', all_of_them, 1))
        parts = [(one, 0, 1 << 20) for one in range(partitions)]
        found = [part['size'] > 0 for part in client.fetch('t', parts=parts)['parts']]
        equal(found, [one < most for one in range(partitions)], 'the first ones')
        begin = time.monotonic()
        equal(sum(part['size'] > 0 for part in client.fetch('t', parts=parts, min_bytes=1 << 20,
                                                            max_wait=LONG_WAIT_MS)['parts']), most,
              'so many are enough, whatever was waited for')
        ok(time.monotonic() - begin < AT_ONCE, 'at once')
        with Session(daemon.port, partitions) as session:
            equal(sorted(session.next(max_wait=LONG_WAIT_MS)), list(range(most, partitions)),
                  'a session has the others next time')


def unread_records_stay():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        with Session(daemon.port, MANY) as session:
            client.produce('t', batch(b'x'), partition=5)
            session.next()
            session.changed, session.offsets[5] = [], 0
            begin = time.monotonic()
            equal(list(session.next(max_wait=LONG_WAIT_MS)), [5], 'as long as the client does not go on')
            ok(time.monotonic() - begin < AT_ONCE, 'at once')


def log_start():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        client.produce('t', batch(b'x'), partition=9)
        client.produce('t', batch(b'y'), partition=9)
        with Session(daemon.port, MANY) as session:
            session.next()
            equal(session.next(), {}, 'all is told')
            other('trim', daemon.store, 't', 9, 1)
            equal({n: part['start'] for n, part in session.next().items()}, {9: 1},
                  'where a log begins is told, though no record came')
            equal(session.next(), {}, 'once')


def deletion():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=3)
        with Session(daemon.port, 3) as session:
            session.send(max_wait=LONG_WAIT_MS)
            ok(session.client.silent(0.1), 'a session waits')
            begin = time.monotonic()
            client.delete('t')
            errors = {part['error'] for part in session.receive().values()}
            ok(errors and errors <= {3, 6, 100}, 'it is told that the topic is gone', errors)
            ok(time.monotonic() - begin < AT_ONCE, 'at once')
            equal({part['error'] for part in session.next().values()}, {3}, 'and again as long as it asks')
            client.create('t', partitions=3)
            client.produce('t', batch(b'x'), partition=2)
            found = session.next()
            equal((sorted(found), found[2]['error'], found[2]['size'] > 0), ([0, 1, 2], 0, True),
                  'another topic of that name is told of')
            session.send(max_wait=LONG_WAIT_MS)
            ok(session.client.silent(0.1), 'the session waits')
            other('append', daemon.store, 't', 1, 1, 'x')
            equal(list(session.receive()), [1], 'and is woken by the new one')


def later_topic():
    with Daemon('--set', 'auto.create.topics.enable=false') as daemon, Raw(daemon.port) as client:
        with Session(daemon.port, 2) as session:
            equal({part['error'] for part in session.next().values()}, {3}, 'there is no topic')
            client.create('t', partitions=2)
            equal({n: part['error'] for n, part in session.next().items()}, {0: 0, 1: 0}, 'now there is')
            equal(session.next(), {}, 'which is told once')


def enough():
    """A session that waits for more bytes is not answered by each record, nor is one lost."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        with Session(daemon.port, MANY) as session:
            size = len(batch(bytes(1000)))
            session.send(max_wait=LONG_WAIT_MS, min_bytes=10 * size)
            for partition in range(9):
                client.produce('t', batch(bytes(1000)), acks=1, partition=partition)
            ok(session.client.silent(0.1), 'too little')
            client.produce('t', batch(bytes(1000)), acks=1, partition=3)
            found = session.receive()
            equal((sorted(found), sum(part['size'] for part in found.values())), (list(range(9)), 10 * size),
                  'enough: all of it')


def time_over():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        with Session(daemon.port, MANY) as session:
            session.send(max_wait=500, min_bytes=1 << 20)
            client.produce('t', batch(b'x'), acks=1, partition=3)
            equal(list(session.receive()), [3], 'when the time is over there is what came')


def flood():
    """More rings in a millisecond than are answered one by one."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        with Session(daemon.port, MANY, max_bytes=1 << 30) as session:
            session.send(max_wait=LONG_WAIT_MS, min_bytes=1 << 29)
            for partition in range(3):
                other('flood', daemon.store, 't', partition, 20000)
            before = daemon.cpu_seconds()
            time.sleep(1)
            used = daemon.cpu_seconds() - before
            ok(used < 0.5, 'a daemon with nothing to do does nothing, after a flood, too', used)


def as_soon_as_free(session):
    """The daemon may still have it for a connection that is gone."""
    end = time.monotonic() + AT_ONCE
    while True:
        try:
            return session.next()
        except AssertionError:
            if time.monotonic() > end:
                raise


def hundred_at_a_time():
    """Sessions on all loops, and connections that go away with one."""
    with Daemon('--set', 'num.network.threads=4') as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=MANY)
        sessions = [Session(daemon.port, MANY) for _ in range(100)]
        for session in sessions:
            session.send(max_wait=LONG_WAIT_MS)
        for session in sessions[90:]:
            session.client.close()
        begin = time.monotonic()
        client.produce('t', batch(b'x'), partition=17, acks=1)
        equal([list(session.receive()) for session in sessions[:90]], [[17]] * 90, 'all are told')
        ok(time.monotonic() - begin < AT_ONCE, 'at once')
        gone = sessions[90]
        gone.epoch += 1
        with Raw(daemon.port) as gone.client:
            equal(list(as_soon_as_free(gone)), [17], 'one whose connection went while it waited misses nothing')
        equal(daemon.stop(), 0, 'it ends well')


def room():
    """What clients name in sessions is kept as long as those are: it is counted over all of them."""
    most, each = 1 << 20, 65536
    with Daemon() as daemon, Raw(daemon.port) as client:
        def ask(partitions, session=(0, 0)):
            client.send(raw.FETCH, VERSION, raw.fetch_body('none', version=VERSION, session=session,
                                                           parts=[(one, 0, 1) for one in partitions]))
            return client.fetch_answer(client.receive()[1], VERSION)
        numbers = [ask(range(each))['session'] for _ in range(most // each - 1)] + [ask(range(each - 1))['session']]
        ok(0 not in numbers, 'sessions of many partitions')
        answer = ask(range(2))
        equal((answer['session'], len(answer['parts'])), (0, 2), 'for a further one there is no room: it is served')
        equal(ask([each], (numbers[-1], 1))['error'], 0, 'the last one grows by one')
        equal(ask([each + 1], (numbers[-1], 2))['error'], 70, 'and not by two')
        equal(ask([], (numbers[0], 1))['error'], 0, 'the others stay')
        ok(ask(range(2))['session'], 'where one has gone there is room')


def nobody_rings():
    """All doorbells of the store are taken, by locks on their bytes: sessions look every 10 ms."""
    with tempfile.TemporaryDirectory(prefix='beck-netd-') as own:
        store = os.path.join(own, 'store')
        with Daemon(store=store) as daemon, Raw(daemon.port) as client:
            client.create('t', partitions=MANY)
        with open(os.path.join(store, 'live'), 'r+b') as live:
            fcntl.fcntl(live, OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 64, 64, 0))
            with Daemon(store=store) as daemon, Session(daemon.port, MANY) as session:
                links = [os.readlink(f'/proc/{daemon.pid}/fd/{number}') for number in daemon.descriptors()]
                equal([link for link in links if '/wake/' in link], [], 'the daemon has no doorbell')
                for partition in (3, 40):
                    session.send(max_wait=LONG_WAIT_MS)
                    ok(session.client.silent(0.1), 'a session waits')
                    begin = time.monotonic()
                    other('append', store, 't', partition, 1, 'x')
                    equal(list(session.receive()), [partition], 'it is told of a record')
                    ok(time.monotonic() - begin < AT_ONCE, 'at once')
                equal(session.next(), {}, 'once')


run(nobody_rings, from_outside, no_record_is_missed, others_later, very_many, unread_records_stay, log_start, deletion,
    later_topic, enough, time_over, flood, hundred_at_a_time, room)
