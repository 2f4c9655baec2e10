#!/usr/bin/env bash
# What a sweep says of what it came by: pairs of fault and phase, marks, times of the calm; and it
# fails over what never happened only when asked, or when it is long.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "$1: $(cat "$dir/out")"; exit 1; }
expect() { grep -qE "$1" "$dir/out" || fail "no '$1'"; }

"$sim" sweep --seeds 1..6 --duration 20s --jobs 2 --twice 100 >"$dir/out" || fail 'not clean'
expect '^run_twice +6$'
expect '^hash_differed +0$'
expect '^ +struck +join election failure +view placement activation commit drain migration$'
expect '^crash +[0-9]+ '
expect '^steps of the specification: NodeJoin=[1-9]'
expect '^\(all runs\) +6 +[1-9]'
if grep -q '^marks .*this build has none' "$dir/out"; then
    echo 'marks are left out: this build has none'
    exit 77
fi
expect '^marks +[1-9][0-9]* of [1-9][0-9]* passed; in how many seeds: .*joined-as-founder=6'
expect '^never: [a-z0-9-]+$'
expect '^never: [a-z-]+ during [a-z]+$'

status=0
"$sim" sweep --seeds 1..6 --duration 20s --require-coverage >"$dir/out" || status=$?
[ $status = 1 ] || fail "status $status though much never happened"

# A fault that no run has cannot be missed.
"$sim" sweep --seeds 1..2 --duration 5s --faults none >"$dir/out" || fail 'not clean'
! grep -q '^never: .* during ' "$dir/out" || fail 'a pair with a fault that is off'
expect '^never: step Twin$'
! grep -q '^never: step NodeJoin$' "$dir/out" || fail 'a step that every run has'

"$sim" sweep --seeds 1..3 --duration 5s -w json >"$dir/out" || fail 'not clean'
for field in '"marks":\{"' '"steps":\{"NodeJoin":[1-9]' '"joined-as-founder":3' '"never":\["' \
    '"faults":\{"crash":\{"struck":[0-9]+,"during":\{"join":[0-9]+' \
    '"calm":\{"runs":3,"p50_ms":[1-9][0-9]*,"p99_ms":[1-9]'; do
    expect "$field"
done

# As long as it takes, and no longer.
begun=$SECONDS
"$sim" sweep --minutes 0.05 --duration 5s >"$dir/out" || fail 'not clean'
took=$((SECONDS - begun))
[ $took -ge 2 ] && [ $took -le 20 ] || fail "took $took s"
expect '^seeds +[1-9]'
"$sim" sweep --minutes 5 --seeds 7..8 --duration 1s >"$dir/out" || fail 'not clean'
expect '^seeds +2$'
echo 'a sweep says what it came by'
