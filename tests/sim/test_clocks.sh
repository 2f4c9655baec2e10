#!/usr/bin/env bash
# The wall clock decides nothing but when somebody looks for messages: without these, where it jumps does not change a
# history by one step of the specification.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for seed in 2 3 4; do
    run=(run --seed $seed --faults wall-jump,crash,freeze,partition,leave --set posts=0)
    jumps=$("$sim" "${run[@]}" --trace "$dir/jumps")
    "$sim" "${run[@]}" --set wall_jump_s=0 --trace "$dir/still" >/dev/null
    grep -q 'wall-jump=[1-9]' <<<"$jumps" || { echo "seed $seed: no jump"; exit 1; }
    [ "$(wc -l <"$dir/still")" -gt 100 ] || { echo "seed $seed: hardly a step"; exit 1; }
    cmp "$dir/jumps" "$dir/still" || { echo "seed $seed: the wall clock changed a step"; exit 1; }
    "$sim" run --seed $seed --faults clock-jump | grep -q '^faults  *clock-jump=[1-9]' ||
        { echo "seed $seed: no machine slept"; exit 1; }
done
echo "the wall clock decides nothing"
