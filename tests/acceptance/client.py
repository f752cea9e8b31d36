#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka clients by librdkafka, for the rows.

    client.py consume ADDRESS GROUP TOPIC [-n COUNT] [--die-before-commit] [--commit-before] [-X SETTING=VALUE]...

prints "partition offset value" of each record and commits it behind that (or before that); it ends after
COUNT records, or by a signal, with a commit of what it printed.

    client.py produce ADDRESS TOPIC COUNT [-X SETTING=VALUE]...

sends the numbers from 1 on, and prints each that is acknowledged.
"""

import argparse
import os
import signal
import sys
import time

import confluent_kafka


def settings_of(arguments):
    return dict(pair.split('=', 1) for pair in arguments.settings)


def consume(arguments):
    client = confluent_kafka.Consumer({
        'bootstrap.servers': arguments.address, 'group.id': arguments.group, 'log_level': 0,
        'enable.auto.commit': False, 'auto.offset.reset': 'earliest', 'session.timeout.ms': 6000,
        'heartbeat.interval.ms': 500, **settings_of(arguments)})
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    client.subscribe([arguments.topic])
    count = 0
    while not stopping and count != arguments.n:
        message = client.poll(0.1)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr, flush=True)
            return 1
        if arguments.commit_before:
            client.commit(message, asynchronous=False)
        print(message.partition(), message.offset(), message.value().decode(), flush=True)
        count += 1
        if arguments.die_before_commit and count == arguments.n:
            os._exit(9)
        if not arguments.commit_before:
            client.commit(message, asynchronous=False)
    client.close()
    return 0


def produce(arguments):
    failed = []

    def delivered(error, message):
        if error:
            failed.append(error)
            print(error, file=sys.stderr, flush=True)
        else:
            print(message.value().decode(), flush=True)
    client = confluent_kafka.Producer({'bootstrap.servers': arguments.address, 'acks': 'all', 'log_level': 0,
                                       **settings_of(arguments)})
    for number in range(1, arguments.count + 1):
        client.produce(arguments.topic, str(number), on_delivery=delivered)
        client.poll(0)
    end = time.monotonic() + 60
    while len(client) > 0 and time.monotonic() < end:  # flush() would send before linger.ms is over
        client.poll(0.1)
    return 1 if len(client) > 0 or failed else 0


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    consumer = commands.add_parser('consume')
    consumer.set_defaults(run=consume)
    consumer.add_argument('address')
    consumer.add_argument('group')
    consumer.add_argument('topic')
    consumer.add_argument('-n', type=int, default=-1)
    consumer.add_argument('--die-before-commit', action='store_true')
    consumer.add_argument('--commit-before', action='store_true')
    consumer.add_argument('-X', dest='settings', action='append', default=[])
    producer = commands.add_parser('produce')
    producer.set_defaults(run=produce)
    producer.add_argument('address')
    producer.add_argument('topic')
    producer.add_argument('count', type=int)
    producer.add_argument('-X', dest='settings', action='append', default=[])
    arguments = parser.parse_args()
    return arguments.run(arguments)


sys.exit(main())
