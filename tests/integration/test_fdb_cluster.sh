#!/usr/bin/env bash
# Three nodes on FoundationDB's client, as far as a small library of our own (tests/fake) goes: its
# database lies in a file that the processes share. The store's commands, an outage that hits all,
# a record that is newer than the program, a restored store.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
. "$KELPIE_SOURCE/tests/lib/fake_fdb.bash" || exit 1
gate=$work/gate
touch "$gate"
export FAKE_FDB=gate FAKE_FDB_GATE=$gate FAKE_FDB_FILE=$work/fake.db
export KELPIE_FDB_LIBRARY=$library KELPIE_STORE=fdb:$cluster
ids=(n1 n2 n3)
lines() { cat "$work"/n?.log | wc -l; }
count() { cat "$work"/n?.log | grep -c -- "$1"; }
incarnations() { for id in "${ids[@]}"; do ask "$id" -w json status | json_of incarnation; done; }
children() { for id in "${ids[@]}"; do child_of "$id"; done; }
not_ready() {
    request "$1" GET /readyz
    [ "$code" = 503 ]
}
is_suspended() { [ "$(count event=suspended)" -ge 3 ]; }
has_resumed() { [ "$(count event=resumed)" -ge "$((before_resumed + 3))" ]; }

for id in "${ids[@]}"; do node_start "$id" --lease-ms 3000 --heartbeat-ms 300; done
for id in "${ids[@]}"; do node_wait "$id"; done
for i in 1 2 3; do says 0 "$i" ask "n$i" call counter/a add 1; done

# ---- the commands, through the driver
says 0 'prefix kelpie: [0-9]+ records, 3 nodes, 1 actors, 0 problems$' "$kelpie" store check
says 0 '"problems":\[\]' "$kelpie" -w json store check --store "fdb:$cluster"
says 0 'registry/actors/counter/a placed=true node="n[123]" incarnation=1 ' "$kelpie" store dump
is 'records of another prefix' "$("$kelpie" store dump --prefix other)" ''
says 1 "no cluster under the prefix 'other'.*0 records, 0 nodes" "$kelpie" store check --prefix other
says 0 'format 2; this program reads 1 to 2.*NODE +STATE +READS UP TO.*n3 +Active +2' \
    "$kelpie" store format
says 0 '"format":2,"format_max":2,"raised":false,"nodes":\[\{"node":"n1","state":"Active"' \
    "$kelpie" -w json store format --raise
says 1 "no cluster under the prefix 'other'" "$kelpie" store format --prefix other
says 1 "node n[123] is alive; stop all nodes first" "$kelpie" store restored
says 1 "FoundationDB's own tools" "$kelpie" store backup "$work/copy"

# ---- the database is gone for three leases
before_children=$(children) before_incarnations=$(incarnations) before_lines=$(lines)
before_resumed=$(count event=resumed)
primary=$(primary_of n1)
rm "$gate"
gone=${EPOCHREALTIME/[.,]/}
within 6 is_suspended
took=$((${EPOCHREALTIME/[.,]/} - gone))
[ "$took" -le 4500000 ] && ok || fail "suspended after $took us"
for id in "${ids[@]}"; do
    within 3 not_ready "$id"
    like "what $id's /readyz says" "$(cat "$work/body")" 'unavailable.*node n. is Active: the store does not answer'
    like "what $id's status says" "$(ask "$id" status)" 'the store does not answer'
done
for words in 'check' 'dump' 'restored'; do
    says 1 "cluster of '$cluster' has not answered for [0-9]+ ms; .* reaches it$" \
        "$kelpie" store "$words"
done
says 1 'unavailable|suspended|no answer|deadline|timeout' ask n2 call counter/a add 1 --deadline-ms 500
# Its end: the same processes in the same incarnations go on.
touch "$gate"
within 10 has_resumed
is 'processes after the outage' "$(children)" "$before_children"
is 'incarnations after the outage' "$(incarnations)" "$before_incarnations"
is 'nodes that were failed' "$(count -E 'event=(node_failed|life_ended|past_life_failed)')" 0
is 'store_problem, each once' "$(count 'level=warn node=n. program=kelpied event=store_problem')" 3
is 'store_connected again, each once' "$(count 'node=n. program=kelpied event=store_connected')" 3
added=$(($(lines) - before_lines))
[ "$added" -le 24 ] && ok || fail "the outage made $added lines of log"
for id in "${ids[@]}"; do within 10 active_is "$id" 3; done
within 10 ask n1 call counter/a add 1
says 0 5 ask n3 call counter/a add 1
[ -n "$(primary_of n1)" ] && ok || fail "no primary (was $primary)"

# ---- everything is killed; the store becomes a new epoch
for id in "${ids[@]}"; do kill -KILL "${supervisor[$id]}" "$(child_of "$id")"; done 2>/dev/null
for id in "${ids[@]}"; do node_ended "$id"; done
says 0 'epoch 1, .* 3 nodes and 1 actors released' "$kelpie" store restored
says 0 ' 0 problems' "$kelpie" store check
node_start n1 --lease-ms 3000 --heartbeat-ms 300
node_wait n1
says 0 6 ask n1 call counter/a add 1
kill -TERM "${supervisor[n1]}"
node_ended n1
is 'how n1 ended' "$status" 0
