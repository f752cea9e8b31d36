#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# retention: old segments go; a read below the head is out of range; cat begins at the head
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

stop_beckd
start_beckd --set log.retention.check.interval.ms=100
beck topic create t -c segment.bytes=1048576 -c retention.bytes=2000000 >/dev/null
# five segments' worth
seq -f '%0199g' 1 25000 >"$work/records"
works 'five segments are written' beck produce t --acks 1 <"$work/records"
start() {
    kcat -Q -b "$B" -t t:0:-2 | sed -n 's/.*offset //p'
}
# Without the oldest one, the others would have less than retention.bytes.
gone() {
    local sizes
    sizes=$(stat -c %s "$BECK_STORE"/topics/*/0/*.log | tail -n +2 | paste -sd +)
    [ "$(start)" -gt 0 ] && [ $((sizes)) -le 2000000 ]
}
result "$(eventually gone && echo yes)" 'old segments go'
head=$(start)
refused 'a read below the head is out of range' 'out of range' beck consume t -o 0
has 'for a Kafka client too' \
    "$(timeout 20 kcat -C -b "$B" -t t -o 0 -e -X auto.offset.reset=error 2>&1)" 'ut of range'
is 'cat begins at the head' "$(head -n 1 "$M/t/0")" "$(seq -f '%0199g' $((head + 1)) $((head + 1)))"
is 'and has all from there on' "$(lines <"$M/t/0")" $((25000 - head))

done_here
