#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck(1): export and import, and log directories in Kafka's layout, as beck makes them itself."""

import json
import os
import struct

import tap
from programs import Folder, beck, must
from tap import equal, ok

# What a record can be, each with an offset and a partition. Timestamps: none, old, ordinary, far off.
ODD = [
    {'partition': 0, 'offset': 0, 'timestamp': -1, 'key': None, 'value': None},
    {'partition': 0, 'offset': 1, 'timestamp': 0, 'key': '', 'value': ''},
    {'partition': 0, 'offset': 7, 'timestamp': 1700000000000, 'key': 'k', 'value': 'behind a hole'},
    {'partition': 0, 'offset': 8, 'timestamp': 1, 'key': {'base64': '/w=='}, 'value': {'base64': 'gIE='},
     'headers': [['h', None], ['h', ''], ['', {'base64': '/v8='}]]},
    {'partition': 0, 'offset': 5000000000, 'timestamp': 1700000000001, 'key': 'far', 'value': 'off'},
    {'partition': 2, 'offset': 40, 'timestamp': 1700000000002, 'timestampType': 'log-append',
     'key': None, 'value': 'x'},
    {'partition': 2, 'offset': 41, 'timestamp': 1700000000002, 'timestampType': 'log-append',
     'key': None, 'value': 'y'},
]


def line_of(row, topic):
    """As beck prints it: names in a fixed order, no spaces."""
    order = ('offset', 'timestamp', 'timestampType', 'key', 'value', 'headers')
    fields = {'topic': topic, 'partition': row['partition']}
    fields.update({name: row[name] for name in order if name in row})
    return json.dumps(fields, separators=(',', ':'), ensure_ascii=False) + '\n'


def lines_of(rows, topic='t'):
    return ''.join(line_of(row, topic) for row in rows)


class Place:
    """A folder with a store whose topics forget nothing."""

    def __enter__(self):
        self.folder = Folder()
        self.path = self.folder.__enter__()
        self.store = os.path.join(self.path, 'store')
        must(beck(self.store, 'store', 'create'))
        return self

    def __exit__(self, *_):
        self.folder.__exit__()

    def __call__(self, *arguments, **options):
        return beck(self.store, *arguments, **options)

    def topic(self, name, partitions):
        must(self('topic', 'create', name, '-p', partitions, '-c', 'retention.ms=-1'))

    def beside(self, name):
        return os.path.join(self.path, name)


def json_lines():
    with Place() as place:
        place.topic('t', 3)
        for codec in ('none', 'gzip', 'zstd'):
            place.topic(codec, 3)
            result = place('import', codec, '--compression', codec, stdin=lines_of(ODD))
            ok(result.code == 0 and 'partition 0 offsets 0..5000000000, synced\n' in result.out and
               '2 records in 1 batch to ' + codec + ', partition 2 offsets 40..41' in result.out,
               f'import of lines, {codec}', result)
            equal(place('export', codec).out, lines_of(ODD, codec), 'and out again: the same, byte by byte')
        ok(place('verify').code == 0, 'the store is sound')
        equal(place('export', 'none', '-p', '2').out, lines_of(ODD[5:], 'none'), 'one partition')
        equal(place('export', 'none', '-p', '2', '--as', 'some').out, lines_of(ODD[5:], 'some'), '--as')
        result = place('import', 'none', stdin=lines_of(ODD))
        ok(result.code == 1 and 'cannot take offset 0' in result.err, 'never over what is there', result)
        result = place('import', 'none', '--new-offsets', stdin=lines_of(ODD[5:]))
        ok(result.code == 0 and 'offsets 42..43' in result.out, '--new-offsets', result)
        result = place('import', 't', '-p', '1', stdin='{"value":"a"}\n{"value":"b","offset":9}\n{"value":"c"}\n')
        ok(result.code == 0 and 'partition 1 offsets 0..10' in result.out, 'lines without offsets', result)
        equal(place('consume', 't', '--print', 'offset,value').out, '0\ta\n9\tb\n10\tc\n', '... get the next one')


