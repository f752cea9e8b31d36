#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The log directory of a real Apache Kafka: read as it is, imported, and given back to the broker.

Kafka is filled by clients of two kinds, and what its own consumers then get is what everything else here
is held against.
"""

import base64
import ctypes
import json
import os
import random
import re
import shutil
import signal

import maven
import tap
from apache_kafka import Kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from programs import Beckd, Folder, PATIENCE, beck, must, wait_until
from tap import equal, ok

REASON = maven.missing()
if REASON:
    tap.skip_all(REASON)

CODECS = ('none', 'gzip', 'snappy', 'lz4', 'zstd')
TOPICS = {  # partitions and settings
    'codecs': (2, {}),
    'java': (1, {}),
    'bytes': (1, {}),
    'segments': (1, {'segment.bytes': '1048576'}),
    'transactions': (2, {}),
    'compacted': (1, {'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01',
                      'segment.ms': '1000'}),
    'appended': (1, {'message.timestamp.type': 'LogAppendTime'}),
    'deleted': (1, {}),
    'empty': (1, {}),
}
ADOPTED = {'codecs': 'adopted-codecs', 'compacted': 'adopted-compacted',
           'transactions': 'adopted-transactions', 'deleted': 'adopted-deleted'}


# ---- filling Kafka ----------------------------------------------------------------------------


def make_topics(kafka):
    admin = AdminClient({'bootstrap.servers': kafka.address})
    topics = [NewTopic(name, count, 1, config=settings) for name, (count, settings) in TOPICS.items()]
    topics += [NewTopic(name, TOPICS[of][0], 1) for of, name in ADOPTED.items()]
    for made in admin.create_topics(topics).values():
        made.result()


def producer(kafka, **settings):
    return Producer({'bootstrap.servers': kafka.address, 'linger.ms': 20,
                     **{name.replace('_', '.'): value for name, value in settings.items()}})


def fill_codecs(kafka):
    for codec in CODECS:
        client = producer(kafka, compression_type=codec)
        for i in range(400):
            client.produce('codecs', partition=i % 2, timestamp=1700000000000 + 7 * i,
                           key=f'key {i}'.encode() if i % 3 else None,
                           value=f'{codec} {i} '.encode() * 5 if i % 11 else None,
                           headers=[('codec', codec.encode()), ('null', None)] if i % 5 == 0 else None)
        client.flush()


def fill_java(kafka):
    """Kafka's own client: its snappy, for one, is framed in another way."""
    for codec in CODECS[1:]:
        lines = ''.join(f'k{i}:{codec} from Java {i}\n' for i in range(100))
        must(kafka.tool('org.apache.kafka.tools.ConsoleProducer', '--bootstrap-server', kafka.address,
                        '--topic', 'java', '--compression-codec', codec,
                        '--property', 'parse.key=true', '--property', 'key.separator=:',
                        stdin=lines))


