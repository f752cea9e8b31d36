#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# keys: all records of one key are in one partition, in order, the one that Java picks
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t -p 3 >/dev/null
seq 1 150 | beck produce t -k user-42 >/dev/null
stop_beckd
start_beckd
seq 151 300 | beck produce t -k user-42 >/dev/null
partition=$(beck consume t -n 1 --print partition)
is 'one key, one partition' "$(beck consume t --print partition | sort -u)" "$partition"
is 'in order, over a restart' "$(beck consume t)" "$(seq 1 300)"

# librdkafka's murmur2 is made after Java's.
beck topic create u -p 3 >/dev/null
for key in user-42 a '' Zürich 0123456789; do
    printf '%s:v\n' "$key" | kcat -P -b "$B" -t u -K: -X partitioner=murmur2
    wanted=$(kcat -C -b "$B" -t u -o beginning -e -q -f '%p %k\n' | tail -n 1)
    beck produce u -k "$key" by-beck >/dev/null
    is "key '$key' is where Java puts it" \
        "$(beck consume u --print partition,key,value | grep -c "^${wanted% *}"$'\t'"$key"$'\t')" 2
    beck topic delete u >/dev/null
    beck topic create u -p 3 >/dev/null
done

done_here
