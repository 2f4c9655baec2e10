#!/usr/bin/env bash
# kelpied --store fdb: what it says when there is no library, no cluster file, no answer; and a node
# on a library that was loaded at run time (a small one of our own, tests/fake/fdb_client.c).
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
. "$KELPIE_SOURCE/tests/lib/fake_fdb.bash" || exit 1
printf 'int f(void);\nint f(void) { return 0; }\n' >"$work/other.c"
${CC:-cc} -shared -fPIC -o "$work/other.so" "$work/other.c" || exit 1

# One sentence, exit 1, within 5 seconds.
says_soon() { # PATTERN VARIABLE=VALUE STORE LIBRARY [OPTION...]
    local began=${EPOCHREALTIME%[.,]*}
    says 1 "$1" env "$2" "$kelpied" --node-id n1 --data-dir "$work/data" --listen 127.0.0.1:0 \
        --rpc-listen 127.0.0.1:0 --store "$3" --fdb-library "$4" "${@:5}"
    [ $((${EPOCHREALTIME%[.,]*} - began)) -le 5 ] && ok || fail "took more than 5 s: $1"
}
says_soon "library '$work/none.so' cannot be loaded .*foundationdb-clients.*--fdb-library" A=b \
    fdb "$work/none.so"
says_soon "'$library' is too old: it has API version 630, and 710" FAKE_FDB=old \
    "fdb:$cluster" "$library"
says_soon "other.so' is no FoundationDB client library .* lacks fdb_" A=b fdb "$work/other.so"
says_soon "cluster file '$work/none' \(--store\) cannot be read: No such file" A=b \
    "fdb:$work/none" "$library"
says_soon "cluster file '$work/gone' \(FDB_CLUSTER_FILE\) cannot be read" \
    "FDB_CLUSTER_FILE=$work/gone" fdb "$library"
says_soon "'$work/other.c' \(--store\) is no FoundationDB cluster file" A=b \
    "fdb:$work/other.c" "$library"
for option in '' --wait-for-store; do
    says_soon "cluster file '$cluster' is of no use: .*error 2104" FAKE_FDB=string \
        "fdb:$cluster" "$library" $option
done
says_soon "cluster of '$cluster' has not answered for .*--wait-for-store" FAKE_FDB=gate \
    "fdb:$cluster" "$library"

# A node that waits comes up by itself. The database is in its own memory, so without a supervisor.
export FAKE_FDB=gate FAKE_FDB_GATE=$work/gate
node_start n1 --no-supervisor --store "fdb:$cluster" --fdb-library "$library" --wait-for-store
within 8 log_has n1 event=store_waits
is 'nodes that are ready' "$(ready_count n1)" 0
touch "$work/gate"
node_wait n1 || exit 1
for i in 1 2 3; do says 0 "$i" ask n1 call counter/a add 1; done
says 0 'fdb:' ask n1 status

# It is silent for a while: the node is not ready, says so once, and comes back by itself.
rm "$work/gate"
within 15 log_has n1 event=store_problem
within 20 log_has n1 event=suspended
touch "$work/gate"
within 15 log_has n1 event=store_connected
within 15 ask n1 call counter/a add 1
is 'lines about the outage' "$(grep -c event=store_problem "$work/n1.log")" 1

kill -TERM "${supervisor[n1]}"
node_ended n1
is 'how it ended' "$status" 0
