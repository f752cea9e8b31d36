#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients for Go, unmodified: franz-go, sarama, kafka-go. go.mod and go.sum say which versions, and what is in
them."""

import os

import golang
import tap
from checks import relay
from programs import Beckd, Folder


def serve(folder, name, wanted):
    with Beckd(os.path.join(folder, name + '-store'), '--set', 'group.initial.rebalance.delay.ms=200') as beckd:
        relay(name, [os.path.join(folder, name), beckd.address], wanted)


def main():
    reason = golang.missing()
    if reason:
        tap.skip_all(reason)
    with Folder() as folder:
        golang.build(folder, 'franz', 'sarama', 'kafkago')
        tap.run(lambda: serve(folder, 'franz', 16), lambda: serve(folder, 'sarama', 14),
                lambda: serve(folder, 'kafkago', 11))


main()
