# SPDX-License-Identifier: Apache-2.0
"""What others do to a daemon costs them, not those who behave: limits, slow readers, storms.

    limits_test.py BECKD [OTHER [CONNECTIONS]]     how many come and go in the storm
"""

import contextlib
import re
import resource
import signal
import socket
import struct
import sys
import threading

import raw
from daemon import MEMORY, Daemon, within
from raw import Raw, batch
from tap import equal, ok, run

STORM = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
SLOW = 1000
HURRY = ('--set', 'connections.max.idle.ms=4000')


def connect(port, source='127.0.0.1'):
    return socket.create_connection(('127.0.0.1', port), 20, source_address=(source, 0))


def answers(one):
    """Is a request answered on this connection?"""
    try:
        one.sendall(Raw.frame(raw.API_VERSIONS, 0, 7, b''))
        return len(one.recv(8, socket.MSG_WAITALL)) == 8
    except OSError:
        return False


def healthy(daemon, name):
    with Raw(daemon.port) as client:
        ok(client.produce('t', batch(b'x'))[0] == 0 and client.fetch('t')['parts'][0]['size'] > 0, name)


def per_address():
    with Daemon('--set', 'max.connections.per.ip=3', '--set', 'num.network.threads=2') as daemon:
        mine = [connect(daemon.port) for _ in range(3)]
        equal([answers(one) for one in mine], [True] * 3, 'as many connections as an address may have')
        with connect(daemon.port) as more:
            equal(answers(more), False, 'one more is closed')
        ok(daemon.wait_line(r'127\.0\.0\.1:\d+: closed: there are 3 connections from its address'),
           'with a line that says why', daemon.log())
        with connect(daemon.port, '127.0.0.2') as other:
            ok(answers(other), 'another address has its own number')
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(daemon.store + '/broker.sock')
            ok(answers(local), 'who comes by the socket in the store is not counted')
        mine.pop().close()

        def again():
            with connect(daemon.port) as one:
                return answers(one)
        ok(within(again), 'when one has gone there is room for another')
        for one in mine:
            one.close()


def answer_memory():
    """Clients that ask for much, and take nothing of it."""
    with Daemon('--set', 'queued.max.response.bytes=4000000', '--set', 'num.network.threads=2') as daemon:
        with Raw(daemon.port) as client:
            client.create('t')
            client.create('many' + 'y' * 200, partitions=2000)
            equal(client.produce('t', batch(b'x'))[0], 0, 'produce')
            before = daemon.status('VmRSS')
            idle = Raw(daemon.port)
            idle.metadata('t')
            stuck = []
            for _ in range(40):
                one = Raw(daemon.port)
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                stuck.append(one)
                with contextlib.suppress(OSError):  # it may be closed already
                    for _ in range(64):
                        one.send(raw.METADATA, 4, struct.pack('>i', -1) + b'\0')
            line = daemon.wait_line(r'bytes of answers wait for it \(queued\.max\.response\.bytes is 4000000\)')
            ok(line, 'when answers take too much memory, connections are closed', daemon.log())
            ok(client.metadata('t')['topics']['t'][0] == 0 and idle.metadata('t')['topics'],
               'others are served on the connections they have')
            ok(within(lambda: daemon.status('VmRSS') < before + 20000 * MEMORY), 'and the memory comes back',
               f'{before} kB, then {daemon.status("VmRSS")} kB')
            peak = daemon.status('VmHWM') - before
            ok(peak < 60000 * MEMORY, 'of which there was little more at any time', f'{peak} kB more')
            for one in stuck:
                one.close()


def join(group, size):
    """The body of a JoinGroup that brings so many bytes."""
    return (raw.string(group) + struct.pack('>ii', 60000, 60000) + raw.string('') + raw.string('consumer')
            + raw.array([raw.string('range') + struct.pack('>i', size) + bytes(size)]))


