#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck(1): each option and each error, as a user sees them, with no daemon running."""

import base64
import contextlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import time

import tap
from programs import BECK, PATIENCE, Folder, beck, line_after, must, run, wait_until
from tap import equal, ok
from tool_store import Store, fails, prints


# ---- the dispatcher ---------------------------------------------------------------------------


def dispatcher():
    result = beck(None)
    ok(result.code == 2 and 'usage: beck' in result.err and result.out == '',
       'without a command: usage on stderr, exit code 2', result)
    result = beck(None, 'help')
    ok(result.code == 0 and 'usage: beck' in result.out and 'consume' in result.out,
       'help lists the commands', result)
    equal(beck(None, '--help').out, result.out, '--help is help')
    ok(re.fullmatch(r'beck \d+\.\d+\.\d+\n', beck(None, '--version').out), '--version')
    for command in ('store', 'topic', 'config', 'group', 'produce', 'consume', 'dump', 'verify', 'repair',
                    'stat', 'backup'):
        one = beck(None, command, '--help')
        ok(one.code == 0 and one.out.startswith(f'usage: beck {command}'), f'{command} --help', one)
        equal(beck(None, 'help', command).out, one.out, f'help {command} is {command} --help')
    fails(beck(None, 'frobnicate'), 2, "no command 'frobnicate'", 'an unknown command')
    fails(beck(None, 'help', 'frobnicate'), 2, "no command 'frobnicate'", 'help on an unknown command')
    fails(beck(None, '--frob', 'stat'), 2, '--frob', 'an unknown option before the command')
    fails(beck(None, 'stat', '--frob'), 2, '--frob', 'an unknown long option')
    fails(beck(None, 'stat', '-Z'), 2, '-Z', 'an unknown short option')
    fails(beck(None, 'consume', 't', '-p'), 2, '-p', 'an option without its value')


def which_store():
    environment = {key: value for key, value in os.environ.items() if key != 'BECK_STORE'}
    fails(run(BECK, 'stat', env=environment), 2, '--store', 'no store named')
    with Store(t=1) as store:
        prints(run(BECK, 'topic', 'list', env={**environment, 'BECK_STORE': store.path}), 't\n',
               'BECK_STORE names the store')
        prints(run(BECK, 'topic', 'list', '--store', store.path, env=environment), 't\n',
               '--store behind the command')
        prints(run(BECK, '--store', store.path, 'topic', 'list',
                   env={**environment, 'BECK_STORE': '/nonexistent'}), 't\n',
               '--store wins over BECK_STORE')
        missing = store.beside('missing')
        for arguments in (['stat'], ['topic', 'list'], ['topic', 'create', 't'], ['produce', 't', 'v'],
                          ['consume', 't'], ['dump', 't']):
            fails(beck(missing, *arguments), 1, 'store create',
                  f'{" ".join(arguments)}: no store there')
        ok(beck(missing, 'verify').code == 2, 'verify: no store there is exit code 2')
        ok(not os.path.exists(missing), 'and none of them made one')
        empty = store.beside('empty')
        os.mkdir(empty)
        ok(beck(empty, 'topic', 'list').code == 1 and os.listdir(empty) == [],
           'an empty folder stays empty')


def store_create():
    with Folder() as folder:
        path = os.path.join(folder, 's')
        prints(beck(path, 'store', 'create'), f'created a store in {path}\n', 'store create')
        fails(beck(path, 'store', 'create'), 1, 'there is a store already', 'store create where there is one')
        must(beck(path, 'topic', 'create', 't'))  # whoever closes it leaves a copy of meta.mdb
        fails(beck(path, 'store', 'create'), 1, 'there is a store already', 'and where it was used')
        other = os.path.join(folder, 'other')
        prints(beck(None, 'store', 'create', other), f'created a store in {other}\n',
               'store create DIR')
        empty = os.path.join(folder, 'empty')
        os.mkdir(empty)
        ok(beck(empty, 'store', 'create').code == 0, 'store create in an empty folder')
        full = os.path.join(folder, 'full')
        os.mkdir(full)
        with open(os.path.join(full, 'file'), 'w', encoding='ascii'):
            pass
        result = beck(full, 'store', 'create')
        ok(result.code == 1 and os.listdir(full) == ['file'],
           'store create refuses a folder with something in it', result)
        lazy = os.path.join(folder, 'lazy')
        must(beck(lazy, 'store', 'create', '-c', 'flush.policy=os'))
        ok('flush os\n' in beck(lazy, 'stat').out, 'store create -c flush.policy=os')
        must(beck(lazy, 'topic', 'create', 't'))
        prints(beck(lazy, 'produce', 't', stdin='a\n'),
               '1 record in 1 batch to t, partition 0 offsets 0..0\n', 'there, nothing is called synced')
        result = beck(os.path.join(folder, 'wrong'), 'store', 'create', '-c', 'no.such=1')
        ok(result.code == 1 and not os.path.exists(os.path.join(folder, 'wrong')),
           'store create -c with an unknown setting makes nothing', result)
        fails(beck(path, 'store'), 2, 'create', 'store without a verb')
        fails(beck(path, 'store', 'destroy'), 2, 'only be created', 'store with another verb')
        fails(beck(path, 'store', 'create', 'a', 'b'), 2, 'one directory', 'two directories')


# ---- topics -----------------------------------------------------------------------------------


