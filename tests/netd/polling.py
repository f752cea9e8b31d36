# SPDX-License-Identifier: Apache-2.0
"""What idle consumers cost: many connections that poll, each a partition of its own, with nothing to read.

    polling.py BECKD [CONNECTIONS [SECONDS [WAIT-MS]]]

Prints the daemon's share of a processor and its memory. A measurement, no test.
"""

import selectors
import struct
import sys
import time

import raw
from daemon import Daemon
from raw import Raw


def main(count=1000, seconds=10, wait_ms=500):
    with Daemon() as daemon:
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
        warm = time.monotonic() + 3
        while not begin or time.monotonic() < begin + seconds:
            if not begin and time.monotonic() >= warm:
                answers, begin, used = 0, time.monotonic(), daemon.cpu_seconds()
            for key, _ in ready.select(0.1):
                data = clients[key.data].socket.recv(4096)
                if len(data) != 4 + struct.unpack('>i', data[:4])[0]:
                    raise RuntimeError('not one whole answer')
                answers += 1
                clients[key.data].socket.sendall(frames[key.data])
        past = time.monotonic() - begin
        used = daemon.cpu_seconds() - used
        print(f'{count} connections, fetches of {wait_ms} ms: {answers / past:.0f} answers/s, '
              f'{100 * used / past:.2f} % of a processor, RSS {daemon.status("VmRSS") / 1024:.1f} MB '
              f'(before the fetches {before / 1024:.1f} MB)')


main(*(int(argument) for argument in sys.argv[2:]))
