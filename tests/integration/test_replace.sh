#!/usr/bin/env bash
# --replace: a node takes the place of one that is gone for good: alone, where there is no primary that
# could strike it off, and in a cluster, by its primary; it waits, and says so, while the other lives.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

# The whole machine of a node, without a word: nobody declares it dead.
vanish() { # ID
    local child
    child=$(child_of "$1")
    kill -STOP "${supervisor[$1]}"
    kill -KILL "$child"
    kill -KILL "${supervisor[$1]}"
    node_ended "$1"
}
state_of() { ask "$1" -w json node list | grep -o "{[^{}]*\"node\":\"$2\"[^{}]*}" | json_of state; } # ID NODE
state_is() { [ "$(state_of "$1" "$2")" = "$3" ]; }
is_primary() { [ "$(primary_of "$1")" = "$2" ]; }

# ---- a single container, replaced again and again: each one is primary
nodes_up c1
says 0 1 ask c1 call counter/a add 1
vanish c1
last=c1
for i in 2 3; do
    node_start "c$i" --replace "$last"
    node_wait "c$i"
    within 20 is_primary "c$i" "c$i"
    is "state of $last" "$(state_of "c$i" "$last")" Left
    within 5 log_has "c$i" "event=replaced .*replaces=\"*$last"
    says 0 "$i" ask "c$i" call counter/a add 1
    last=c$i
    [ "$i" = 3 ] || vanish "c$i"
done
# Without it the new one is one voter of two.
vanish c3
nodes_up c4
within 10 log_has c4 "event=primary_lost .*1 of 2 voters"
is_primary c4 c4 && fail "c4 is primary" || ok
kill -KILL "$(child_of c4)" "${supervisor[c4]}"
node_ended c4
rm -rf "$work/data"
kill_store

# ---- three nodes: the primary does it, when it has failed the other; a living one is waited for
nodes_up n1 n2 n3
vanish n3
node_start n4 --replace n3
node_wait n4
within 20 state_is n4 n3 Left
node_start n5 --replace n1
node_wait n5
within 15 log_has n5 'event=replace_waits .*replaces="*n1.* is Active: only a failed node can be forgotten'
is 'n1 lives on' "$(state_of n5 n1)" Active
says 2 "replace is 'n9', which is this node's own id" "$kelpied" --node-id n9 --replace n9
