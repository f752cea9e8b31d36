# SPDX-License-Identifier: Apache-2.0
"""What idle consumers cost: many connections that poll, each a partition of its own, with nothing to read.

    polling.py BECKD [CONNECTIONS [SECONDS [WAIT-MS]]] [kafka]

Prints the daemon's share of a processor and its memory, and Apache Kafka's under the same load if that is
asked for. A measurement, no test.
"""

import selectors
import struct
import sys
import tempfile
import time

import raw
from apache_kafka import Tuned
from daemon import Daemon
from raw import Raw


ERROR_AT = 27  # in an answer


class Beckd(Daemon):
    warm_up_seconds = 4


class Kafka(Tuned):
    """Apache Kafka in the daemon's place."""

    status = Daemon.status
    cpu_seconds = Daemon.cpu_seconds
    warm_up_seconds = 30

    def __init__(self):
        self.own = tempfile.TemporaryDirectory(prefix='beck-netd-')
        super().__init__(self.own.name)

    @property
    def pid(self):
        return self.process.pid

    def __exit__(self, *what):
        super().__exit__(*what)
        self.own.cleanup()


def measure(kind, count=1000, seconds=10, wait_ms=500):
    with kind() as daemon:
        with Raw(daemon.port) as client:
            client.create('t', partitions=count)
        clients = [Raw(daemon.port) for _ in range(count)]
        before = daemon.status('VmRSS')
        frames = [Raw.frame(raw.FETCH, 4, 1, raw.fetch_body('t', partition=i, max_wait=wait_ms))
                  for i in range(count)]
        ready = selectors.DefaultSelector()
        first = time.monotonic()
        for i, client in enumerate(clients):  # spread over the time that they wait, as strangers are
            ready.register(client.socket, selectors.EVENT_READ, i)
            time.sleep(max(0, first + i * wait_ms / 1000 / count - time.monotonic()))
            client.socket.sendall(frames[i])
        answers, begin, used = 0, None, 0.0
        warm = time.monotonic() + daemon.warm_up_seconds
        while not begin or time.monotonic() < begin + seconds:
            if not begin and time.monotonic() >= warm:
                answers, begin, used = 0, time.monotonic(), daemon.cpu_seconds()
            for key, _ in ready.select(0.1):
                data = clients[key.data].socket.recv(4096)
                if len(data) != 4 + struct.unpack('>i', data[:4])[0]:
                    raise RuntimeError('not one whole answer')
                if data[ERROR_AT:ERROR_AT + 2] != b'\0\0':  # Kafka has no leader for the partition yet
                    warm = time.monotonic() + daemon.warm_up_seconds
                answers += 1
                clients[key.data].socket.sendall(frames[key.data])
        past = time.monotonic() - begin
        used = daemon.cpu_seconds() - used
        print(f'{kind.__name__}: {count} connections, fetches of {wait_ms} ms: {answers / past:.0f} answers/s, '
              f'{100 * used / past:.2f} % of a processor, RSS {daemon.status("VmRSS") / 1024:.1f} MB '
              f'(before the fetches {before / 1024:.1f} MB)')


for one in (Beckd, Kafka) if 'kafka' in sys.argv else (Beckd,):
    measure(one, *(int(argument) for argument in sys.argv[2:] if argument != 'kafka'))
