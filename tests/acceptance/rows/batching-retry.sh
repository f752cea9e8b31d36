#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# batching, retry: a daemon that is paused costs a retry, not a record; a batch is one trip
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
beck topic create late >/dev/null
kill -STOP "$beckd_pid"
(client produce "$B" late 1 -X message.timeout.ms=1500 2>"$work/error")
has 'paused past the timeout: an error' "$(cat "$work/error")" 'timed out'
beside client produce "$B" t 10 -X socket.timeout.ms=1000 -X message.timeout.ms=60000 \
    -X enable.idempotence=true >"$work/acknowledged"
sleep 2.5
kill -CONT "$beckd_pid"
wait "$last"
is 'then retries, which are acknowledged' "$(sort -n "$work/acknowledged" | tr '\n' ' ')" \
    "$(seq 1 10 | tr '\n' ' ')"
is 'and stored once' "$(beck consume t | sort -n | tr '\n' ' ')" "$(seq 1 10 | tr '\n' ' ')"
(client produce "$B" t 100 -X linger.ms=30000 -X batch.num.messages=100) >"$work/hundred"
is '100 in a batch: 100 offsets' "$(beck consume t -o -100 --print offset | lines)" 100
is 'one batch' "$(beck dump t --batches | tail -n 1 | grep -c '100 records\|records 100')" 1

done_here
