#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What beckd does for a client, beside what the disk does, in one run:
#
#     tests/bench/netd.sh BUILD-DIRECTORY [DIRECTORY [RECORDS]]
#
# Produces and consumes RECORDS (1,000,000) records of 1 KiB, measures the wake of a waiting fetch by
# another process's append, and the daemon's memory. DIRECTORY is where the store is made; it should
# be on the disk of interest.
set -euo pipefail

build=$1
directory=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/beck-bench-XXXXXX")
records=${3:-1000000}
bench=$build/tests/bench
trap 'kill "${pid:-}" 2>/dev/null || true; wait; rm -rf "$directory"' EXIT

start() {
    "$build/netd/beckd" --store "$directory/store" --listen 127.0.0.1:0 2>"$directory/log" &
    pid=$!
    until grep -q listening "$directory/log"; do sleep 0.05; done
    port=$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\).*/\1/p' "$directory/log")
    address=127.0.0.1:$port
}

stop() {
    kill "$pid"
    wait "$pid"
}

rss() {
    printf '%-24s %s kB\n' "$1" "$(sed -n 's/^VmRSS:\s*\([0-9]*\).*/\1/p' "/proc/$pid/status")"
}

disk() {
    printf '%-24s ' 'dd conv=fdatasync'
    dd if=/dev/zero of="$directory/dd" bs=1M count=$((records / 1000)) conv=fdatasync 2>&1 |
        sed -n 's/.*, //p'
    rm "$directory/dd"
}

start
rss 'RSS at start'
disk
"$bench/bench_clients" produce "$address" warm "$pid" $((records / 4)) 1024 1
for acks in all 1; do
    "$bench/bench_clients" produce "$address" "t-$acks" "$pid" "$records" 1024 "$acks"
    "$bench/bench_clients" consume "$address" "t-$acks" "$pid" "$records"
    disk
done
"$bench/bench_clients" produce "$address" small "$pid" "$records" 100 all
"$bench/bench_clients" consume "$address" small "$pid" "$records"
rss 'RSS after this'
stop

rm -rf "$directory/store"
start
kcat -b "$address" -L -t w >/dev/null
"$bench/bench_wake" "$directory/store" "$port" w 2000
"$bench/bench_wake" "$directory/store" "$port" w 2000 0
stop

rm -rf "$directory/store"
"$build/netd/beckd" --store "$directory/store" --listen 127.0.0.1:0 --set num.partitions=100 \
    2>"$directory/log" &
pid=$!
until grep -q listening "$directory/log"; do sleep 0.05; done
address=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' "$directory/log")
for partition in $(seq 0 99); do
    echo hi | kcat -b "$address" -P -t hundred -p "$partition"
done
sleep 4
rss 'RSS, 100 partitions'
stop
