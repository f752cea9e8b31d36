# SPDX-License-Identifier: Apache-2.0
"""Connections that say little gather on one loop, and those that say much leave it: nobody notices."""

import os

import raw
from daemon import Daemon, within
from raw import Raw, batch
from tap import equal, ok, run

LOOPS = 4
COUNT = 3 * LOOPS
PIPELINED = 40


def spread(daemon):
    """How many of the connections' sockets each loop watches, most first."""
    descriptors = {}
    for number in daemon.descriptors():
        try:
            descriptors[number] = os.readlink(f'/proc/{daemon.pid}/fd/{number}')
        except FileNotFoundError:
            pass
    counts = []
    for number, name in descriptors.items():
        if 'eventpoll' in name:
            with open(f'/proc/{daemon.pid}/fdinfo/{number}', encoding='ascii') as file:
                watched = [line.split()[1] for line in file if line.startswith('tfd:')]
            counts.append(sum(descriptors.get(one, '').startswith('socket:') for one in watched))
    return sorted(counts, reverse=True)


def gathered(daemon, count):
    return within(lambda: spread(daemon)[0] - 2 >= count)  # the first loop watches two that listen, too


def loops():
    return Daemon('--set', f'num.network.threads={LOOPS}')


def connect(daemon):
    return [Raw(daemon.port) for _ in range(COUNT)]


def waiting():
    with loops() as daemon:
        clients = connect(daemon)
        clients[0].create('t')
        ok(gathered(daemon, COUNT), 'those that say little are on one loop', spread(daemon))
        for client in clients:
            client.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=60000))
        with Raw(daemon.port) as producer:
            producer.produce('t', batch(b'x'))
        answers = [client.fetch_answer(client.receive()[1], 4) for client in clients]
        equal([len(answer['parts'][0]['records']) > 0 for answer in answers], [True] * COUNT,
              'and are told of what comes')
        equal(daemon.stop(), 0, 'it ends well')


def leaving():
    with loops() as daemon:
        clients = connect(daemon)
        clients[0].create('t')
        ok(gathered(daemon, COUNT), 'they have gathered')
        right = True

        def talk():
            nonlocal right
            for client in clients:
                ids = [client.send(raw.METADATA, 4, raw.array([raw.string('t')]) + b'\0') for _ in range(PIPELINED)]
                right = right and [client.receive()[0] for _ in ids] == ids
            return spread(daemon)[0] - 2 <= COUNT // LOOPS
        ok(within(talk), 'those that say much are spread over all loops', spread(daemon))
        ok(right, 'and get all answers in order')
        ok(gathered(daemon, COUNT), 'once silent, they gather again', spread(daemon))


def half():
    with loops() as daemon:
        clients = connect(daemon)
        frame = Raw.frame(raw.API_VERSIONS, 0, 7, b'')
        for client in clients:
            client.socket.sendall(frame[:9])
        ok(gathered(daemon, COUNT), 'those that have sent half a request gather, too', spread(daemon))
        for client in clients:
            client.socket.sendall(frame[9:])
        equal([client.receive()[0] for client in clients], [7] * COUNT, 'the other half is answered')


def ending():
    with loops() as daemon:
        clients = connect(daemon)
        ok(gathered(daemon, COUNT), 'they have gathered')
        for client in clients:
            client.close()
        ok(within(lambda: spread(daemon)[0] == 2), 'those that end are gone', spread(daemon))
        clients = connect(daemon)
        ok(gathered(daemon, COUNT), 'others come in their place')


run(waiting, leaving, half, ending)
