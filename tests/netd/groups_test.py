# SPDX-License-Identifier: Apache-2.0
"""Consumer groups with confluent-kafka (librdkafka), unmodified: members that come, go and die, offsets
that stay, and a daemon that is killed under them."""

import multiprocessing
import struct
import time

import tap
from daemon import Daemon
from raw import Raw, array, compact_array, compact_string, string
from tap import equal, ok, run

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError as error:
    tap.skip_all(f'confluent-kafka: {error}')

PATIENCE = 40.0
QUICK = ('--set', 'group.initial.rebalance.delay.ms=200')


def produce(daemon, topic, values, partitions=1):
    producer = Producer({'bootstrap.servers': daemon.address, 'linger.ms': 5})
    for i, value in enumerate(values):
        producer.produce(topic, value, partition=i % partitions)
    ok(producer.flush(PATIENCE) == 0, f'{len(values)} records are produced')


def consumer(daemon, group='g', **options):
    return Consumer({'bootstrap.servers': daemon.address, 'group.id': group,
                     'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                     'session.timeout.ms': 6000, 'heartbeat.interval.ms': 200, **options})


def create(daemon, topic, partitions):
    admin = AdminClient({'bootstrap.servers': daemon.address})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(PATIENCE)


def read(reader, count, seconds=PATIENCE):
    """Values, until there are so many, or the time is over."""
    got = []
    end = time.monotonic() + seconds
    while len(got) < count and time.monotonic() < end:
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            got.append(message.value())
    return got


def poll_until(readers, condition, seconds=PATIENCE):
    """Keep all of them alive until it is so. Returns the values that came."""
    got = []
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        for reader in readers:
            message = reader.poll(0.05)
            if message is not None and message.error() is None:
                got.append(message.value())
    return got


def shares(readers):
    return sorted(len(r.assignment()) for r in readers)


def offsets_stay():
    with Daemon(*QUICK) as daemon:
        create(daemon, 't', 1)
        produce(daemon, 't', [b'%d' % i for i in range(10)])
        first = consumer(daemon)
        first.subscribe(['t'])
        equal(read(first, 3), [b'0', b'1', b'2'], 'a new group begins at the earliest')
        first.commit(offsets=[TopicPartition('t', 0, 3)], asynchronous=False)
        first.close()
        second = consumer(daemon)
        second.subscribe(['t'])
        equal(read(second, 7), [b'%d' % i for i in range(3, 10)], 'it goes on where it committed')
        second.close()
        daemon.kill()
        daemon.start()
        third = consumer(daemon)
        equal(third.committed([TopicPartition('t', 0)], PATIENCE)[0].offset, 3,
              'after kill -9 of the daemon, too')
        third.subscribe(['t'])
        equal(read(third, 7), [b'%d' % i for i in range(3, 10)], 'and the group goes on from there')
        third.close()
        latest = consumer(daemon, 'new', **{'auto.offset.reset': 'latest'})
        latest.subscribe(['t'])
        poll_until([latest], lambda: latest.assignment())
        end, found = time.monotonic() + PATIENCE, []
        while not found and time.monotonic() < end:
            produce(daemon, 't', [b'later'])  # again, as it may not have been at the end yet
            found = read(latest, 1, 1)
        equal(found[:1], [b'later'], 'a new group that wants the latest gets new ones only')
        latest.close()


def members_share(strategy):
    with Daemon(*QUICK) as daemon:
        create(daemon, 't', 6)
        readers = [consumer(daemon, **{'partition.assignment.strategy': strategy}) for _ in range(3)]
        for reader in readers:
            reader.subscribe(['t'])
        poll_until(readers, lambda: shares(readers) == [2, 2, 2])
        equal(shares(readers), [2, 2, 2], f'{strategy}: 6 partitions, 3 members: 2 each')
        produce(daemon, 't', [b'%d' % i for i in range(1000)], partitions=6)
        got = []
        end = time.monotonic() + PATIENCE
        while len(got) < 1000 and time.monotonic() < end:
            for reader in readers:
                for message in reader.consume(100, 0.05):
                    if message.error() is None:
                        got.append(message.value())
        equal(sorted(got), sorted(b'%d' % i for i in range(1000)), 'together they get each record once')
        for reader in readers:
            reader.commit(asynchronous=False)
        readers.pop().close()
        poll_until(readers, lambda: shares(readers) == [3, 3])
        equal(shares(readers), [3, 3], 'one leaves: 3 each')
        readers.append(consumer(daemon, **{'partition.assignment.strategy': strategy}))
        readers[-1].subscribe(['t'])
        poll_until(readers, lambda: shares(readers) == [2, 2, 2])
        equal(shares(readers), [2, 2, 2], 'one comes: 2 each')
        other = consumer(daemon, 'another')
        other.subscribe(['t'])
        equal(len(read(other, 1000)), 1000, 'another group gets all of them, too')
        for reader in (*readers, other):
            reader.close()


def range_assignor():
    members_share('range')


def cooperative_sticky():
    members_share('cooperative-sticky')


def static_members():
    with Daemon(*QUICK) as daemon:
        create(daemon, 't', 2)
        readers = [consumer(daemon, **{'group.instance.id': name}) for name in ('a', 'b')]
        for reader in readers:
            reader.subscribe(['t'])
        poll_until(readers, lambda: shares(readers) == [1, 1])
        had = {p.partition for p in readers[1].assignment()}
        readers.pop().close()  # a static member leaves nothing behind it
        again = consumer(daemon, **{'group.instance.id': 'b'})
        again.subscribe(['t'])
        before = readers[0].assignment()
        poll_until([*readers, again], lambda: again.assignment())
        equal({p.partition for p in again.assignment()}, had, 'it comes back to what it had')
        equal(readers[0].assignment(), before, 'and the other one kept its own')
        for reader in (*readers, again):
            reader.close()


def _live(address, ready, stop):
    """A member in a process of its own, to be killed."""
    class Place:
        pass
    place = Place()
    place.address = address
    reader = consumer(place)
    reader.subscribe(['t'])
    while not stop.is_set():
        reader.poll(0.1)
        if reader.assignment():
            ready.set()


def a_member_dies():
    with Daemon(*QUICK) as daemon:
        create(daemon, 't', 4)
        context = multiprocessing.get_context('spawn')
        ready, stop = context.Event(), context.Event()
        victim = context.Process(target=_live, args=(daemon.address, ready, stop))
        victim.start()
        ok(ready.wait(PATIENCE), 'a member is there')
        reader = consumer(daemon)
        reader.subscribe(['t'])
        poll_until([reader], lambda: len(reader.assignment()) == 2)
        equal(len(reader.assignment()), 2, 'two members: 2 partitions each')
        victim.kill()
        victim.join()
        poll_until([reader], lambda: len(reader.assignment()) == 4)
        equal(len(reader.assignment()), 4, 'one is killed: the other has all within its session timeout')
        reader.close()


def the_daemon_dies():
    """Members go on with what they had when the daemon is there again."""
    with Daemon(*QUICK) as daemon:
        create(daemon, 't', 2)
        readers = [consumer(daemon) for _ in range(2)]
        for reader in readers:
            reader.subscribe(['t'])
        poll_until(readers, lambda: shares(readers) == [1, 1])
        produce(daemon, 't', [b'%d' % i for i in range(100)], partitions=2)
        got = poll_until(readers, lambda: False, seconds=2)
        for reader in readers:
            reader.commit(asynchronous=False)
        daemon.kill()
        daemon.listen = f'127.0.0.1:{daemon.port}'
        daemon.start()
        produce(daemon, 't', [b'%d' % i for i in range(100, 200)], partitions=2)
        end = time.monotonic() + PATIENCE
        while len(got) < 200 and time.monotonic() < end:
            got += poll_until(readers, lambda: False, seconds=0.5)
        equal(sorted(got), sorted(b'%d' % i for i in range(200)),
              'kill -9 of the daemon: each record is consumed once')
        for reader in readers:
            reader.close()


def administration():
    with Daemon(*QUICK) as daemon:
        create(daemon, 't', 1)
        admin = AdminClient({'bootstrap.servers': daemon.address})
        reader = consumer(daemon, **{'client.id': 'somebody'})
        reader.subscribe(['t'])
        poll_until([reader], lambda: reader.assignment())
        groups = admin.list_groups(timeout=PATIENCE)
        equal([(g.id, g.state, g.protocol_type, len(g.members)) for g in groups],
              [('g', 'Stable', 'consumer', 1)], 'a group is listed and described')
        member = groups[0].members[0]
        equal((member.client_id, member.client_host), ('somebody', '/127.0.0.1'), 'with its member')
        ok(len(member.assignment) > 0 and len(member.metadata) > 0, 'and what it wants and has')
        reader.commit(offsets=[TopicPartition('t', 0, 0)], asynchronous=False)
        with Raw(daemon.port) as client:
            def count(state, kind):
                body = compact_array([compact_string(state)]) + compact_array([compact_string(kind)]) + b'\0'
                answer = client.call(16, 5, body, flexible=True)
                return answer.take('ih')[1], answer.uvarint() - 1
            equal([count(state, kind) for state, kind in
                   (('stable', 'Classic'), ('Empty', 'classic'), ('Stable', 'Consumer'))],
                  [(0, 1), (0, 0), (0, 0)], 'and found by state and type, however these are written')
        reader.close()
        poll_until([], lambda: admin.list_groups(timeout=PATIENCE)[0].state == 'Empty')
        equal(admin.list_groups(timeout=PATIENCE)[0].state, 'Empty', 'when all left it is empty')


def a_sync_names_its_protocol():
    def sync(client, kind, name):
        body = (compact_string('g') + b'\0\0\0\1' + compact_string('m') + compact_string(None)
                + compact_string(kind) + compact_string(name) + compact_array([]) + b'\0')
        reader = client.call(14, 5, body, flexible=True)
        return reader.take('ih')[1]
    with Daemon() as daemon, Raw(daemon.port) as client:
        equal(sync(client, None, 'range'), 23, 'SyncGroup version 5 without a protocol type: error 23')
        equal(sync(client, 'consumer', None), 23, 'without its name: error 23')
        equal(sync(client, 'consumer', 'range'), 25, 'with both, of no member: error 25')


def a_group_without_a_name():
    generation = struct.pack('>i', 0)
    with Daemon() as daemon, Raw(daemon.port) as client:
        for name, api, body in (('Heartbeat', 12, generation + string('m')), ('LeaveGroup', 13, string('m')),
                                ('SyncGroup', 14, generation + string('m') + array([]))):
            equal(client.call(api, 0, string('') + body).take('h'), 24, f'{name} of it: error 24')
            equal(client.call(api, 0, string('g') + body).take('h'), 25, 'of one that is not there: error 25')


def an_offset_below_0():
    with Daemon() as daemon, Raw(daemon.port) as client:
        def commit(offset):
            body = (string('g') + struct.pack('>i', -1) + string('') + struct.pack('>q', -1)
                    + array([string('t') + array([struct.pack('>iq', 0, offset) + string('')])]))
            answer = client.call(8, 2, body)
            return answer.array(lambda: (answer.string(), answer.array(lambda: answer.take('ih'))))

        def committed():
            body = string('g') + array([string('t') + array([struct.pack('>i', 0)])])
            answer = client.call(9, 2, body)
            return answer.array(lambda: (answer.string(), answer.array(
                lambda: (answer.take('iq'), answer.string(), answer.take('h'))[0])))
        client.create('t')
        commit(5)
        equal(committed(), [('t', [(0, 5)])], 'an offset is committed')
        equal(commit(-1), [('t', [(0, 0)])], 'one below 0 is taken, as Kafka takes it')
        equal(committed(), [('t', [(0, -1)])], 'and the group has none')


if __name__ == '__main__':  # the member to be killed is another process of this very file
    run(offsets_stay, range_assignor, cooperative_sticky, static_members, a_member_dies,
        the_daemon_dies, administration, a_sync_names_its_protocol,
        a_group_without_a_name, an_offset_below_0)
