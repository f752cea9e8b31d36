#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck -b on a cluster of three brokers of Apache Kafka: each command as on beckd; partitions and groups that
are with different brokers; a broker that is killed, leaders that move, and partitions that nobody leads."""

import collections
import json
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import maven
import tap
from apache_kafka import JAVA, START_SECONDS, Cluster, class_path
from both import Both
from confluent_kafka.admin import AdminClient
from programs import BECK, MORTAL, must, run, wait_until
from tap import equal, ok

REASON = maven.missing()
if REASON:
    tap.skip_all(REASON)

BEGIN_MS = int(time.time() * 1000) - 3600000
GROUPS = [f'g{number}' for number in range(6)]


def three(folder):
    return Cluster(folder, default_replication_factor=3, offsets_topic_replication_factor=3,
                   offsets_topic_num_partitions=12, broker_session_timeout_ms=6000,
                   broker_heartbeat_interval_ms=500)


def all_of_it():
    with Both(three) as both:
        topics(both)
        with NewMember(both.kafka) as member:
            records(both)
            followed(both.kafka)
            configs(both)
            groups(both)
            member.shown()
        figures(both.kafka)
        killed(both.kafka)
        gone(both.kafka)
        moved(both.kafka)


def at(cluster, *command, **options):
    return run(BECK, *command, '-b', cluster.address, **options)


def comes(cluster, command, good, name):
    """A command says what is wanted, now or soon: brokers hear of a change one after the other."""
    answers = []

    def said():
        answers.append(at(cluster, *command))
        return answers[-1].code == 0 and good(answers[-1].out)
    ok(wait_until(said, START_SECONDS), name, answers[-1])


# ---- As on one broker ----

def topics(both):
    both('topic', 'create', 't', '-p', '6', '-c', 'retention.ms=-1')
    both('topic', 'create', 'one', '-p', '3', '-r', '1')
    both('topic', 'create', 'new', '-p', '2')
    both('topic', 'create', 't', code=1)
    both('topic', 'list')
    led = []

    def everywhere(shown):
        led[:] = re.findall(r'partition t \d start 0 end 0 stable 0 leader (\d) replicas (\S+) in-sync (\S+)\n', shown)
        return len(led) == 6 and {leader for leader, _, _ in led} == {'1', '2', '3'} and \
            all(sorted(replicas) == sorted('1,2,3') for _, replicas, _ in led)
    comes(both.kafka, ('topic', 'show', 't'), everywhere,
          'its partitions have three replicas each, and leaders on all brokers')
    comes(both.kafka, ('topic', 'show', 'one'), lambda shown: sorted(re.findall(
        r'leader (\d) replicas (\d) in-sync (\d)\n', shown)) == [(broker,) * 3 for broker in '123'],
          '-r 1: a broker each')
    refused = at(both.kafka, 'topic', 'create', 'r', '-r', '4')
    ok(refused.code == 1 and 'only 3 broker' in refused.err, 'more replicas than brokers', refused)
    both('topic', 'add-partitions', 'one', '-p', '6', '-n')
    both('topic', 'add-partitions', 'one', '-p', '6')
    both('topic', 'add-partitions', 'one', '-p', '3', code=1)
    both('topic', 'create', 'gone')
    both('topic', 'delete', 'gone')


def records(both):
    lines = ''.join(json.dumps({'timestamp': BEGIN_MS + number * 1000, 'key': f'k{number}', 'value': f'v{number}',
                                'headers': [['kind', str(number % 3)]]}) + '\n' for number in range(60))
    both('produce', 't', '--json', stdin=lines)
    both('consume', 't', '--format', 'json')
    both('consume', 't', '--print', 'partition,offset,timestamp,key,headers,value', '-p', '4')
    both('consume', 't', '-o', '-2')
    both('consume', 't', '--last', '7')
    both('consume', 't', '-o', f'@{BEGIN_MS + 20000}', '--to', f'@{BEGIN_MS + 24000}')
    both('consume', 't', '-p', '1', '-o', '2', '--to', '5')
    both('consume', 't', '--header', 'kind=1', '--last', '9')
    both('consume', 't', '--key-regex', '^k1.$', '-n', '4')
    both('produce', 't', '-k', 'k7', '--timestamp', BEGIN_MS + 61000, 'x', 'y')
    both('produce', 't', '-p', '5', '--compression', 'zstd', '--acks', '1', '--timestamp', BEGIN_MS + 62000, 'z')
    for partition in range(6):
        both('topic', 'delete-records', 't', '-p', partition, '--before', partition % 3)
    both('topic', 'delete-records', 't', '-p', '2', '--before', '999', code=1)
    both('topic', 'show', 't')
    both('topic', 'list', '-l')


def followed(cluster):
    """Partitions with different brokers, as one stream."""
    must(at(cluster, 'topic', 'create', 'f', '-p', '3'))
    reader = subprocess.Popen([BECK, 'consume', 'f', '-f', '-b', cluster.address], stdout=subprocess.PIPE, text=True)
    found = []
    for partition in range(3):
        must(at(cluster, 'produce', 'f', '-p', partition, f'v{partition}'))
        found.append(reader.stdout.readline())
    equal(found, ['v0\n', 'v1\n', 'v2\n'], 'what comes to partitions of all brokers is followed')
    reader.send_signal(signal.SIGINT)
    reader.communicate(timeout=START_SECONDS)
    equal(reader.returncode, -signal.SIGINT, 'until it is stopped')


def configs(both):
    both('config', 'set', '-t', 't', 'segment.ms=600000')
    both('config', 'get', '-t', 't', 'segment.ms', 'retention.ms')
    both('config', 'reset', '-t', 't', 'segment.ms')
    both('config', 'list', '-t', 't')
    for number in (1, 2, 3):
        listed = at(both.kafka, 'config', 'list', '--node', number)
        ok(f'node.id={number} (file)\n' in listed.out, f'the configuration of broker {number}', listed)
    refused = at(both.kafka, 'config', 'list')
    ok(refused.code == 1 and '3 brokers: name one with --node' in refused.err, 'which broker?', refused)
    refused = at(both.kafka, 'config', 'list', '--node', '7')
    ok(refused.code == 1 and 'no broker 7' in refused.err, 'a broker that is not there', refused)


def groups(both):
    for group in GROUPS:
        both('group', 'reset', group, 't', '-o', '3', '--execute')
    found = AdminClient({'bootstrap.servers': both.kafka.address}).list_groups(timeout=30)
    coordinators = {group.broker.id for group in found if group.id in GROUPS}
    ok(len(coordinators) > 1, 'the groups have different coordinators', coordinators)
    equal(must(at(both.kafka, 'group', 'list', '-l')).out.count('\t6 offsets\tempty\n'), len(GROUPS), 'all are listed')
    for group in GROUPS:
        both('group', 'show', group)
    age_ms = int(re.search(r'offset t 0 .* lag-ms (\d+)', at(both.kafka, 'group', 'show', 'g0').out)[1])
    ok(3600000 - 70000 < age_ms < 3600000 + 600000, 'lag in time', age_ms)
    both('group', 'reset', 'g1', '-o', f'@{BEGIN_MS + 30000}')
    both('group', 'reset', 'g1', '--shift', '-1', '--execute')
    both('group', 'reset', 'g2', 't:0,5', '-o', 'end', '--execute')
    both('group', 'delete-offsets', 'g3', 't:1')
    for answer in (at(program, 'consume', 't', '-g', 'g4') for program in (both.kafka, both.daemon)):
        ok(answer.code == 0 and sorted(answer.out.split())[-3:] == ['x', 'y', 'z'], 'read as a member', answer)
    for group in GROUPS:
        both('group', 'show', group)
    both('group', 'delete', 'g0', 'g5')
    both('group', 'delete', 'g0', code=1)
    both('group', 'delete-offsets', 'g0', 't', code=1)


class NewMember:
    """One of Kafka's, of a group of the new protocol."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        self.process = subprocess.Popen(
            [*MORTAL, *JAVA, '-Xmx128m', '-cp', class_path(), 'org.apache.kafka.tools.VerifiableConsumer',
             '--bootstrap-server', self.cluster.address, '--topic', 'new', '--group-id', 'n', '--group-protocol', 'consumer'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(START_SECONDS)

    def shown(self):
        show = lambda: at(self.cluster, 'group', 'show', 'n').out
        ok(wait_until(lambda: 'members yes\n' in show(), START_SECONDS), 'a group of the new protocol has members')
        shown = show()
        ok(re.search(r'\n\(who they are is not known: librdkafka 2\.|\nmember .* new:0 new:1\n', shown),
           'group show says who, or that it cannot know', shown)
        refused = at(self.cluster, 'group', 'delete', 'n')
        ok(refused.code == 1 and 'has members' in refused.err, 'deleting it is refused', refused)


def figures(cluster):
    found = at(cluster, 'ping', 't', '-n', '2', '-i', '0')
    ok(found.code == 0 and 'record count 2 ' in found.out, 'ping', found)
    found = at(cluster, 'bench', 'produce', 't', '-n', '3000', '-s', '100')
    ok(found.code == 0 and 'produce records 3000 ' in found.out, 'bench produce', found)
    found = at(cluster, 'bench', 'consume', 't')
    ok(found.code == 0 and re.search(r'consume records 30\d\d ', found.out), 'bench consume', found)


# ---- Brokers that go ----

class Traffic:
    """A producer of numbered lines, and who follows: alone, and for a group."""

    def __init__(self, cluster, topic):
        self.cluster = cluster
        self.topic = topic
        must(at(cluster, 'topic', 'create', topic, '-p', '6', '-c', 'min.insync.replicas=2'))
        begin = lambda *command, **options: subprocess.Popen([*MORTAL, BECK, *command, '-b', cluster.address],
                                                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                                             text=True, **options)
        self.producer = begin('produce', topic, stdin=subprocess.PIPE)
        self.readers = [begin('consume', topic, '-f'), begin('consume', topic, '-f', '-g', 'traffic')]
        self.lines = [[] for _ in self.readers]
        self.sent = 0
        self.ended = False
        self.threads = [threading.Thread(target=self._write, daemon=True)]
        self.threads += [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in zip(self.readers, self.lines)]
        for thread in self.threads:
            thread.start()

    def _write(self):
        while not self.ended:
            self.producer.stdin.write(f'{self.sent}\n')
            self.producer.stdin.flush()
            self.sent += 1
            time.sleep(0.001)
        self.producer.stdin.close()

    @staticmethod
    def _read(reader, lines):
        for line in reader.stdout:
            lines.append(line)

    def flows(self, name):
        """Records of after now arrive, with each reader."""
        wanted = self.sent + 200
        flow = wait_until(lambda: self.sent >= wanted and all(len(lines) >= wanted for lines in self.lines),
                          START_SECONDS)
        ok(flow, name, f'{self.sent} were sent, arrived: {[len(lines) for lines in self.lines]}, ends: '
           f'{[one.poll() for one in (self.producer, *self.readers)]}')

    @staticmethod
    def _differ(wanted, found):
        times = collections.Counter(found)
        missing = [line.strip() for line in wanted if line not in times]
        again = [line.strip() for line, count in times.items() if count > 1]
        return f'{len(missing)} are missing: {missing[:20]}, {len(again)} came again: {again[:20]}'

    def end(self, what):
        self.ended = True
        self.threads[0].join()
        out, err = self.producer.stdout.read(), self.producer.stderr.read()
        code = self.producer.wait(START_SECONDS)
        stored = sum(int(count) for count in re.findall(r'^(\d+) records? to', out, re.M))
        ok(code == 0 and stored == self.sent and err == '', f'{what}: all records are acknowledged', (code, out, err))
        arrived = wait_until(lambda: all(len(lines) >= self.sent for lines in self.lines), START_SECONDS)
        for reader in self.readers:
            reader.send_signal(signal.SIGTERM)
        for thread in self.threads[1:]:
            thread.join(START_SECONDS)
        ok(arrived, f'{what}: and read', f'{self.sent} were sent, arrived: {[len(lines) for lines in self.lines]}\n'
           f'{at(self.cluster, "topic", "show", self.topic).out}')
        wanted = [f'{number}\n' for number in range(self.sent)]
        ok(sorted(self.lines[0]) == sorted(wanted), f'{what}: each once', self._differ(wanted, self.lines[0]))
        ok(set(self.lines[1]) == set(wanted), f'{what}: none is missing for the group',
           self._differ(wanted, self.lines[1]))
        for reader in self.readers:
            equal([reader.wait(START_SECONDS), reader.stderr.read()], [-signal.SIGTERM, ''], f'{what}: without a word')


def killed(cluster):
    traffic = Traffic(cluster, 'k')
    traffic.flows('records flow')
    cluster[2].stop(kill=True)
    traffic.flows('a broker is killed: they go on')
    traffic.end('killed')


def gone(cluster):
    """One broker is gone, and with it the partitions that it alone had."""
    ok(wait_until(lambda: 'leader none' in at(cluster, 'topic', 'show', 'one').out, START_SECONDS),
       'partitions that nobody leads')
    shown = must(at(cluster, 'topic', 'show', 'one'))
    lost, held = (re.findall(pattern, shown.out) for pattern in (
        r'partition one (\d) leader none replicas 2 in-sync ', r'partition one (\d) start 0 .* leader [13] '))
    equal(sorted(lost + held), list('012345'), 'topic show: the others are led, and known')
    none = f'topic one partition {lost[0]}'
    wanted = (
        (['topic', 'list', '-l'], f'{none} has no leader'),
        (['topic', 'delete-records', 'one', '-p', lost[0], '--before', 'end'], f'{none} has no leader'),
        (['group', 'reset', 'g1', 'one', '-o', 'end', '--execute'], f'{none} has no leader'),
        (['config', 'list', '--node', '2'], 'no broker 2, or it is not there'),
        (['consume', 'one'], f'{none}: cannot ask where it ends: Broker: Leader not available'),
        (['consume', 'one', '-g', 'lost', '-X', 'socket.timeout.ms=2000'], 'no broker gave anything of topic one'),
        (['produce', 'one', '-p', lost[0], '-X', 'message.timeout.ms=2000', 'v'],
         'topic one: no broker took the records within 2 s'),
        (['ping', 'one', '-p', lost[0], '-n', '1'], none))
    with ThreadPoolExecutor(len(wanted)) as pool:  # they wait for an answer
        answers = list(pool.map(lambda pair: at(cluster, *pair[0]), wanted))
    for (command, text), answer in zip(wanted, answers):
        ok(answer.code == 1 and text in answer.err and answer.err.count('\n') == 1, ' '.join(command), answer)
    listed = answers[0].out
    ok('one\t6 partitions\n' in listed and '\nt\t6 partitions\t30' in listed, 'topic list -l: the others are listed',
       listed)
    answer = at(cluster, 'produce', 'one', '-p', held[0], 'v')
    ok(answer.code == 0 and at(cluster, 'consume', 'one', '-p', held[0]).out == 'v\n', 'the others go on', answer)
    for group in ('g1', 'g2', 'g4'):
        shown = at(cluster, 'group', 'show', group)
        ok(shown.code == 0 and shown.out.count('\noffset t ') == 6, f'group {group} is there', shown)


def moved(cluster):
    """A broker comes back and another one goes in an orderly way: it hands over what it leads."""
    cluster[2].start()
    ok(wait_until(lambda: 'leader none' not in at(cluster, 'topic', 'show', 'one').out, START_SECONDS),
       'a broker comes back')
    ok(wait_until(lambda: at(cluster, 'topic', 'show', 't').out.count('in-sync') ==
                  len(re.findall(r'in-sync \d,\d,\d\n', at(cluster, 'topic', 'show', 't').out)), START_SECONDS),
       'and is in sync')
    traffic = Traffic(cluster, 'm')
    traffic.flows('records flow')
    cluster[3].stop()
    traffic.flows('leaders moved: they go on')
    traffic.end('moved')


tap.run(all_of_it)
