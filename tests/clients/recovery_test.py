#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients to which something goes wrong: a topic is deleted under a producer, records under a consumer, a member of a
group comes too late, or in the wrong way. They get the protocol's error, and go on by themselves."""

import os
import sys

import apache_kafka
import javac
import tap
import venv_of
from checks import relay
from programs import Beckd, Folder

HERE = os.path.dirname(os.path.abspath(__file__))
JAVA = [os.path.join(HERE, 'java', name) for name in ('Recovery.java', 'Clients.java', 'Checks.java')]


def serve(name, wanted, command):
    with Folder() as folder, \
            Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
        relay(name, [*command(folder), beckd.address], wanted)


def java():
    serve('Java', 10, lambda folder: [*javac.compiled(apache_kafka.class_path(), JAVA, os.path.join(folder, 'classes')), 'Recovery'])


def librdkafka():
    serve('librdkafka', 8, lambda folder: [sys.executable, os.path.join(HERE, 'python', 'recovery.py')])


def librdkafka_of_today():
    python = venv_of.fetch('confluent-kafka', os.path.join(HERE, 'python', 'confluent-kafka.txt'))
    serve('librdkafka of today', 9, lambda folder: [python, '-E', os.path.join(HERE, 'python', 'recovery.py')])


REASON = javac.missing()
if REASON:
    tap.skip_all(REASON)
tap.run(java, librdkafka, librdkafka_of_today)