def topics():
    with Store() as store:
        prints(store('topic', 'list'), '', 'no topics')
        prints(store('topic', 'create', 'one'), 'created topic one with 1 partition\n', 'topic create')
        prints(store('topic', 'create', 'three', '-p', '3'),
               'created topic three with 3 partitions\n', 'topic create -p')
        fails(store('topic', 'create', 'one'), 1, 'exists', 'topic create: it exists')
        prints(store('topic', 'list'), 'one\nthree\n', 'topic list')
        ok('3 partitions' in store('topic', 'list', '-l').out, 'topic list -l')
        for name in ('', '.', '..', 'a/b', 'ä', 'x' * 250):
            ok(store('topic', 'create', name).code == 1, f'no topic is called {name[:9]!r}')
        ok(store('topic', 'create', 'x' * 249).code == 0, 'a name of 249 bytes')
        must(store('topic', 'delete', 'x' * 249))
        for count in ('0', '-1', 'x', '65537', '1x', ''):
            fails(store('topic', 'create', 'n', '-p', count), 2, 'partitions',
                  f'topic create -p {count!r}')
        fails(store('topic', 'create'), 2, 'which topic', 'topic create without a name')
        fails(store('topic', 'create', 'a', 'b'), 2, 'one topic', 'topic create with two names')
        fails(store('topic'), 2, 'create, list', 'topic without a verb')
        fails(store('topic', 'rename', 'one'), 2, 'rename', 'topic with another verb')


def topic_settings():
    with Store() as store:
        result = store('topic', 'create', 't', '-c', 'max.message.bytes=2000000')
        ok(result.code == 0, 'topic create -c', result)
        ok('setting max.message.bytes=2000000\n' in store('topic', 'show', 't').out,
           'topic show has the setting')
        ok('(default)' in store('topic', 'show', 't', '-a').out, 'topic show -a has the defaults')
        ok(store('topic', 'create', 'u', '-c', 'no.such.setting=1').code == 1, 'an unknown setting')
        ok(store('topic', 'create', 'u', '-c', 'max.message.bytes=x').code == 1, 'a wrong value')
        fails(store('topic', 'create', 'u', '-c', 'retention.ms'), 2, 'NAME=VALUE', 'no value')
        equal(store('topic', 'list').out, 't\n', 'and none was made')
        result = store('topic', 'show', 't')
        ok(re.search(r'^topic t\npartitions 1\nid [0-9a-f-]{36}\ncreated 20\S+Z\nowner \d+:\d+ mode '
                     r'0\d{3}\n', result.out), 'topic show', result)
        fails(store('topic', 'show', 'nope'), 1, 'no topic nope', 'topic show: there is none')
        fails(store('topic', 'show'), 2, 'which topic', 'topic show without a name')


def topic_delete():
    with Store(a=2, b=1) as store:
        must(store('produce', 'a', 'x'))
        must(store('produce', 'b', 'y'))
        prints(store('topic', 'delete', 'a'), 'deleted topic a\n', 'topic delete')
        prints(store('topic', 'list'), 'b\n', 'it is gone from the list')
        equal(len(os.listdir(os.path.join(store.path, 'topics'))), 1, 'and from the disk')
        prints(store('consume', 'b'), 'y\n', 'the other is untouched')
        fails(store('topic', 'delete', 'a'), 1, 'no topic a', 'topic delete: there is none')
        fails(store('consume', 'a'), 1, 'no topic a', 'consume: it is gone')
        fails(store('topic', 'delete'), 2, 'which topic', 'topic delete without a name')
        must(store('topic', 'create', 'a'))
        prints(store('consume', 'a'), '', 'a new one of that name is empty')


# ---- produce ----------------------------------------------------------------------------------


def produce_arguments():
    with Store(t=1, three=3) as store:
        prints(store('produce', 't', 'hi'), 'partition 0 offset 0\n', 'produce a value')
        prints(store('produce', 't', 'a', 'b', 'c'),
               'partition 0 offset 1\npartition 0 offset 2\npartition 0 offset 3\n', 'produce several')
        prints(store('consume', 't', '-o', '0'), 'hi\na\nb\nc\n', 'consume has them')
        places = store('produce', 'three', *'abcdefghi').out.split('\n')[:-1]
        equal(sorted(places), sorted(f'partition {p} offset {o}' for p in range(3) for o in range(3)),
              'nine values over three partitions: 3/3/3')
        for _ in range(9):
            must(store('produce', 'three', 'x'))
        counts = [store('consume', 'three', '-p', p).out.count('\n') for p in range(3)]
        equal(counts, [6, 6, 6], 'nine commands over three partitions: 3/3/3')
        prints(store('produce', 'three', '-p', '2', 'z'), 'partition 2 offset 6\n', 'produce -p')
        fails(store('produce', 'three', '-p', '9', 'z'), 1, 'no partition 9', 'produce -p 9')
        fails(store('produce', 'three', '-p', 'x', 'z'), 2, "'x'", 'produce -p x')
        for command in ('produce', 'consume', 'dump', 'verify', 'export', 'import', 'ping'):
            fails(store(command, 'three', '-p', '0', '-p', '1'), 2, 'more than once', f'{command} -p 0 -p 1')
        fails(store('produce', 'nope', 'v'), 1, 'topic create nope', 'no such topic')
        fails(store('produce'), 2, 'which topic', 'no topic named')
        prints(store('produce', 't', '--', '-p'), 'partition 0 offset 4\n', 'a value behind --')
        prints(store('produce', 't', ''), 'partition 0 offset 5\n', 'an empty value')
        prints(store('produce', 't', '--acks', '1', 'v'), 'partition 0 offset 6\n', '--acks 1')
        prints(store('consume', 't', '-o', '6'), 'v\n', 'which can be read at once')
        fails(store('produce', 't', '--acks', '2', 'v'), 2, 'acks', '--acks 2')


