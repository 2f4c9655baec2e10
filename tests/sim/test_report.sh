#!/usr/bin/env bash
# The page of a run: a recorded run is the same run, the page is whole and needs nothing else, a
# place that cannot be written is one sentence and nothing half-written.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

hash_of() {
    "$sim" run --seed 4 --faults all --duration 20s "$@" | sed -n 's/^trace_hash //p'
}
plain=$(hash_of)
recorded=$(hash_of --report "$dir/run.html")
[ "$plain" = "$recorded" ] || { echo "$plain, recorded $recorded"; exit 1; }
ls "$dir" | grep -qx run.html || { echo "no page, or more: $(ls "$dir")"; exit 1; }
if grep -Eq '(src|href)="|https?://' "$dir/run.html"; then
    echo "the page asks for something else"
    exit 1
fi
python3 - "$dir/run.html" "$plain" <<'END'
import json, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1))
assert data["hash"] == sys.argv[2]
assert len(data["lines"]) % 12 == 0 and len(data["lines"]) > 12 * 1000, len(data["lines"])
assert len(data["bars"]) % 7 == 0
kinds = {data["lines"][i] for i in range(0, len(data["lines"]), 12)}
assert kinds == {0, 1, 2, 3, 4}, kinds
bars = {data["bar_kinds"][data["bars"][i]] for i in range(0, len(data["bars"]), 7)}
for kind in ("life", "state", "lease", "claim", "view", "activation", "stored view", "stored primary"):
    assert kind in bars, kind
for i in range(0, len(data["lines"]), 12):
    assert data["lines"][i + 1] + data["lines"][i + 2] <= data["end_us"] + 1
for name in ("SendHeartbeat", "PlaceActor", "CommitWrite", "ping", "actor call"):
    assert name in data["names"], name
END
said=$("$sim" run --seed 4 --report "$dir/no/where.html" 2>&1 >/dev/null) && exit 1
[ "$(wc -l <<<"$said")" = 1 ] && [[ $said == *"cannot write"* ]] || { echo "said: $said"; exit 1; }
echo "recorded run, same hash; page of $(wc -c <"$dir/run.html") bytes"