def wrong_lines():
    with Place() as place:
        place.topic('t', 1)
        for text, said in (('{"value":"a","offset":5}\n{"value":"b","offset":5}\n', 'line 2: offset 5'),
                           ('{"value":"a"}\nnothing\n', 'line 2'), ('{"value":"a","offset":-2}\n', 'line 1'),
                           ('{"value":"a","partition":7}\n', 'no partition 7')):
            place.topic('wrong', 1)
            result = place('import', 'wrong', stdin=text)
            ok(result.code == 1 and said in result.err, f'refused: {text!r}', result)
            must(place('topic', 'delete', 'wrong'))
        equal(place('import', 'nix', stdin='{"value":"a"}\n').code, 1, 'lines make no topic')
        equal(place('import').code, 2, 'import of nothing')
        equal(place('import', 't', place.beside('nix.json')).code, 1, 'a file that is not there')
        equal(place('export').code, 2, 'export of nothing')
        equal(place('export', 'nix').code, 1, 'a topic that is not there')
        equal(place('export', 't', '--to-segments', 'a', '--to-log-dir', 'b').code, 2, 'two places at once')


def log_directories():
    with Place() as place:
        place.topic('t', 3)
        must(place('import', 't', '--compression', 'lz4', stdin=lines_of(ODD)))
        logs = place.beside('logs')
        result = place('export', 't', '--to-segments', logs)
        ok(result.code == 0 and sorted(os.listdir(logs)) == ['t-0', 't-1', 't-2'], 'export of segments', result)
        equal(beck(None, 'export', 't', '--log-dir', logs).out, lines_of(ODD), 'a log directory is read as a store')
        equal(beck(None, 'consume', 't', '--log-dir', logs, '-p', '2').out, 'x\ny\n', 'consume')
        result = beck(None, 'consume', 't', '--log-dir', logs, '-p', '0', '-o', '5000000000', '--format', 'json')
        ok(json.loads(result.out)['key'] == 'far', 'from an offset', result)
        ok(beck(None, 'verify', '--log-dir', logs).code == 0, 'verify')
        ok('partition t 0 start 0 end 5000000001 ' in beck(None, 'stat', '--log-dir', logs).out, 'stat')
        result = place('export', 't', '--to-segments', logs)
        ok(result.code == 1 and 'is there already' in result.err, 'never over what is there', result)
        result = place('import', 't', '--as', 'again', '--log-dir', logs)
        ok(result.code == 0, 'import of it', result)
        equal(place('export', 'again').out, lines_of(ODD, 'again'), '... gives the same')
        result = place('import', 'one', os.path.join(logs, 't-2', '0' * 20 + '.log'), '-p', '2')
        ok(result.code == 0 and 'partition 2 offsets 40..41' in result.out, 'import of a segment file', result)
        equal(beck(None, 'consume', 't', '--log-dir', logs, '-f').code, 2, 'there is nothing to follow')
        equal(beck(None, 'consume', 'nix', '--log-dir', logs).code, 1, 'a topic that is not there')
        equal(beck(None, 'consume', 't', '--log-dir', place.store).code, 1, 'a directory without partitions')


def log_starts():
    with Place() as place:
        place.topic('t', 1)
        must(place('produce', 't', '--timestamp', '1000', stdin=''.join(f'{n}\n' for n in range(10))))
        must(place('topic', 'delete-records', 't', '-p', '0', '--before', '4'))
        equal(place('export', 't').out.count('\n'), 6, 'deleted records are not exported')
        logs = place.beside('logs')
        must(place('export', 't', '--to-segments', logs))
        equal(os.listdir(os.path.join(logs, 't-0')), [f'{4:020}.log'], 'a log begins where it did')
        equal(beck(None, 'consume', 't', '--log-dir', logs).out, '4\n5\n6\n7\n8\n9\n', 'and has no more')
        must(place('import', 't', '--as', 'u', '--log-dir', logs))
        ok('partition u 0 start 4 end 10 ' in place('stat').out, 'import lets it begin there, too')