def big_group(client, size):
    """A stable group of one member, who is described with so many bytes."""
    client.send(11, 1, join('g', size))
    joined = client.receive()[1]
    error, generation = joined.take('hi')
    joined.string(), joined.string()
    member = raw.string(joined.string())
    client.send(14, 0, raw.string('g') + struct.pack('>i', generation) + member
                + raw.array([member + struct.pack('>i', 1) + b'x']))
    equal([error, client.receive()[1].take('h')], [0, 0], 'a group whose description is long')


def memory_of_waiting_requests():
    """Large ones, each the only one of its connection, that wait for other members."""
    with Daemon('--set', 'queued.max.request.bytes=10000000',
                '--set', 'group.initial.rebalance.delay.ms=60000') as daemon, Raw(daemon.port) as client:
        many = [Raw(daemon.port) for _ in range(30)]
        for one in many:
            with contextlib.suppress(OSError):  # it may be closed already
                one.send(11, 1, join('g', 900000))
        ok(daemon.wait_line(r'no memory for its request, which takes 9\d{5} bytes \(queued\.max\.request\.bytes is '),
           'who has a large request that is too much is closed', daemon.log())
        ok(within(lambda: sum(not one.closed(0.01) for one in many) == 11), 'the others wait for their answers')
        ok(client.metadata()['controller'] == 1, 'and small requests are answered')
        for one in many:
            one.close()


def memory_of_looks():
    """Many who ask the first loop for large answers at the same moment: they wait for each other."""
    with Daemon('--set', 'queued.max.response.bytes=20000000', '--set', 'num.network.threads=2',
                '--set', 'group.initial.rebalance.delay.ms=0') as daemon, Raw(daemon.port) as client:
        big_group(client, 900000)
        before = daemon.status('VmRSS')
        many = [Raw(daemon.port) for _ in range(60)]
        for one in many:
            for _ in range(4):
                one.send(15, 0, raw.array([raw.string('g')]))
        whole = 0

        def read(one):
            nonlocal whole
            for _ in range(4):
                try:
                    one.receive()
                except EOFError:  # the machine let it wait for so long that it was in the way of others
                    return
                whole += 1
        threads = [threading.Thread(target=read, args=(one,)) for one in many]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ok(whole >= 220, 'they are answered one after the other', f'{whole} of 240')
        peak = daemon.status('VmHWM') - before  # 11 MB of the 216; without the limit 107 and more
        ok(peak < 50000 * MEMORY, 'and a part of it is there at any time', f'{peak} kB more')
        for one in many:
            one.close()


def memory_of_one():
    """One connection that asks for much, and takes nothing, or has another answer to wait for before."""
    for is_first_late in False, True:
        with Daemon('--set', 'group.initial.rebalance.delay.ms=0') as daemon, Raw(daemon.port) as client:
            client.create('t')
            big_group(client, 900000)
            before = daemon.status('VmHWM')
            with Raw(daemon.port) as one:
                if is_first_late:
                    one.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=60000))
                asked = [one.send(15, 0, raw.array([raw.string('g')])) for _ in range(60)]

                def grown():
                    return daemon.status('VmHWM') - before > 30000 * MEMORY
                ok(not within(grown, 1), 'what is ready behind a late answer, is little' if is_first_late else
                   'what is ready for one who takes nothing, is little', daemon.status('VmHWM') - before)
                client.produce('t', batch(b'x'))
                answers = [one.receive()[0] for _ in range(60 + is_first_late)]
                equal(answers[is_first_late:], asked, 'all comes in the end')


def room_for_looks():
    """Those who take nothing of large answers, and one who asks for its own meanwhile."""
    with Daemon('--set', 'queued.max.response.bytes=20000000', '--set', 'num.network.threads=2',
                '--set', 'group.initial.rebalance.delay.ms=0') as daemon, Raw(daemon.port) as client:
        big_group(client, 900000)
        stuck = []
        for _ in range(30):
            one = Raw(daemon.port)
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.send(15, 0, raw.array([raw.string('g')]))
            stuck.append(one)
        client.send(15, 0, raw.array([raw.string('g')]))
        client.exactly(struct.unpack('>i', client.exactly(4))[0])
        ok(True, 'it is answered')
        ok(daemon.wait_line(r'closed: \d+ bytes of answers wait for it'), 'for it some of the others were closed',
           daemon.log())
        for one in stuck:
            one.close()


