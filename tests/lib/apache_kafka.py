# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka, as tests run it: one process that is broker and controller, or a cluster of several, and its
command line tools.

    with Kafka(folder) as kafka:            # formatted and started; stopped at the end
        client = Producer({'bootstrap.servers': kafka.address})
        kafka.stop()                        # its log directory, kafka.logs, is then nobody's
        kafka.start()
    kafka.tool('kafka.tools.DumpLogSegments', '--files', path)

    with Cluster(folder) as cluster:        # three of them, which are started side by side
        client = Producer({'bootstrap.servers': cluster.address})
        cluster[2].stop()                   # by their numbers: 1, 2, 3

maven.py fetches it, at the versions and with the content that tests/clients/kafka/ lists.
"""

import base64
import contextlib
import os
import random
import re
import socket
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import maven
from programs import PATIENCE, Program, run, wait_until

FOLDER = os.path.join(maven.ROOT, 'tests', 'clients', 'kafka')
START_SECONDS = PATIENCE * 4  # a Java program on a slow machine
GIVEN = set()  # ports
JAVA = ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx512m']

PROPERTIES = {
    'process.roles': 'broker,controller',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '1',
    'group.initial.rebalance.delay.ms': '0',
}


def version():
    """Of what is fetched."""
    return next(re.match(r'kafka-tools-([\d.]+)\.jar', name)[1] for name in maven.listed(FOLDER)
                if re.match(r'kafka-tools-\d', name))


def class_path():
    return maven.fetch('kafka', FOLDER)


def java(*arguments, stdin=b'', seconds=START_SECONDS):
    """Run a Java program with Kafka's libraries: a class and its arguments."""
    return run(*JAVA, '-cp', class_path(), *arguments, stdin=stdin, seconds=seconds)


def new_id():
    """A cluster's, as Kafka makes them: a UUID that does not begin with a dash."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')
        if not made.startswith('-'):
            return made


def free_port():
    """None of those that the system gives to connections: one of them could take it before Kafka listens there, or
    while it is stopped."""
    with open('/proc/sys/net/ipv4/ip_local_port_range', encoding='ascii') as file:
        first, last = (int(word) for word in file.read().split())
    ports = [port for port in range(10000, 65536) if not first <= port <= last and port not in GIVEN]
    random.shuffle(ports)
    for port in ports or [0]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(('127.0.0.1', port))
            GIVEN.add(probe.getsockname()[1])
            return probe.getsockname()[1]
    raise RuntimeError('there is no free port')


class Kafka(Program):
    """A broker of the test's own, below `folder`."""

    process = None
    java = JAVA

    def __init__(self, folder, voters=None, number=1, **properties):
        """Properties have _ for the dots of their names. `voters`: the controllers' ports by their numbers,
        where there are several."""
        voters = voters or {number: free_port()}
        controller = voters[number]
        self.number = number
        self.folder = folder
        self.logs = os.path.join(folder, 'kafka-logs')
        self.configuration = os.path.join(folder, 'server.properties')
        self.port = free_port()
        self.properties = {
            **PROPERTIES,
            'node.id': str(number),
            'controller.quorum.voters': ','.join(f'{voter}@127.0.0.1:{port}' for voter, port in voters.items()),
            'listeners': f'PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}',
            'advertised.listeners': f'PLAINTEXT://127.0.0.1:{self.port}',
            'log.dirs': self.logs,
            **{name.replace('_', '.'): str(value) for name, value in properties.items()},
        }

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    def format(self, cluster=None):
        """Of this cluster's name, or of one of its own."""
        with open(self.configuration, 'w', encoding='ascii') as file:
            for name, value in self.properties.items():
                file.write(f'{name}={value}\n')
        result = java('kafka.tools.StorageTool', 'format', '-t', cluster or new_id(),
                      '-c', self.configuration)
        if result.code != 0:
            raise RuntimeError('Kafka cannot format its log directory: ' + repr(result))

    def start(self):
        self.begin()
        return self.wait()

    def begin(self):
        # what it has to say of itself, it prints
        self.launch(['sh', '-c', 'exec "$@" >&2', 'sh', *self.java, '-cp', class_path(), 'kafka.Kafka',
                     self.configuration])

    def wait(self):
        """Until it answers."""
        if not wait_until(lambda: self._answers() or not self.alive(), START_SECONDS) or \
                not self.alive():
            log = self.log()
            self.stop(kill=True)
            raise RuntimeError('Kafka did not start: ' + log)
        return self

    def _answers(self):
        """Does it tell of itself? It listens somewhat earlier than that."""
        done = subprocess.run(['kcat', '-b', self.address, '-L', '-m', '2'], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if f'at {self.address}' not in done.stdout:
            time.sleep(0.1)
            return False
        return True

    def stop(self, kill=False):
        """Orderly, unless it is killed. Returns its exit code."""
        return self.end(kill)

    def tool(self, *arguments, **options):
        return java(*arguments, **options)

    def __enter__(self):
        self.format()
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Cluster:
    """Some of them, below `folder`, each broker and controller. Some properties are given as those of Kafka."""

    def __init__(self, folder, count=3, **properties):
        voters = {number: free_port() for number in range(1, count + 1)}
        self.brokers = {}
        for number in voters:
            home = os.path.join(folder, f'kafka-{number}')
            os.mkdir(home)
            self.brokers[number] = Kafka(home, voters, number, **properties)
            self.brokers[number].java = [*JAVA, '-Xmx256m']

    def __getitem__(self, number):
        return self.brokers[number]

    @property
    def address(self):
        return ','.join(broker.address for broker in self.brokers.values())

    def __enter__(self):
        cluster = new_id()
        class_path()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda broker: broker.format(cluster), self.brokers.values()))
        try:
            for broker in self.brokers.values():
                broker.begin()
            for broker in self.brokers.values():
                broker.wait()
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for broker in self.brokers.values():
            broker.stop(kill=True)  # nobody wants what they have


class Tuned(Kafka):
    """As its own start script runs it: with a compiler, a gigabyte, and its collector's settings."""

    java = ['java', '-server', '-Xms1g', '-Xmx1g', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20',
            '-XX:InitiatingHeapOccupancyPercent=35', '-XX:+ExplicitGCInvokesConcurrent']
