#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Go, unmodified: franz-go, sarama, kafka-go. go.mod and go.sum say which versions, and what is in
them."""

import os
import re
import shutil
import subprocess

import maven
import tap
from checks import relay
from programs import Beckd, Folder, must, run

HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = {**os.environ, 'GOFLAGS': '-mod=readonly', 'GOTOOLCHAIN': 'local',
               'GOMODCACHE': os.path.join(maven.cache(), 'go', 'modules'),
               'GOCACHE': os.path.join(maven.cache(), 'go', 'built')}


def missing():
    """Which Go is needed, where there is none, or one that is too old."""
    with open(os.path.join(HERE, 'go.mod'), encoding='ascii') as file:
        wanted = re.search(r'^go (\S+)', file.read(), re.MULTILINE)[1]
    if not shutil.which('go'):
        return f'go is not installed: {wanted} is needed'
    found = subprocess.run(['go', 'env', 'GOVERSION'], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
                           cwd='/', check=False).stdout.strip().removeprefix('go')

    def numbers(version):
        return [int(part) for part in re.findall(r'\d+', version)[:2]]
    return None if numbers(found) >= numbers(wanted) else f'go is {found}, and {wanted} is needed'


def serve(folder, name, wanted):
    with Beckd(os.path.join(folder, name + '-store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
        relay(name, [os.path.join(folder, name), beckd.address], wanted)


def main():
    reason = missing()
    if reason:
        tap.skip_all(reason)
    with Folder() as folder:
        must(run('go', 'build', '-o', folder, './franz', './sarama', './kafkago', cwd=HERE, env=ENVIRONMENT,
                 seconds=600))
        tap.run(lambda: serve(folder, 'franz', 16), lambda: serve(folder, 'sarama', 14),
                lambda: serve(folder, 'kafkago', 11))


main()
