#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka's own clients for Java, unmodified: producers, groups, and what the admin client can ask for."""

import os

import apache_kafka
import javac
import tap
from checks import relay
from programs import Beckd, Folder, beck, must

REASON = javac.missing()
if REASON:
    tap.skip_all(REASON)
HERE = os.path.dirname(os.path.abspath(__file__))


def serve(folder, java, program, wanted):
    with Beckd(os.path.join(folder, program), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
        must(beck(beckd.store, 'topic', 'create', 'shared', '--partitions', '6'))
        relay('Java ' + program, [*java, program, beckd.address], wanted)
        tap.equal(beckd.end(), 0, f'{program}: beckd ends in order')


def main():
    with Folder() as folder:
        java = javac.compiled(apache_kafka.class_path(), HERE, os.path.join(folder, 'classes'))
        tap.run(lambda: serve(folder, java, 'Clients', 50), lambda: serve(folder, java, 'Admin', 50))


main()
