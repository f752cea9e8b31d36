#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Python, unmodified: kafka-python and confluent-kafka, which is librdkafka."""

import importlib.util
import os

import tap
import venv_of
from checks import relay
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from members import PARTITIONS, Member, kill_one_of_three
from programs import Beckd, Folder

if not importlib.util.find_spec('ensurepip'):
    tap.skip_all('python3-venv is not installed')
HERE = os.path.dirname(os.path.abspath(__file__))
OPTIONS = ('--set', 'group.initial.rebalance.delay.ms=200')


def serve(name, program, wanted):
    python = venv_of.fetch(name, os.path.join(HERE, name + '.txt'))
    with Folder() as folder, \
            Beckd(os.path.join(folder, 'store'), *OPTIONS) as beckd:
        relay(name, [python, '-E', os.path.join(HERE, program), beckd.address], wanted)


def kafka_python():
    serve('kafka-python', 'with_kafka_python.py', 16)


def kafka_python_of_2020():
    serve('kafka-python-2.0.2', 'with_kafka_python.py', 15)


def confluent_kafka():
    serve('confluent-kafka', 'with_confluent_kafka.py', 38)


def confluent_members():
    python = venv_of.fetch('confluent-kafka', os.path.join(HERE, 'confluent-kafka.txt'))
    admit = ('--set', 'group.consumer.min.session.timeout.ms=6000', '--set', 'group.consumer.session.timeout.ms=6000',
             '--set', 'group.consumer.min.heartbeat.interval.ms=500', '--set', 'group.consumer.heartbeat.interval.ms=500')
    with Folder() as folder, Beckd(os.path.join(folder, 'store'), *OPTIONS, *admit) as beckd:
        admin = AdminClient({'bootstrap.servers': beckd.address})
        admin.create_topics([NewTopic('t', PARTITIONS, 1)])['t'].result(60)
        client = Producer({'bootstrap.servers': beckd.address})

        def produce(count):
            for i in range(count):
                client.produce('t', b'%d' % i, partition=i % PARTITIONS)
            client.flush(60)
        for name, setting in (('eager', 'partition.assignment.strategy=range'),
                              ('cooperative', 'partition.assignment.strategy=cooperative-sticky'),
                              ('new protocol', 'group.protocol=consumer'),
                              ('new protocol, range', 'group.protocol=consumer group.remote.assignor=range')):
            command = [python, '-E', os.path.join(HERE, 'member.py'), beckd.address, name, 't', *setting.split()]
            kill_one_of_three(f'confluent-kafka, {name}', lambda command=command: Member(command), produce)


tap.run(kafka_python, kafka_python_of_2020, confluent_kafka, confluent_members)
