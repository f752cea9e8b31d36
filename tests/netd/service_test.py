# SPDX-License-Identifier: Apache-2.0
"""beckd as a service: its messages, and how it talks to the service manager."""

import json
import os
import re
import struct

from daemon import Daemon
from raw import Raw
from tap import equal, ok, run

LIMIT_LINES = 20  # log.h


def nonsense(daemon):
    """A connection that announces a request that is too long."""
    with Raw(daemon.port) as client:
        client.socket.sendall(struct.pack('>i', -2))
        return '%s:%d' % client.socket.getsockname(), client.closed()


def text_messages():
    with Daemon() as daemon:
        peer, closed = nonsense(daemon)
        ok(closed, 'nonsense ends its connection')
        equal(daemon.wait_line('announced'),
              f'beckd: {peer}: closed: announced a request of -2 bytes (the limit is 104857600)',
              'a message in text: program, peer, what')


def json_messages():
    with Daemon('--log-format=json') as daemon:
        peer, _ = nonsense(daemon)
        daemon.wait_line('announced')
        daemon.stop()
        first, second = (json.loads(line) for line in daemon.lines)
        ok(first['message'].startswith('listening on 127.0.0.1:') and first['version'],
           'json: the first line is an object with message and version', first)
        ok(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', first['time']), 'it has the time', first)
        equal((first['level'], second['level']), ('info', 'warning'), 'and a level')
        equal(second.get('peer'), peer, 'a line about a connection says whose it is')
        ok(second['message'].startswith('closed: announced'), 'outside of the message', second)


def json_escapes():
    with Daemon('--log-format=json') as daemon:
        path = os.path.join(daemon.own, 'a"b\\c\n\u00e4')
        daemon.stop()
        daemon.store = path
        daemon.start()
        daemon.stop()
        ok(path in json.loads(daemon.lines[0])['message'], 'json: what has to be escaped is', daemon.log())
        daemon.store = path.encode() + b'\xff'
        daemon.start()
        daemon.stop()
        ok(path + '?' in json.loads(daemon.lines[0])['message'], 'and what is no UTF-8 is replaced',
           daemon.log())


def flood():
    with Daemon('--log-format=json', '--set', 'num.network.threads=1') as daemon:
        for _ in range(200):
            nonsense(daemon)
        nonsense(daemon)
        daemon.stop()
        lines = [json.loads(line) for line in daemon.lines[1:]]
        told = len(lines) + sum(line.get('left_out', 0) for line in lines)
        begin = daemon.lines and json.loads(daemon.lines[0])['time']
        seconds = {line['time'][:19] for line in lines} | {begin[:19]}
        ok(len(lines) <= LIMIT_LINES * (len(seconds) + 1), 'nonsense costs so many lines a second, no more',
           f'{len(lines)} lines in {len(seconds)} s')
        ok(told <= 201, 'those that are left out are counted', told)


def to_journal(*options):
    """Start a daemon whose stderr is said to be the journal."""
    daemon = Daemon(*options, under=('sh', '-c', 'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/fd/2) exec "$@"', 'sh'))
    daemon.start()
    nonsense(daemon)
    daemon.wait_line('announced')
    daemon.stop()
    return daemon


def priorities():
    daemon = to_journal()
    ok(daemon.lines[0].startswith('<6>beckd 0.'), 'to the journal, lines begin with their priority',
       daemon.log())
    ok(daemon.lines[1].startswith('<4>beckd: 127.0.0.1:'), 'each with its own', daemon.log())
    daemon.__exit__()
    daemon = to_journal('--log-format=json')
    ok(daemon.lines[0].startswith('<6>{"time":'), 'in front of an object, too', daemon.log())
    daemon.__exit__()
    os.environ['JOURNAL_STREAM'] = '1:1'
    with Daemon() as daemon:
        ok(daemon.lines[0].startswith('beckd 0.'), 'a JOURNAL_STREAM that is another is none', daemon.log())
    del os.environ['JOURNAL_STREAM']


run(text_messages, json_messages, json_escapes, flood, priorities)