def produce_keys():
    with Store(t=10) as store:
        # What Kafka's Java producer picks: (murmur2(key) & 0x7fffffff) % 10
        def murmur2(data):
            mask, h = 0xffffffff, 0x9747b28c ^ len(data)
            for at in range(0, len(data) // 4 * 4, 4):
                k = struct.unpack_from('<I', data, at)[0] * 0x5bd1e995 & mask
                h = (h * 0x5bd1e995 & mask) ^ ((k ^ k >> 24) * 0x5bd1e995 & mask)
            rest = data[len(data) // 4 * 4:]
            if rest:
                h = (h ^ int.from_bytes(rest, 'little')) * 0x5bd1e995 & mask
            h = (h ^ h >> 13) * 0x5bd1e995 & mask
            return h ^ h >> 15
        keys = ['k', 'alice', 'bob', '21', 'foobar', 'ä', 'x' * 100]
        for key in keys:
            wanted = (murmur2(key.encode()) & 0x7fffffff) % 10
            result = store('produce', 't', '-k', key, 'v')
            ok(result.out.startswith(f'partition {wanted} '), f'key {key[:9]!r}: Java\'s partition', result)
        partitions = {store('produce', 't', '-k', 'same', 'v').out.split()[1] for _ in range(10)}
        equal(len(partitions), 1, 'one key, one partition')
        ok('key' not in store('produce', 't', '-k', '', 'v').err, 'an empty key is a key')
        result = store('consume', 't', '--print', 'key', '--null', '(null)')
        ok('(null)' not in result.out and '\n\n' in '\n' + result.out, 'and is not null', result)


def produce_lines():
    with Store(t=1, three=3) as store:
        prints(store('produce', 't', stdin='a\nb\nc\n'),
               '3 records in 1 batch to t, partition 0 offsets 0..2, synced\n', 'lines of stdin')
        prints(store('consume', 't'), 'a\nb\nc\n', 'are records')
        prints(store('produce', 't', stdin='x\n\ny'),
               '3 records in 1 batch to t, partition 0 offsets 3..5, synced\n',
               'an empty line and a last line without a newline are records')
        prints(store('consume', 't', '-o', '3'), 'x\n\ny\n', 'and come back as lines')
        prints(store('produce', 't', stdin=''), '0 records to t\n', 'nothing on stdin')
        prints(store('produce', 't', '--acks', '1', stdin='q\n'),
               '1 record in 1 batch to t, partition 0 offsets 6..6\n', '--acks 1 does not say synced')
        result = store('produce', 'three', stdin='\n'.join('abcdefghi') + '\n')
        equal(result.out, ''.join(f'3 records in 1 batch to three, partition {p} offsets 0..2, synced\n'
                                  for p in range(3)), 'nine lines over three partitions: 3/3/3')
        result = store('produce', 'three', '-K', ':', stdin='k:1\nk:2\nno separator\nk:3:4\n')
        ok(result.code == 0, 'produce -K', result)
        out = store('consume', 'three', '--print', 'key,value', '--null', '-').out
        ok(all(f'k\t{v}\n' in out for v in ('1', '2', '3:4')) and '-\tno separator\n' in out,
           'splits a line at the first separator, where it has one', out)
        fails(store('produce', 't', '-K', ''), 2, 'separator', 'an empty separator')
        nul = b'\x00a\x00\n\xff\xfe\r\n'
        must(store('produce', 't', stdin=nul))
        ok(store('consume', 't', '-o', '7').out_bytes == nul, 'NUL and other bytes are bytes')


def produce_large():
    with Store(t=1, big=1) as store:
        line = os.urandom(500_000).replace(b'\n', b'x')
        many = b''.join([line, b'\n']) * 20
        with open(store.beside('lines'), 'wb') as file:
            file.write(many)
        result = run('bash', '-c', '"$0" --store "$1" produce t <"$2"', BECK, store.path,
                     store.beside('lines'))
        ok(re.match(r'20 records in 10 batches to t, partition 0 offsets 0..19, synced\n', result.out),
           'large lines: as few batches as fit', result)
        ok(store('consume', 't').out_bytes == many, 'come back the same')
        too_large = b'small\n' + b'x' * 1_100_000 + b'\nnever\n'
        result = store('produce', 't', stdin=too_large)
        ok(result.code == 1 and 'line 2' in result.err and result.err.count('\n') == 1 and
           result.out == '1 record in 1 batch to t, partition 0 offsets 20..20, synced\n',
           'a line too large: its number, and what was produced before it', result)
        result = store('produce', 't', stdin=b'x' * 1_048_590 + b'\n')
        ok(result.code == 1 and 'line 1' in result.err, 'a line as large as a whole batch', result)
        fails(store('produce', 't', 'x' * 100_000, '-F', '/dev/null'), 2, 'choose one',
              'values and files')
        must(store('topic', 'create', 'wide', '-c', 'max.message.bytes=10000000'))
        result = store('produce', 'wide', stdin=b'x' * 9_000_000 + b'\n')
        ok(result.code == 0, 'max.message.bytes of the topic counts', result)
        equal(len(store('consume', 'wide').out_bytes), 9_000_001, 'and it can be read')


def produce_files():
    with Store(t=1) as store:
        path = store.beside('file')
        for data, name in ((b'', 'of no bytes'), (b'a\nb\n', 'with newlines'),
                           (os.urandom(1_000_000), 'of 1 MB random bytes'), (b'\xff\x00', 'not UTF-8')):
            with open(path, 'wb') as file:
                file.write(data)
            result = store('produce', 't', '-F', path)
            offset = result.out.split()[-1]
            got = store('consume', 't', '-o', offset, '--no-newline')
            ok(result.code == 0 and got.out_bytes == data, f'a file {name} is one record', result)
        result = store('produce', 't', '-F', '-', stdin=b'all\nof it\n')
        ok(store('consume', 't', '-o', '-1', '--no-newline').out == 'all\nof it\n',
           'stdin as one record', result)
        prints(store('produce', 't', '-F', path, '-F', path),
               'partition 0 offset 5\npartition 0 offset 6\n', 'two files')
        fails(store('produce', 't', '-F', store.beside('nope')), 1, 'nope', 'a file that is not there')
        fails(store('produce', 't', '-F', store.path), 1, 'cannot read', 'a directory')
        with open(path, 'wb') as file:
            file.write(b'x' * 2_000_000)
        fails(store('produce', 't', '-F', path), 1, 'larger than', 'a file too large')


def produce_null_and_headers():
    with Store(t=1) as store:
        prints(store('produce', 't', '--null', '-k', 'gone'), 'partition 0 offset 0\n', 'a null value')
        ok(json.loads(store('consume', 't', '--format', 'json').out)['value'] is None, 'is null')
        prints(store('consume', 't'), '\n', 'and an empty line as text')
        fails(store('produce', 't', '--null', 'v'), 2, 'choose one', '--null with a value')
        must(store('produce', 't', '-H', 'a=1', '-H', 'b=', '-H', 'c', '-H', 'a=x=y', 'v'))
        record = json.loads(store('consume', 't', '-o', '1', '--format', 'json').out)
        equal(record['headers'], [['a', '1'], ['b', ''], ['c', None], ['a', 'x=y']], 'headers')
        prints(store('consume', 't', '-o', '1', '--print', 'headers,value'), 'a=1,b=,c,a=x=y\tv\n',
               'headers as text')
        fails(store('produce', 't', '-H', '=x', 'v'), 2, 'header', 'a header without a name')
        must(store('produce', 't', '--timestamp', '1763719200123', 'v'))
        prints(store('consume', 't', '-o', '2', '--print', 'timestamp'), '1763719200123\n', 'a timestamp')
        fails(store('produce', 't', '--timestamp', 'soon', 'v'), 2, 'soon', 'a wrong timestamp')


def produce_compression():
    with Store(t=1) as store:
        text = ''.join(f'line {number} of some text\n' for number in range(2000))
        for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
            must(store('produce', 't', '--compression', codec, stdin=text))
        ok(store('consume', 't').out == text * 5, 'every codec gives the same bytes back')
        codecs = re.findall(r'codec (\w+)', store('dump', 't', '--batches').out)
        equal(codecs, ['none', 'gzip', 'snappy', 'lz4', 'zstd'], 'and is what the batches say')
        sizes = [int(size) for size in re.findall(r' size (\d+)', store('dump', 't', '--batches').out)]
        ok(max(sizes[1:]) < sizes[0] / 2, 'compressed batches are smaller', sizes)
        fails(store('produce', 't', '--compression', 'brotli', 'v'), 2, 'brotli', 'no such codec')


def produce_json():
    with Store(t=3, copy=3) as store:
        must(store('produce', 't', '-k', 'ä€😀', '-H', 'h=ü', '-H', 'n', 'va"l\\ue\n\t\x01'))
        must(store('produce', 't', '--null', '-k', 'k'))
        must(store('produce', 't', ''))
        binary = bytes(range(256))
        must(store('produce', 't', '-F', '-', '-k', 'binary', stdin=binary))
        out = store('consume', 't', '--format', 'json')
        result = store('produce', 'copy', '--json', stdin=out.out_bytes)
        copied = store('consume', 'copy', '--format', 'json')
        equal(copied.out.replace('"topic":"copy"', '"topic":"t"'), out.out,
              'consume --format json | produce --json: the same records in the same partitions')
        ok(result.code == 0 and result.out.count('synced') >= 2, 'and a summary', result)
        row = next(json.loads(line) for line in out.out.splitlines() if '"binary"' in line)
        equal(base64.b64decode(row['value']['base64']), binary, 'what is not UTF-8 is base64')
        result = store('produce', 't', '--json', '-p', '2', stdin='{"value":"only"}\n')
        ok('partition 2' in result.out, 'only value is needed; -p wins', result)
        wrong = {
            'no JSON': 'x', 'no object': '[1]', 'no value': '{"key":"k"}', 'a number': '{"value":1}',
            'an unknown member': '{"value":"v","x":1}', 'an open string': '{"value":"v',
            'a half surrogate': '{"value":"\\ud800"}', 'a bare control character': '{"value":"\x01"}',
            'bad base64': '{"value":{"base64":"a"}}', 'more behind it': '{"value":"v"} x',
            'another object': '{"value":{"hex":"00"}}', 'an unknown escape': '{"value":"\\x"}',
            'a wrong header': '{"value":"v","headers":[["n"]]}', 'an empty line': '',
            'a partition that is not there': '{"value":"v","partition":7}',
        }
        for name, line in wrong.items():
            result = store('produce', 't', '--json', stdin=f'{{"value":"good"}}\n{line}\n')
            ok(result.code == 1 and '1 record ' in result.out and
               ('line 2' in result.err or 'partition 7' in result.err),
               f'{name}: the line is named, the one before it was sent', result)
        fails(store('produce', 't', '--json', '-k', 'k'), 2, 'in the lines', '--json with -k')
        fails(store('produce', 't', '--json', 'v'), 2, 'standard input', '--json with a value')


def produce_streams():
    """What is written slowly is seen at once, and a stop keeps what was read."""
    with Store(t=1) as store:
        producer = subprocess.Popen([BECK, '--store', store.path, 'produce', 't'],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        producer.stdin.write(b'first\nhal')
        producer.stdin.flush()
        ok(wait_until(lambda: store('consume', 't').out == 'first\n', 10),
           'a line is there while the pipe stays open; half a line is not')
        producer.stdin.write(b'f\nsecond\n')
        producer.stdin.flush()
        ok(wait_until(lambda: store('consume', 't').out == 'first\nhalf\nsecond\n', 10), 'and the next')
        producer.send_signal(signal.SIGTERM)
        out = producer.communicate()[0]
        ok(producer.returncode == -signal.SIGTERM and b'3 records' in out,
           'SIGTERM: the summary, and the signal as the exit', (producer.returncode, out))


# ---- consume ----------------------------------------------------------------------------------


def consume_offsets():
    with Store(t=1) as store:
        must(store('produce', 't', stdin=''.join(f'{n}\n' for n in range(10))))
        lines = [f'{n}\n' for n in range(10)]
        for option, wanted in (('beginning', lines), ('0', lines), ('5', lines[5:]), ('9', lines[9:]),
                               ('10', []), ('end', []), ('-3', lines[7:]), ('-0', []),
                               ('-99', lines), ('@0', lines), ('@-1h', lines)):
            prints(store('consume', 't', '-o', option), ''.join(wanted), f'-o {option}')
        fails(store('consume', 't', '-o', '11'), 1, 'out of range', '-o past the end')
        for option in ('x', '1x', '--5', '@', '@x', '@-5y', ''):
            ok(store('consume', 't', f'--offset={option}').code == 2, f'-o {option!r} is no offset')
        equal(store('consume', 't', '-o', '5').out, store('consume', 't', '-o', '5').out,
              'twice is twice the same')
        prints(store('consume', 't', '-n', '3'), '0\n1\n2\n', '-n')
        prints(store('consume', 't', '-n', '0'), '', '-n 0')
        prints(store('consume', 't', '-o', '8', '-n', '5'), '8\n9\n', '-n beyond the end')
        ok(store('consume', 't', '-n', '-1').code == 2, '-n -1')
        fails(store('consume', 't', '-p', '1'), 1, 'no partition 1', '-p 1')
        fails(store('consume', 'nope'), 1, 'no topic nope', 'no such topic')
        fails(store('consume'), 2, 'which topic', 'no topic named')
        fails(store('consume', 't', 'u'), 2, 'one topic', 'two topics')


def consume_times():
    with Store(t=1) as store:
        for stamp in (1_000_000, 2_000_000, 3_000_000, 1763719200000):
            must(store('produce', 't', '--timestamp', stamp, str(stamp)))
        for option, wanted in (('@1000000', 4), ('@1000001', 3), ('@3000000', 2), ('@3000001', 1),
                               ('@1763719200001', 0), ('@1970-01-01T00:30:00Z', 3),
                               ('@2025-11-21T10:00:00Z', 1), ('@2025-11-21T10:00:01Z', 0),
                               ('@1970-01-02', 1), ('@-1s', 0)):
            count = store('consume', 't', '-o', option).out.count('\n')
            equal(count, wanted, f'-o {option}')


def consume_formats():
    with Store(t=1, two=2) as store:
        must(store('produce', 't', '-k', 'k', '-H', 'h=x', '--timestamp', '1763719200123', 'v'))
        prints(store('consume', 't', '--format', 'json'),
               '{"offset":0,"timestamp":1763719200123,"key":"k","value":"v","headers":[["h","x"]]}\n',
               '--format json')
        prints(store('consume', 't', '--format', 'text'), 'v\n', '--format text')
        prints(store('consume', 't', '--print', 'partition,offset,timestamp,key,headers,value'),
               '0\t0\t1763719200123\tk\th=x\tv\n', '--print of all fields')
        prints(store('consume', 't', '--print', 'value,key'), 'v\tk\n', '--print in another order')
        prints(store('consume', 't', '--no-newline'), 'v', '--no-newline')
        for fields in ('x', '', 'key,', 'key,,value'):
            ok(store('consume', 't', '--print', fields).code == 2, f'--print {fields!r}')
        ok(store('consume', 't', '--format', 'xml').code == 2, '--format xml')
        ok(store('consume', 't', '--isolation', 'x').code == 2, '--isolation x')
        prints(store('consume', 't', '--isolation', 'uncommitted'), 'v\n', '--isolation uncommitted')
        must(store('produce', 'two', 'a', 'b'))
        out = store('consume', 'two', '--format', 'json').out
        ok('{"topic":"two","partition":0,"offset":0,' in out and '"partition":1' in out,
           'several partitions: JSON names topic and partition', out)
        ok(store('consume', 'two', '-p', '1', '--format', 'json').out.startswith('{"offset":0,'),
           'one partition: it does not')


def consume_merge():
    with Store(t=3) as store:
        must(store('config', 'set', '-t', 't', 'retention.ms=-1'))  # these are old times
        for partition in range(3):
            for step in range(10):
                stamp = 1000 + step * 3 + partition
                must(store('produce', 't', '-p', partition, '--timestamp', stamp, str(stamp)))
        prints(store('consume', 't'), ''.join(f'{1000 + n}\n' for n in range(30)),
               'partitions come merged by time')
        prints(store('consume', 't', '-n', '4'), '1000\n1001\n1002\n1003\n', '-n counts over all')
        equal(sorted(store('consume', 't', '-o', '-2').out.split()),
              [str(n) for n in range(1024, 1030)], '-o -2 is for each partition')


def consume_follow():
    with Store(t=2) as store:
        must(store('produce', 't', 'before'))
        follower = subprocess.Popen([BECK, '--store', store.path, 'consume', 't', '-f', '-o', 'end'],
                                    stdout=subprocess.PIPE)
        equal(line_after(follower, lambda: must(store('produce', 't', '-p', '1', 'one'))), b'one\n',
              '-f prints what comes')
        must(store('produce', 't', '-p', '0', 'two'))
        equal(next(line for line in follower.stdout if line != b'one\n'), b'two\n', 'from every partition')
        with open(f'/proc/{follower.pid}/stat', encoding='ascii') as file:
            before = sum(int(field) for field in file.read().split()[13:15])
        time.sleep(1)
        with open(f'/proc/{follower.pid}/stat', encoding='ascii') as file:
            after = sum(int(field) for field in file.read().split()[13:15])
        ok(after - before <= 2, 'and costs nothing while it waits', f'{after - before} ticks in 1 s')
        follower.send_signal(signal.SIGINT)
        equal(follower.wait(PATIENCE), -signal.SIGINT, 'SIGINT ends it')
        follower.stdout.close()
        result = run('timeout', '20', BECK, '--store', store.path, 'consume', 't', '-f', '-n', '3')
        equal(result.out.count('\n'), 3, '-f -n 3 ends after three')
        follower = subprocess.Popen([BECK, '--store', store.path, 'consume', 't', '-f'],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)
        must(store('topic', 'delete', 't'))
        err = follower.communicate(timeout=PATIENCE)[1]
        ok(follower.returncode == 1 and err.startswith(b'beck: '), 'a deleted topic ends it', err)


def consume_follow_keeps_up():
    with Store(t=3) as store:
        follower = subprocess.Popen([BECK, '--store', store.path, 'consume', 't', '-f', '-n', '30000'],
                                    stdout=subprocess.PIPE)
        for chunk in range(30):
            must(store('produce', 't', stdin=''.join(f'{chunk} {n}\n' for n in range(1000))))
        out = follower.communicate(timeout=PATIENCE * 4)[0].decode()
        equal(sorted(out.split('\n')[:-1]), sorted(f'{c} {n}' for c in range(30) for n in range(1000)),
              '-f misses nothing and repeats nothing of 30,000')


def output_errors():
    with Store(t=1) as store:
        must(store('produce', 't', stdin='some line of text\n' * 200_000))
        result = run('bash', '-c', f'"{BECK}" --store "{store.path}" consume t | head -n 1')
        ok(result.out == 'some line of text\n' and result.err == '', 'a reader that goes away: quiet',
           result)
        result = run('bash', '-c', f'"{BECK}" --store "{store.path}" consume t >/dev/full')
        ok(result.code == 1 and 'No space left' in result.err, 'a full disk is an error', result)
        result = run('bash', '-c', f'"{BECK}" --store "{store.path}" stat >/dev/full')
        ok(result.code == 1 and 'No space left' in result.err, 'for small output, too', result)
        for command in ('verify', 'repair'):  # whose 1 says that something is wrong with the store
            result = run('bash', '-c', f'"{BECK}" --store "{store.path}" {command} >/dev/full')
            ok(result.code == 2 and 'No space left' in result.err, f'{command}: 2', result)


def fast():
    """No timing is checked; the bytes of something large are."""
    with Store(t=1) as store:
        line = b'x' * 99 + b'\n'
        data = line * 500_000
        must(store('produce', 't', stdin=data))
        ok(store('consume', 't').out_bytes == data, '50 MB of lines come back')
        with open(store.beside('lines'), 'wb') as file:
            file.write(data * 2)
        for acks in ('all', '1'):
            result = run('bash', '-c', '"$0" --store "$1" produce t --acks "$2" <"$3"', BECK, store.path,
                         acks, store.beside('lines'))
            batches = int(result.out.split()[3])
            ok(batches < 130, f'100 MB with acks={acks}: as few batches as fit', result)


# ---- dump, verify, stat -----------------------------------------------------------------------


def flip(path, position):
    with open(path, 'r+b') as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 0xff]))


