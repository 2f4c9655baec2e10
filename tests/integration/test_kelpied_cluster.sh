#!/usr/bin/env bash
# Three nodes form a cluster, actors answer through any of them, the primary's process is killed, all
# processes are killed: nothing that was acknowledged is lost.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

nodes_up n1 n2 n3
for id in n1 n2 n3; do within 10 active_is $id 3; done
for id in n1 n2 n3; do within 10 test -n "$(primary_of $id)"; done

# Calls through every node, and every node hosts some.
declare -A value=()
i=0
for id in n1 n2 n3 n1 n2 n3 n1 n2 n3 n1 n2 n3 n1 n2 n3; do
    i=$((i + 1))
    value[c$i]=$((i * 10))
    is "c$i" "$(ask $id call counter/c$i add $((i * 10)))" $((i * 10))
done
for id in n1 n2 n3; do
    for i in 1 5 9 13; do is "c$i through $id" "$(ask $id call counter/c$i get)" $((i * 10)); done
done
is "echo" "$(ask n2 call echo/e echo 'grüße, 1 2')" "grüße, 1 2"

# One request id is applied once, whichever node is asked.
is "first" "$(ask n1 call counter/once add 5 --request-id r-1)" 5
is "again" "$(ask n2 call counter/once add 5 --request-id r-1)" 5
is "another" "$(ask n3 call counter/once add 5 --request-id r-2)" 10

# The primary's process dies; the others go on, and it comes back.
primary=$(primary_of n1)
pid=$(child_of "$primary")
other=n1
[ "$primary" != n1 ] || other=n2
kill -KILL "$pid"
for i in $(seq 15); do
    is "c$i after the kill" "$(ask $other call counter/c$i get --deadline-ms 15000)" "${value[c$i]}"
done
within 10 log_has "$primary" 'event=declared_dead .*result="declared failed"'
node_wait "$primary" 2
within 10 active_is $other 3
is "primary is another" "$([ "$(primary_of $other)" != "$primary" ] && echo yes)" yes
like "status of the one that is back" "$(ask "$primary" status)" "incarnation 2"
[ "$(child_of "$primary")" != "$pid" ] && ok || fail "the process is the same"

# Every process dies, the store's too; two of three come back first.
for id in n1 n2 n3; do
    kill -KILL "${supervisor[$id]}"
    node_ended $id
    is "supervisor of $id" $status 137
done
kill_store
nodes_up n2 n3
for i in $(seq 15); do
    is "c$i after the cold start" "$(ask n3 call counter/c$i get --deadline-ms 15000)" "${value[c$i]}"
done
is "the request id is still known" "$(ask n2 call counter/once add 5 --request-id r-2)" 10
nodes_up n1
within 10 active_is n1 3
says 0 ' 0 problems$' "$kelpie" store check --data-dir "$work/data"
