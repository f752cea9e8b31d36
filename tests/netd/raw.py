# SPDX-License-Identifier: Apache-2.0
"""Just enough of the Kafka protocol to send what no client would send."""

import io
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18
CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 19, 20, 22
DESCRIBE_CLIENT_QUOTAS, ALTER_CLIENT_QUOTAS = 48, 49
TIMEOUT = 20.0

# When the test began: what is older than a week, retention removes.
NOW_MS = int(time.time() * 1000)

_CRC = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    _CRC.append(_n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# ---- Values ----

def string(text):
    if text is None:
        return struct.pack('>h', -1)
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack('>h', len(data)) + data


def array(items):
    return struct.pack('>i', len(items)) + b''.join(items)


def uvarint(value):
    out = b''
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def varint(value):
    return uvarint(value << 1 ^ value >> 63)


def compact_string(text):
    return uvarint(0) if text is None else uvarint(len(text.encode()) + 1) + text.encode()


def compact_array(items):
    return uvarint(len(items) + 1) + b''.join(items)


def record(delta, value, key=None, headers=(), timestamp_delta=0):
    def sized(data):
        return varint(-1) if data is None else varint(len(data)) + data
    body = (b'\0' + varint(timestamp_delta) + varint(delta) + sized(key) + sized(value)
            + varint(len(headers))
            + b''.join(varint(len(n)) + n + sized(v) for n, v in headers))
    return varint(len(body)) + body


def batch(*values, attributes=0, count=None, last_delta=None, magic=2, payload=None, base=0,
          producer=(-1, -1, -1), crc=None, timestamp=NOW_MS):
    """A RecordBatch of records with these values, wrong where the arguments say so."""
    if payload is None:
        payload = b''.join(record(i, v) for i, v in enumerate(values))
    count = len(values) if count is None else count
    last_delta = count - 1 if last_delta is None else last_delta
    covered = (struct.pack('>hiqq', attributes, last_delta, timestamp, timestamp)
               + struct.pack('>qhi', *producer) + struct.pack('>i', count) + payload)
    crc = crc32c(covered) if crc is None else crc
    rest = struct.pack('>ibI', 0, magic, crc) + covered
    return struct.pack('>qi', base, len(rest)) + rest


def end_of(records):
    """The offset behind the last of some batches."""
    at = end = 0
    while at < len(records):
        base, size = struct.unpack_from('>qi', records, at)
        end = base + struct.unpack_from('>i', records, at + 23)[0] + 1
        at += 12 + size
    return end


class Reader(io.BytesIO):
    def take(self, form):
        values = struct.unpack('>' + form, self.read(struct.calcsize('>' + form)))
        return values[0] if len(values) == 1 else values

    def string(self):
        size = self.take('h')
        return None if size < 0 else self.read(size).decode()

    def array(self, element):
        return [element() for _ in range(max(self.take('i'), 0))]

    def compact_string(self):
        size = self.uvarint()
        return None if size == 0 else self.read(size - 1).decode()

    def compact_array(self, element):
        return [element() for _ in range(max(self.uvarint() - 1, 0))]

    def tags(self):
        """Skips tagged fields."""
        for _ in range(self.uvarint()):
            self.uvarint()
            self.read(self.uvarint())

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


# ---- Bodies ----

def produce_body(topic, records, acks=-1, version=3, partition=0, transactional_id=None):
    """Records of one partition, or (partition, records) pairs in a list."""
    pairs = records if isinstance(records, list) else [(partition, records)]
    head = string(transactional_id) if version >= 3 else b''
    return (head + struct.pack('>hi', acks, 30000) + array([string(topic) + array([
        struct.pack('>ii', p, len(r)) + r if r is not None else struct.pack('>ii', p, -1)
        for p, r in pairs])]))


def fetch_body(topic, offset=0, partition=0, max_wait=0, min_bytes=1, max_bytes=1 << 20,
               partition_max=1 << 20, version=4, session=(0, -1), epoch=-1, isolation=0, parts=None,
               forget=()):
    """Non-flexible versions, 4 to 11. No parts: in a session nothing changes."""
    parts = [(partition, offset, partition_max)] if parts is None else parts
    body = struct.pack('>iiiib', -1, max_wait, min_bytes, max_bytes, isolation)
    if version >= 7:
        body += struct.pack('>ii', *session)

    def part(one):
        out = struct.pack('>i', one[0])
        if version >= 9:
            out += struct.pack('>i', epoch)
        out += struct.pack('>q', one[1])
        if version >= 5:
            out += struct.pack('>q', -1)
        return out + struct.pack('>i', one[2])
    body += array([string(topic) + array([part(one) for one in parts])] if parts else [])
    if version >= 7:
        body += array([string(topic) + array([struct.pack('>i', p) for p in forget])] if forget else [])
    if version >= 11:
        body += string('')
    return body


def fetch_body_by_id(topic_id, offset=0, max_wait=0):
    """Version 13: flexible, with a topic's id."""
    part = struct.pack('>iiqiqi', 0, -1, offset, -1, -1, 1 << 20) + b'\0'
    topic = topic_id + compact_array([part]) + b'\0'
    return (struct.pack('>iiiibii', -1, max_wait, 1, 1 << 20, 0, 0, -1) + compact_array([topic])
            + compact_array([]) + uvarint(1) + b'\0')


# ---- The connection ----

class Raw:
    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_id = 1

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def frame(api, version, correlation, body, flexible=False):
        head = struct.pack('>hhi', api, version, correlation) + string('raw')
        data = head + (b'\0' if flexible else b'') + body
        return struct.pack('>i', len(data)) + data

    def send(self, api, version, body, flexible=False):
        correlation = self.next_id
        self.next_id += 1
        self.socket.sendall(self.frame(api, version, correlation, body, flexible))
        return correlation

    def exactly(self, size):
        data = b''
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError(f'closed after {len(data)} of {size} bytes')
            data += more
        return data

    def receive(self):
        """Correlation id and the rest of the next answer."""
        size = struct.unpack('>i', self.exactly(4))[0]
        reader = Reader(self.exactly(size))
        return reader.take('i'), reader

    def call(self, api, version, body, flexible=False):
        wanted = self.send(api, version, body, flexible)
        correlation, reader = self.receive()
        if correlation != wanted:
            raise AssertionError(f'answer {correlation} to request {wanted}')
        if flexible and api != API_VERSIONS:
            reader.uvarint()
        return reader

    def closed(self, seconds=TIMEOUT):
        """Does the other side close, without another byte?"""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b''
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def silent(self, seconds):
        """Is nothing sent, and nothing closed, for a while?"""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(TIMEOUT)

    # The calls that tests need, with their answers as dictionaries.

    def metadata(self, *topics, version=4, create=True):
        body = array([string(t) for t in topics]) if topics else struct.pack('>i', -1)
        if version >= 4:
            body += struct.pack('>b', create)
        reader = self.call(METADATA, version, body)
        if version >= 3:
            reader.take('i')
        brokers = reader.array(lambda: (reader.take('i'), reader.string(), reader.take('i'),
                                        reader.string()))
        cluster = reader.string() if version >= 2 else None
        controller = reader.take('i')

        def part():
            error, index, leader = reader.take('hii')
            lists = [reader.array(lambda: reader.take('i')) for _ in range(3 if version >= 5 else 2)]
            return index, error, leader, lists
        found = reader.array(lambda: (reader.take('h'), reader.string(), reader.take('b'),
                                      reader.array(part)))
        return {'brokers': brokers, 'cluster': cluster, 'controller': controller,
                'topics': {name: (error, parts) for error, name, _, parts in found}}

    def produce_answer(self, reader, version):
        def part():
            index, error, offset = reader.take('ihq')
            if version >= 2:
                reader.take('q')
            if version >= 5:
                reader.take('q')
            message = None
            if version >= 8:
                reader.array(lambda: (reader.take('i'), reader.string()))
                message = reader.string()
            return index, error, offset, message
        topics = reader.array(lambda: (reader.string(), reader.array(part)))
        return topics[0][1]

    def produce(self, topic, records, acks=-1, version=3, **more):
        """The error and base offset of the (first) partition."""
        reader = self.call(PRODUCE, version, produce_body(topic, records, acks, version, **more))
        return self.produce_answer(reader, version)[0][1:3]

    def fetch_answer(self, reader, version):
        reader.take('i')
        error, session = reader.take('hi') if version >= 7 else (0, 0)

        def part():
            index, code, high = reader.take('ihq')
            stable = reader.take('q')
            start = reader.take('q') if version >= 5 else None
            reader.array(lambda: reader.take('qq'))
            if version >= 11:
                reader.take('i')
            size = reader.take('i')
            return {'partition': index, 'error': code, 'high': high, 'stable': stable, 'start': start,
                    'size': size, 'records': reader.read(max(size, 0))}
        topics = reader.array(lambda: (reader.string(), reader.array(part)))
        return {'error': error, 'session': session, 'parts': topics[0][1] if topics else []}

    def fetch(self, topic, version=4, **more):
        reader = self.call(FETCH, version, fetch_body(topic, version=version, **more))
        return self.fetch_answer(reader, version)

    def list_offsets(self, topic, time, partition=0, isolation=0):
        body = (struct.pack('>ib', -1, isolation) + array([string(topic) + array([
            struct.pack('>iiq', partition, -1, time)])]))
        reader = self.call(LIST_OFFSETS, 4, body)
        reader.take('i')
        topics = reader.array(lambda: (reader.string(),
                                       reader.array(lambda: reader.take('ihqqi'))))
        _, error, timestamp, offset, epoch = topics[0][1][0]
        return {'error': error, 'timestamp': timestamp, 'offset': offset, 'epoch': epoch}

    def create(self, topic, partitions=1, replicas=1, configs=(), validate=False, assignments=()):
        one = (string(topic) + struct.pack('>ih', partitions, replicas)
               + array([struct.pack('>i', p) + array([struct.pack('>i', b) for b in brokers])
                        for p, brokers in assignments])
               + array([string(n) + string(v) for n, v in configs]))
        body = array([one]) + struct.pack('>ib', 30000, validate)
        reader = self.call(CREATE_TOPICS, 2, body)
        reader.take('i')
        return reader.array(lambda: (reader.string(), reader.take('h'), reader.string()))[0][1:]

    def delete(self, topic):
        reader = self.call(DELETE_TOPICS, 1, array([string(topic)]) + struct.pack('>i', 30000))
        reader.take('i')
        return reader.array(lambda: (reader.string(), reader.take('h')))[0][1]

    def alter_quotas(self, *entries, validate=False):
        """[(error, message, entity), ...] of entries: ([(type, name), ...], {key: value, or None: not any more})."""
        body = array([array([string(kind) + string(name) for kind, name in entity])
                      + array([string(key) + struct.pack('>d?', value or 0, value is None)
                               for key, value in (values.items() if isinstance(values, dict) else values)])
                      for entity, values in entries]) + struct.pack('>?', validate)
        reader = self.call(ALTER_CLIENT_QUOTAS, 0, body)
        reader.take('i')
        return reader.array(lambda: (reader.take('h'), reader.string(),
                                     reader.array(lambda: (reader.string(), reader.string()))))
