#!/usr/bin/env bash
# The wall clock decides nothing: where it jumps does not change a history by one event.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

for seed in 1 2 3; do
    jumps=$("$sim" run --seed $seed --faults wall-jump,crash,freeze,partition,leave)
    still=$("$sim" run --seed $seed --faults wall-jump,crash,freeze,partition,leave --set wall_jump_s=0)
    grep -q 'wall-jump=[1-9]' <<<"$jumps" || { echo "seed $seed: no jump"; exit 1; }
    for line in trace_hash events; do
        [ "$(grep "^$line " <<<"$jumps")" = "$(grep "^$line " <<<"$still")" ] ||
            { echo "seed $seed: the wall clock changed the $line"; exit 1; }
    done
    "$sim" run --seed $seed --faults clock-jump | grep -q '^faults  *clock-jump=[1-9]' ||
        { echo "seed $seed: no machine slept"; exit 1; }
done
echo "the wall clock decides nothing"
