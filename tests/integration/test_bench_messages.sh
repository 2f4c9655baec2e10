#!/usr/bin/env bash
# The benches whose clients are scripts, for their counts alone: messages, and kills of nodes, hosts and the store.
set -euo pipefail

out=$(python3 "$KELPIE_SOURCE/bench/messages" --build "$KELPIE_BUILD" --check 2>/dev/null) ||
    { echo "messages --check failed: $out"; exit 1; }
[[ $(tail -n 1 <<<"$out") == *'"lost": 0, "twice": 0, "commits_a_message": '[012].*'"ok": true}' ]] ||
    { echo "messages: its last line is: $out"; exit 1; }
out=$(python3 "$KELPIE_SOURCE/bench/lib/failover_all.py" --build "$KELPIE_BUILD" --runs 3 --writers 4 2>&1) ||
    { echo "failover --kind all failed: $out"; exit 1; }
[[ $(tail -n 1 <<<"$out") == *'"lost": 0, "duplicated": 0, "failed_calls": 0, "dead_letters": 0, "ok": true}' ]] ||
    { echo "failover --kind all: its last line is: $out"; exit 1; }
echo "bench: all counts hold"
