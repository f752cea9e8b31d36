#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# produce, consume: where a record went is printed, and there it is
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
beck produce t first >/dev/null
has 'produce prints partition and offset' "$(beck produce t hi)" 'partition 0 offset 1'
is 'a consume from that offset prints it' "$(beck consume t -p 0 -o 1)" 'hi'
is 'and so does a Kafka client' "$(kcat -C -b "$B" -t t -o 1 -e -q)" 'hi'

done_here
