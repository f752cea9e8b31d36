# SPDX-License-Identifier: Apache-2.0
"""What goes wrong for confluent-kafka (librdkafka) without its seeing it come: it gets the protocol's error, and goes on
by itself. recovery.py ADDRESS."""

import sys
import time

import confluent_kafka
from checks_of import equal, ok, run
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ADDRESS = sys.argv[1]
PATIENCE = 60


def make(topic):
    admin = AdminClient({'bootstrap.servers': ADDRESS})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(PATIENCE)


def fill(topic, count):
    client = Producer({'bootstrap.servers': ADDRESS})
    for i in range(count):
        client.produce(topic, b'%d' % i, partition=0)
    client.flush(PATIENCE)


def consumer(group, **settings):
    return Consumer({'bootstrap.servers': ADDRESS, 'group.id': group, 'auto.offset.reset': 'earliest',
                     'enable.auto.commit': False, **{name.replace('_', '.'): value for name, value in settings.items()}})


def poll(client, count):
    """The offsets of records, until there are so many; errors are told by poll(), and it goes on."""
    found = []
    end = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < end:
        message = client.poll(0.1)
        if message is not None and not message.error():
            found.append(message.offset())
    return found


def deleted_topic():
    make('deleted')
    told = []
    client = Producer({'bootstrap.servers': ADDRESS, 'enable.idempotence': True, 'linger.ms': 0,
                       'delivery.timeout.ms': 10000, 'topic.metadata.refresh.interval.ms': 1000})

    def send(value):
        client.produce('deleted', value, partition=0, on_delivery=lambda error, message: told.append(
            error if error else message.offset()))
        client.flush(PATIENCE)
    send(b'before')
    admin = AdminClient({'bootstrap.servers': ADDRESS})
    admin.delete_topics(['deleted'])['deleted'].result(PATIENCE)
    after = 0
    while told[-1] != 0 or after == 0:
        after += 1
        if after == 20:
            break
        try:
            send(b'after')
        except KafkaException as error:  # it knows by now that the topic is gone
            print('to a deleted topic:', error)
            time.sleep(1)
    equal((told[0], told[-1]), (0, 0), 'the producer goes on in a topic that was deleted, which is made anew')


def out_of_range():
    make('trimmed')
    fill('trimmed', 100)
    client = consumer('trimmed', fetch_message_max_bytes=100)
    client.assign([TopicPartition('trimmed', 0, 0)])
    equal(poll(client, 1)[:1], [0], 'a consumer is at the beginning')
    admin = AdminClient({'bootstrap.servers': ADDRESS})
    if hasattr(admin, 'delete_records'):
        admin.delete_records([TopicPartition('trimmed', 0, 100)])[TopicPartition('trimmed', 0, 100)].result(PATIENCE)
        fill('trimmed', 10)
        client.seek(TopicPartition('trimmed', 0, 50))
        equal(poll(client, 10)[:1], [100], 'its records are deleted, and it goes on with the first there is')
    client.seek(TopicPartition('trimmed', 0, 100000))
    ok(poll(client, 10)[0] in (0, 100), 'and likewise behind the end')
    client.close()


def stale_generation():
    make('slow')
    fill('slow', 10)
    client = consumer('slow', session_timeout_ms=6000, max_poll_interval_ms=6000)
    client.subscribe(['slow'])
    equal(len(poll(client, 10)), 10, 'a member of a group gets records')
    other = consumer('slow', session_timeout_ms=6000)
    other.subscribe(['slow'])
    equal(len(poll(other, 10)), 10, 'it does not poll, so it leaves, and another takes over')
    code = None
    try:
        client.commit(offsets=[TopicPartition('slow', 0, 5)], asynchronous=False)
    except KafkaException as error:
        code = error.args[0].code()
    ok(code in (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID), 'it is late, and may not commit', code)
    other.close()
    equal(len(poll(client, 10)), 10, 'it joins again, and gets what was not committed')
    client.commit(asynchronous=False)
    equal(client.committed([TopicPartition('slow', 0)], PATIENCE)[0].offset, 10, 'and commits')
    client.close()


print('version', confluent_kafka.version(), 'librdkafka', confluent_kafka.libversion()[0])
run(deleted_topic, out_of_range, stale_generation)
