#!/usr/bin/env bash
# Actors that call each other on real nodes (examples/bank): payments go on while nodes are killed, and each
# one that was asked for until it was acknowledged has happened once. What cannot be is named.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
bank=$KELPIE_BUILD/examples/bank.so
[ -f "$bank" ] || { echo "no $bank"; exit 77; }
accounts="ann bob cat dan"
kills=3

for id in n1 n2 n3; do node_start $id --actors "$bank"; done
for id in n1 n2 n3; do node_wait $id; done
within 10 active_is n1 3

for a in $accounts; do is "deposit of $a" "$(ask n1 call account/$a deposit 1000)" 1000; done
is "ann pays" "$(ask n2 call account/ann pay '30 bob')" 970
is "bob has it" "$(ask n3 call account/bob balance)" 1030
is "bob pays back" "$(ask n1 call account/bob pay '30 ann')" 1000
says 1 'account/ann -> account/ann.*call_cycle' ask n1 call account/ann pay '1 ann'
says 1 'does not have so much.*refused' ask n1 call account/ann pay '5000 bob'
is "nothing was taken off" "$(ask n1 call account/ann balance)" 1000

# A node; it has another address after each kill.
pick() {
    node=n$((RANDOM % 3 + 1))
    http[$node]=$(sed -n "s/^kelpied: node $node ready http=\([^ ]*\).*/\1/p" "$work/$node.out" | tail -n 1)
}
# Pays 1, over and over; whoever is told nothing asks again, with the same id.
payer() { # FROM TO
    local i until
    for ((i = 1; ; i++)); do
        until=$((SECONDS + 60))
        pick
        until ask "$node" call "account/$1" pay "1 $2" --request-id "$1-$i" --deadline-ms 4000; do
            [ $SECONDS -lt $until ] || return 1
            sleep 0.1
            pick
        done
        echo "$i" >>"$work/paid.$1"
        [ ! -f "$work/enough" ] || return 0
    done >/dev/null 2>&1
}
pids=()
from=dan
for to in $accounts; do
    payer $from $to &
    pids+=($!)
    from=$to
done
for ((k = 0; k < kills; k++)); do
    victim=n$((k % 3 + 1))
    sleep 1
    kill -KILL "$(child_of $victim)" 2>/dev/null
    node_wait $victim $((k / 3 + 2))
done
touch "$work/enough"
for pid in "${pids[@]}"; do
    wait "$pid"
    is "a payer's status" $? 0
done
paid_before=$(wc -l <"$work/paid.dan")
for a in $accounts; do
    paid=$(wc -l <"$work/paid.$a")
    [ "$paid" -ge 5 ] && ok || fail "$a paid $paid times"
    is "balance of $a" "$(ask n1 call account/$a balance --deadline-ms 15000)" \
        $((1000 - paid + paid_before))
    echo "$a paid $paid times"
    paid_before=$paid
done
