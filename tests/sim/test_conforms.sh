#!/usr/bin/env bash
# What the nodes did in a few runs is a behaviour of the specification (TLC replays it), and a step
# that is none is found, with its line; so it is with the turns of an actor.
set -euo pipefail
export KELPIE_SIM=$KELPIE_BUILD/kelpie-sim
spec=$KELPIE_SOURCE/scripts/spec
if [ -z "${TLA2TOOLS:-}" ]; then
    "$spec" --traces 1..1
    "$spec" --turns-traces 1..1
    exit 77
fi
"$spec" --traces "${KELPIE_TRACE_SEEDS:-1..5}"

"$spec" --turns-traces "${KELPIE_TURNS_SEEDS:-6..8}"

# A simulator that tells a lie: the same trace, but one election reads as a view that was taken.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/liar" <<'END'
#!/usr/bin/env bash
"$REAL_SIM" "$@" || exit
[ -e TraceData.tla ] && sed -i -E '0,/a\|->"NodeJoinComplete"/s//a|->"SyncViews"/' TraceData.tla
[ -e TurnsData.tla ] && sed -i -E '0,/a\|->"Land"/s//a|->"Learn"/' TurnsData.tla
exit 0
END
chmod +x "$dir/liar"
refused() {
    if said=$(REAL_SIM=$KELPIE_SIM KELPIE_SIM=$dir/liar "$spec" "$1" "$2"); then
        echo "a step that is none was taken for one: $said"
        exit 1
    fi
    grep -qE "REFUSED: $3" <<<"$said" || { echo "said: $said"; exit 1; }
}
refused --traces 1..1 '.*stuck at line, [0-9]+, SyncViews'
refused --turns-traces 6..6 '.*stuck at line, [0-9]+, Learn'
