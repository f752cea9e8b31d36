#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which clients a run of the clients stage tried, in which versions, and how it went: the table of README.md.

    matrix.py TESTLOG README            print it; fails where README.md has another table
    matrix.py --write TESTLOG README    put it into README.md

TESTLOG is meson's testlog.json. A client that the run left out, as its toolchain is too old, keeps its row.
"""

import json
import re
import sys

HEAD = '| client | version | what is run |'

# Of each client: its name, the test, what its checks begin with, and what is run.
CLIENTS = (
    ("Kafka's for Java", 'java', 'Java ', 'producers with all codecs, idempotent and not; classic groups, eager and '
     'cooperative; groups of the new protocol, and of both; each method of the admin client that one broker without '
     'security can answer'),
    ("Kafka's for Java, of 2022", 'java28', 'Java 2.8', 'producers with all codecs, idempotent and not; groups, eager '
     'and cooperative'),
    ('Kafka Streams', 'streams', 'Streams', 'word count, at least once, over ends of the program and of the daemon'),
    ("Kafka's command line tools", 'tools', '', 'topics, configurations, console producer and consumer, groups, offsets, '
     'DeleteRecords, log directories, performance, VerifiableProducer and VerifiableConsumer'),
    ('librdkafka', 'librdkafka', 'librdkafka', 'its C interface: all codecs, idempotent and not, statistics, admin'),
    ('kcat', 'librdkafka', 'kcat', 'all codecs; groups of three by range, round-robin and cooperatively, of which one is '
     'killed'),
    ('confluent-kafka', 'python', 'confluent-kafka', 'all codecs, idempotent and not, statistics, admin; groups, eager, '
     'cooperative and of the new protocol, of which one is killed'),
    ('kafka-python', 'python', 'kafka-python', 'produce, group, admin'),
    ('kafka-python, of 2020', 'python', 'kafka-python-2.0.2', 'produce, group, admin'),
    ('franz-go', 'go', 'franz', 'all codecs; groups by range and cooperatively; admin'),
    ('sarama', 'go', 'sarama', 'all codecs, idempotent; group; admin'),
    ('kafka-go', 'go', 'kafkago', 'all codecs; group; admin'),
    ('kafkajs', 'node', 'kafkajs', 'plain, gzip, idempotent; group; admin'),
    ('@platformatic/kafka', 'node', '@platformatic/kafka', 'all codecs, idempotent; groups of both protocols; admin'),
    ('rskafka', 'rust', 'rskafka', 'all codecs; topics, deleting records'),
)


def outputs(path):
    """What each test of the stage printed."""
    with open(path, encoding='utf-8') as file:
        tests = [json.loads(line) for line in file if line.strip()]
    return {test['name'].rsplit('clients/', 1)[-1]: (test.get('stdout') or '').splitlines()
            for test in tests if '/' in test['name']}


def version(lines, prefix):
    for line in lines:
        match = re.match(r'# (.*?): version (.*)', line)
        if match and match[1].startswith(prefix) and (match[1] == prefix or prefix in ('', 'Java ', 'Streams')):
            return re.sub(r'^\S*/\S* v', '', match[2]).strip()
    return None


def checks(lines, prefix):
    """How many passed, and failed. What begins with a longer name is another client's."""
    longer = [other for _, _, other, _ in CLIENTS if other.startswith(prefix) and len(other) > len(prefix) > 0]
    found = [(bool(match[1]), match[2]) for match in (re.match(r'(not )?ok \d+ - (.*)', line) for line in lines) if match]
    found = [failed for failed, name in found if name.startswith(prefix) and '# SKIP' not in name and
             not any(name.startswith(other) for other in longer)]
    return found.count(False), found.count(True)


def rows(log, kept):
    """The table's rows, and what is said of each; those that are not there now, as they were."""
    for name, test, prefix, what in CLIENTS:
        lines = log.get(test, [])
        found = version(lines, prefix)
        if found:
            passed, failed = checks(lines, prefix)
            yield f'| {name} | {found} | {what} |', f'{name} {found}: {passed} checks passed, {failed} failed'
        elif name in kept:
            yield kept[name], f'{name}: not run here'


def main():
    write = sys.argv[1] == '--write'
    log, readme = sys.argv[-2:]
    with open(readme, encoding='utf-8') as file:
        text = file.read()
    begin = text.index(HEAD)
    table = re.match(r'(\|.*\n)+', text[begin:])[0]
    kept = {line.split('|')[1].strip(): line for line in table.splitlines()[2:]}
    made = list(rows(outputs(log), kept))
    new = '\n'.join([HEAD, '| --- | --- | --- |', *(row for row, _ in made)]) + '\n'
    print('\n'.join('    ' + said for _, said in made))
    if write:
        with open(readme, 'w', encoding='utf-8') as file:
            file.write(text[:begin] + new + text[begin + len(table):])
    elif new != table:
        sys.exit(f'README.md has another table of clients: {sys.argv[0]} --write {log} {readme}')


main()
