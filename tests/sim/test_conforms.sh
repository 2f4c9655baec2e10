#!/usr/bin/env bash
# What the nodes did in a few runs is a behaviour of the specification (TLC replays it), and a step
# that is none is found, with its line.
set -euo pipefail
export KELPIE_SIM=$KELPIE_BUILD/kelpie-sim
spec=$KELPIE_SOURCE/scripts/spec
if [ -z "${TLA2TOOLS:-}" ]; then
    "$spec" --traces 1..1
    exit 77
fi
"$spec" --traces "${KELPIE_TRACE_SEEDS:-1..5}"

# A simulator that tells a lie: the same trace, but one election reads as a view that was taken.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/liar" <<'END'
#!/usr/bin/env bash
"$REAL_SIM" "$@" || exit
sed -i -E '0,/a\|->"NodeJoinComplete"/s//a|->"SyncViews"/' TraceData.tla
END
chmod +x "$dir/liar"
if said=$(REAL_SIM=$KELPIE_SIM KELPIE_SIM=$dir/liar "$spec" --traces 1..1); then
    echo "a step that is none was taken for one: $said"
    exit 1
fi
grep -qE 'REFUSED: .*stuck at line, [0-9]+, SyncViews' <<<"$said" || { echo "said: $said"; exit 1; }
