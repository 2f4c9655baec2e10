#!/usr/bin/env bash
# Bits that flip in the store: found, reported, never acted on, and the rest goes on.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

figure() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }

for store in fdb embedded; do
    out=$("$sim" sweep --seeds 18..25 --faults rot --set store=$store -w json)
    calls=$(figure "$out" calls) acknowledged=$(figure "$out" acknowledged)
    [ "$(figure "$out" violations)" = 0 ] || { echo "$out"; exit 1; }
    [ $((acknowledged * 10)) -ge $((calls * 8)) ] ||
        { echo "$store: only $acknowledged of $calls calls were answered"; exit 1; }
done
# Its owner writes a heartbeat anew: the log names the row, and says so once, not with each beat.
said=$("$sim" run --seed 3 --faults rot --log info | grep -c 'record_corrupt action=' || true)
[ "$said" -ge 3 ] && [ "$said" -le 300 ] || { echo "record_corrupt was said $said times"; exit 1; }
echo "rot: ok, said $said times"
