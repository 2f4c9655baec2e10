#!/usr/bin/env bash
# Two processes do the same with a seed; when they do not, the first event that differs is named.
set -euo pipefail
sim=$KELPIE_BUILD/kelpie-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "$1: $(cat "$dir/out")"; exit 1; }

"$sim" compare --seeds 1..3 --nodes 3 >"$dir/out" || fail 'the seeds differ'
grep -q '^3 seeds compared, 0 differ$' "$dir/out" || fail 'no summary'

# Another program, that has another idea of the seed: here one that answers seed 4 with seed 5.
cat >"$dir/other" <<END
#!/usr/bin/env bash
exec "$sim" "\${@/#4/5}"
END
chmod +x "$dir/other"
status=0
"$sim" compare --seed 4 --with "$dir/other" >"$dir/out" || status=$?
[ $status = 1 ] || fail "status $status"
grep -qE '^here: +[0-9.]+ event=1 n[0-9] start life=1 ' "$dir/out" || fail 'no first event'
grep -qE '^there: +[0-9.]+ event=1 ' "$dir/out" || fail 'no other event'
grep -q '^1 seeds compared, 1 differ$' "$dir/out" || fail 'no summary'

# One that is the same up to event 1000, and then ends: the last common event is said.
cat >"$dir/short" <<END
#!/usr/bin/env bash
case "\$*" in
*json*) exec "$sim" "\$@" --duration 30s ;;
*) "$sim" "\$@" | awk '/event=1001 /{exit} {print}' ;;
esac
END
chmod +x "$dir/short"
status=0
"$sim" compare --seed 4 --with "$dir/short" >"$dir/out" || status=$?
[ $status = 1 ] || fail "status $status"
grep -qE '^the same before: +[0-9.]+ event=1000 ' "$dir/out" || fail 'no last common event'
grep -qE '^here: +[0-9.]+ event=1001 ' "$dir/out" || fail 'no next event'
grep -qE '^there: +\(its history ends before\)' "$dir/out" || fail 'no end'
echo 'compare names the first event that differs'
