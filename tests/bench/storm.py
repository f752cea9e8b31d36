# SPDX-License-Identifier: Apache-2.0
"""What a storm of connections costs those who are served meanwhile.

    storm.py BECKD [CONNECTIONS]

Prints how long a produce (acks=1) and a fetch of it take, before, while many connections are opened and dropped by
another process, and after; and the daemon's memory. A measurement, no test.
"""

import os
import socket
import struct
import sys
import time

import raw
from daemon import Daemon
from raw import Raw, batch


def storm(port, count):
    """Connections that say something or nothing, and go; half of them by a reset."""
    pieces = (b'', Raw.frame(raw.API_VERSIONS, 0, 7, b''), struct.pack('>i', 1 << 20) + bytes(100))
    for i in range(count):
        one = socket.create_connection(('127.0.0.1', port), 20, source_address=(f'127.0.{i % 200}.{1 + i // 200 % 200}', 0))
        one.sendall(pieces[i % len(pieces)])
        if i % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        one.close()


def measure(client, offset, going_on):
    times = []
    while going_on(len(times)):
        begin = time.perf_counter()
        if client.produce('t', batch(b'x'), acks=1)[0] != 0 or client.fetch('t', offset=offset)['parts'][0]['size'] == 0:
            raise RuntimeError('not served')
        times.append(time.perf_counter() - begin)
        offset += 1
    times.sort()
    return offset, ' / '.join(f'{1e6 * times[int(len(times) * p)]:.0f}' for p in (0.5, 0.99, 0.999)) + ' us'


def main(count=100000):
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        offset, _ = measure(client, 0, lambda n: n < 1000)
        offset, before = measure(client, offset, lambda n: n < 5000)
        memory = daemon.status('VmRSS')
        child = os.fork()
        if child == 0:
            storm(daemon.port, count)
            os._exit(0)
        begin = time.monotonic()
        offset, during = measure(client, offset, lambda n: os.waitpid(child, os.WNOHANG)[0] == 0)
        seconds = time.monotonic() - begin
        offset, after = measure(client, offset, lambda n: n < 5000)
        print(f'{count} connections in {seconds:.1f} s. p50 / p99 / p99.9 of a produce and its fetch: before {before}, '
              f'meanwhile {during}, after {after}. RSS {memory} kB before, {daemon.status("VmRSS")} kB after, '
              f'{daemon.status("VmHWM")} kB at most')


main(*(int(argument) for argument in sys.argv[2:]))
