#!/usr/bin/env bash
# Callbacks that take up to a quarter of the lease, one after the other and in all actors at once, cost no
# node its lease.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

figure() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }

# A callback of the trial class takes the time twice: up to 500 ms of a lease of 2 s.
kept=$("$sim" sweep --seeds 1..20 --faults actor-slow --set slow_handler_ms=250 --set lease_ms=2000 --set heartbeat_ms=300 \
    --set think_ms=1 --set trials=4 --set special=64 --set clients=40 --nodes 2 --actors 4 --duration 20s --twice 0 -w json) ||
    { echo "$kept"; exit 1; }
compared=$(figure "$kept" LeaseIsKept)
[ "$compared" -ge 10000 ] || { echo "too little was compared: $kept"; exit 1; }
[ "$(figure "$kept" callbacks-wait-for-the-lease)" -ge 1 ] || { echo "no callback waited for the lease: $kept"; exit 1; }
echo "turns: $compared looks, no lease lost"
