#!/usr/bin/env bash
# What operators do, with nothing else that goes wrong: it is done, and nobody notices.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

figure() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }

rolled=$("$sim" run --seed 3 --faults roll --set order_ms=2000 -w json)
calls=$(figure "$rolled" calls) acknowledged=$(figure "$rolled" acknowledged)
[ "$(figure "$rolled" nodes_rolled)" -ge 7 ] || { echo "no roll through 7 nodes: $rolled"; exit 1; }
# Of a thousand calls a few may be under way when their client gives up.
[ $((acknowledged * 1000)) -ge $((calls * 990)) ] ||
    { echo "$acknowledged of $calls calls of a rolled cluster were answered"; exit 1; }

forced=$("$sim" sweep --seeds 1..10 --faults force-forget,kill-all,host -w json)
[ "$(figure "$forced" orders_obeyed)" -ge 5 ] || { echo "nobody was forgotten: $forced"; exit 1; }

none=$("$sim" run --seed 3 --faults none -w json)
[ "$(figure "$none" orders)" = 0 ] || { echo "orders without operators: $none"; exit 1; }
echo "operators: $acknowledged of $calls calls answered during a roll"
