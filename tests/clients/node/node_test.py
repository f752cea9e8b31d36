#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Node, unmodified. package-lock.json says which versions, and what is in them."""

import fcntl
import os
import re
import shutil

import maven
import tap
from checks import relay
from programs import Beckd, Folder, must, run

HERE = os.path.dirname(os.path.abspath(__file__))
OPTIONS = ('--set', 'group.initial.rebalance.delay.ms=200',
           '--set', 'group.consumer.min.heartbeat.interval.ms=200',
           '--set', 'group.consumer.heartbeat.interval.ms=200')
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
            if name in LISTS or name.endswith(('.js', '.mjs')):
                shutil.copy(os.path.join(HERE, name), home)
        must(run('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', cwd=home, seconds=600))
    return home


def serve(name, program, wanted):
    home = fetch()
    with Folder() as folder, Beckd(os.path.join(folder, 'store'), *OPTIONS) as beckd:
        relay(name, ['node', os.path.join(home, program), beckd.address], wanted)


def kafkajs():
    serve('kafkajs', 'with_kafkajs.js', 19)


def platformatic():
    found = run('node', '--version').out.strip()
    if tuple(int(part) for part in re.findall(r'\d+', found)) < (20, 19, 4):
        tap.skip('platformatic', f'node is {found}, and @platformatic/kafka 1.35.0 needs 20.19.4')
        return
    serve('@platformatic/kafka', 'with_platformatic.mjs', 25)


tap.run(kafkajs, platformatic)
