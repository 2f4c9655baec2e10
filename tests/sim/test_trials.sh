#!/usr/bin/env bash
# Actors that fail, grow and take long, and clients that insist: the node keeps its word.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

figure() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }
at_least() {
    [ "$(figure "$1" "$2")" -ge "$3" ] || { echo "$2 is below $3 in $1"; exit 1; }
}

for fault in actor-fails actor-grows actor-slow burst comes-back; do
    out=$("$sim" run --seed 3 --faults "$fault" --set trials=3 --set special=20)
    grep -q "^faults  *$fault=[0-9]" <<<"$out" || { echo "$fault did not happen: $out"; exit 1; }
done
out=$("$sim" run --seed 3 --faults actor-fails,actor-grows --set trials=3 --set special=20 -w json)
at_least "$out" StateIsWhole 1000
at_least "$out" failed_as_due 10
out=$("$sim" run --seed 3 --faults burst --set burst_ms=2000 -w json)
at_least "$out" mailbox_full 1
out=$("$sim" sweep --seeds 1..4 --faults comes-back,actor-grows --set trials=3 --set special=40 -w json)
at_least "$out" applied_reply_not_kept 1

# Nothing of it when it is off.
out=$("$sim" run --seed 3 --faults none -w json)
[ "$(figure "$out" StateIsWhole)" = 0 ] || { echo "trials though none were asked for: $out"; exit 1; }
echo "trials: ok"
