#!/usr/bin/env bash
# Callbacks that take up to a quarter of the lease, one after the other and in all actors at once, cost no
# node its lease; those that take longer do, now and then (or nothing would be shown).
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

figure() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }

slow() { # SLOW_MS SEEDS
    "$sim" sweep --seeds "$2" --faults actor-slow --set slow_handler_ms="$1" --set lease_ms=2000 \
        --set heartbeat_ms=300 --set think_ms=1 --set trials=4 --set special=32 --set clients=32 --nodes 3 --duration 20s --twice 0 -w json
}

kept=$(slow 500 1..20) || { echo "$kept"; exit 1; }
[ "$(figure "$kept" LeaseIsKept)" -ge 1000 ] || { echo "too little was compared: $kept"; exit 1; }
[ "$(figure "$kept" callbacks-wait-for-the-lease)" -ge 1 ] || { echo "no callback waited: $kept"; exit 1; }
echo "turns: $(figure "$kept" LeaseIsKept) compared"
