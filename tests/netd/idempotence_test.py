# SPDX-License-Identifier: Apache-2.0
"""Idempotent producers: what is sent again is not stored again, and what does not follow is refused."""

import gzip
import struct
import time

import raw
from daemon import Daemon
from proxy import Proxy
from raw import Raw, batch, record
from tap import equal, ok, run

try:
    from confluent_kafka import Producer
except ImportError:
    Producer = None

TIMESTAMP, SEQUENCE, EPOCH, INVALID_RECORD = 32, 45, 47, 87
MOST = (1 << 31) - 1


def again():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        for acks in (-1, 1):
            pid = 500 + acks
            first = client.produce('t', batch(b'a', b'b', producer=(pid, 0, 0)), acks=acks)
            equal(first[0], 0, f'acks={acks}: a batch of a producer')
            equal(client.produce('t', batch(b'a', b'b', producer=(pid, 0, 0)), acks=acks), first,
                  'sent again it has the same offset')
            equal(client.produce('t', batch(b'c', producer=(pid, 0, 2)), acks=acks), (0, first[1] + 2),
                  'the next one follows')
            for version in (3, 8):
                equal(client.produce('t', batch(b'd', producer=(pid, 0, 9)), acks=acks, version=version),
                      (SEQUENCE, -1), 'a gap is refused')
            reader = client.call(raw.PRODUCE, 8, raw.produce_body(
                't', batch(b'd', producer=(pid, 0, 9)), acks, 8))
            ok('sequence 9' in (client.produce_answer(reader, 8)[0][3] or ''), 'with a sentence')
            equal(client.produce('t', batch(b'd', producer=(pid, 1, 1)), acks=acks), (SEQUENCE, -1),
                  'a new epoch does not begin in the middle')
            equal(client.produce('t', batch(b'd', producer=(pid, 1, 0)), acks=acks), (0, first[1] + 3),
                  'but at 0')
            equal(client.produce('t', batch(b'e', producer=(pid, 0, 3)), acks=acks), (EPOCH, -1),
                  'the epoch before is over')
            equal(client.list_offsets('t', -1)['offset'], first[1] + 4, 'and nothing else was stored')


def wrap():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.metadata('t')
        equal(client.produce('t', batch(b'a', b'b', b'c', producer=(7, 0, MOST - 1))), (0, 0),
              'sequences up to the largest and beyond')
        equal(client.produce('t', batch(b'd', producer=(7, 0, 2))), (SEQUENCE, -1), 'a gap behind it')
        equal(client.produce('t', batch(b'd', producer=(7, 0, 1))), (0, 3), 'go on from 0')
        equal(client.produce('t', batch(b'a', b'b', b'c', producer=(7, 0, MOST - 1))), (0, 0),
              'and the first is still known')


def append_time():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('log', configs=[('message.timestamp.type', 'LogAppendTime')])
        body = raw.produce_body('log', batch(b'a', producer=(7, 0, 0)), -1, 3)
        answers = []
        for _ in range(2):
            reader = client.call(raw.PRODUCE, 3, body)
            answers.append(reader.read())
            time.sleep(0.05)
        equal(answers[0], answers[1], 'an answer has the time of the first append')


def restart():
    """Killed or stopped, with index.mdb or without it: producers are known as before."""
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.metadata('t')
            client.produce('t', batch(b'a', producer=(7, 0, 0)))
        for number, how in enumerate(('kill', 'stop', 'kill'), 1):
            getattr(daemon, how)()
            daemon.start()
            with Raw(daemon.port) as client:
                equal(client.produce('t', batch(b'a', producer=(7, 0, number - 1)))[1], number - 1,
                      f'after a {how} the last batch is known')
                equal(client.produce('t', batch(b'a', producer=(7, 0, number))), (0, number),
                      'and the next follows')
                equal(client.produce('t', batch(b'a', producer=(7, 0, number + 2)))[0], SEQUENCE,
                      'but no other')


