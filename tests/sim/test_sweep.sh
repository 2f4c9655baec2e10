#!/usr/bin/env bash
# A sweep of many seeds is clean, and says what it did. KELPIE_SWEEP_SEEDS: how many (200).
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim
seeds=${KELPIE_SWEEP_SEEDS:-200}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

if ! "$sim" sweep --seeds "1..$seeds" --jobs 2 -w json >"$out"; then
    echo "the sweep found something:"
    "$sim" sweep --seeds "1..$seeds" --jobs 2 || true
    exit 1
fi
for field in '"seeds":'"$seeds"',' '"violations":0,' '"failed_seeds":\[\]' '"events":[1-9]' \
    '"events_per_s":[1-9]' '"sim_s_per_wall_s":[1-9]' '"elections":[1-9]' '"failures":[1-9]'; do
    grep -q "$field" "$out" || { echo "no $field in: $(cat "$out")"; exit 1; }
done
sed 's/,"compared.*//; s/[{}"]//g; s/,/ /g' "$out"
