# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka (librdkafka), unmodified."""

import time

import tap
from daemon import Daemon
from raw import Raw
from tap import equal, ok, run

try:
    from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Producer,
                                 TopicPartition)
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError as error:
    tap.skip_all(f'confluent-kafka: {error}')


def consume(daemon, topic, count, offset=OFFSET_BEGINNING, partition=0, seconds=20, **options):
    reader = Consumer({'bootstrap.servers': daemon.address, 'group.id': 'none',
                       'enable.auto.commit': False, 'enable.partition.eof': False, **options})
    reader.assign([TopicPartition(topic, partition, offset)])
    got = []
    end = time.monotonic() + seconds
    while len(got) < count and time.monotonic() < end:
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            got.append(message)
        elif message is not None:
            print('#', message.error())
    reader.close()
    return got


def topics():
    with Daemon() as daemon:
        admin = AdminClient({'bootstrap.servers': daemon.address})

        def outcome(futures):
            result = {}
            for name, future in futures.items():
                try:
                    result[name] = future.result(20)
                except KafkaException as error:
                    result[name] = error.args[0].code()
            return result
        found = outcome(admin.create_topics([NewTopic('t', 2, 1), NewTopic('a b', 1, 1),
                                             NewTopic('copies', 1, 3)]))
        equal(found, {'t': None, 'a b': 17, 'copies': 38}, 'topics are created, or refused with a reason')
        equal(outcome(admin.create_topics([NewTopic('t', 2, 1)])), {'t': 36}, 'again: error 36')
        metadata = admin.list_topics(timeout=20)
        equal({n: len(t.partitions) for n, t in metadata.topics.items()}, {'t': 2}, 'they are listed')
        equal(outcome(admin.delete_topics(['t', 'none'])), {'t': None, 'none': 3}, 'deleted, or unknown')


def produce_and_consume():
    with Daemon() as daemon:
        for name, options in (('acks 0', {'acks': 0}), ('acks 1', {'acks': 1}),
                              ('acks all', {'acks': 'all'}),
                              ('idempotence', {'enable.idempotence': True}),
                              ('gzip', {'compression.type': 'gzip'}),
                              ('snappy', {'compression.type': 'snappy'}),
                              ('lz4', {'compression.type': 'lz4'}),
                              ('zstd', {'compression.type': 'zstd'})):
            topic = name.replace(' ', '-')
            errors = []
            producer = Producer({'bootstrap.servers': daemon.address, 'linger.ms': 5, **options})
            for i in range(1000):
                producer.produce(topic, b'%d' % i, key=b'k%d' % (i % 7),
                                 on_delivery=lambda e, _: errors.append(e) if e else None)
                producer.poll(0)
            left = producer.flush(30)
            got = consume(daemon, topic, 1000)
            equal((left, errors, [m.value() for m in got]), (0, [], [b'%d' % i for i in range(1000)]),
                  f'1000 records, {name}')
        equal([m.offset() for m in got], list(range(1000)), 'with offsets from 0 on')


def details():
    with Daemon('--set', 'log.retention.ms=-1') as daemon:  # whose records are of 1970
        producer = Producer({'bootstrap.servers': daemon.address})
        producer.produce('t', b'', key=b'', headers=[('a', b'1'), ('b', None)], timestamp=5000)
        producer.produce('t', None, key=b'gone', timestamp=6000)
        producer.produce('t', b'last', timestamp=7000)
        producer.flush(20)
        got = [(m.timestamp(), m.key(), m.value(), m.headers()) for m in consume(daemon, 't', 3)]
        equal(got, [((1, 5000), b'', b'', [('a', b'1'), ('b', None)]), ((1, 6000), b'gone', None, None),
                    ((1, 7000), None, b'last', None)], 'keys, headers, timestamps, null and empty')
        equal([m.value() for m in consume(daemon, 't', 1, offset=2)], [b'last'], 'from an offset')
        reader = Consumer({'bootstrap.servers': daemon.address, 'group.id': 'none',
                           'enable.auto.commit': False})
        equal(reader.get_watermark_offsets(TopicPartition('t', 0), timeout=20), (0, 3), 'both ends')
        equal(reader.offsets_for_times([TopicPartition('t', 0, 5500)], timeout=20)[0].offset, 1,
              'the offset of a time')
        reader.assign([TopicPartition('t', 0, OFFSET_END)])
        ok(reader.poll(1.5) is None, 'at the end there is nothing')
        end, message = time.monotonic() + 20, None
        while message is None and time.monotonic() < end:
            producer.produce('t', b'new')  # again, as it may not have been at the end yet
            producer.flush(20)
            message = reader.poll(0.5)
        equal(message and message.value(), b'new', 'until something comes')
        reader.close()
        large = Producer({'bootstrap.servers': daemon.address, 'message.max.bytes': 5000000})
        errors = []
        large.produce('t', bytes(2000000), on_delivery=lambda e, _: errors.append(e))
        large.flush(20)
        equal(errors and errors[0] and errors[0].code(), 10, 'a message that is too large: error 10')


def throttled():
    """Quotas: the client is told to wait, and kept to its rate."""
    rate, size, count = 50000, 5000, 60
    with Daemon('--set', 'quota.window.num=2') as daemon, Raw(daemon.port) as other:
        other.create('t')
        client_id = [('client-id', 'slow')]
        other.alter_quotas((client_id, {'producer_byte_rate': rate, 'consumer_byte_rate': rate}))
        waits = []
        producer = Producer({'bootstrap.servers': daemon.address, 'client.id': 'slow', 'batch.num.messages': 1,
                             'throttle_cb': lambda event: waits.append(event.throttle_time)})
        begin = time.monotonic()
        for _ in range(count):
            producer.produce('t', bytes(size))
        left = producer.flush(60)
        producer.poll(0)
        seconds = time.monotonic() - begin
        equal(left, 0, 'all is sent')
        ok(max(waits, default=0) > 0, 'it is told to wait', waits)
        ok(count * size <= rate * (seconds + 2) + 2 * size, 'and sends no more than its rate', seconds)
        waits.clear()
        begin = time.monotonic()
        found = consume(daemon, 't', count, seconds=60, **{
            'client.id': 'slow', 'fetch.message.max.bytes': 20000,
            'throttle_cb': lambda event: waits.append(event.throttle_time)})
        seconds = time.monotonic() - begin
        equal(len(found), count, 'all is read')
        ok(max(waits, default=0) > 0, 'who reads is told to wait, too', waits)
        ok(count * size <= rate * (seconds + 2) + 3 * 20000, 'and reads no more than his rate', seconds)


run(topics, produce_and_consume, details, throttled)
