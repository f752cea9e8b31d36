#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka Streams, unmodified: words are counted at least once, over the ends of the program and of the daemon."""

import os
import shutil

import javac
import maven
import tap
from checks import relay
from programs import Beckd, Folder

REASON = javac.missing()
if REASON:
    tap.skip_all(REASON)
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [os.path.join(HERE, 'WordCount.java'), os.path.join(os.path.dirname(HERE), 'java', 'Checks.java')]


def word_count():
    with Folder() as folder:
        java = javac.compiled(maven.fetch('streams', HERE), SOURCES, os.path.join(folder, 'classes'))
        state = os.path.join(folder, 'state')
        with Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
            def life(name, first, lines):
                relay(f'Streams, {name}', [*java, 'WordCount', beckd.address, state, first, lines], 7)
            life('a first life', 0, 3000)
            beckd.end(kill=True)
            beckd.start()
            life('a second one, after the daemon was killed', 3000, 2000)
            shutil.rmtree(state)
            life('a third one, which has to read its changelog', 5000, 1000)


tap.run(word_count)
