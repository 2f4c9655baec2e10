#!/usr/bin/env bash
# A store is copied while it runs, restored, and made a new epoch; a node of the old epoch that still
# runs notices, and comes back as one of the new.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

store=lmdb:$work/data/store
dump() { "$kelpie" store dump --store "$1"; }

nodes_up n1 n2 n3
for i in 1 2 3 4 5 6 7; do says 0 "$i" ask n$((i % 3 + 1)) call counter/a add 1; done
for i in 1 2; do says 0 "$i" ask n2 call counter/b add 1; done
cluster=$(ask n1 -w json status | json_of cluster)

# ---- a copy, while calls go on
(for _ in {1..200}; do ask n3 call counter/noise add 1 || exit 1; done) >/dev/null 2>&1 &
noise=$!
says 0 "copied to $work/copy: [0-9]+ bytes" "$kelpie" store backup "$work/copy" --store "$store"
says 1 "there is one already" "$kelpie" store backup "$work/copy" --store "$store"
says 0 '"bytes":[0-9]+' "$kelpie" -w json store backup "$work/json" --data-dir "$work/data"
wait "$noise" || fail "the calls during the copy"
says 1 "store in '$work/none' cannot be copied: there is none" \
    "$kelpie" store backup "$work/x" --store "lmdb:$work/none"
says 1 "fdbbackup" "$kelpie" store backup "$work/x" --store fdb
says 1 "only lmdb:DIR" "$kelpie" store backup "$work/x" --store memory:
says 2 'usage: kelpie store backup DIR' "$kelpie" store backup
is 'files of the copy' "$(ls "$work/copy")" data.mdb
is 'mode of the copy' "$(stat -c %a "$work/copy/data.mdb")" 600

# Read in place: nothing is made in it, though it be read-only.
chmod 0500 "$work/copy"
says 0 ' 0 problems$' "$kelpie" store check --store "lmdb:$work/copy"
says 0 'counter/a' "$kelpie" store dump --store "lmdb:$work/copy"
is 'files of the copy' "$(ls -A "$work/copy")" data.mdb
chmod 0700 "$work/copy"
if mkdir "$work/ro" && mount --bind "$work/copy" "$work/ro" 2>/dev/null; then
    mount -o remount,ro,bind "$work/ro" && says 0 ' 0 problems$' "$kelpie" store check --store "lmdb:$work/ro"
    umount "$work/ro"
fi

# What happens after the copy is lost by the restore.
for i in 8 9; do says 0 "$i" ask n1 call counter/a add 1; done

# ---- it is refused where nodes live
says 1 "has not become a new epoch: node n[123] is alive; stop all nodes first" \
    "$kelpie" store restored --store "$store"
says 0 10 ask n1 call counter/a add 1

# ---- n3 sleeps through the restore, with its supervisor; the others are stopped
sleeper=$(child_of n3)
kill -STOP "${supervisor[n3]}" "$sleeper"
kill -KILL "$(child_of n2)" "${supervisor[n2]}" "$(child_of n1)" "${supervisor[n1]}"
for id in n1 n2; do node_ended "$id"; done
kill_store
mv "$work/data/store" "$work/data/broken"
mv "$work/copy" "$work/data/store"
before=$(dump "$store")
like 'the copy' "$before" 'cluster/nodes/n3 .*Active'
# It says that it is a copy: no node gets in before the step is done.
says 1 'refuses this program: it is a copy that .*store backup.* made; stop all nodes and run .*store restored' \
    timeout 20 "$kelpied" --node-id n1 --data-dir "$work/data" --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0
kill_store
says 0 ' 0 problems' "$kelpie" store check --store "$store"
says 0 "epoch 1, cluster [0-9a-f-]+ \(was $cluster\), 3 nodes and [0-9]+ actors released" \
    "$kelpie" store restored --store "$store"
says 0 ' 0 problems' "$kelpie" store check --store "$store"
after=$(dump "$store")
is 'rows of heartbeats' "$(grep -c cluster/heartbeats <<<"$after")" 0
is 'rows by node' "$(grep -c registry/by_node <<<"$after")" 0
is 'state of actors' "$(grep ^state/ <<<"$after")" "$(grep ^state/ <<<"$before")"
like 'the view' "$after" 'membership_view number=1000000000 count=0'
like 'the term' "$after" 'primary_term term=1000000000'
like 'a node' "$after" 'nodes/n1 state=Left incarnation=1000000000 '

# ---- the cluster comes up, with the counters of the copy
nodes_up n1 n2
says 0 8 ask n1 call counter/a add 1
says 0 3 ask n2 call counter/b add 1
new=$(ask n1 -w json status | json_of cluster)
[ "$new" != "$cluster" ] && ok || fail 'the cluster id is the old one'
is 'incarnation of n1' "$(ask n1 -w json status | json_of incarnation)" 1000000001

# ---- the old life wakes up: it ends, and its node joins anew
kill -CONT "$sleeper" # first: its supervisor would take it for hung before it says a word
within 10 log_has n3 event=other_epoch
kill -CONT "${supervisor[n3]}"
node_wait n3 2
log_has n3 event=other_epoch && ok || fail 'n3 did not notice'
[ "$(child_of n3)" != "$sleeper" ] && ok || fail 'the old process of n3 still runs'
is 'incarnation of n3' "$(ask n3 -w json status | json_of incarnation)" 1000000001
within 10 active_is n1 3
says 0 9 ask n3 call counter/a add 1
says 0 ' 0 problems' "$kelpie" store check --store "$store"

# ---- the second time it is the second epoch
for id in n1 n2 n3; do kill -KILL "$(child_of "$id")" "${supervisor[$id]}"; done
for id in n1 n2 n3; do node_ended "$id"; done
says 0 '"epoch":2,' "$kelpie" -w json store restored --store "$store"
nodes_up n1
says 0 10 ask n1 call counter/a add 1
says 1 "no cluster under the prefix 'other'" "$kelpie" store restored --store "$store" --prefix other
