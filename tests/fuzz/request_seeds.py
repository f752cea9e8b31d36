# SPDX-License-Identifier: Apache-2.0
"""Makes seeds for request_decode.c of the vectors that Kafka's own client made.

    python3 request_seeds.py tests/netd/codec/vectors/messages.txt netd/codec/schemas DIRECTORY

Each is a request's header and body as they stand in a frame. Responses get the header of their
request, as the fuzzer reads an input as both.
"""

import re
import struct
import sys
from pathlib import Path


def apis(schemas):
    """Key and first flexible version of each API, by name."""
    line = re.compile(r'^api (\d+) (\w+) versions [\d-]+(?: flexible (\d+))?', re.M)
    return {name.replace('_', ''): (int(key), int(flexible) if flexible else 1 << 15)
            for path in Path(schemas).glob('*.kafka')
            for key, name, flexible in line.findall(path.read_text(encoding='ascii'))}


def main(vectors, schemas, directory):
    known = apis(schemas)
    for number, line in enumerate(Path(vectors).read_text(encoding='ascii').splitlines()):
        match = re.match(r'(\w+?)(?:Request|Response) (\d+) (\S+)$', line)
        if not match or match[1].lower() not in known:
            continue
        key, flexible = known[match[1].lower()]
        version = int(match[2])
        header = struct.pack('>hhih', key, version, 1, -1) + (b'\0' if version >= flexible else b'')
        body = bytes.fromhex(match[3].replace('-', ''))
        (Path(directory) / f'{number:04}').write_bytes(header + body)


if __name__ == '__main__':
    main(*sys.argv[1:])
