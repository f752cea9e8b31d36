# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What each row starts with: an empty store with beckd on it and a mount of it, and a few words to say
# what must be seen. To be sourced. A row sees
#
#     $BECK_STORE   the store, which beck takes by itself
#     $B            the daemon's address, host:port
#     $M            the mount
#     $work         a folder to keep files in
#
# and ends with `done_here`. Results are printed as TAP. Whatever is started is ended at the exit.
set -uo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
work=$(mktemp -d "${TMPDIR:-/tmp}/beck-test-XXXXXX")
export BECK_STORE=$work/store
export M=$work/mnt
export B=
beckd_pid=
beckfs_pid=
others=()
last=
count=0
failed=0

beck() {
    "$BECK" "$@"
}

# ---- what must be seen ---------------------------------------------------------------------------

# result OK WHAT [DETAIL...]: a line of TAP, with the details below where it is not ok.
result() {
    local ok=$1 what=$2
    shift 2
    count=$((count + 1))
    if [ "$ok" = yes ]; then
        echo "ok $count - $what"
    else
        failed=$((failed + 1))
        echo "not ok $count - $what"
        printf '%s\n' "$@" | sed 's/^/#     /'
    fi
}

# is WHAT GOT WANTED
is() {
    if [ "$2" = "$3" ]; then result yes "$1"; else result no "$1" "got:" "$2" "wanted:" "$3"; fi
}

# has WHAT TEXT PATTERN: the text contains what the extended regular expression describes
has() {
    if grep -Eq -- "$3" <<<"$2"; then result yes "$1"; else result no "$1" "in:" "$2" "no: $3"; fi
}

# works WHAT COMMAND...
works() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then result yes "$what"; else result no "$what" "$*" "$output"; fi
}

# refused WHAT PATTERN COMMAND...: it fails, and says why on stderr
refused() {
    local what=$1 pattern=$2 output
    shift 2
    if output=$("$@" 2>&1 >/dev/null); then
        result no "$what" "$* worked"
    else
        has "$what" "$output" "$pattern"
    fi
}

# eventually COMMAND...: wait, up to half a minute, until it works; say in the end whether it did
eventually() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

# A Kafka client: see client.py.
client() {
    exec /usr/bin/python3 "$here/client.py" "$@"
}

lines() {
    wc -l | tr -d ' '
}

# ---- what runs -----------------------------------------------------------------------------------

listens() {
    B=$(sed -n 's/.*listening on [^ ]*\(127\.0\.0\.1:[0-9]*\).*/\1/p' "$work/beckd.log" | tail -n 1)
    [ -n "$B" ] || ! kill -0 "$beckd_pid"
}

# Start beckd on the store, at the address that it had before.
start_beckd() {
    local listen=${B:-127.0.0.1:0}
    : >"$work/beckd.log"
    "$BECKD" --store "$BECK_STORE" --listen "$listen" --set group.initial.rebalance.delay.ms=0 "$@" >"$work/beckd.log" 2>&1 </dev/null &
    beckd_pid=$!
    B=
    if ! eventually listens || [ -z "$B" ]; then
        result no 'beckd starts' "$(tail -n 5 "$work/beckd.log")"
        exit 1
    fi
}

# stop_beckd [-9]
stop_beckd() {
    kill "$@" "$beckd_pid" 2>/dev/null && wait "$beckd_pid" 2>/dev/null
    beckd_pid=
}

start_beckfs() {
    mkdir -p "$M"
    "$BECKFS" "$BECK_STORE" "$M" -f >"$work/beckfs.log" 2>&1 </dev/null &
    beckfs_pid=$!
    eventually mountpoint -q "$M"
}

# Run something beside, until the end or until it ends. $last is its process.
beside() {
    "$@" &
    last=$!
    others+=("$last")
}

# Let something that runs beside end now.
end() {
    { kill "$@"; wait "${@: -1}"; } 2>/dev/null
}

end_all() {
    [ ${#others[@]} -eq 0 ] || { kill -9 "${others[@]}"; wait "${others[@]}"; } 2>/dev/null
    [ -z "$beckfs_pid" ] || { kill "$beckfs_pid" 2>/dev/null && wait "$beckfs_pid" 2>/dev/null; }
    ! mountpoint -q "$M" || umount -l "$M"
    [ -z "$beckd_pid" ] || stop_beckd
    rm -rf "$work"
}

done_here() {
    echo "1..$count"
    [ "$failed" -eq 0 ]
    exit
}

trap end_all EXIT
start_beckd
if ! start_beckfs; then
    # the list of allowed skips says where this may be
    echo "1..0 # SKIP nothing can be mounted here: $(tail -n 1 "$work/beckfs.log")"
    exit 0
fi
