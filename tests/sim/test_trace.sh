#!/usr/bin/env bash
# The steps of a run: one JSON object a line, each with an action of the specification and the state
# after it; a run that is traced is the same run; a place that cannot be written is one sentence and
# nothing half-written.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

hash_of() {
    "$sim" run --seed 4 --duration 20s "$@" | sed -n 's/^trace_hash //p'
}
plain=$(hash_of)
traced=$(hash_of --trace "$dir/run.ndjson" --trace-tla "$dir/TraceData.tla")
[ "$plain" = "$traced" ] || { echo "$plain, traced $traced"; exit 1; }
[ "$(ls "$dir" | tr '\n' ' ')" = "TraceData.tla run.ndjson " ] || { echo "left: $(ls "$dir")"; exit 1; }
python3 - "$dir" "$KELPIE_SOURCE/spec" <<'END'
import json, re, sys
lines = [json.loads(l) for l in open(sys.argv[1] + "/run.ndjson", encoding="utf-8")]
assert len(lines) > 200, len(lines)
spec = open(sys.argv[2] + "/KelpieCluster.tla").read()
trace = open(sys.argv[2] + "/Trace.tla").read()
states = {"Left", "Joining", "Active", "Leaving", "Failed"}
before = 0
for number, line in enumerate(lines, 1):
    action, state = line["action"], line["state"]
    assert line["step"] == number and line["at_ms"] >= before, line
    before = max(before, line["at_ms"])
    assert re.search(r"^%s\b" % action, spec + trace, re.M), action
    assert line["node"] in state["nodes"], line["node"]
    active = sorted(n for n, row in state["nodes"].items() if row["state"] == "Active")
    assert state["view"]["members"] == active, (number, active)
    for row in state["nodes"].values():
        assert row["state"] in states and row["incarnation"] >= 0 and row["gone"] >= 0
        assert not row["known"] or (row["me"]["state"] in states and "lease" in row), row
# Terms, views and generations grow from line to line.
for a, b in zip(lines, lines[1:]):
    a, b = a["state"], b["state"]
    assert a["view"]["number"] <= b["view"]["number"] and a["primary"]["term"] <= b["primary"]["term"]
    assert all(a["actors"][k]["generation"] <= b["actors"][k]["generation"] for k in a["actors"])
# The module holds the same steps.
module = open(sys.argv[1] + "/TraceData.tla").read()
assert module.startswith("---- MODULE TraceData ----") and module.endswith("====\n")
found = re.findall(r'^\[i\|->(\d+),a\|->"(\w+)",n\|->"(\w+)"', module, re.M)
assert found == [(str(l["step"]), l["action"], l["node"]) for l in lines]
print("%d steps, %d kinds" % (len(lines), len({l["action"] for l in lines})))
END
rm "$dir"/*
for option in --trace --trace-tla; do
    said=$("$sim" run --seed 4 "$option" "$dir/no/where" 2>&1 >/dev/null) && exit 1
    [ "$(wc -l <<<"$said")" = 1 ] && [[ $said == *"$option: cannot write"* ]] || { echo "said: $said"; exit 1; }
done
[ -z "$(ls "$dir")" ] || { echo "left: $(ls "$dir")"; exit 1; }
