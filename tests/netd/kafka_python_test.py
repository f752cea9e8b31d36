# SPDX-License-Identifier: Apache-2.0
"""kafka-python, unmodified."""

import time

import tap
from daemon import Daemon
from raw import Raw
from tap import equal, ok, run

try:
    from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
    from kafka.admin import KafkaAdminClient, NewTopic
    from kafka.errors import (GroupIdNotFoundError, InvalidReplicationFactorError, NoError,
                              TopicAlreadyExistsError, UnknownTopicOrPartitionError)
except ImportError as error:
    tap.skip_all(f'kafka-python: {error}')


def consumer(daemon, *partitions, **options):
    reader = KafkaConsumer(bootstrap_servers=daemon.address, consumer_timeout_ms=2000, **options)
    reader.assign([TopicPartition(*p) for p in partitions])
    return reader


def values(reader, count):
    out = []
    for message in reader:
        out.append(message.value)
        if len(out) == count:
            break
    return out


def topics():
    with Daemon() as daemon:
        admin = KafkaAdminClient(bootstrap_servers=daemon.address)
        admin.create_topics([NewTopic('three', 3, 1)])
        reader = KafkaConsumer(bootstrap_servers=daemon.address)
        equal(reader.partitions_for_topic('three'), {0, 1, 2}, 'a topic is created')
        for name, error, topic in (('again', TopicAlreadyExistsError, NewTopic('three', 3, 1)),
                                   ('with 3 copies', InvalidReplicationFactorError,
                                    NewTopic('copies', 1, 3))):
            try:
                admin.create_topics([topic])
                ok(False, f'{name}: an error')
            except error:
                ok(True, f'{name}: {error.__name__}')
        admin.delete_topics(['three'])
        equal(admin.list_topics(), [], 'it is deleted')
        try:
            admin.delete_topics(['three'])
            ok(False, 'deleted again: an error')
        except UnknownTopicOrPartitionError:
            ok(True, 'deleted again: UnknownTopicOrPartitionError')
        reader.close()
        admin.close()


def produce_and_consume():
    with Daemon() as daemon:
        for acks in (0, 1, 'all'):
            producer = KafkaProducer(bootstrap_servers=daemon.address, acks=acks)
            sent = producer.send(f'acks{acks}', b'v')
            producer.flush(20)
            producer.close()
            if acks != 0:
                equal(sent.get(10).offset, 0, f'acks={acks}: the offset comes back')
            reader = consumer(daemon, (f'acks{acks}', 0), auto_offset_reset='earliest')
            equal(values(reader, 1), [b'v'], f'acks={acks}: the record is there')
            reader.close()
        for codec in (None, 'gzip', 'snappy', 'lz4', 'zstd'):
            try:
                producer = KafkaProducer(bootstrap_servers=daemon.address, compression_type=codec,
                                         linger_ms=50)
            except AssertionError as error:
                print(f'# {codec}: {error}')  # the client lacks a library for it
                continue
            topic = f'codec-{codec}'
            for i in range(500):
                producer.send(topic, b'%d' % i * 10, key=b'k%d' % i)
            producer.flush(20)
            producer.close()
            reader = consumer(daemon, (topic, 0), auto_offset_reset='earliest')
            equal(values(reader, 500), [b'%d' % i * 10 for i in range(500)], f'500 records, {codec}')
            reader.close()


def details():
    with Daemon() as daemon:
        producer = KafkaProducer(bootstrap_servers=daemon.address, linger_ms=20)
        producer.send('t', b'', key=b'', headers=[('h', b'1'), ('h', b'')], timestamp_ms=5000)
        producer.send('t', None, key=b'gone', timestamp_ms=6000)
        producer.send('t', b'last', timestamp_ms=7000)
        producer.flush(20)
        producer.close()
        where = TopicPartition('t', 0)
        reader = consumer(daemon, ('t', 0), auto_offset_reset='earliest')
        got = [(m.offset, m.timestamp, m.key, m.value, m.headers) for m in reader]
        equal(got, [(0, 5000, b'', b'', [('h', b'1'), ('h', b'')]), (1, 6000, b'gone', None, []),
                    (2, 7000, None, b'last', [])], 'keys, headers, timestamps, null and empty')
        equal((reader.beginning_offsets([where]), reader.end_offsets([where])),
              ({where: 0}, {where: 3}), 'beginning and end')
        equal(reader.offsets_for_times({where: 5500})[where].offset, 1, 'the offset of a time')
        equal(reader.offsets_for_times({where: 9000})[where], None, 'of a time after all: none')
        reader.seek(where, 2)
        equal(values(reader, 1), [b'last'], 'from an offset')
        reader.seek_to_end()
        reader.position(where)
        begin = time.monotonic()
        again = KafkaProducer(bootstrap_servers=daemon.address)
        again.send('t', b'new')
        again.flush(20)
        equal(values(reader, 1), [b'new'], 'a consumer at the end gets what comes')
        ok(time.monotonic() - begin < 10, 'at once')
        again.close()
        reader.close()


def groups():
    with Daemon('--set', 'group.initial.rebalance.delay.ms=100') as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=2)
        producer = KafkaProducer(bootstrap_servers=daemon.address)
        for i in range(10):
            producer.send('t', b'%d' % i, partition=i % 2)
        producer.close()

        def member(**options):
            return KafkaConsumer('t', bootstrap_servers=daemon.address, group_id='g',
                                 auto_offset_reset='earliest', enable_auto_commit=False,
                                 consumer_timeout_ms=5000, **options)
        first = member()
        equal(sorted(values(first, 10)), [b'%d' % i for i in range(10)], 'a group of one gets all')
        where = TopicPartition('t', 1)
        first.commit({where: OffsetAndMetadata(3, 'some metadata')})
        found = first.committed(where, metadata=True)
        equal((found.offset, found.metadata), (3, 'some metadata'), 'offset and metadata come back')
        equal(first.committed(TopicPartition('t', 0)), None, 'nothing committed is nothing')
        first.close()
        second = member()
        equal(sorted(values(second, 7)), [b'%d' % i for i in (0, 2, 4, 6, 7, 8, 9)],
              'the next one goes on from there')
        admin = KafkaAdminClient(bootstrap_servers=daemon.address)
        equal(admin.list_consumer_groups(), [('g', 'consumer')], 'the group is listed')
        described = admin.describe_consumer_groups(['g'])[0]
        equal((described.state, len(described.members)), ('Stable', 1), 'and described')
        equal(admin.list_consumer_group_offsets('g')[where].offset, 3, 'with its offsets')
        code = admin.delete_consumer_groups(['g'])[0][1].errno
        equal(code, 68, 'with members it is not deleted')
        second.close()
        equal(admin.delete_consumer_groups(['g', 'none']),
              [('g', NoError), ('none', GroupIdNotFoundError)], 'without, it is')
        equal(admin.list_consumer_groups(), [], 'and gone')
        admin.close()


run(topics, produce_and_consume, details, groups)