def damage():
    with Place() as place:
        place.topic('t', 1)
        for n in range(10):
            must(place('produce', 't', f'record {n}', '--timestamp', str(1700000000000 + n)))
        logs = place.beside('logs')
        must(place('export', 't', '--to-segments', logs))
        segment = os.path.join(logs, 't-0', '0' * 20 + '.log')
        size = os.path.getsize(segment) // 10
        with open(segment, 'r+b') as file:
            file.seek(4 * size + 70)
            file.write(b'\xff')
        result = beck(None, 'export', 't', '--log-dir', logs)
        ok(result.code == 1 and f'{segment}: offset 4 byte {4 * size}: ' in result.err and
           result.out.count('\n') == 4, 'damage ends an export, with its place', result)
        result = beck(None, 'export', 't', '--log-dir', logs, '--skip-damaged')
        ok(result.code == 1 and result.out.count('\n') == 9 and 'offset 4 byte' in result.err,
           '--skip-damaged goes on behind it', result)
        result = place('import', 't', '--as', 'u', '--log-dir', logs, '--skip-damaged')
        ok(result.code == 1 and place('consume', 'u').out.count('\n') == 9, '... and so does import', result)
        result = beck(None, 'verify', '--log-dir', logs)
        ok(result.code == 1 and f'{segment} topic t partition 0 offset 4 byte {4 * size}: ' in result.out and
           '1 damage\n' in result.out, 'verify names it', result)
        result = beck(None, 'dump', 't', '--log-dir', logs, '--batches')
        ok(result.code == 1 and result.out.count('batch ') == 9 and 'damage at offset 4' in result.out,
           'dump goes on behind it', result)
        # An index that is there may say what it likes.
        with open(segment[:-4] + '.index', 'wb') as file:
            file.write(struct.pack('>IIII', 3, 17, 8, 1 << 31))
        result = beck(None, 'consume', 't', '--log-dir', logs, '-o', '8')
        equal(result.out, 'record 8\nrecord 9\n', 'an index that is wrong only costs time')
        with open(segment[:-4] + '.index', 'wb') as file:
            file.write(struct.pack('>II', 7, 7 * size))
        result = beck(None, 'consume', 't', '--log-dir', logs, '-o', '8')
        equal(result.out, 'record 8\nrecord 9\n', 'and one that is right is used')


def filters():
    with Place() as place:
        place.topic('t', 1)
        for n in range(20):
            must(place('produce', 't', '-k', f'key {n}', '-H', f'n={n % 3}', '-H', 'name', f'value {n}',
                       '--timestamp', str(1700000000000 + 1000 * n)))

        def offsets(*arguments):
            out = must(place('dump', 't', '--records', *arguments)).out
            return [json.loads(line)['offset'] for line in out.splitlines()]

        equal(offsets('--key', 'key 7'), [7], '--key')
        equal(offsets('--key-regex', '^key 1[0-2]$'), [10, 11, 12], '--key-regex')
        equal(offsets('--header', 'n=2', '--to', '9'), [2, 5, 8], '--header and --to')
        equal(offsets('--header', 'name', '--from', '17'), [17, 18, 19], '--header by its name, and --from')
        equal(offsets('--header-regex', 'n=[01]', '--header', 'n=1', '--to', '6'), [1, 4], 'both hold')
        equal(offsets('--from', '2023-11-14T22:13:25Z', '--to', '2023-11-14T23:13:27.5+01:00'), [5, 6, 7],
              'times in the forms of RFC 3339')
        equal(offsets('--from', '@1700000018000'), [18, 19], 'and in milliseconds')
        place.topic('none', 1)
        result = place('export', 'none', '--to-segments', place.path)
        ok(result.code == 0 and result.out == f'0 records to {place.path}/none-0\n',
           'of no records, none are named', result)
        place.topic('one', 1)
        must(place('produce', 'one', stdin='\n'.join('abcdefghij')))
        result = place('dump', 'one', '--from', '3', '--to', '6')
        ok(result.out.count('batch 0..9 ') == 1 and
           [json.loads(line)['value'] for line in result.out.splitlines()[1:]] == ['d', 'e', 'f'],
           'of a batch, the records between the two', result)
        must(place('produce', 't', '--json', stdin='{"key":"nul\\u0000behind","value":""}\n'))
        equal(offsets('--key-regex', 'behind$'), [20], 'an expression sees what is behind a NUL')
        out = place('dump', 't', '--key', 'key 3').out
        ok(out.startswith('batch 3..3 ') and out.count('\n') == 2, 'only batches that have some', out)
        equal(place('dump', 't', '--key-regex', '(').code, 2, 'what is no expression')
        equal(place('dump', 't', '--batches', '--key', 'a').code, 2, 'batches have no keys')
        equal(place('dump', 't', '--from', 'nix').code, 2, 'what is no place')


tap.run(json_lines, wrong_lines, log_directories, log_starts, damage, filters)
