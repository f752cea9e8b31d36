#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# explicit partition: only the one that is named grows, and it has to be there
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t -p 3 >/dev/null
works 'into partition 2' beck produce t -p 2 a b c
is 'only it grows' "$(wc -l "$M"/t/? | awk '{print $1}' | tr '\n' ' ')" '0 0 3 3 '
refused 'partition 9 is an error' '9' beck produce t -p 9 d
refused 'for a Kafka client too' 'nknown partition|Unknown' \
    bash -c "echo e | kcat -P -b $B -t t -p 9 -X message.timeout.ms=5000"

done_here