def dump():
    with Store(t=2) as store:
        must(store('produce', 't', '-p', '0', '-k', 'k', '--timestamp', '1000', stdin='a\nb\n'))
        must(store('produce', 't', '-p', '0', 'c'))
        out = store('dump', 't', '-p', '0').out
        ok(re.match(r'batch 0\.\.1 position 0 size (\d+) magic 2 crc [0-9a-f]{8} ok codec none records 2 '
                    r'timestamps 1000\.\.1000 epoch \d+\n'
                    r'  {"offset":0,"timestamp":1000,"key":"k","value":"a"}\n'
                    r'  {"offset":1,"timestamp":1000,"key":"k","value":"b"}\n'
                    r'batch 2\.\.2 position \1 ', out), 'dump of a partition', out)
        equal(store('dump', 't', '--batches').out.count('\n'), 2, '--batches')
        ok(all(line.startswith('{"offset":') for line in store('dump', 't', '-p', '0', '--records').out.splitlines()),
           '--records')
        ok(store('dump', 't', '--records').out.startswith('{"topic":"t","partition":0,"offset":0,') and
           store('dump', 't', '--batches').out.startswith('t-0 batch 0..1 '),
           'of a topic with several partitions, each line names its own')
        rows = [json.loads(line) for line in store('dump', 't', '-p', '0', '--json').out.splitlines()]
        ok(len(rows) == 5 and rows[0]['baseOffset'] == 0 and rows[0]['records'] == 2, '--json', rows)
        ok(store('dump', 't', '-p', '0', '-o', '2').out.startswith('batch 2..2'), '-o')
        prints(store('dump', 't', '-p', '1'), '', 'an empty partition')
        fails(store('dump', 't', '-p', '7'), 1, 'no partition 7', '-p 7')
        fails(store('dump', 't', '-p', '0', '-o', '9'), 1, 'out of range', '-o out of range')
        fails(store('dump', 't', '--batches', '--records'), 2, 'exclude', 'both')
        fails(store('dump'), 2, 'which', 'nothing named')
        segment = next(path for path in store.segments() if os.path.getsize(path) > 0)
        equal(beck(None, 'dump', segment).out, store('dump', 't', '-p', '0').out, 'dump of the segment file')
        fails(beck(None, 'dump', '/nope.log'), 1, 'nope.log', 'no such file')
        fails(beck(None, 'dump', store.path + '/'), 1, 'directory', 'a directory')
        fails(store('dump', 'nope.log'), 1, 'no topic nope.log', 'a name in .log that is no file')