def slow_reader():
    """One that takes nothing of what it asked for, beside one that is served."""
    with Daemon(*HURRY) as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.produce('t', batch(bytes(900000)))
        with Raw(daemon.port) as slow:
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(200):
                slow.send(raw.FETCH, 4, raw.fetch_body('t'))
            before = daemon.status('VmRSS')
            for _ in range(20):
                client.fetch('t')
            ok(daemon.status('VmRSS') - before < 20000, 'what it waits for is in files, not in memory')

            def told():
                with Raw(daemon.port) as other:
                    other.metadata('t')  # others are served all the time
                return re.search(r'closed: takes no answers for \d+ ms', daemon.log())
            ok(within(told), 'who takes no answers is closed after connections.max.idle.ms', daemon.log())
        healthy(daemon, 'others go on')


def queued(port):
    """Bytes that the system has of this port, and that nobody took."""
    with open('/proc/net/tcp', encoding='ascii') as table:
        rows = [row.split() for row in list(table)[1:]]
    return sum(int(row[4].split(':')[0], 16) for row in rows if row[1].endswith(f':{port:04X}') and row[3] == '01')


def send_buffer():
    """How much the system takes for a client that reads nothing."""
    for size, is_right in ((16384, lambda taken: 0 < taken < 150000), (400000, lambda taken: taken > 150000)):
        with Daemon('--set', f'socket.send.buffer.bytes={size}') as daemon, Raw(daemon.port) as client:
            client.create('t')
            client.produce('t', batch(bytes(900000)))
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.connect(('127.0.0.1', daemon.port))
                slow.sendall(Raw.frame(raw.FETCH, 4, 7, raw.fetch_body('t')))
                ok(within(lambda: is_right(queued(daemon.port))), f'socket.send.buffer.bytes={size}',
                   queued(daemon.port))
                client.fetch('t')  # it had its turn, as another had one after it
                ok(is_right(queued(daemon.port)), 'is what the system takes, or twice that', queued(daemon.port))


def kept_alive():
    """A client may be gone without a word while its request waits."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.send(raw.FETCH, 4, raw.fetch_body('t', max_wait=60000))
        here = client.socket.getsockname()[1]

        def timer():
            """Of the daemon's side, and what it is for: 02 is to keep alive."""
            with open('/proc/net/tcp', encoding='ascii') as table:
                ends = [line.split() for line in table if f':{daemon.port:04X} ' in line and f':{here:04X} ' in line]
            return [fields[5][:2] for fields in ends if fields[1].endswith(f':{daemon.port:04X}')]
        ok(within(lambda: timer() == ['02']), 'the system looks whether clients are still there', timer())


def ends_promptly():
    with Daemon() as daemon:
        clients = [Raw(daemon.port) for _ in range(10)]
        clients[0].create('t')
        clients[0].produce('t', batch(bytes(900000)))
        for client in clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(60):
                client.send(raw.FETCH, 4, raw.fetch_body('t'))
        with Raw(daemon.port) as waits:
            waits.send(raw.FETCH, 4, raw.fetch_body('t', offset=1, max_wait=60000))
            waits.socket.setblocking(True)
            equal(waits.silent(0.2), True, 'a fetch waits')
            daemon.process.send_signal(signal.SIGTERM)
            ok(len(waits.exactly(20)) == 20, 'SIGTERM: what waits is answered')
        equal(daemon.wait(), 0, 'exit 0')
        equal(daemon.log().count('closed: the daemon ends, and it takes no answers'), 10,
              'those who take nothing are not waited for')
        for client in clients:
            client.close()


