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
turned=$(hash_of --turns-tla "$dir/TurnsData.tla")
[ "$plain" = "$turned" ] || { echo "$plain, with its turns $turned"; exit 1; }
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
# Turns: actions of the replay, in the order of time; a commit is sent before it lands, and learnt after.
data = open(sys.argv[1] + "/TurnsData.tla").read()
replay = open(sys.argv[2] + "/TurnsTrace.tla").read()
turns = re.findall(r'^\[i\|->(\d+),a\|->"(\w+)",t\|->(\d+),g\|->(\d+),.*?,n\|->(\d+),', data, re.M)
assert len(turns) > 100 and turns[-1][0] == str(len(turns)), len(turns)
assert all('l.a = "%s"' % a in replay for _, a, *_ in turns)
ticks = [int(t) for _, a, t, *_ in turns if a == "Tick"]
assert ticks == sorted(set(ticks))
stage = {}
for _, action, _, g, n in turns:
    if action in ("Commit", "Land", "Learn"):
        before = {"Commit": None, "Land": "Commit", "Learn": "Land"}[action]
        assert stage.get((g, n)) == before or action == "Commit", (action, g, n)
        stage[g, n] = action
assert "Learn" in stage.values()
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