def damaged_file():
    with Store(t=1) as store:
        for n in range(10):
            must(store('produce', 't', f'record {n}'))
        segment = store.segments()[0]
        positions = [int(p) for p in
                     re.findall(r'position (\d+)', store('dump', 't', '--batches').out)]
        copy = store.beside('00000000000000000000.log')
        must(run('cp', segment, copy))
        result = beck(None, 'verify', copy)
        ok(result.code == 0 and '10 batches, 10 records' in result.out and 'no damage' in result.out,
           'verify of a sound file', result)
        flip(copy, positions[5] + 70)
        result = beck(None, 'verify', copy)
        ok(result.code == 1 and f'{copy} offset 5 byte {positions[5]}: ' in result.out and
           '1 damage' in result.out and '9 batches' in result.out, 'verify: a flipped byte', result)
        result = beck(None, 'dump', copy)
        ok(result.code == 1 and f'damage at offset 5 position {positions[5]}\n' in result.out and
           'batch 6..6' in result.out and 'offset 5 byte' in result.err,
           'dump tells it and goes on', result)
        must(run('cp', segment, copy))
        flip(copy, positions[5] + 8)  # the length: wildly too large
        result = beck(None, 'verify', copy)
        ok(result.code == 1 and f'byte {positions[5]}' in result.out and '9 batches' in result.out,
           'a damaged length loses one batch', result)
        must(run('cp', segment, copy))
        os.truncate(copy, positions[9] + 20)
        result = beck(None, 'verify', copy)
        ok(result.code == 1 and f'byte {positions[9]}' in result.out, 'a cut in the header', result)
        os.truncate(copy, positions[9])
        ok(beck(None, 'verify', copy).code == 0, 'a cut between batches is none')
        with open(copy, 'ab') as file:
            file.write(b'junk')
        ok(beck(None, 'verify', copy).code == 1, 'junk at the end')
        with open(copy, 'wb') as file:
            file.write(os.urandom(300_000))
        result = beck(None, 'verify', copy)
        ok(result.code == 1 and '1 damage' in result.out, 'nothing but junk: one damage', result)
        os.truncate(copy, 0)
        ok(beck(None, 'verify', copy).code == 0, 'an empty file')
        equal(beck(None, 'verify', copy, segment, '/nope.log').code, 2, 'a file that is not there: 2')
        for at in range(0, positions[2], 1):
            must(run('cp', segment, copy))
            flip(copy, at)
            header = at % positions[1]
            result = beck(None, 'verify', copy)
            # Base offset and leader epoch are outside the CRC.
            if result.code not in (0, 1) or result.code == 0 and header not in {*range(8), *range(12, 16)}:
                ok(False, f'verify finds byte {at} flipped', result)
                break
        else:
            ok(True, 'verify finds every byte that the CRC covers, and never fails otherwise')


