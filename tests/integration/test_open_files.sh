#!/usr/bin/env bash
# A node allows itself the files that a cluster of the largest size needs, or says that it cannot.
hard=$(ulimit -Hn)
[ "$hard" = unlimited ] || [ "$hard" -ge 7744 ] || exit 77
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

files_of() { awk '/^Max open files/ {print $4}' "/proc/$1/limits"; }

# Clients that say nothing, as many as there were places in all, once they know a port.
idle_clients() {
    while [ ! -s "$work/port" ]; do sleep 0.05; done
    read -r port <"$work/port"
    for fd in {10..609}; do eval "exec $fd<>/dev/tcp/127.0.0.1/$port" || exit; done
    : >"$work/idle"
    exec sleep 100
}
idle_clients &
clients=$!

ulimit -Sn 512
node_start n1 --no-supervisor
node_wait n1
is "files of a node" "$(files_of "${supervisor[n1]}")" 7744
is "complaints" "$(grep -c few_open_files "$work/n1.log")" 0
kill "${supervisor[n1]}"
node_ended n1

ulimit -Hn 512
node_start n2 --no-supervisor
node_wait n2
is "files where the system allows no more" "$(files_of "${supervisor[n2]}")" 512
is "complaints" "$(grep -c 'few_open_files allowed=512 wanted=7744' "$work/n2.log")" 1
is "shares" "$(grep -c 'rpc_outgoing=59 rpc_incoming=119 http=238 local=29' "$work/n2.log")" 1

# Idle clients keep the node from nothing: not from others, and not from its store.
echo "${http[n2]##*:}" >"$work/port"
within 30 test -e "$work/idle"
is "a call beside idle clients" "$(ask n2 call counter/a add 1)" 1
kill_store
within 20 ask n2 call counter/a add 1
is "the store is there again" "$(ask n2 call counter/a get)" 2
request n2 GET /livez
is "livez" "$code" 200
request n2 GET /metrics
like "bound" "$(cat "$work/body")" 'kelpie_http_connections_max 2[0-9][0-9]'
like "no descriptor was missing" "$(cat "$work/body")" 'limit_reached_total\{limit="files"\} 0'
within 15 grep -q "limit=http_connections" "$work/n2.log"
kill "$clients"
