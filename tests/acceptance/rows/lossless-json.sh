#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lossless JSON: out and in again, headers, keys, null values and binary are the same bytes
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
beck topic create u >/dev/null
head -c 300 /dev/urandom >"$work/binary"
beck produce t -k 'a key' -H 'name=value' -H 'alone' 'a value' >/dev/null
beck produce t --null -k gone >/dev/null
beck produce t -F "$work/binary" >/dev/null
beck produce t '' $'two\nlines "quoted" \\ 世界' >/dev/null
beck export t >"$work/out"
is 'one line a record' "$(lines <"$work/out")" 5
works 'out and in again' beck import u "$work/out"
is 'gives the same' "$(beck export u | sed 's/"topic":"u"/"topic":"t"/')" "$(cat "$work/out")"
is 'to the byte' "$(beck consume u -o 2 -n 1 --no-newline | sha256sum)" "$(sha256sum <"$work/binary")"
has 'a Kafka client sees key, headers and null' \
    "$(kcat -C -b "$B" -t u -o beginning -e -q -f '%o %k %S %h\n' | head -n 2 | tr '\n' ';')" \
    '0 a key 7 name=value,alone=NULL;1 gone -1 ;'

done_here