def verify_store():
    with Store(t=2, u=1) as store:
        must(store('produce', 't', stdin=''.join(f'record {n}\n' for n in range(100))))
        must(store('produce', 'u', 'x'))
        result = store('verify')
        ok(result.code == 0 and re.match(r'verified 3 partitions, \d segments, \d+ batches, 101 records, '
                                         r'\d+ bytes: no damage\n', result.out), 'verify', result)
        result = store('verify', 't')
        ok(result.code == 0 and ' 2 partitions, ' in result.out and ' 100 records' in result.out,
           'verify TOPIC', result)
        ok(store('verify', 'nope').code == 2, 'verify: no such topic is exit code 2')
        ok(store('verify', 'a', 'b').code == 2, 'verify of two topics')
        segment = next(path for path in store.segments() if os.path.getsize(path) > 200)
        flip(segment, 100)
        result = store('verify')
        name = os.path.relpath(segment, store.path)
        ok(result.code == 1 and re.search(rf'{re.escape(name)} topic t partition \d offset 0 byte 0: .+\n',
                                          result.out), 'verify: damage and its place', result)
        ok(store('verify', 'u').code == 0, 'the other topic is sound')


def damaged_partition():
    with Store(t=1) as store:
        for n in range(10):
            must(store('produce', 't', f'record {n}'))
        positions = [int(p) for p in
                     re.findall(r'position (\d+)', store('dump', 't', '--batches').out)]
        flip(store.segments()[0], positions[5] + 70)
        result = store('consume', 't')
        ok(result.code == 1 and result.out == ''.join(f'record {n}\n' for n in range(5)) and
           'partition 0' in result.err and 'offset 5' in result.err and
           f'byte {positions[5]}' in result.err, 'consume stops before damage and names it', result)
        prints(store('consume', 't', '-o', '6'), ''.join(f'record {n}\n' for n in range(6, 10)),
               'and can be made to go on behind it')
        result = store('dump', 't', '--batches')
        ok(result.code == 1 and result.out.count('batch ') == 9 and 'damage at offset 5' in result.out,
           'dump goes on behind it', result)
        result = store('verify')
        ok(result.code == 1 and f'offset 5 byte {positions[5]}' in result.out, 'verify names it', result)


