# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka produces, whatever happens to the broker, until its standard input ends (see crash_test.py):
produce_on.py ADDRESS TOPIC NAME."""

import sys
import threading

from confluent_kafka import Producer

ADDRESS, TOPIC, NAME = sys.argv[1:4]


def told(error, message):
    value = message.value().decode()
    print(f'failed {value} {error}' if error else f'acked {value}', flush=True)


def main():
    ended = threading.Event()

    def watch():
        sys.stdin.read()
        ended.set()
    threading.Thread(target=watch, daemon=True).start()
    client = Producer({'bootstrap.servers': ADDRESS, 'enable.idempotence': True, 'linger.ms': 0})
    number = 0
    while not ended.is_set():
        client.produce(TOPIC, f'{NAME}-{number}'.encode(), partition=number % 3, on_delivery=told)
        client.poll(0.005)
        number += 1
    client.flush(120)
    print('done', flush=True)


main()
