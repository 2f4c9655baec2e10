#!/usr/bin/env bash
# The worked example, loaded from its shared object by real nodes: a chat room goes on after its node
# was killed.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
chat=$KELPIE_BUILD/examples/chat.so
[ -f "$chat" ] || { echo "no $chat"; exit 77; }

for id in n1 n2; do node_start $id --actors "$chat"; done
node_start n3 # without the class
for id in n1 n2 n3; do node_wait $id; done
within 10 active_is n1 3

like "join" "$(ask n1 call chat/lobby join ada)" 'welcome, ada'
is "say" "$(ask n2 call chat/lobby say 'ada: hello')" 1
is "through a node without the class" "$(ask n3 call chat/lobby say 'ada: again')" 2
home=$(ask n1 -w json actor locate chat/lobby | json_of node)
like "home" "$home" '^n[12]$'
kill -KILL "$(child_of "$home")"
is "after the kill" "$(ask n3 call chat/lobby say 'ada: still here' --deadline-ms 15000)" 3
like "history" "$(ask n3 call chat/lobby history)" 'hello.*again.*still here'
for id in n1 n2 n3; do
    kill -TERM "${supervisor[$id]}"
    node_ended $id
    is "status of $id" $status 0
done
