#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# any payload: the same bytes come out, and two records stay two
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

sum() {
    sha256sum | cut -d ' ' -f 1
}
beck topic create t -c max.message.bytes=2000000 >/dev/null
head -c 4096 /dev/urandom >"$work/binary"
printf 'Grüße, 世界 🎉' >"$work/utf8"
printf '{"a":[1,2,{"b":null}]}' >"$work/json"
: >"$work/nothing"
head -c 1000000 /dev/urandom >"$work/megabyte"
offset=0
for name in binary utf8 json nothing megabyte; do
    beck produce t -F "$work/$name" >/dev/null
    is "$name: out by beck" "$(beck consume t -o "$offset" -n 1 --no-newline | sum)" "$(sum <"$work/$name")"
    is "$name: out by a Kafka client" \
        "$(kcat -C -b "$B" -t t -o "$offset" -c 1 -q -D '' -X fetch.message.max.bytes=3000000 | sum)" \
        "$(sum <"$work/$name")"
    offset=$((offset + 1))
done
printf ab | kcat -P -b "$B" -t t
printf cd | kcat -P -b "$B" -t t
is 'ab then cd stay two' "$(beck consume t -o "$offset" --print offset,value)" \
    "$offset"$'\tab\n'"$((offset + 1))"$'\tcd'

done_here
