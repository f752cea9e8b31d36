#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clusters: two stores with a topic of one name have separate data
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
works 'a second store' beck store create "$work/second"
works 'with a topic of the same name' beck --store "$work/second" topic create t
beck produce t first >/dev/null
beck --store "$work/second" produce t second >/dev/null
is 'each has its own: the first' "$(beck consume t)" first
is 'and the second' "$(beck --store "$work/second" consume t)" second
cluster_of() {
    /usr/bin/python3 -c 'import sys, confluent_kafka.admin as a
print(a.AdminClient({"bootstrap.servers": sys.argv[1]}).list_topics(timeout=20).cluster_id)' "$1"
}
one=$(cluster_of "$B")
stop_beckd
BECK_STORE=$work/second start_beckd
result "$([ -n "$one" ] && [ "$one" != "$(cluster_of "$B")" ] && echo yes)" 'clients tell them apart'

done_here
