# SPDX-License-Identifier: Apache-2.0
"""What was right a moment ago and is not any more: the protocol's error, after which a client goes on by itself."""

import struct
import time

import raw
import tap
from daemon import Daemon
from raw import Raw, array, batch, string
from tap import equal, ok, run

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError as missing:
    tap.skip_all(f'confluent-kafka: {missing}')

PATIENCE = 30
OUT_OF_RANGE, UNKNOWN_TOPIC, ILLEGAL_GENERATION, INCONSISTENT, UNKNOWN_MEMBER = 1, 3, 22, 23, 25


def consumer(daemon, **more):
    return Consumer({'bootstrap.servers': daemon.address, 'group.id': 'g', 'auto.offset.reset': 'earliest',
                     'session.timeout.ms': 6000, 'heartbeat.interval.ms': 200, **more})


def next_value(one):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        message = one.poll(0.2)
        if message is not None and not message.error():
            return message.value()
    return None


def deleted_topic():
    with Daemon() as daemon, Raw(daemon.port) as client:
        delivered = []
        producer = Producer({'bootstrap.servers': daemon.address, 'linger.ms': 0, 'topic.metadata.refresh.interval.ms': 500})
        producer.produce('t', b'before', on_delivery=lambda error, message: delivered.append(error))
        producer.flush(PATIENCE)
        equal(delivered, [None], 'a producer')
        equal(client.delete('t'), 0, 'its topic is deleted')
        equal(client.produce('t', batch(b'x'))[0], UNKNOWN_TOPIC, 'error 3')
        end = time.monotonic() + PATIENCE
        while delivered[-1:] != [None] or len(delivered) < 2:
            producer.produce('t', b'after', on_delivery=lambda error, message: delivered.append(error))
            producer.flush(PATIENCE)
            if time.monotonic() > end:
                break
        equal(delivered[-1], None, 'after which it is made again, and the producer goes on')


def out_of_range():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.produce('t', batch(b'a', b'b'))
        equal(client.fetch('t', offset=100)['parts'][0]['error'], OUT_OF_RANGE, 'an offset beyond the log: error 1')
        one = consumer(daemon)
        one.assign([TopicPartition('t', 0, 100)])
        equal(next_value(one), b'a', 'after which a consumer begins where it is told to')
        one.close()


def commit(client, generation, member):
    body = (string('g') + struct.pack('>i', generation) + string(member) + struct.pack('>q', -1)
            + array([string('t') + array([struct.pack('>iq', 0, 1) + string('')])]))
    reader = client.call(8, 2, body)
    return reader.array(lambda: (reader.string(), reader.array(lambda: reader.take('ih'))))[0][1][0][1]


def stale_member():
    with Daemon('--set', 'group.initial.rebalance.delay.ms=0') as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.produce('t', batch(b'a'))
        one = consumer(daemon, **{'enable.auto.commit': False})
        one.subscribe(['t'])
        equal(next_value(one), b'a', 'a member of a group')
        data = client.call(15, 0, array([string('g')])).read()
        member = data[data.index(b'rdkafka-'):][:44].decode()
        equal(commit(client, 99, member), ILLEGAL_GENERATION, 'a commit of another generation: error 22')
        equal(commit(client, 1, 'nobody'), UNKNOWN_MEMBER, 'of somebody else: error 25')
        leave = client.call(13, 1, string('g') + string(member))
        equal(leave.take('ih')[1], 0, 'it is taken out')
        client.produce('t', batch(b'b'))
        found = {next_value(one), next_value(one)}
        ok(b'b' in found, 'and comes back by itself', found)
        one.commit(asynchronous=False)
        ok(one.committed([TopicPartition('t', 0)], PATIENCE)[0].offset in (1, 2), 'and can commit again')
        one.close()


def wrong_group():
    """A group of another type is left alone."""
    with Daemon('--set', 'group.initial.rebalance.delay.ms=0') as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.produce('t', batch(b'a'))
        one = consumer(daemon)
        one.subscribe(['t'])
        equal(next_value(one), b'a', 'a group of consumers')
        protocols = array([string('default') + struct.pack('>i', 0)])
        body = string('g') + struct.pack('>ii', 6000, 6000) + string('') + string('connect') + protocols
        equal(client.call(11, 1, body).take('h'), INCONSISTENT, 'a worker of Connect: error 23')
        client.produce('t', batch(b'b'))
        equal(next_value(one), b'b', 'and the consumers go on')
        one.close()


run(deleted_topic, out_of_range, stale_member, wrong_group)
