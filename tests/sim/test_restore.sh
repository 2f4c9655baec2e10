#!/usr/bin/env bash
# A store that is set back to a backup: a new epoch begins, whoever lived on takes no part in it, and
# clients go on from what the rows say. On both stores.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim

for store in fdb embedded; do
    out=$("$sim" sweep --seeds 1..12 --faults restore,crash,partition --set store=$store)
    grep -q '^violations  *0$' <<<"$out" || { echo "$out"; exit 1; }
    grep -q 'NoOldLifeRevives=[1-9]' <<<"$out" || { echo "nothing was restored: $out"; exit 1; }
done
echo "restored stores: ok"
