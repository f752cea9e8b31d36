# SPDX-License-Identifier: Apache-2.0
"""A thousand consumers, each with a connection and a partition of its own, and nothing to read: what they cost.

Memory has a limit; what they cost of a processor depends on the machine, and is said only."""

import resource
import selectors
import struct
import time

import raw
from daemon import Daemon
from raw import Raw
from tap import equal, ok, run

COUNT = 1000
WAIT_MS = 500
SECONDS = 3


def polling():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.create('t', partitions=COUNT)
        clients = [Raw(daemon.port) for _ in range(COUNT)]
        frames = [Raw.frame(raw.FETCH, 4, 1, raw.fetch_body('t', partition=i, max_wait=WAIT_MS)) for i in range(COUNT)]
        ready = selectors.DefaultSelector()
        for i, client in enumerate(clients):
            ready.register(client.socket, selectors.EVENT_READ, i)
            client.socket.sendall(frames[i])
        answers, used, begin = [0] * COUNT, daemon.cpu_seconds(), time.monotonic()
        while time.monotonic() < begin + SECONDS or min(answers) < 2:
            for key, _ in ready.select(0.1):
                data = clients[key.data].socket.recv(4096)
                if len(data) != 4 + struct.unpack('>i', data[:4])[0]:
                    raise RuntimeError('not one whole answer')
                answers[key.data] += 1
                clients[key.data].socket.sendall(frames[key.data])
        used = 100 * (daemon.cpu_seconds() - used) / (time.monotonic() - begin)
        ok(min(answers) >= 2, f'{COUNT} consumers are all answered, {sum(answers)} times, with {used:.1f} % of a processor')
        most = daemon.status('VmHWM')
        ok(most < 100000, 'in less than 100 MB', f'{most} kB')
        for client in clients:
            client.close()
        equal(daemon.stop(), 0, 'it ends well')
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


run(polling)
