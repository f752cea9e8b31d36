# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka, as tests run it: one process that is broker and controller, and its command line tools.

    with Kafka(folder) as kafka:            # formatted and started; stopped at the end
        client = Producer({'bootstrap.servers': kafka.address})
        kafka.stop()                        # its log directory, kafka.logs, is then nobody's
        kafka.start()
    kafka.tool('kafka.tools.DumpLogSegments', '--files', path)

maven.py fetches it, at the versions and with the content that tests/clients/kafka/ lists.
"""

import os
import re
import socket
import subprocess
import time

import maven
from programs import PATIENCE, Program, run, wait_until

FOLDER = os.path.join(maven.ROOT, 'tests', 'clients', 'kafka')
START_SECONDS = PATIENCE * 4  # a Java program on a slow machine
JAVA = ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx512m']

PROPERTIES = {
    'process.roles': 'broker,controller',
    'node.id': '1',
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


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Kafka(Program):
    """A broker of the test's own, below `folder`."""

    process = None
    java = JAVA

    def __init__(self, folder, **properties):
        """Properties have _ for the dots of their names."""
        self.folder = folder
        self.logs = os.path.join(folder, 'kafka-logs')
        self.configuration = os.path.join(folder, 'server.properties')
        self.port = free_port()
        controller = free_port()
        self.properties = {
            **PROPERTIES,
            'controller.quorum.voters': f'1@127.0.0.1:{controller}',
            'listeners': f'PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}',
            'advertised.listeners': f'PLAINTEXT://127.0.0.1:{self.port}',
            'log.dirs': self.logs,
            **{name.replace('_', '.'): str(value) for name, value in properties.items()},
        }

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    def format(self):
        with open(self.configuration, 'w', encoding='ascii') as file:
            for name, value in self.properties.items():
                file.write(f'{name}={value}\n')
        made = java('kafka.tools.StorageTool', 'random-uuid')
        ids = re.findall(r'^[\w-]{22}$', made.out, re.MULTILINE)
        result = java('kafka.tools.StorageTool', 'format', '-t', ids[0] if ids else '',
                      '-c', self.configuration)
        if result.code != 0:
            raise RuntimeError('Kafka cannot format its log directory: ' + repr(result))

    def start(self):
        # what it has to say of itself, it prints
        self.launch(['sh', '-c', 'exec "$@" >&2', 'sh', *self.java, '-cp', class_path(), 'kafka.Kafka',
                     self.configuration])
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
