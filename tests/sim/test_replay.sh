#!/usr/bin/env bash
# Every file of tests/regressions does what it says; a damaged one is refused with one sentence.
set -uo pipefail
sim=$KELPIE_BUILD/kelpie-sim
failed=0 ran=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for file in "$KELPIE_SOURCE"/tests/regressions/*.case; do
    if grep -q '^mutant=' "$file"; then
        echo "skipped, it needs a build with mutants: $file"
        continue
    fi
    breaks=$(sed -n 's/^breaks=//p' "$file")
    out=$("$sim" replay "$file" 2>&1)
    status=$?
    if [ "$breaks" = nothing ] && [ $status = 0 ]; then
        ran=$((ran + 1))
    elif [ $status = 1 ] && grep -q "^VIOLATION $breaks " <<<"$out"; then
        ran=$((ran + 1))
    else
        echo "$file: status $status, but it breaks $breaks:"
        tail -n 4 <<<"$out"
        failed=1
    fi
done
[ $ran -gt 0 ] || { echo "no file was replayed"; failed=1; }

refused() {
    local want=$1 said status
    said=$("$sim" replay "$dir/case" 2>&1 >/dev/null)
    status=$?
    if [ $status != 2 ] || [ "$(wc -l <<<"$said")" != 1 ] || [[ $said != *"$want"* ]]; then
        echo "wanted '$want': status $status, said: $said"
        failed=1
    fi
}
good=$(ls "$KELPIE_SOURCE"/tests/regressions/*.case | head -n 1)
refused 'cannot read it'
: >"$dir/case" && refused 'first line'
sed '1s/1$/2/' "$good" >"$dir/case" && refused 'first line'
sed '$d' "$good" >"$dir/case" && refused 'no end'
head -c 200 "$good" >"$dir/case" && refused 'no end'
{ cat "$good"; echo more; } >"$dir/case" && refused 'goes on'
sed 's/^nodes=.*/nodes=99/' "$good" >"$dir/case" && refused 'nodes must be 1 to'
sed 's/^nodes=.*/nodes=-1/' "$good" >"$dir/case" && refused 'nodes must be 1 to'
sed 's/^loss=.*/loss=1025/' "$good" >"$dir/case" && refused 'loss must be 0 to'
sed 's/^nodes=.*/knots=3/' "$good" >"$dir/case" && refused "no value named 'knots'"
sed 's/^nodes=.*/nodes/' "$good" >"$dir/case" && refused 'not name=value'
sed 's/^faults=.*/faults=rain/' "$good" >"$dir/case" && refused "no fault named 'rain'"
sed '/^seed=/d' "$good" >"$dir/case" && refused 'before the seed'
sed 's/^heartbeat_ms=.*/heartbeat_ms=5000/' "$good" >"$dir/case" && refused 'heartbeat-ms'
head -c 20000 /dev/zero >"$dir/case" && refused 'longer than'
[ $failed = 0 ] && echo "$ran regressions replayed"
exit $failed
