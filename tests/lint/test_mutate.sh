#!/usr/bin/env bash
# scripts/mutate draws the same mistakes from the same seed, of every kind, as diffs that apply to the
# tree, outside of assertions, marks and log lines; wrong usage is said. (Building and judging them
# takes long: docs/mutants.md has the score.)
set -euo pipefail
cd "${KELPIE_SOURCE:-$(dirname "$0")/../..}"
case $(basename "${KELPIE_BUILD:-build}") in
build) ;;
*)
    echo "does not depend on the build"
    exit 77
    ;;
esac
if ! /usr/bin/python3 -c 'import clang.cindex' 2>/dev/null; then
    echo "python3-clang is not installed (scripts/deps --lint installs it)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
no() { echo "no: $1"; failed=1; }

# (Reading the whole tree takes long, so that is done once.)
of_one() { scripts/mutate --list --only src/actor/gate.c --count 40 --seed "$1"; }
of_one one >"$work/b"
of_one two >"$work/c"
of_one one | cmp -s "$work/b" - || no "the same seed draws something else"
cmp -s "$work/b" "$work/c" && no "another seed draws the same"
scripts/mutate --list --count 400 --seed one >"$work/a"

for operator in negate compare drop swap constant sibling return undo; do
    n=$(grep -cE "^src/.*: $operator\$" "$work/a" || true)
    [ "$n" -ge 5 ] || no "$operator is drawn $n times of 400"
done
[ "$(grep -cE '^src/[a-z_/]*\.c:[0-9]+: [a-z]+$' "$work/a")" = 400 ] || no "not 400 mistakes"
# (A return may be put before such a line; the line itself stays.)
if awk '/^src\/.*: [a-z]+$/ { kind = $2 } kind != "return"' "$work/a" |
    grep -nE '^-.*\b(CHECK|SOMETIMES|log_(debug|info|warn|error))\('; then
    no "a mistake in what only says things"
fi

# Each diff applies by itself (a hundred of them are tried).
awk -v dir="$work" '/^src\/.*: [a-z]+$/ { n++; next } n && n % 4 == 0 { print > (dir "/" n ".diff") }' "$work/a"
for diff in "$work"/*.diff; do
    git apply --check "$diff" 2>"$work/said" || { cat "$work/said" "$diff"; no "$diff does not apply"; }
done

if said=$(scripts/mutate --list --only src/nosuch.c 2>&1) || [[ $said != *"none of the files"* ]]; then
    no "of a file that is not judged it says: $said"
fi
if said=$(scripts/mutate --count 0 2>&1) || [[ $said != *"not 0"* ]]; then
    no "of a count of 0 it says: $said"
fi
exit $failed
