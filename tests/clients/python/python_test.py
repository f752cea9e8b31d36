#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Python, unmodified: kafka-python and confluent-kafka, which is librdkafka."""

import importlib.util
import os

import tap
import venv_of
from checks import relay
from programs import Beckd, Folder

if not importlib.util.find_spec('ensurepip'):
    tap.skip_all('python3-venv is not installed')
HERE = os.path.dirname(os.path.abspath(__file__))


def serve(name, program, wanted):
    python = venv_of.fetch(name, os.path.join(HERE, name + '.txt'))
    with Folder() as folder, \
            Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
        relay(name, [python, '-E', os.path.join(HERE, program), beckd.address], wanted)


def kafka_python():
    serve('kafka-python', 'with_kafka_python.py', 16)


def kafka_python_of_2020():
    serve('kafka-python-2.0.2', 'with_kafka_python.py', 15)


def confluent_kafka():
    serve('confluent-kafka', 'with_confluent_kafka.py', 38)


tap.run(kafka_python, kafka_python_of_2020, confluent_kafka)