def wrong_records():
    """Record errors name the record, in versions that have them."""
    now = int(time.time() * 1000)
    hour = 3600000

    def produce(client, topic, data, version=8):
        reader = client.call(raw.PRODUCE, version, raw.produce_body(topic, data, 1, version))
        reader.array(lambda: None)
        reader.string()
        reader.take('i')
        _, error, _ = reader.take('ihq')
        reader.take('qq')
        errors = reader.array(lambda: (reader.take('i'), reader.string()))
        return error, [index for index, _ in errors], reader.string()

    def times(*deltas, codec=0):
        payload = b''.join(record(i, b'v', b'k', timestamp_delta=d) for i, d in enumerate(deltas))
        payload = gzip.compress(payload) if codec else payload
        return batch(payload=payload, count=len(deltas), timestamp=now, attributes=codec)

    def keys(*which, codec=0):
        payload = b''.join(record(i, b'v', k) for i, k in enumerate(which))
        payload = gzip.compress(payload) if codec else payload
        return batch(payload=payload, count=len(which), attributes=codec)

    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('time', configs=[('message.timestamp.before.max.ms', str(hour)),
                                       ('message.timestamp.after.max.ms', str(hour))])
        client.create('older', configs=[('message.timestamp.difference.max.ms', str(hour))])
        client.create('compact', configs=[('cleanup.policy', 'compact')])
        for codec in (0, 1):
            for topic in ('time', 'older'):
                equal(produce(client, topic, times(0, -hour // 2, hour // 2, codec=codec))[0], 0,
                      f'{topic}: timestamps within an hour (codec {codec})')
                error, indexes, text = produce(client, topic, times(0, 0, -2 * hour, codec=codec))
                equal((error, indexes), (TIMESTAMP, [2]), 'two hours ago: refused, the record named')
                ok('record 2' in text, 'in the text too', text)
                equal(produce(client, topic, times(0, 2 * hour, codec=codec))[:2], (TIMESTAMP, [1]),
                      'in two hours')
            equal(produce(client, 'compact', keys(b'a', b'', codec=codec))[0], 0, 'keys, an empty one too')
            error, indexes, text = produce(client, 'compact', keys(b'a', None, codec=codec))
            equal((error, indexes), (INVALID_RECORD, [1]), 'no key: refused, the record named')
            equal(produce(client, 'compact', keys(None, b'a', None, b'b', None, codec=codec))[:2],
                  (INVALID_RECORD, [0, 2, 4]), 'all of them, where there are more')
            equal(produce(client, 'time', times(0, -2 * hour, 0, 2 * hour, codec=codec))[:2],
                  (TIMESTAMP, [1, 3]), 'also those out of time')
        bad = batch(payload=record(0, b'x') + record(5, b'x'), count=2)
        equal(produce(client, 'time', bad)[:2], (INVALID_RECORD, [1]), 'a record that is malformed')
        equal(client.produce('time', times(-2 * hour))[0], TIMESTAMP, 'in version 3')


def lost_answers():
    """librdkafka sends again what it got no answer for, also to a daemon that was killed meanwhile."""
    if Producer is None:
        ok(True, 'librdkafka resends # SKIP confluent-kafka is missing')
        return
    count = 3000
    with Daemon() as daemon:
        proxy = Proxy(daemon, 5)
        errors = []
        producer = Producer({'bootstrap.servers': proxy.address, 'enable.idempotence': True,
                             'linger.ms': 1, 'batch.num.messages': 20, 'retry.backoff.ms': 10,
                             'reconnect.backoff.ms': 10, 'reconnect.backoff.max.ms': 50})
        for i in range(count):
            producer.produce('t', b'%d' % i, partition=0,
                             on_delivery=lambda e, _: errors.append(e) if e else None)
            producer.poll(0)
            if i in (count // 3, count // 2):
                daemon.kill()
                daemon.start()
        left = producer.flush(120)
        proxy.close()
        equal((left, errors), (0, []), 'all are delivered')
        ok(proxy.lost > 10, 'many answers were lost', str(proxy.lost))
        with Raw(daemon.port) as client:
            equal(client.list_offsets('t', -1)['offset'], count, 'and each is there once')
            found, offset = [], 0
            while offset < count:
                part = client.fetch('t', offset=offset)['parts'][0]
                data = part['records']
                while len(data) >= 61:
                    base, length = struct.unpack('>qi', data[:12])
                    records = struct.unpack('>i', data[57:61])[0]
                    found.append((base, struct.unpack('>i', data[53:57])[0]))
                    offset = base + records
                    data = data[12 + length:]
        equal([base for base, _ in found], [sequence for _, sequence in found],
              'in the order in which they were sent')


run(again, wrap, append_time, restart, wrong_records, lost_answers)
