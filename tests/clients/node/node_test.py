#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Node, unmodified. package-lock.json says which versions, and what is in them."""

import fcntl
import os
import shutil

import maven
import tap
from checks import relay
from programs import Beckd, Folder, must, run

HERE = os.path.dirname(os.path.abspath(__file__))
LISTS = ('package.json', 'package-lock.json')
if not shutil.which('npm'):
    tap.skip_all('npm is not installed')


def fetch():
    """A folder that has the packages in node_modules, and the programs."""
    home = os.path.join(maven.cache(), 'node')
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(HERE):
            if name in LISTS or name.endswith('.js'):
                shutil.copy(os.path.join(HERE, name), home)
        must(run('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', cwd=home, seconds=600))
    return home


def kafkajs():
    home = fetch()
    with Folder() as folder, \
            Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
        relay('kafkajs', ['node', os.path.join(home, 'with_kafkajs.js'), beckd.address], 19)


tap.run(kafkajs)
