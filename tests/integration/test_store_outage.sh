#!/usr/bin/env bash
# The embedded store is away from all nodes: its process is killed and cannot be started again, then it is
# stopped where it stands. Nodes suspend within their lease, say why, and go on when it is back.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
ids=(n1 n2 n3)
dir=$work/data/store
count() { cat "$work"/n?.log | grep -c -- "$1"; }
incarnations() { for id in "${ids[@]}"; do ask "$id" -w json status | json_of incarnation; done; }
children() { for id in "${ids[@]}"; do child_of "$id"; done; }
not_ready() {
    request "$1" GET /readyz
    [ "$code" = 503 ]
}
all_again() { # SUSPENDED AND RESUMED SO OFTEN
    [ "$(count event=suspended)" -ge "$1" ] && [ "$(count event=resumed)" -ge $(($1 + 3)) ]
}
store_pid() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        if tr '\0' ' ' 2>/dev/null <"$file" | grep -qF -- "--store-process $work/"; then
            file=${file#/proc/}
            echo "${file%/cmdline}"
        fi
    done
}

nodes_up "${ids[@]}"
for i in 1 2 3; do says 0 "$i" ask "n$i" call counter/a add 1; done
before_children=$(children) before_incarnations=$(incarnations)
before_lines=$(cat "$work"/n?.log | wc -l)

# ---- nobody can start the store's process, for three leases: its folder is open to others
chmod 0755 "$dir"
kill_store
gone=${EPOCHREALTIME/[.,]/}
for id in "${ids[@]}"; do within 4 not_ready "$id"; done
took=$((${EPOCHREALTIME/[.,]/} - gone))
[ "$took" -le 3000000 ] && ok || fail "not ready only after $took us"
sleep 1
for id in "${ids[@]}"; do
    not_ready "$id" && ok || fail "$id is ready without a store"
    like "what $id's /readyz says" "$(cat "$work/body")" 'is Active: the store does not answer'
    like "what $id's status says" "$(ask "$id" status)" 'the store does not answer'
done
says 1 'unavailable' ask n2 call counter/a add 1 --deadline-ms 300
sleep 3
chmod 0700 "$dir"
within 10 all_again 3
for id in "${ids[@]}"; do within 10 active_is "$id" 3; done
is 'processes after the outage' "$(children)" "$before_children"
is 'incarnations after the outage' "$(incarnations)" "$before_incarnations"
is 'nodes that were failed' "$(count 'event=\(node_failed\|life_ended\|past_life_failed\)')" 0
added=$(($(cat "$work"/n?.log | wc -l) - before_lines))
[ "$added" -le 36 ] && ok || fail "the outage made $added lines of log"
within 10 ask n1 call counter/a add 1
says 0 5 ask n3 call counter/a add 1

# ---- it is stopped where it stands: the nodes find out, and start another
before_lines=$(cat "$work"/n?.log | wc -l)
kill -STOP "$(store_pid)"
within 15 ask n2 call counter/a add 1 --deadline-ms 12000
for id in "${ids[@]}"; do within 10 active_is "$id" 3; done
is 'processes afterwards' "$(children)" "$before_children"
is 'incarnations afterwards' "$(incarnations)" "$before_incarnations"
is 'nodes that were failed then' "$(count 'event=\(node_failed\|life_ended\|past_life_failed\)')" 0
added=$(($(cat "$work"/n?.log | wc -l) - before_lines))
# Each of six programs says at most four (killed, the connection lost, that of a connection made while it died, connected
# again), each of three nodes four of its own, one program that it has started another, and two tell of the primary.
[ "$added" -le 39 ] && ok || fail "the stop made $added lines of log"
