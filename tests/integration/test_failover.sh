#!/usr/bin/env bash
# Nodes that are killed, frozen and drained under calls: nothing is lost, duplicated or answered by
# a node that may not. How long it takes is for bench/failover, on a quiet machine.
set -euo pipefail

failover=$KELPIE_BUILD/bench/failover
for kind in crash host freeze drain; do
    "$failover" --kind "$kind" --runs 2 --counters 30
done

status=0
"$failover" --kind nonsense 2>/dev/null || status=$?
[ "$status" = 2 ] || { echo "a bad option: exit status $status, not 2"; exit 1; }
"$failover" --help | grep -q -e '--kind' || { echo "--help does not help"; exit 1; }