def storm():
    """Connections that come, say something or nothing, and go."""
    with Daemon('--set', 'num.network.threads=2') as daemon, Raw(daemon.port) as client:
        client.create('t')
        hello = Raw.frame(raw.API_VERSIONS, 0, 7, b'')
        pieces = (b'', hello, hello[:5], b'GET / HTTP/1.1\r\n\r\n', struct.pack('>i', 1 << 20) + bytes(100))
        served = 0

        def wave(count):
            nonlocal served
            for i in range(count):
                with connect(daemon.port) as one:
                    one.sendall(pieces[i % len(pieces)])
                    if i % 3 == 0:  # ends by a reset
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                if i % 50 == 0:
                    served += client.produce('t', batch(b'x'))[0] == 0
        wave(500)
        before = daemon.status('VmRSS')
        descriptors = len(daemon.descriptors())
        wave(STORM)
        equal(served, 10 + (STORM + 49) // 50, f'{STORM} connections come and go: others are served all the time')
        ok(within(lambda: len(daemon.descriptors()) <= descriptors + 2), 'no descriptor is left')
        ok(within(lambda: daemon.status('VmRSS') < before + 10000 * MEMORY), 'memory comes back',
           f'{before} kB, then {daemon.status("VmRSS")} kB')
        seconds = 1 + int(daemon.uptime())
        ok(len(daemon.lines) <= 2 * 20 * (seconds + 1) + 1, 'and few lines are written',
           f'{len(daemon.lines)} in {seconds} s')


def slow_loris():
    """Many who send a byte now and then, and never a whole request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Daemon('--set', 'connections.max.idle.ms=6000') as daemon, Raw(daemon.port) as client:
        client.create('t')
        before = daemon.status('VmRSS')
        data = struct.pack('>i', 50000000)
        slow = [connect(daemon.port) for _ in range(SLOW)]
        for i in range(len(data)):
            for one in slow:
                one.sendall(data[i:i + 1])
        for one in slow:
            one.sendall(bytes(100))
        grown = daemon.status('VmRSS') - before
        ok(grown < SLOW * 40 * MEMORY, f'{SLOW} who announce 50 MB and send bytes take memory for bytes',
           f'{grown} kB more')
        equal(client.produce('t', batch(b'x'))[0], 0, 'others are served')

        def closed():
            client.metadata('t')
            return len(daemon.descriptors()) < SLOW / 2
        ok(within(closed), 'they are closed after connections.max.idle.ms')
        ok(daemon.wait_line('sent half a request and nothing for'), 'with lines that say why')
        for one in slow:
            one.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def half_closed():
    """One that will send no more, and waits for others who do not come."""
    def join(client, member):
        protocols = raw.array([raw.string('range') + struct.pack('>i', 0)])
        return client.send(11, 1, raw.string('g') + struct.pack('>ii', 60000, 60000) + raw.string(member)
                           + raw.string('consumer') + protocols)
    with Daemon(*HURRY, '--set', 'group.initial.rebalance.delay.ms=0') as daemon:
        with Raw(daemon.port) as first:
            first.create('t')
            join(first, '')
            equal(first.receive()[1].take('h'), 0, 'a member')
        with Raw(daemon.port) as second:
            join(second, '')
            ok(second.silent(0.2), 'another one waits for it')
            second.socket.shutdown(socket.SHUT_WR)
            ok(second.closed(), 'not for ever, when it sends no more')
        healthy(daemon, 'others go on')


def many_questions():
    """One that asks much more at once than is done for it at a time."""
    none = raw.array([])
    questions = ((raw.METADATA, 0, none), (16, 0, b''), (15, 0, raw.array([raw.string('g')])))
    for threads in 1, 2, 8:
        with Daemon('--set', f'num.io.threads={threads}') as daemon:
            with Raw(daemon.port) as client:
                client.create('t')
                asked = [client.send(*questions[i % 3]) for i in range(300)]
                equal([client.receive()[0] for _ in asked], asked, f'all is answered in order by {threads}')
            with Raw(daemon.port) as client:
                for i in range(300):
                    client.send(*questions[i % 3])
            healthy(daemon, 'others go on when one leaves without its answers')


run(half_closed, many_questions, per_address, answer_memory, memory_of_waiting_requests, memory_of_looks, memory_of_one, room_for_looks, slow_reader, send_buffer, kept_alive, ends_promptly, storm, slow_loris)
