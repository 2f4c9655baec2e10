#!/usr/bin/env bash
# Every bench has --check: counts alone, no times; its last line is JSON with "ok". (fdb needs FoundationDB's
# library and a cluster, scale has a test of its own.)
set -euo pipefail

for bench in sim store call failover siege ids; do
    out=$("$KELPIE_BUILD/bench/$bench" --check 2>&1) || { echo "$bench --check failed: $out"; exit 1; }
    last=$(tail -n 1 <<<"$out")
    [[ $last == "{"*'"ok":true}' ]] || { echo "$bench: its last line is: $last"; exit 1; }
done

# One counter is on one node, whichever that is.
out=$("$KELPIE_BUILD/bench/failover" --kind crash --runs 1 --counters 1 2>&1) ||
    { echo "failover with one counter failed: $out"; exit 1; }

# Its nodes are real, its clients a script.
out=$(python3 "$KELPIE_SOURCE/bench/repeat" --build "$KELPIE_BUILD" --check 2>&1) ||
    { echo "repeat --check failed: $out"; exit 1; }
[[ $(tail -n 1 <<<"$out") == *'"twice": 0, "lost": 0, '*'"ok": true}' ]] ||
    { echo "repeat: its last line is: $out"; exit 1; }
echo "bench: all checks hold"
