#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Java clients of 2021, which many programs still have: the same program as for the new ones."""

import os

import javac
import maven
import tap
from checks import relay
from programs import Beckd, Folder, beck, must

REASON = javac.missing()
if REASON:
    tap.skip_all(REASON)
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [os.path.join(os.path.dirname(HERE), 'java', name) for name in ('Clients.java', 'Checks.java')]


def clients():
    with Folder() as folder:
        java = javac.compiled(maven.fetch('java28', HERE), SOURCES, os.path.join(folder, 'classes'))
        with Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
            must(beck(beckd.store, 'topic', 'create', 'shared', '--partitions', '6'))
            relay('Java 2.8', [*java, 'Clients', beckd.address], 50)


tap.run(clients)
