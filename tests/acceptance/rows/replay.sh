#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# replay: the same twice; past the end is out of range
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq 0 9 | beck produce t >/dev/null
first=$(kcat -C -b "$B" -t t -o 5 -e -q -f '%o %s\n')
is 'from offset 5' "$first" "$(seq 5 9 | sed 's/.*/& &/')"
is 'and again' "$(kcat -C -b "$B" -t t -o 5 -e -q -f '%o %s\n')" "$first"
refused 'past the end is out of range' 'out of range' beck consume t -o 11
has 'for a Kafka client too' \
    "$(timeout 20 kcat -C -b "$B" -t t -o 11 -e -X auto.offset.reset=error 2>&1)" 'ut of range'

done_here
