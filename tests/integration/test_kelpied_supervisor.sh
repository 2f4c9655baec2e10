#!/usr/bin/env bash
# The supervisor: declares dead, starts again with back-off, kills what hangs, and dies with nothing
# left behind. And the node without it.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

# A descriptor that the supervisor happens to be given open goes no further.
exec 9>"$work/held"
nodes_up n1
exec 9>&-
within 10 active_is n1 1
is "counter" "$(ask n1 call counter/a add 7)" 7
is "inherited descriptors" "$(ls -l "/proc/$(child_of n1)/fd" | grep -c "$work/held")" 0

# The node is in a process group of its own, and the store's process in none of ours.
pid=$(child_of n1)
is "process group" "$(ps -o pgid= -p "$pid" | tr -d ' ')" "$pid"

# Abnormal deaths: each is declared and restarted, the first at once, the next ones later.
for n in 2 3 4; do
    kill -SEGV "$(child_of n1)" 2>/dev/null
    node_wait n1 $n
done
like "back-off" "$(grep -o 'in_ms=[0-9]*' "$work/n1.log" | tr '\n' ' ')" "in_ms=0 in_ms=100 in_ms=200 "
is "deaths declared" "$(grep -c 'event=declared_dead' "$work/n1.log")" 3
is "counter" "$(ask n1 call counter/a get)" 7

# A node that hangs is killed after two leases.
pid=$(child_of n1)
kill -STOP "$pid"
node_wait n1 5
log_has n1 'event=node_hangs' && ok || fail "the watchdog did not say so"
[ "$(child_of n1)" != "$pid" ] && ok || fail "it is the same process"

# The supervisor dies: so does the node, and a new one takes over after a window.
pid=$(child_of n1)
kill -KILL "${supervisor[n1]}"
node_ended n1
gone() { ! kill -0 "$pid"; }
within 5 gone
nodes_up n1
is "counter" "$(ask n1 call counter/a get)" 7
kill -TERM "${supervisor[n1]}"
node_ended n1
is "status" $status 0

# Bare, and with the memory store.
node_start n1 --no-supervisor
node_wait n1
is "supervisor_pid" "$(ask n1 -w json status | json_of supervisor_pid)" 0
is "pid" "$(child_of n1)" "${supervisor[n1]}"
is "counter" "$(ask n1 call counter/a get)" 7
kill -INT "${supervisor[n1]}"
node_ended n1
is "status" $status 0

node_start m1 --store memory:
node_wait m1
is "memory store" "$(ask m1 call counter/a add 1)" 1
kill -KILL "$(child_of m1)"
node_wait m1 2
is "memory store, new" "$(ask m1 call counter/a add 1)" 1
kill -TERM "${supervisor[m1]}"
node_ended m1
is "status" $status 0

# A watchdog of its own is not needed where the shared object blocks: see the log for its name.
# JSON in the log: every line is an object.
node_start j1 --log-format json
node_wait j1
kill -TERM "${supervisor[j1]}"
node_ended j1
is "lines that are no JSON object" "$(grep -vc '^{.*}$' "$work/j1.log")" 0
