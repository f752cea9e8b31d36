#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# damage in the middle: told with its place, and not served to anyone who opens the store behind it
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
for number in 1 2 3 4 5 6 7 8 9 10; do
    beck produce t "record number $number" >/dev/null
done
umount "$M" && wait "$beckfs_pid"
stop_beckd
file=$(echo "$BECK_STORE"/topics/*/0/00000000000000000000.log)
position=$(grep -abo 'record number 5' "$file" | cut -d : -f 1)
printf X | dd of="$file" bs=1 seek="$position" conv=notrunc status=none
has 'verify tells its place' "$(beck verify)" '\.log topic t partition 0 offset 4 byte [0-9]+: '
start_beckd
start_beckfs
is 'beck gives what is before it' "$(beck consume t 2>"$work/error")" "$(seq -f 'record number %g' 1 4)"
has 'and names topic, partition, offset and byte' "$(cat "$work/error")" \
    'topic t partition 0.*offset 4.*byte|topic t partition 0.*byte.*offset 4'
is 'cat gives what is before it' "$(cat "$M/t/0" 2>"$work/error")" "$(seq -f 'record number %g' 1 4)"
has 'and ends with an error' "$(cat "$work/error")" 'Input/output error'
is 'so does a Kafka client that checks nothing itself' \
    "$(timeout 5 kcat -C -b "$B" -t t -o beginning -e -q -u 2>/dev/null)" "$(seq -f 'record number %g' 1 4)"
is 'what is behind it can be read' "$(beck consume t -o 5)" "$(seq -f 'record number %g' 6 10)"

done_here
