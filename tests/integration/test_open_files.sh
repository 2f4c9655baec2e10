#!/usr/bin/env bash
# A node allows itself the files that a cluster of the largest size needs, or says that it cannot.
hard=$(ulimit -Hn)
[ "$hard" = unlimited ] || [ "$hard" -ge 7232 ] || exit 77
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

files_of() { awk '/^Max open files/ {print $4}' "/proc/$1/limits"; }

ulimit -Sn 512
node_start n1 --no-supervisor
node_wait n1
is "files of a node" "$(files_of "${supervisor[n1]}")" 7232
is "complaints" "$(grep -c few_open_files "$work/n1.log")" 0
kill "${supervisor[n1]}"
node_ended n1

ulimit -Hn 512
node_start n2 --no-supervisor
node_wait n2
is "files where the system allows no more" "$(files_of "${supervisor[n2]}")" 512
is "complaints" "$(grep -c 'few_open_files allowed=512 wanted=7232' "$work/n2.log")" 1
is "shares" "$(grep -c 'rpc_outgoing=64 rpc_incoming=128 http=256' "$work/n2.log")" 1
