# Shared by the tests of real processes: nodes in a folder of their own, on free ports, and checks.
# Source it; what it starts ends with the script, whatever happens.
set -uo pipefail
: "${KELPIE_BUILD:?the build folder}" "${KELPIE_SOURCE:?the source tree}"
kelpied=$KELPIE_BUILD/kelpied
kelpie=$KELPIE_BUILD/kelpie
work=$(mktemp -d "${TMPDIR:-/tmp}/kelpie-test.XXXXXX") || exit 1
declare -A supervisor=() http=()
checks=0 failures=0
unset KELPIE_NODE KELPIE_STORE KELPIE_DATA_DIR KELPIE_PREFIX
export XDG_STATE_HOME=$work/state

# The store's process is known by its folder.
kill_store() {
    local file
    # (grep's own command line has no NUL in that place.)
    for file in $(grep -lasE -- "--store-process[^[]$work/" /proc/[0-9]*/cmdline); do
        file=${file#/proc/}
        kill -KILL "${file%/cmdline}" 2>/dev/null
    done
}
end() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${supervisor[@]}"; do
        kill -CONT "$pid" 2>/dev/null
        kill -KILL "$pid" 2>/dev/null
    done
    sleep 0.05
    kill_store
    wait 2>/dev/null
    [ "$failures" != 0 ] && tail -n 20 "$work"/*.log 2>/dev/null
    rm -rf "$work"
    echo "$checks checks, $failures failed"
    # (A bare `exit` in a trap is the status of before the trap.)
    [ "$status" != 0 ] || { [ "$failures" = 0 ] && [ "$checks" -gt 0 ]; } || status=1
    exit "$status"
}
trap end EXIT
trap 'failures=$((failures + 1)); exit' INT TERM

ok() { checks=$((checks + 1)); }
fail() {
    checks=$((checks + 1)) failures=$((failures + 1))
    echo "FAILED: $*"
}
is() { # WHAT GOT WANTED
    if [ "$2" = "$3" ]; then ok; else fail "$1: got '$2', wanted '$3'"; fi
}
like() { # WHAT TEXT PATTERN
    if [[ $2 =~ $3 ]]; then ok; else fail "$1: '$2' does not match '$3'"; fi
}
# The command ends with that status and says something that matches; one line, if it fails.
says() { # STATUS PATTERN COMMAND...
    local status=$1 pattern=$2 text got
    shift 2
    text=$("$@" 2>&1 </dev/null)
    got=$?
    is "status of '$*' ($text)" "$got" "$status"
    like "what '$*' says" "$text" "$pattern"
}
# Waits up to SECONDS until the command succeeds.
within() { # SECONDS COMMAND...
    local until=$((${EPOCHREALTIME%[.,]*} + $1)) what="${*:2}"
    while ! "${@:2}" >/dev/null 2>&1; do
        if [ "${EPOCHREALTIME%[.,]*}" -gt "$until" ]; then
            fail "not within $1 s: $what"
            return 1
        fi
        sleep 0.05
    done
    ok
}

# ---- nodes

ready_count() { grep -c "^kelpied: node $1 ready" "$work/$1.out" 2>/dev/null; }
# Starts node ID in the cluster's folder (data); more options may follow.
node_start() { # ID OPTION...
    local id=$1
    shift
    : >"$work/$id.out"
    "$kelpied" --node-id "$id" --data-dir "$work/data" --listen "${listen:-127.0.0.1:0}" \
        --rpc-listen "${rpc_listen:-127.0.0.1:0}" "$@" >"$work/$id.out" 2>>"$work/$id.log" &
    supervisor[$id]=$!
}
is_ready() { # ID TIMES
    [ "$(ready_count "$1")" -ge "$2" ]
}
# Waits until the node is Active (for the nth time), and learns its address.
node_wait() { # ID [TIMES]
    within 15 is_ready "$1" "${2:-1}" || return 1
    http[$1]=$(sed -n "s/^kelpied: node $1 ready http=\([^ ]*\).*/\1/p" "$work/$1.out" | tail -n 1)
}
nodes_up() { # ID...
    local id
    for id in "$@"; do node_start "$id"; done
    for id in "$@"; do node_wait "$id"; done
}
# Sets `status` to how the supervisor of that node ended.
node_ended() { # ID
    wait "${supervisor[$1]}" 2>/dev/null
    status=$?
    unset "supervisor[$1]"
}
# With KELPIE_ASK by that command: one with sanitizers takes ten times as long to begin.
ask() { # ID COMMAND...
    "${KELPIE_ASK:-$kelpie}" --node "${http[$1]}" "${@:2}"
}
json_of() { # NAME: of a flat JSON object on standard input
    sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}
child_of() { ask "$1" -w json status | json_of pid; }
primary_of() { ask "$1" -w json status | grep -o '"primary":{[^}]*}' | json_of node; }
active_is() { # ID COUNT
    ask "$1" -w json status | grep -q "\"active\":$2,"
}
log_has() { grep -q -- "$2" "$work/$1.log"; } # ID PATTERN

# ---- HTTP without a client program: the answer's head in $work/head, its body in $work/body; sets
# `code`. The body to send is the file $work/send, if the method is POST and it exists.
# With as_page=1 without the header that pages in browsers cannot send; with as_host=HOST to that name.
request() { # ID METHOD PATH [HEADER]...
    local host=${http[$1]%:*} port=${http[$1]##*:} method=$2 path=$3 length=0 header
    shift 3
    exec 7<>"/dev/tcp/$host/$port" || { code=000; return 1; }
    [ "$method" != POST ] || [ ! -f "$work/send" ] || length=$(stat -c %s "$work/send")
    {
        printf '%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$method" "$path" "${as_host:-$host}"
        [ -n "${as_page:-}" ] || printf 'Kelpie-Request: 1\r\n'
        [ "$method" != POST ] || printf 'Content-Length: %s\r\n' "$length"
        for header in "$@"; do printf '%s\r\n' "$header"; done
        printf '\r\n'
        [ "$length" = 0 ] || cat "$work/send"
    } >&7 2>/dev/null
    cat <&7 >"$work/answer" 2>/dev/null
    exec 7>&-
    sed '/^\r$/q' "$work/answer" >"$work/head"
    sed '1,/^\r$/d' "$work/answer" >"$work/body"
    read -r _ code _ <"$work/head"
    rm -f "$work/send"
}
# A request that is refused with that status and error; the body is whole.
refused() { # CODE ERROR PATTERN ID METHOD PATH [HEADER]...
    local want=$1 error=$2 pattern=$3
    shift 3
    request "$@"
    is "HTTP status of $2 $3" "$code" "$want"
    like "answer to $2 $3" "$(cat "$work/body")" \
        "^\{\"error\":\"$error\",\"message\":\".*$pattern.*\",\"retry\":(true|false),\"applied\":\"(no|unknown|yes)\"\}$"
}
