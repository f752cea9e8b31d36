# SPDX-License-Identifier: Apache-2.0
"""Kafka clients that nobody here wrote, as the tests use them: kcat, and librdkafka from Python."""

import confluent_kafka

from programs import run


def producer(address, **settings):
    """librdkafka's producer. acks=all and no retries: what was not acknowledged is never sent again."""
    return confluent_kafka.Producer({
        'bootstrap.servers': address,
        'acks': 'all',
        'message.send.max.retries': 0,
        'queue.buffering.max.messages': 2_000_000,
        'linger.ms': 5,
        'log_level': 0,
        **{name.replace('_', '.'): value for name, value in settings.items()},
    })


def send_lines(address, topic, data):
    """Each line a record, by librdkafka from Python. Returns the errors that deliveries ended with."""
    errors = []

    def delivered(error, _):
        if error:
            errors.append(str(error))
    client = producer(address)
    for line in data.split(b'\n')[:-1]:
        while True:
            try:
                client.produce(topic, line, partition=0, on_delivery=delivered)
                break
            except BufferError:
                client.poll(0.05)
        client.poll(0)
    left = client.flush(60)
    return errors + ['not delivered'] * left


def kcat_send(address, topic, path):
    """Each line of a file a record, by kcat."""
    with open(path, 'rb') as file:
        return run('kcat', '-P', '-b', address, '-t', topic, '-p', '0', '-X',
                   'queue.buffering.max.messages=2000000', stdin=file.read())


def kcat_read(address, topic):
    """The command that prints all of a topic."""
    return ['kcat', '-C', '-b', address, '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-X',
            'fetch.message.max.bytes=10000000']
