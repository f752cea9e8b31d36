#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# torn tail: what power loss left is cut off, and the start says so; the log goes on
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

segment() {
    echo "$BECK_STORE"/topics/*/0/00000000000000000000.log
}
# Power is lost: nobody closes the store, and the memory that tells of this boot is gone.
lose_power() {
    stop_beckd -9
    rm -f "$BECK_STORE/live"
}

beck topic create t >/dev/null
seq 1 10 | kcat -P -b "$B" -t t -X acks=1 -X batch.num.messages=1
is 'ten records' "$(cat "$M/t/0")" "$(seq 1 10)"
{ kill -9 "$beckfs_pid" && wait "$beckfs_pid"; } 2>/dev/null
beckfs_pid=
lose_power
head -c 37 /dev/urandom >>"$(segment)"
start_beckd
has 'with junk at the end, the start says what was truncated' "$(cat "$work/beckd.log")" \
    't/0: cut 37 bytes at byte [0-9]+'
is 'the good records remain' "$(beck consume t)" "$(seq 1 10)"
echo eleven | kcat -P -b "$B" -t t
stop_beckd
start_beckd
is 'a new one is there after a restart' "$(beck consume t | tail -n 1)" 'eleven'

lose_power
truncate -s -5 "$(find "$BECK_STORE"/topics/*/0 -name '*.log' | sort | tail -n 1)"
start_beckd
has 'with five bytes missing, it says so too' "$(cat "$work/beckd.log")" \
    't/0: (cut [0-9]+ bytes|damaged) at byte [0-9]+'
is 'the good records remain' "$(beck consume t 2>/dev/null | head -n 10)" "$(seq 1 10)"
echo twelve | kcat -P -b "$B" -t t
stop_beckd
start_beckd
is 'and a new one is there after a restart' "$(beck consume t -o -1)" 'twelve'

done_here