def fill_bytes(kafka):
    source = random.Random(4)
    client = producer(kafka)
    for size in (0, 1, 100, 5000, 900000):
        client.produce('bytes', source.randbytes(size), key=source.randbytes(size // 10),
                       headers=[('h', source.randbytes(20)), ('h', b''), ('', b'x')])
        client.flush()
    client = producer(kafka, batch_size=100000)
    for _ in range(60):
        client.produce('segments', source.randbytes(50000))
    client.flush()


def fill_transactions(kafka):
    """Committed, aborted, of two producers at once, and one that stays open."""
    clients = [producer(kafka, transactional_id=f'id {n}') for n in range(2)]
    for client in clients:
        client.init_transactions()
    plain = producer(kafka)
    for n in range(4):
        for client in clients:
            client.begin_transaction()
        for i in range(30):
            for which, client in enumerate(clients):
                client.produce('transactions', f'{n} {i} of {which}', partition=i % 2)
            if i % 10 == 9:
                for client in clients:
                    client.flush()
                plain.produce('transactions', f'{n} {i} of none', partition=i % 2)
                plain.flush()
        (clients[0].commit_transaction if n % 2 else clients[0].abort_transaction)()
        (clients[1].commit_transaction if n < 2 else clients[1].abort_transaction)()
    clients[0].begin_transaction()
    clients[0].produce('transactions', 'open', partition=0)
    clients[0].flush()
    plain.produce('transactions', 'behind an open one', partition=0)
    plain.flush()
    return clients  # which abort what is open when they go away


def fill_compacted(kafka):
    client = producer(kafka)
    for n in range(3):
        for i in range(60):
            client.produce('compacted', None if n == 2 and i % 10 == 0 else f'{n} of {i}', key=f'key {i}',
                           timestamp=1700000000000 + 5000 * n)
        client.flush()
    client.produce('compacted', 'the last', key='end', timestamp=1700000100000)
    client.flush()
    checkpoint = os.path.join(kafka.logs, 'cleaner-offset-checkpoint')

    def cleaned():
        with open(checkpoint, encoding='ascii') as file:
            return 'compacted 0' in file.read()

    if not wait_until(lambda: os.path.exists(checkpoint) and cleaned(), PATIENCE * 2):
        raise RuntimeError('Kafka did not compact')


def fill_others(kafka):
    client = producer(kafka)
    for i in range(20):
        client.produce('appended', f'{i}', timestamp=1000 + i)
        client.produce('deleted', f'{i}')
    client.flush()
    path = os.path.join(kafka.folder, 'delete.json')
    with open(path, 'w', encoding='ascii') as file:
        json.dump({'version': 1, 'partitions': [{'topic': 'deleted', 'partition': 0, 'offset': 13}]}, file)
    must(kafka.tool('org.apache.kafka.tools.DeleteRecordsCommand', '--bootstrap-server', kafka.address,
                    '--offset-json-file', path))


# ---- what Kafka's consumers get, and what beck prints -----------------------------------------


def headers_of(message):
    """This client (1.7.0) hands null out without counting the reference: Python dies of it in the end."""
    found = message.headers() or []
    for _, value in found:
        if value is None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
    return found


def consume(address, topic, isolation='read_committed'):
    """All records of a topic, by partition and offset."""
    client = Consumer({'bootstrap.servers': address, 'group.id': 'nobody', 'isolation.level': isolation,
                       'enable.auto.commit': False, 'auto.offset.reset': 'earliest',
                       'enable.partition.eof': True})
    partitions = client.list_topics(topic, PATIENCE).topics[topic].partitions
    client.assign([TopicPartition(topic, number, 0) for number in partitions])
    found = []
    ends = 0
    while ends < len(partitions):
        message = client.poll(PATIENCE)
        if message is None:
            raise RuntimeError(f'no end of {topic} comes')
        if message.error():
            ends += 1
            continue
        kind, timestamp = message.timestamp()
        found.append((message.partition(), message.offset(), timestamp, kind == 2, message.key(),
                      message.value(), headers_of(message)))
    client.close()
    return sorted(found, key=lambda record: record[:2])


def value_of(form):
    if form is None or isinstance(form, str):
        return form if form is None else form.encode()
    return base64.b64decode(form['base64'])


def records_of(text):
    """The JSON form's lines, as consume() has them."""
    found = []
    for line in text.splitlines():
        row = json.loads(line)
        found.append((row.get('partition', 0), row['offset'], row['timestamp'],
                      row.get('timestampType') == 'log-append', value_of(row['key']),
                      value_of(row['value']),
                      [(name, value_of(value)) for name, value in row.get('headers', [])]))
    return sorted(found, key=lambda record: record[:2])


def numbered(records):
    """Without partitions, for topics that have one: beck names it only where there are several."""
    return [record[1:] for record in records]


# ---- the tests: in this order, on one Kafka ---------------------------------------------------


class World:
    """What the tests share."""

    kafka = None
    store = None
    committed = {}
    uncommitted = {}


def fill():
    kafka = World.kafka
    make_topics(kafka)
    fill_codecs(kafka)
    fill_java(kafka)
    fill_bytes(kafka)
    fill_compacted(kafka)
    fill_others(kafka)
    clients = fill_transactions(kafka)
    for topic in TOPICS:
        World.committed[topic] = consume(kafka.address, topic)
        World.uncommitted[topic] = consume(kafka.address, topic, 'read_uncommitted')
    counts = {topic: len(records) for topic, records in World.committed.items()}
    ok(counts['codecs'] == 2000 and counts['java'] == 400 and counts['deleted'] == 7 and
       counts['compacted'] < 181 and
       0 < counts['transactions'] < len(World.uncommitted['transactions']), 'Kafka was filled', counts)
    result = beck(None, 'consume', 'codecs', '--log-dir', kafka.logs)
    ok(result.code == 1 and 'is open in a broker' in result.err, 'a broker that runs: refused', result)
    equal(kafka.stop(), 128 + signal.SIGTERM, 'Kafka stops in order')
    del clients


def reading():
    for topic in TOPICS:
        result = beck(None, 'export', topic, '--log-dir', World.kafka.logs)
        ok(result.code == 0 and result.err == '' and records_of(result.out) == World.committed[topic],
           f'{topic}: export reads what is committed', result)
        result = beck(None, 'consume', topic, '--log-dir', World.kafka.logs, '--format', 'json',
                      '--isolation', 'uncommitted')
        ok(result.code == 0 and
           numbered(records_of(result.out)) == numbered(World.uncommitted[topic]),
           f'{topic}: consume --isolation uncommitted reads what Kafka does', result)
    result = beck(None, 'consume', 'codecs', '--log-dir', World.kafka.logs, '-p', '1', '-o', '777', '-n', '1',
                  '--print', 'offset')
    equal(result.out, '777\n', 'from an offset')
    first = next(record for record in World.committed['segments'] if record[1] == 47)
    result = beck(None, 'consume', 'segments', '--log-dir', World.kafka.logs, '-o', '47', '-n', '1',
                  '--format', 'json')
    equal(numbered(records_of(result.out)), numbered([first]), 'from an offset in a later segment')
    wanted = next(record[1] for record in World.committed['codecs']
                  if record[0] == 0 and record[2] >= 1700000001000)
    result = beck(None, 'consume', 'codecs', '--log-dir', World.kafka.logs, '-p', '0', '-o',
                  '@1700000001000', '-n', '1', '--print', 'offset')
    equal(result.out, f'{wanted}\n', 'from a time')


def dumping():
    result = beck(None, 'dump', 'codecs', '--log-dir', World.kafka.logs, '--batches')
    ok(result.code == 0 and set(re.findall(r' codec (\w+)', result.out)) == set(CODECS),
       'dump shows each codec', result)
    result = beck(None, 'dump', 'transactions', '--log-dir', World.kafka.logs, '--records', '--json')
    rows = [json.loads(line) for line in result.out.splitlines()]
    controls = [row['control'] for row in rows if 'control' in row]
    equal(sorted(set(controls)), ['abort', 'commit'], 'dump names the markers')
    equal((controls.count('commit'), controls.count('abort')), (8, 8), '... of each transaction and partition')
    aborted = {(row['partition'], row['offset']) for row in rows if row.get('aborted')}
    read = {record[:2] for record in World.committed['transactions']}
    data = {record[:2] for record in World.uncommitted['transactions']}
    ok(aborted and not aborted & read and aborted < data, 'and tells aborted records')
    result = beck(None, 'dump', '__cluster_metadata', '--log-dir', World.kafka.logs, '--records')
    ok('"control":"leader-change","leader":1' in result.out, "KRaft's own log has a change of leader", result)
    result = beck(None, 'dump', 'java', '--log-dir', World.kafka.logs, '--records', '--key-regex', '^k9.$')
    equal(result.out.count('\n'), 40, 'filtered by key')
    result = beck(None, 'dump', 'codecs', '-p', '0', '--log-dir', World.kafka.logs, '--records',
                  '--header', 'codec=zstd')
    equal(result.out.count('\n'), 40, 'filtered by header')
    result = beck(None, 'dump', 'compacted', '--log-dir', World.kafka.logs, '--batches')
    ok(re.search(r' timestamps \.\.17000000\d{5} .* delete-horizon \d{13}\n', result.out),
       'a delete horizon is told, and not as the first timestamp', result)


def verifying():
    result = beck(None, 'verify', '--log-dir', World.kafka.logs)
    ok(result.code == 0 and 'no damage' in result.out, 'verify finds nothing wrong', result)
    copy = os.path.join(World.kafka.folder, 'copy')
    shutil.copytree(World.kafka.logs, copy)
    folder = os.path.join(copy, 'transactions-0')
    index = os.path.join(folder, '0' * 20 + '.txnindex')
    segment = os.path.join(folder, '0' * 20 + '.log')
    os.truncate(index, 34)
    result = beck(None, 'verify', '--log-dir', copy, 'transactions')
    ok(result.code == 1 and result.out.count('the .txnindex does not have it') == 3,
       'an index that lacks aborted transactions', result)
    os.truncate(index, 33)
    result = beck(None, 'verify', '--log-dir', copy, 'transactions')
    ok(result.code == 1 and '.txnindex' in result.out and '1 damage' in result.out, 'one that cannot be', result)
    result = beck(None, 'export', 'transactions', '--log-dir', copy)
    ok(result.code == 0 and records_of(result.out) == World.committed['transactions'],
       'readers find aborted transactions all the same', result)
    with open(segment, 'r+b') as file:
        file.seek(os.path.getsize(segment) - 3)
        file.write(b'x')
    result = beck(None, 'verify', '--log-dir', copy, '-p', '0', 'transactions')
    ok(result.code == 1 and f'{segment} topic transactions partition 0 offset ' in result.out,
       'a flipped byte, with its place', result)
    with open(os.path.join(copy, 'log-start-offset-checkpoint'), 'w', encoding='ascii') as file:
        file.write('0\n2\ndeleted 0 13\n')
    result = beck(None, 'verify', '--log-dir', copy, 'deleted')
    ok(result.code == 1 and 'log-start-offset-checkpoint' in result.out, 'a checkpoint that cannot be', result)
    equal(beck(None, 'verify', '--log-dir', copy, 'nix').code, 2, 'a topic that is not there')
    shutil.rmtree(copy)


def showing():
    result = beck(None, 'stat', '--log-dir', World.kafka.logs)
    ok(result.code == 0 and 'node 1\n' in result.out and
       re.search(r'^partition deleted 0 start 13 end 20 stable 20 ', result.out, re.MULTILINE) and
       re.search(r'^topic codecs partitions 2 ', result.out, re.MULTILINE), 'stat shows what is there', result)
    opened = re.search(r'^partition transactions 0 start 0 end (\d+) stable (\d+) ', result.out, re.MULTILINE)
    equal(int(opened[1]) - int(opened[2]), 2, 'and an open transaction')


def importing():
    must(beck(World.store, 'store', 'create'))
    result = beck(World.store, 'import', '--log-dir', World.kafka.logs)
    ok(result.code == 0, 'import of all topics', result)
    names = beck(World.store, 'topic', 'list').out.split()
    equal(names, sorted([*TOPICS, *ADOPTED.values()]), "all but Kafka's own")
    for topic, (_, settings) in TOPICS.items():
        found = beck(World.store, 'config', '-t', topic, 'list').out.split('\n')
        wanted = sorted(f'{name}={value} (topic)' for name, value in {'retention.ms': '-1', **settings}.items())
        equal(sorted(line for line in found if '(topic)' in line), wanted, f'{topic}: settings are as in Kafka')
    for topic in TOPICS:
        result = beck(World.store, 'export', topic)
        ok(records_of(result.out) == World.committed[topic], f'{topic}: import keeps everything', result)
    ok(beck(World.store, 'verify').code == 0, 'the store is sound')
    ok('partition deleted 0 start 13 end 20 ' in beck(World.store, 'stat').out, 'a log begins where it did')
    before = beck(None, 'dump', 'codecs', '--log-dir', World.kafka.logs, '--batches').out
    after = beck(World.store, 'dump', 'codecs', '--batches').out
    equal(re.findall(r'batch (\S+) .* codec (\w+)', after), re.findall(r'batch (\S+) .* codec (\w+)', before),
          'batches stay as they were compressed')
    # What Kafka has not compacted yet is not to be compacted before it was read.
    must(beck(World.store, 'config', '-t', 'compacted', 'set', 'min.compaction.lag.ms=31536000000'))
    with Beckd(World.store) as beckd:
        for topic in TOPICS:
            ok(consume(beckd.address, topic) == World.committed[topic],
               f'{topic}: a Kafka client gets the same from beckd')


def java_reads_segments():
    """Kafka's own tool looks into beck's files."""
    files = []
    for directory, _, names in os.walk(os.path.join(World.store, 'topics')):
        files += [os.path.join(directory, name) for name in names
                  if name.endswith('.log') and os.path.getsize(os.path.join(directory, name)) > 0]
    result = World.kafka.tool('kafka.tools.DumpLogSegments', '--deep-iteration', '--print-data-log',
                              '--files', ','.join(sorted(files)))
    ok(result.code == 0 and 'isvalid: true' in result.out and 'isvalid: false' not in result.out,
       'DumpLogSegments finds every batch valid', result)
    found = re.findall(r'^\| offset: (\d+) (\w+)Time: (-?\d+) keySize: (-?\d+) valueSize: (-?\d+) ',
                       result.out, re.MULTILINE)
    wanted = []
    for topic in TOPICS:
        for _, offset, timestamp, appended, key, value, _ in World.committed[topic]:
            wanted.append((str(offset), 'LogAppend' if appended else 'Create', str(timestamp),
                           str(-1 if key is None else len(key)), str(-1 if value is None else len(value))))
    equal(sorted(found), sorted(wanted), 'and the same records')
    payloads = re.findall(r'payload: (\w+ from Java \d+)$', result.out, re.MULTILINE)
    equal(sorted(payloads), sorted(record[5].decode() for record in World.committed['java']),
          '... and values')


def kafka_takes_over():
    kafka = World.kafka
    for topic, name in ADOPTED.items():
        result = beck(World.store, 'export', topic, '--to-log-dir', kafka.logs, '--as', name)
        ok(result.code == 0, f'{topic}: export into the log directory', result)
    result = beck(World.store, 'export', 'codecs', '--to-log-dir', kafka.logs)
    ok(result.code == 1 and 'has records already' in result.err, 'never over records', result)
    result = beck(World.store, 'export', 'codecs', '--to-log-dir', kafka.logs, '--as', 'nix')
    ok(result.code == 1 and 'create the topic in Kafka' in result.err, 'nor without a topic', result)
    kafka.start()
    for topic, name in ADOPTED.items():
        ok(consume(kafka.address, name) == World.committed[topic], f'{topic}: Kafka serves it as {name}')
    for topic in TOPICS:
        ok(consume(kafka.address, topic) == World.committed[topic], f'{topic}: Kafka still has its own')
    offsets = []
    client = producer(kafka)
    client.produce('adopted-codecs', 'and on', partition=0,
                   on_delivery=lambda _, message: offsets.append(message.offset()))
    for i in range(50):
        client.produce('codecs', f'more {i}', partition=0)
    client.flush()
    equal(offsets, [1000], 'and appends behind them')


def after_a_kill():
    """No snapshot was written, and what stands in files may be cut off anywhere."""
    kafka = World.kafka
    kafka.stop(kill=True)
    result = beck(None, 'export', 'transactions', '--log-dir', kafka.logs)
    committed = World.committed['transactions']
    ok(result.code == 0 and records_of(result.out)[:len(committed)] != [] and
       set(map(repr, committed)) <= set(map(repr, records_of(result.out))),
       'a broker that was killed: transactions are found from the log', result)
    ok('open' not in result.out, 'and which of them are open')
    folder = os.path.join(kafka.logs, 'codecs-0')
    segments = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith('.log'))
    segment = segments[-1]
    os.truncate(segment, os.path.getsize(segment) - 10)
    result = beck(None, 'export', 'codecs', '-p', '0', '--log-dir', kafka.logs)
    whole = [record for record in World.committed['codecs'] if record[0] == 0]
    found = records_of(result.out)
    ok(result.code == 0 and len(whole) <= len(found) < len(whole) + 50 and found[:len(whole)] == whole,
       'a torn end does not exist for who reads records', result)
    result = beck(None, 'dump', 'codecs', '-p', '0', '--log-dir', kafka.logs, '--batches')
    ok(result.code == 1 and 'damage at offset' in result.out, 'and is damage for who dumps batches', result)
    os.truncate(segments[0], os.path.getsize(segments[0]) - 10)
    result = beck(None, 'export', 'codecs', '-p', '0', '--log-dir', kafka.logs)
    found = records_of(result.out)
    ok(result.code == 1 and segments[0] in result.err and 0 < len(found) < len(whole) and
       found == whole[:len(found)], 'what the broker knew to be on disk, and is not, is damage for both',
       result)


def main():
    with Folder() as folder:
        World.kafka = Kafka(folder, log_cleaner_backoff_ms=200, log_initial_task_delay_ms=1000,
                            log_retention_ms=-1)  # records have old timestamps
        World.store = os.path.join(folder, 'store')
        with World.kafka:
            tap.run(fill, reading, dumping, verifying, showing, importing, java_reads_segments,
                    kafka_takes_over, after_a_kill)


main()
