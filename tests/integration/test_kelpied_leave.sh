#!/usr/bin/env bash
# Leaving: SIGTERM and drain hand the actors over, and no call fails because of it; the last node; a
# second node with a living node's id; forgetting.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

nodes_up n1 n2 n3
within 10 active_is n1 3
for i in $(seq 12); do ask n2 call counter/c$i add 1 >/dev/null || fail "c$i"; done

# Callers that ask only nodes that stay, and one that asks the leaving node as long as it answers.
caller() { # ID COUNTER
    local id=$1 n=1 reply
    while [ ! -f "$work/stop" ]; do
        reply=$(ask "$id" call "counter/$2" add 1 2>>"$work/errors-$2") || { echo "$n" >>"$work/failed-$2"; break; }
        n=$((n + 1))
        [ "$reply" = $n ] || echo "$2 says $reply, not $n" >>"$work/failed-$2"
    done
    echo $n >"$work/value-$2"
}
for i in 1 2 3 4; do caller n1 c$i & callers[i]=$!; done
for i in 5 6; do caller n3 c$i & callers[i]=$!; done
sleep 0.5
kill -TERM "${supervisor[n2]}"
node_ended n2
is "status after SIGTERM" $status 0
sleep 0.5
# The same from outside; it is not started again.
ask n1 node drain n3 >"$work/drain" || fail "drain n3"
like "what drain says" "$(cat "$work/drain")" "n3 is leaving"
node_ended n3
is "status after drain" $status 0
sleep 0.3
touch "$work/stop"
wait "${callers[@]}"
for i in 1 2 3 4; do
    [ -f "$work/failed-c$i" ] && fail "a call to c$i failed: $(cat "$work/failed-c$i" "$work/errors-c$i")"
done
# Those two asked the node that left: at most their last call met a closed port.
for i in 1 2 3 4 5 6; do
    value=$(cat "$work/value-c$i")
    got=$(ask n1 call counter/c$i get)
    [ "$got" = "$value" ] || [ "$got" = $((value + 1)) ] && ok || fail "c$i: $got, not $value"
done
for i in $(seq 7 12); do is "c$i" "$(ask n1 call counter/c$i get)" 1; done
like "node list" "$(ask n1 node list)" "n2 +Left.*n3 +Left"

# The last active node is not drained, but SIGTERM stops it.
says 1 'n1 is the last active node' "$kelpie" --node "${http[n1]}" node drain n1
says 1 'no active node n2' "$kelpie" --node "${http[n1]}" node drain n2

# A second process with a living node's id ends, says where the first is, and does it no harm.
incarnation=$(ask n1 -w json status | json_of incarnation)
rpc=$(ask n1 -w json status | json_of rpc)
says 1 "node id n1 is alive at $rpc; stop it or choose another --node-id" \
    "$kelpied" --data-dir "$work/data" --node-id n1 --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0
is "incarnation of the first" "$(ask n1 -w json status | json_of incarnation)" "$incarnation"
is "it still answers" "$(ask n1 call counter/c12 get)" 1

# Forgetting: not a node that is alive; not one that nobody knows; one that left already.
says 1 'n1 is Active' "$kelpie" --node "${http[n1]}" node forget n1
says 1 'no node' "$kelpie" --node "${http[n1]}" node forget n9

# A failed node counts until it is forgotten.
node_start n4
node_wait n4
within 10 active_is n1 2
kill -STOP "${supervisor[n4]}" # it declares nobody dead and starts nobody
kill -KILL "$(child_of n4)"
says 1 'node n4, which has to do it, does not answer' "$kelpie" --node "${http[n1]}" node drain n4
failed() { ask n1 node list | grep -q "^n4 *Failed"; }
within 15 failed
like "voters" "$(ask n1 status)" "NO: 1 of 2 voters active, 2 needed"
says 0 'n4' "$kelpie" --node "${http[n1]}" node forget n4
within 10 active_is n1 1
like "voters" "$(ask n1 status)" "1 of 1 voters active"
kill -KILL "${supervisor[n4]}"
node_ended n4

kill -TERM "${supervisor[n1]}"
node_ended n1
is "status of the last" $status 0
nodes_up n1
is "c12 after a new start" "$(ask n1 call counter/c12 get)" 1

# A second SIGTERM ends a node that cannot leave (its child is frozen) at once.
kill -STOP "$(child_of n1)"
kill -TERM "${supervisor[n1]}"
sleep 0.2
kill -TERM "${supervisor[n1]}" # still the first: whoever signals many reaches one twice
sleep 0.2
kill -0 "${supervisor[n1]}" && ok || fail "the second signal within a second forced"
sleep 0.8
kill -TERM "${supervisor[n1]}"
node_ended n1
is "status after two signals" $status 1
log_has n1 'event=declared_dead' && ok || fail "it was not declared dead"

# Nor one whose leaving nobody acknowledges within the deadline. (The other one beats so often that its window ends
# after the deadline, however the two fall.)
node_start n5 --heartbeat-ms 50
node_wait n5
node_start n6 --drain-deadline-ms 2000
node_wait n6
within 10 active_is n6 2
kill -STOP "${supervisor[n5]}"
kill -STOP "$(child_of n5)"
kill -TERM "${supervisor[n6]}"
node_ended n6
is "status after the deadline" $status 1
log_has n6 'event=ended_before_leaving reason="the drain deadline has passed"' && ok || fail "no reason in the log"
log_has n6 'event=declared_dead' && ok || fail "it was not declared dead"
