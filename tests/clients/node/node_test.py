#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Node, unmodified. package-lock.json says which versions, and what is in them."""

import os
import re

import npm
import tap
from checks import relay
from programs import Beckd, Folder, run

OPTIONS = ('--set', 'group.initial.rebalance.delay.ms=200',
           '--set', 'group.consumer.min.heartbeat.interval.ms=200',
           '--set', 'group.consumer.heartbeat.interval.ms=200')
if npm.missing():
    tap.skip_all(npm.missing())


def serve(name, program, wanted):
    home = npm.fetch()
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
