# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka, which is librdkafka: produces, shares groups eagerly and cooperatively, administers."""

import json
import sys
import time

import confluent_kafka
from checks_of import becomes, equal, ok, run
from confluent_kafka import (Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer,
                             TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec)

ADDRESS = sys.argv[1]
NOW = int(time.time() * 1000)


def consumer(**settings):
    return Consumer({'bootstrap.servers': ADDRESS, 'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                     **{name if name == 'stats_cb' else name.replace('_', '.'): value for name, value in settings.items()}})


def producers():
    for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
        for idempotent in (False, True):
            topic = f'{codec}-{idempotent}'
            client = Producer({'bootstrap.servers': ADDRESS, 'compression.type': codec, 'linger.ms': 5,
                               'enable.idempotence': idempotent})
            for n in range(300):
                client.produce(topic, b'value %d' % n, b'k%d' % n, 0, headers=[('h', b'%d' % n), ('null', None)],
                               timestamp=NOW - 1000 * (300 - n))
            left = client.flush(60)
            reader = consumer(group_id='none')
            reader.assign([TopicPartition(topic, 0, 0)])
            found = []
            while len(found) < 300:
                got = reader.consume(300, 60)
                if not got:
                    break
                found += [(one.offset(), one.key(), one.value(), one.headers(), one.timestamp()[1]) for one in got]
            reader.close()
            equal((left, found), (0, [(n, b'k%d' % n, b'value %d' % n, [('h', b'%d' % n), ('null', None)],
                                       NOW - 1000 * (300 - n)) for n in range(300)]),
                  f'{codec}, idempotent {idempotent}, is read as it was written')


def result(futures):
    """What each future brings; an error's number."""
    found = []
    for future in futures.values() if isinstance(futures, dict) else [futures]:
        try:
            found.append(future.result(60))
        except KafkaException as error:
            found.append(error.args[0].code())
    return found if isinstance(futures, dict) else found[0]


def administration():
    admin = AdminClient({'bootstrap.servers': ADDRESS})
    equal(result(admin.create_topics([NewTopic('t', 2, 1, config={'retention.ms': '777000'}), NewTopic('gone', 1, 1)])),
          [None, None], 'create_topics')
    equal(result(admin.create_topics([NewTopic('t', 2, 1)])), [36], 'create_topics, again')
    equal(result(admin.create_partitions([NewPartitions('t', 6)])), [None], 'create_partitions')
    equal(result(admin.delete_topics(['gone'])), [None], 'delete_topics')
    described = result(admin.describe_topics(TopicCollection(['t'])))[0]
    equal((described.name, len(described.partitions)), ('t', 6), 'describe_topics')
    ok(len(result(admin.describe_cluster()).nodes) == 1, 'describe_cluster')
    resource = ConfigResource('topic', 't')
    equal(result(admin.describe_configs([resource]))[0]['retention.ms'].value, '777000', 'describe_configs')
    change = ConfigResource('topic', 't', incremental_configs=[
        ConfigEntry('max.message.bytes', '5000', incremental_operation=AlterConfigOpType.SET)])
    result(admin.incremental_alter_configs([change]))
    equal(result(admin.describe_configs([resource]))[0]['max.message.bytes'].value, '5000', 'incremental_alter_configs')
    first = TopicPartition('gzip-True', 0)
    equal(result(admin.list_offsets({first: OffsetSpec.for_timestamp(NOW - 100500)}))[0].offset, 200,
          'list_offsets of a time')
    equal(result(admin.delete_records([TopicPartition('gzip-True', 0, 10)]))[0].low_watermark, 10, 'delete_records')
    equal(result(admin.list_offsets({first: OffsetSpec.earliest()}))[0].offset, 10, 'list_offsets, earliest')


def commit(client):
    try:
        client.commit(asynchronous=False)
    except KafkaException as error:  # it had nothing new
        if error.args[0].code() != KafkaError._NO_OFFSET:
            raise


def group(name, **settings):
    figures = []

    def member():
        client = consumer(group_id=name, session_timeout_ms=10000, statistics_interval_ms=100,
                          stats_cb=figures.append, **settings)
        client.subscribe(['t'])
        return client
    members = [member(), member(), member()]
    seen = []

    def poll():
        for client in members:
            message = client.poll(0.05)
            if message is not None and not message.error():
                seen.append((message.partition(), message.offset()))
    before = sum(consumer(group_id='ends').get_watermark_offsets(TopicPartition('t', i), 60)[1] for i in range(6))
    ok(becomes(poll, lambda: [len(one.assignment()) for one in members] == [2, 2, 2]), f'{name}, three share six')
    producer = Producer({'bootstrap.servers': ADDRESS})
    for i in range(120):
        producer.produce('t', b'%d' % i, partition=i % 6)
    producer.flush(60)
    ok(becomes(poll, lambda: len(seen) >= before + 120), f'{name}, they see all records', len(seen))
    for client in members:
        commit(client)
    members.pop().close()
    ok(becomes(poll, lambda: [len(one.assignment()) for one in members] == [3, 3]), f'{name}, one leaves')
    producer.produce('t', b'last', partition=3)
    producer.flush(60)
    ok(becomes(poll, lambda: len(seen) > before + 120), f'{name}, the others see what comes')
    equal(len(set(seen)), len(seen), f'{name}, no record twice')
    if 'group_protocol' not in settings:
        statistics = json.loads(figures[-1])
        equal((statistics['cgrp']['state'], statistics['type']), ('up', 'consumer'), f'{name}, statistics')
    for client in members:
        commit(client)
        client.close()


def eager():
    group('eager')


def cooperative():
    group('cooperative', partition_assignment_strategy='cooperative-sticky')


def groups():
    admin = AdminClient({'bootstrap.servers': ADDRESS})
    listed = {one.group_id for one in result(admin.list_consumer_groups()).valid}
    ok({'eager', 'cooperative'} <= listed, 'list_consumer_groups', listed)
    equal(str(result(admin.describe_consumer_groups(['eager']))[0].state), 'ConsumerGroupState.EMPTY',
          'describe_consumer_groups')
    offsets = result(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions('eager')]))[0]
    equal({(one.partition, one.offset) for one in offsets.topic_partitions if one.partition in (0, 3)},
          {(0, 20), (3, 21)}, 'list_consumer_group_offsets')
    result(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions('eager', [TopicPartition('t', 0, 7)])]))
    offsets = result(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions('eager', [TopicPartition('t', 0)])]))
    equal(offsets[0].topic_partitions[0].offset, 7, 'alter_consumer_group_offsets')
    equal(result(admin.delete_consumer_groups(['eager'])), [None], 'delete_consumer_groups')


print('version', confluent_kafka.version(), f'(librdkafka {confluent_kafka.libversion()[0]})')
run(producers, administration, eager, cooperative, groups)
