#!/usr/bin/env bash
# Nodes that reach the store and not the others are flagged, go and come back, within the bound that
# the checkers demand; where no link is cut, nobody is flagged.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

figure() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }

cut=$("$sim" sweep --seeds 1..25 --faults grey --duration 40s --twice 0 -w json) || { echo "$cut"; exit 1; }
flags=$(figure "$cut" GreyIsUnreachable) returns=$(figure "$cut" GreyReturnsReached)
[ "$flags" -ge 20 ] || { echo "$flags flags: $cut"; exit 1; }
[ "$returns" -ge 10 ] || { echo "$returns came back: $cut"; exit 1; }
[ "$(figure "$cut" GreyIsOut)" -ge 10 ] || { echo "the bound was not looked at: $cut"; exit 1; }

# A primary that gets to the others, and that they cannot dial, goes too.
deaf=$("$sim" sweep --seeds 1..25 --faults grey --duration 40s --set deaf=1 --twice 0 -w json) || { echo "$deaf"; exit 1; }
[ "$(figure "$deaf" primary-flags-itself)" -ge 3 ] || { echo "no primary flags itself: $deaf"; exit 1; }

whole=$("$sim" sweep --seeds 1..25 --faults crash,freeze,loss,leave,store-cut --duration 40s --twice 0 -w json) ||
    { echo "$whole"; exit 1; }
[ "$(figure "$whole" GreyIsUnreachable)" = 0 ] || { echo "somebody was flagged: $whole"; exit 1; }
echo "grey: $flags flags, $returns returns"
