# SPDX-License-Identifier: Apache-2.0
"""A member of a group, by confluent-kafka: member.py ADDRESS GROUP TOPIC [SETTING=VALUE...]. What it prints,
tests/lib/members.py reads."""

import signal
import sys

from confluent_kafka import Consumer, KafkaException

ADDRESS, GROUP, TOPIC = sys.argv[1:4]


def main():
    settings = dict(setting.split('=') for setting in sys.argv[4:])
    if settings.get('group.protocol') != 'consumer':  # there, the broker says how long
        settings['session.timeout.ms'] = '6000'
    client = Consumer({'bootstrap.servers': ADDRESS, 'group.id': GROUP, 'auto.offset.reset': 'earliest', **settings})
    client.subscribe([TOPIC])
    going = True

    def end(*_):
        nonlocal going
        going = False
    signal.signal(signal.SIGTERM, end)
    last = None
    while going:
        message = client.poll(0.1)
        if message is not None and message.error() and message.error().fatal():
            raise KafkaException(message.error())
        owned = sorted(one.partition for one in client.assignment())
        if owned != last:
            print('assigned', *owned, flush=True)
            last = owned
        if message is not None and not message.error():
            print(f'record {message.partition()}/{message.offset()} {message.value().decode()}', flush=True)
    client.close()


main()
