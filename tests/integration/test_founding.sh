#!/usr/bin/env bash
# A node knows its cluster: it founds no other where its store was emptied, joins no other where another
# store was put, and goes on when its own is back, or was restored from a backup.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

store=$work/data/store
founded() { "$kelpie" store dump --store "lmdb:$store" | grep -q cluster/format; }
reason_like() { # ID PATTERN
    local text
    text=$(ask "$1" -w json status) # ends with 3, as something is missing
    [[ $text =~ $2 ]]
}

nodes_up n1 n2 n3
cluster=$(ask n1 -w json status | json_of cluster)
is 'DATA/cluster' "$(cat "$work/data/cluster")" "$cluster"
is 'its mode' "$(stat -c %a "$work/data/cluster")" 600
for i in 1 2 3; do says 0 "$i" ask n$i call counter/a add 1; done

# ---- an empty directory in the store's place, under the running cluster
mv "$store" "$work/kept"
mkdir -m 700 "$store"
kill_store
within 15 log_has n1 'event=waiting .*holds none under the prefix'
within 15 log_has n2 'event=waiting .*holds none under the prefix'
within 15 reason_like n3 "is of cluster $cluster, but the store holds none"
refused 503 unavailable '' n1 POST /v1/actors/counter/a/get
founded && fail 'a second cluster was founded' || ok
is 'joined once' "$(grep -c 'event=joined' "$work/n1.log")" 1

# ---- the store is back, and all goes on
rm -rf "$store"
mv "$work/kept" "$store"
kill_store
within 20 active_is n1 3
says 0 4 ask n2 call counter/a add 1
is 'the cluster' "$(ask n1 -w json status | json_of cluster)" "$cluster"

# ---- a node that starts on an empty store, or on another cluster's
for id in n1 n2 n3; do kill -TERM "${supervisor[$id]}"; done
for id in n1 n2 n3; do node_ended "$id"; done
kill_store
start_says() { # PATTERN OPTION...
    says 1 "$1" timeout 20 "$kelpied" --node-id n1 --data-dir "$work/data" --listen 127.0.0.1:0 \
        --rpc-listen 127.0.0.1:0 "${@:2}"
}
start_says "is of cluster $cluster .* holds no cluster under the prefix 'kelpie': put its store back" \
    --store "lmdb:$work/empty"
start_says "is of cluster $cluster .* holds no cluster under the prefix 'other'" --prefix other
node_start o1 --data-dir "$work/o" --store "lmdb:$work/other"
node_wait o1
other=$(cat "$work/o/cluster")
start_says "is of cluster $cluster .* holds cluster $other under the prefix 'kelpie': correct" \
    --store "lmdb:$work/other"
is 'nodes of the other' "$(ask o1 -w json node list | grep -o '"node":' | wc -l)" 1

# ---- a file that says nothing; and a new cluster, because somebody says so
echo nonsense >"$work/o/cluster"
start_says 'does not hold the id of a cluster' --data-dir "$work/o"
mkdir -m 700 "$work/p"
mkfifo "$work/p/cluster"
start_says 'p/cluster cannot be read' --data-dir "$work/p"
node_start n4 --store "lmdb:$work/empty" --found-new
node_wait n4
[ "$(cat "$work/data/cluster")" != "$cluster" ] && ok || fail 'DATA/cluster is the old one'
is 'DATA/cluster.before' "$(cat "$work/data/cluster.before")" "$cluster"
# Once: a process that comes after it is of the new one.
kill -KILL "$(child_of n4)"
node_wait n4 2
is 'DATA/cluster.before' "$(cat "$work/data/cluster.before")" "$cluster"
