#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# no key: the partitions take turns
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t -p 3 >/dev/null
for number in 1 2 3 4 5 6 7 8 9; do
    beck produce t "$number" >/dev/null
done
is 'nine records, three each' "$(beck consume t --print partition | sort | uniq -c | tr -s ' ')" \
    $' 3 0\n 3 1\n 3 2'

done_here
