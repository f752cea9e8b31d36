#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make the batches that the tests read: by kafka-python, a client that is not ours.

Needs python3-kafka 2.0.2 with python3-snappy, python3-lz4 and python3-zstandard. Writes into the
directory of this script:

    NAME-CODEC.hex  a batch, as the client would send it, in hexadecimal
    NAME.jsonl      its records in the lossless JSON form, written here without any code of ours

The files are kept, so that the tests need no Python. They change only when this script does, or
when a compression library makes other bytes of the same input.
"""

import base64
import json
import pathlib

from kafka.codec import snappy_encode
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

HERE = pathlib.Path(__file__).parent
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
START_MS = 1763719200123


def text_or_base64(data):
    if data is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def json_form(offset, record):
    timestamp, key, value, headers = record
    form = {"offset": offset, "timestamp": timestamp}
    form["key"] = text_or_base64(key)
    form["value"] = text_or_base64(value)
    if headers:
        form["headers"] = [[name, text_or_base64(data)] for name, data in headers]
    return json.dumps(form, ensure_ascii=False, separators=(",", ":"))


def batch(records, codec, **options):
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=options.get("transactional", False),
        producer_id=options.get("producer_id", -1),
        producer_epoch=options.get("producer_epoch", -1),
        base_sequence=options.get("base_sequence", -1),
        batch_size=1 << 30,
    )
    for offset, (timestamp, key, value, headers) in enumerate(records):
        builder.append(offset, timestamp, key, value, headers)
    return bytes(builder.build())


def write(name, data):
    digits = data.hex()
    lines = [digits[i : i + 96] for i in range(0, len(digits), 96)]
    (HERE / name).write_text("\n".join(lines) + "\n")


def write_all(name, records, codecs, **options):
    for codec_name in codecs:
        codec = CODECS[codec_name]
        data = batch(records, codec, **options)
        if codec and data[22] & 7 != codec:
            raise SystemExit(f"{name} does not get smaller by {codec_name}")
        write(f"{name}-{codec_name}.hex", data)
    lines = [json_form(offset, record) for offset, record in enumerate(records)]
    (HERE / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


# Each way in which a record can differ from its neighbour.
MIXED = [
    (START_MS, b"key", b"value", []),
    (START_MS, None, b"no key", []),
    (START_MS + 1, b"no value", None, []),
    (START_MS + 1, b"", b"", []),
    (START_MS + 64, None, None, []),
    (START_MS - 70, b"older than the first", b"x", []),
    (START_MS + 8200, b"one header", b"y", [("name", b"value")]),
    (START_MS + 86400000, b"headers", b"z", [("a", b""), ("a", None), ("", b"\x00\xff")]),
    (START_MS, b"text", "quote \" backslash \\ tab \t \u0001 caf\u00e9 \U0001f600".encode(), []),
    (START_MS, b"\xff\xfe", bytes(range(256)), []),
    (START_MS, b"overlong", b"\xc0\x80", []),
    (START_MS, b"lines", b"two\nlines\n", []),
    (START_MS + 5, b"long", b"the same again and again " * 80, [("long", b"h" * 200)]),
]

# Enough for several snappy chunks of 32 KiB, and for varints of two and three bytes.
LARGE = [
    (START_MS + i, b"key %d" % (i % 7), (b"%d " % i) * (5 + i * 37 % 97), []) for i in range(400)
] + [(START_MS, b"long", b"a long line, " * 800, [])]

write_all("mixed", MIXED, CODECS)
write_all("large", LARGE, ["gzip", "snappy", "lz4", "zstd"])
write_all(
    "transactional", MIXED, ["none"], transactional=True, producer_id=4711, producer_epoch=3,
    base_sequence=2147483640,
)

# Raw snappy, as librdkafka and others send it: the same batch with its records compressed again.
plain = batch(MIXED, 0)
raw = bytearray(plain[:61] + snappy_encode(plain[61:], xerial_compatible=False))
raw[22] |= CODECS["snappy"]
raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
raw[17:21] = calc_crc32c(raw[21:]).to_bytes(4, "big")
write("mixed-snappy_raw.hex", bytes(raw))