def stat():
    with Store(t=2, u=1) as store:
        must(store('produce', 't', '-p', '1', 'abc', 'de'))
        result = store('stat')
        ok(re.match(rf'store {re.escape(store.path)}\nid [0-9a-f-]{{36}}\nformat \d+\ntopics 2\npartitions 3\n'
                    r'flush sync\nbroker-pid none\n', result.out), 'stat of the store', result)
        ok(re.search(r'^partition t 1 start 0 end 2 stable 2 next 2 synced 2 view-bytes 7 disk-bytes \d+ '
                     r'epoch \d+ unsynced-bytes 0 uncheckpointed-bytes 0$', result.out, re.M),
           'stat of a partition', result)
        ok(re.search(r'^topic t partitions 2 records 2 view-bytes 7 disk-bytes \d+$', result.out, re.M),
           'stat of a topic', result)
        ok('partition t' not in store('stat', 'u').out, 'stat TOPIC')
        fails(store('stat', 'nope'), 1, 'no topic nope', 'stat: no such topic')
        ok(store('stat', '--forget').code == 0, 'stat --forget')


def left_behind(store, lines):
    """Append lines one by one, in a process that is then killed: what it left was never checkpointed.
    (Any other process that opened the store meanwhile would do so when it closes it.)"""
    def size():
        return sum(os.path.getsize(path) for path in store.segments())
    with subprocess.Popen([BECK, '--store', store.path, 'produce', 't'], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as producer:
        for line in lines:
            before = size()
            producer.stdin.write(line.encode() + b'\n')
            producer.stdin.flush()
            if not wait_until(lambda b=before: size() > b):
                raise RuntimeError('a line did not come')
        producer.kill()


def recovery():
    with Store(t=1) as store:
        left_behind(store, ['one', 'two', 'three'])
        segment = store.segments()[0]
        size = os.path.getsize(segment)
        with open(segment, 'ab') as file:
            file.write(b'junk' * 5)
        ok(store('verify').code == 0, 'junk behind the last batch is no damage')
        result = store('stat')
        ok(re.search(rf'^recovered t 0 at 20\S+Z: cut 20 bytes behind byte {size} of 0{{20}}.log, next '
                     r'offset 3: .+$', result.out, re.M), 'it is cut off, and stat says so', result)
        equal(os.path.getsize(segment), size, 'the file is as it was')
        prints(store('consume', 't'), 'one\ntwo\nthree\n', 'every good record is there')
        prints(store('produce', 't', 'four'), 'partition 0 offset 3\n', 'appending goes on')
        prints(store('consume', 't'), 'one\ntwo\nthree\nfour\n', 'and what was appended is there')
        ok('recovered' in store('stat', '--forget').out, 'stat --forget shows it once more')
        ok('recovered' not in store('stat').out, 'and then it is forgotten')


def torn():
    with Store(t=1) as store:
        must(store('produce', 't', 'zero'))
        left_behind(store, ['one', 'two'])
        segment = store.segments()[0]
        positions = [int(p) for p in
                     re.findall(r'position (\d+)', store('dump', 't', '--batches').out)]
        left_behind(store, ['three'])
        os.truncate(segment, os.path.getsize(segment) - 5)
        result = store('stat')
        ok('recovered t 0' in result.out, '5 bytes missing after a crash: said at the next start', result)
        found = store('consume', 't').out
        ok(found == 'zero\none\ntwo\n', 'the good records remain', found)
        ok(os.path.getsize(segment) > positions[-1], 'in their file')
        offset = int(must(store('produce', 't', 'new')).out.split()[-1])
        ok(offset >= 3, 'a new record gets an offset behind them', offset)
        prints(store('consume', 't'), 'zero\none\ntwo\nnew\n', 'and is there')
        equal(store('verify').code, 0, 'verify finds nothing')


def read_only():
    """A user who may only read. Root may everything, so this goes on as nobody."""
    if os.geteuid() != 0:
        ok(True, 'a store that may only be read # SKIP needs root to become somebody else')
        return
    with Store(t=1) as store:
        must(store('produce', 't', 'a', 'b'))
        must(run('chmod', '-R', 'a+rX', os.path.dirname(store.path)))

        def as_nobody(*arguments):
            return run(BECK, '--store', store.path, *arguments, seconds=20, user=65534,
                       group=65534, extra_groups=[])
        if run('test', '-x', BECK, user=65534, group=65534, extra_groups=[]).code != 0:
            ok(True, 'a store that may only be read # SKIP the build is closed to others')
            return
        prints(as_nobody('consume', 't'), 'a\nb\n', 'consume with read permission only')
        ok('partition t 0 start 0 end 2' in as_nobody('stat').out, 'stat with read permission only')
        ok(as_nobody('verify').code == 0, 'verify with read permission only')
        # Who may only read sees what is new as long as somebody else has the store open for writing.
        with subprocess.Popen([BECK, '--store', store.path, 'consume', 't', '-f'],
                              stdout=subprocess.PIPE) as holder:
            try:
                holder.stdout.readline()
                with subprocess.Popen(['timeout', '20', BECK, '--store', store.path, 'consume', 't',
                                       '-f', '-n', '3'], stdout=subprocess.PIPE, user=65534,
                                      group=65534, extra_groups=[]) as follower:
                    follower.stdout.readline()
                    must(store('produce', 't', 'c'))
                    equal(follower.stdout.read(), b'b\nc\n',
                          'consume -f with read permission only, beside a writer')
            finally:
                holder.kill()
        ok(as_nobody('produce', 't', 'x').code == 1, 'produce needs more')


def terminal():
    """Progress shows on a terminal, and nowhere else."""
    with Store(t=1) as store:
        leader, follower = pty.openpty()
        producer = subprocess.Popen([BECK, '--store', store.path, 'produce', 't'],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        text = b''
        end = time.monotonic() + PATIENCE
        while b'producing: ' not in text and time.monotonic() < end:
            producer.stdin.write(b'x' * 999 + b'\n')
            producer.stdin.flush()
            if select.select([leader], [], [], 0.01)[0]:
                text += os.read(leader, 65536)
        producer.stdin.close()
        producer.wait(PATIENCE * 2)
        producer.stdout.close()
        with contextlib.suppress(OSError):  # EIO: there is nobody at the other end, and nothing left
            while more := os.read(leader, 65536):
                text += more
        os.close(leader)
        ok(b'producing: ' in text and text.endswith(b'\r\x1b[K'), 'progress, wiped at the end', text)


tap.run(dispatcher, which_store, store_create, topics, topic_settings, topic_delete,
        produce_arguments, produce_keys, produce_lines, produce_large, produce_files,
        produce_null_and_headers, produce_compression, produce_json, produce_streams,
        consume_offsets, consume_times, consume_formats, consume_merge, consume_follow,
        consume_follow_keeps_up, output_errors, fast, dump, damaged_file, verify_store,
        damaged_partition, stat, recovery, torn, read_only, terminal)
