#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# topics: what is created is there, through every door, once
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

works 'a topic is created' beck topic create t -p 3
is 'the mount lists its partitions' "$(ls "$M/t")" $'0\n1\n2'
has 'a Kafka client sees it' "$(kcat -L -b "$B")" 'topic "t" with 3 partitions'
refused 'it cannot be created again' 'exists' beck topic create t -p 3
works 'mkdir makes one too' mkdir "$M/u"
is 'and beck lists both' "$(beck topic list)" $'t\nu'

done_here
