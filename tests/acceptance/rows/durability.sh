#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# durability: what was acknowledged is there after kill -9
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
cat >"$work/producer.py" <<'PYTHON'
import sys
import confluent_kafka
acknowledged = open(sys.argv[2], 'a', buffering=1)
def delivered(error, message):
    if not error:
        acknowledged.write(f'{message.offset()}\t{message.value().decode()}\n')
client = confluent_kafka.Producer({'bootstrap.servers': sys.argv[1], 'acks': 'all', 'retries': 0,
                                   'linger.ms': 1, 'message.timeout.ms': 2000, 'log_level': 0})
number = 0
while True:
    try:
        client.produce('t', f'record {number}', partition=0, on_delivery=delivered)
        number += 1
    except BufferError:
        client.poll(0.05)
    client.poll(0.0005)
PYTHON
: >"$work/acknowledged"
beside /usr/bin/python3 "$work/producer.py" "$B" "$work/acknowledged" 2>/dev/null
has_more() {
    [ "$(lines <"$work/acknowledged")" -gt "$1" ]
}
for _ in 1 2 3; do
    eventually has_more $(($(lines <"$work/acknowledged") + 200))
    stop_beckd -9
    start_beckd
done
kill "${others[@]}"
wait "${others[@]}" 2>/dev/null
beck consume t --print offset,value | sort >"$work/there"
sort "$work/acknowledged" >"$work/promised"
is 'every acknowledged offset has its record' "$(comm -13 "$work/there" "$work/promised" | lines)" 0
has 'some hundred were acknowledged' "$(lines <"$work/promised")" '^[0-9]{3,}$'

done_here
