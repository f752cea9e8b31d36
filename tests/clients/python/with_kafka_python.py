# SPDX-License-Identifier: Apache-2.0
"""kafka-python, as it was in 2020 and as it is: produces, shares a group, administers."""

import sys
import threading
import time

import kafka
from checks_of import becomes, equal, ok, run
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic
from kafka.errors import CommitFailedError, RebalanceInProgressError, TopicAlreadyExistsError

ADDRESS = sys.argv[1]
NOW = int(time.time() * 1000)


def producers():
    settings = [{'compression_type': 'gzip'}, {'acks': 0}, {'acks': 'all', 'linger_ms': 5}]
    if kafka.__version__ > '2.1':
        settings.append({'enable_idempotence': True})
    for i, options in enumerate(settings):
        topic = f'made-{i}'
        client = KafkaProducer(bootstrap_servers=ADDRESS, **options)
        for n in range(300):
            client.send(topic, b'value %d' % n, key=b'k%d' % n, headers=[('h', b'%d' % n)],
                        timestamp_ms=NOW - 1000 * (300 - n), partition=0)
        client.flush(60)
        client.close()
        reader = KafkaConsumer(topic, bootstrap_servers=ADDRESS, auto_offset_reset='earliest', group_id=None,
                               consumer_timeout_ms=60000)
        found = []
        for record in reader:
            found.append((record.offset, record.key, record.value, record.headers, record.timestamp))
            if len(found) == 300:
                break
        reader.close()
        equal(found, [(n, b'k%d' % n, b'value %d' % n, [('h', b'%d' % n)], NOW - 1000 * (300 - n)) for n in range(300)],
              f'{options} is read as it was written')


def administration():
    admin = KafkaAdminClient(bootstrap_servers=ADDRESS)
    admin.create_topics([NewTopic('t', 2, 1), NewTopic('gone', 1, 1)])
    try:
        admin.create_topics([NewTopic('t', 2, 1)])
        ok(False, 'a topic again')
    except TopicAlreadyExistsError:
        ok(True, 'a topic again')
    admin.create_partitions({'t': NewPartitions(6)})
    admin.delete_topics(['gone'])
    equal({'t', 'gone'} & set(admin.list_topics()), {'t'}, 'topics are made and deleted')
    equal(len(admin.describe_topics(['t'])[0]['partitions']), 6, 'partitions are added')
    admin.close()


class Member:
    """A consumer on a thread of its own, for a poll may wait for other members to join."""

    def __init__(self, seen):
        self.seen = seen
        self.owned = set()
        self.leave = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client = KafkaConsumer('t', bootstrap_servers=ADDRESS, group_id='g', auto_offset_reset='earliest',
                               enable_auto_commit=False)
        while not self.leave:
            for records in client.poll(100).values():
                self.seen.extend((record.partition, record.offset) for record in records)
            self.owned = client.assignment()
            try:
                client.commit()
            except (CommitFailedError, RebalanceInProgressError):
                pass  # the next one will do it
        client.close()

    def end(self):
        self.leave = True
        self.thread.join()


def group():
    seen = []
    members = [Member(seen), Member(seen)]

    def wait():
        time.sleep(0.02)
    ok(becomes(wait, lambda: [len(one.owned) for one in members] == [3, 3]), 'two share six partitions')
    producer = KafkaProducer(bootstrap_servers=ADDRESS)
    for i in range(120):
        producer.send('t', b'%d' % i, partition=i % 6)
    producer.flush(60)
    ok(becomes(wait, lambda: len(seen) >= 120), 'they see all records', len(seen))
    members.pop().end()
    ok(becomes(wait, lambda: len(members[0].owned) == 6), 'one leaves')
    producer.send('t', b'last', partition=3)
    producer.flush(60)
    ok(becomes(wait, lambda: len(seen) > 120), 'the other sees all that comes')
    members.pop().end()
    equal(len(set(seen)), len(seen), 'no record twice')
    client = KafkaConsumer(bootstrap_servers=ADDRESS, group_id='g')
    equal([client.committed(TopicPartition('t', i)) for i in (0, 3)], [20, 21], 'what was committed')
    equal(client.end_offsets([TopicPartition('t', 3)]), {TopicPartition('t', 3): 21}, 'the end')
    times = client.offsets_for_times({TopicPartition('made-0', 0): NOW - 100500})
    equal(times[TopicPartition('made-0', 0)].offset, 200, 'the offset of a time')
    client.close()
    admin = KafkaAdminClient(bootstrap_servers=ADDRESS)
    listed = [one if isinstance(one, tuple) else (one['group_id'],) for one in admin.list_groups()] \
        if hasattr(admin, 'list_groups') else admin.list_consumer_groups()
    ok('g' in [one[0] for one in listed], 'the group is listed', listed)
    admin.close()


print('version', kafka.__version__)
run(producers, administration, group)
