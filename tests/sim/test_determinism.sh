#!/usr/bin/env bash
# A seed is a seed: the same hash twice in a row, with another layout of memory, and whatever is
# printed meanwhile; other seeds have other hashes.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

hash_of() {
    "$@" | sed -n 's/.*"trace_hash":"\([0-9a-f]*\)".*/\1/p' | tail -n 1
}

seen=''
for seed in 1 2 3 7 42 18446744073709551615; do
    one=$(hash_of "$sim" run --seed $seed -w json)
    two=$(DST_SEED=$seed hash_of "$sim" run -w json)
    logged=$(hash_of "$sim" run --seed $seed -w json --log debug)
    fixed=$one
    if command -v setarch >/dev/null && setarch -R true 2>/dev/null; then
        fixed=$(hash_of setarch -R "$sim" run --seed $seed -w json)
    fi
    [ ${#one} = 32 ] || { echo "seed $seed: no hash: '$one'"; exit 1; }
    for other in "$two" "$logged" "$fixed"; do
        [ "$one" = "$other" ] || { echo "seed $seed: $one, then $other"; exit 1; }
    done
    case $seen in *"$one"*) echo "seed $seed has the hash of another seed"; exit 1 ;; esac
    seen="$seen $one"
done
echo "same seed, same hash"
