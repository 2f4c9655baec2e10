#!/usr/bin/env bash
# Machines that die, freeze, leave and are struck off: what the others say of it in the log, as events, in
# /readyz, in `status` and `node list`.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
count() { cat "${@:2}" | grep -c -- "$1"; } # PATTERN FILE...
# A machine dies: supervisor and node at once, so that nobody declares anything.
machine() { # SIGNAL ID
    machine_child=$(child_of "$2")
    kill "-$1" "${supervisor[$2]}"
    kill "-$1" "$machine_child" 2>/dev/null
}
ready_code() { # ID [QUERY]
    request "$1" GET "/readyz${2:-}"
    echo "$code"
}
gone_is() { [ "$(ready_code "$1" "$2")" = "$3" ]; }

nodes_up n1 n2 n3
for id in n1 n2 n3; do within 10 active_is $id 3; done
primary=$(primary_of n1)
others=()
for id in n1 n2 n3; do [ "$id" = "$primary" ] || others+=("$id"); done
survivor=${others[0]} other=${others[1]}
is 'ready' "$(ready_code "$survivor")" 200
is 'ready with majority' "$(ready_code "$survivor" '?majority=1')" 200
is 'body' "$(cat "$work/body")" ready
is 'status of status' "$(ask "$survivor" status >/dev/null; echo $?)" 0
refused 400 invalid 'must be 1 or 0' "$survivor" GET '/readyz?majority=perhaps'
for id in n1 n2 n3; do
    log_has $id 'event=view number=[0-9]* members=[0-9]* came="[^"]*" gone=""' && ok || fail "$id: who came"
done

# ---- the primary's machine freezes: the election fails it, names it, and every node sees who went
machine STOP "$primary"
within 15 active_is "$survivor" 2
within 5 test "$(primary_of "$survivor")" != "$primary"
winner=$(primary_of "$survivor")
is 'times it was named' "$(count "level=warn .*event=node_failed who=\"$primary\" incarnation=1 by=\"$winner\" reason=\"it was primary and silent" "$work"/n?.log)" 1
for id in "${others[@]}"; do
    within 5 log_has "$id" "event=view .*came=\"\" gone=\"$primary\""
done
ask "$winner" events --no-follow >"$work/events"
like 'the event' "$(cat "$work/events")" "  warn  $winner  node_failed who=$primary incarnation=1 by=$winner reason=\"it was primary"
kill -CONT "$machine_child"
within 5 log_has "$primary" 'level=warn .*event=life_ended incarnation=1 '
kill -CONT "${supervisor[$primary]}"
within 15 active_is "$survivor" 3
is 'losses of a primary told for one that was elected at once' "$(count 'event=primary_lost' "$work"/n?.log)" 0

# ---- another's machine dies: the primary fails it, and names it
primary=$(primary_of "$survivor") others=()
for id in n1 n2 n3; do [ "$id" = "$primary" ] || others+=("$id"); done
machine KILL "${others[1]}"
within 15 log_has "$primary" "level=warn .*event=node_failed who=\"${others[1]}\" incarnation=[0-9]* by=\"$primary\" reason=\"silent for the window, as the primary saw"
within 5 log_has "${others[0]}" "event=view .*came=\"\" gone=\"${others[1]}\""
node_start "${others[1]}"
node_wait "${others[1]}"
for id in n1 n2 n3; do within 10 active_is $id 3; done

# ---- a node's process dies: its supervisor fails it, and names it
kill -KILL "$(child_of "${others[1]}")"
within 10 log_has "${others[1]}" "level=warn .*event=node_failed who=\"${others[1]}\" incarnation=[0-9]* by=supervisor reason=\"signal 9"
node_wait "${others[1]}" 2
for id in n1 n2 n3; do within 10 active_is $id 3; done

# ---- two of three machines die, the primary's among them: one line each, and no word that is not true
primary=$(primary_of "$survivor") others=()
for id in n1 n2 n3; do [ "$id" = "$primary" ] || others+=("$id"); done
survivor=${others[0]} other=${others[1]}
machine KILL "$primary"
machine KILL "$other"
within 15 log_has "$survivor" "level=warn .*event=primary_lost reason=\"no living primary: node $primary, which was, is silent for"
within 15 log_has "$survivor" 'level=warn .*event=majority_lost reason="no majority: 1 of 3 voters heard from, 2 needed"'
is 'acting goes on' "$(ready_code "$survivor")" 200
like 'what /readyz names' "$(tr '\n' '|' <"$work/body")" '^ready\|no majority: 1 of 3 .*\|no living primary: .*\|$'
within 5 gone_is "$survivor" '?majority=1' 503
like 'what it names' "$(cat "$work/body")" 'unavailable.*no majority: 1 of 3 voters heard from, 2 needed; no living primary'
for i in $(seq 6); do says 0 "^new $i\$" ask "$survivor" call "echo/new$i" echo "new $i"; done
text=$(ask "$survivor" status)
is 'status of status without a primary' $? 3
like 'status' "$text" "TROUBLE +no majority: 1 of 3.*TROUBLE +no living primary.*view .*$other \(silent [0-9]+ s\).*primary +none living; last read: $primary.*majority +NO: 1 of 3 voters heard from"
like 'status in JSON' "$(ask "$survivor" -w json status)" '"primary_lives":false,"primary_missing_ms":[0-9]+,"majority_missing_ms":[0-9]+,.*"has_majority":false'
text=$(ask "$survivor" node list)
like 'node list' "$text" "(^|"$'\n'")$other +Active, silent [0-9]+ s +-"
like 'node list' "$text" "(^|"$'\n'")$primary +Active, silent [0-9]+ s +-"
is 'PRIMARY yes' "$(grep -c ' yes ' <<<"$text")" 0
says 1 'no living primary.*unavailable' ask "$survivor" node drain "$survivor"
says 1 'no living primary.*unavailable' ask "$survivor" node drain "$other"
says 1 'no living primary to strike a node off; --force' ask "$survivor" node forget "$other"
log_has "$survivor" "level=info .*event=asked what=\"drain\" who=\"$other\"" && ok || fail 'no word of the drain'
request "$survivor" GET /metrics
for metric in primary_missing majority_missing store_connected; do
    grep -q "^kelpie_$metric 1$" "$work/body" && ok || fail "no kelpie_$metric 1"
done
sleep 2
for name in primary_lost majority_lost; do
    is "times $name is told" "$(count "event=$name" "$work/$survivor.log")" 1
done

# ---- what it costs to strike one off is said; the majority and the primary are back, and told
says 0 "is forgotten; a majority is now more than half of 2 voters, not of 3: when 1 of them" ask "$survivor" node forget "$other" --force
log_has "$survivor" "event=asked what=\"forget --force\" who=\"$other\"" && ok || fail 'no word of the force'
log_has "$survivor" "event=node_failed who=\"$other\" incarnation=[0-9]* by=\"$survivor\" reason=\"silent for the window, and an operator asked: forget --force\"" && ok || fail 'it is not named'
log_has "$survivor" "event=node_forgotten who=\"$other\" by=\"$survivor\" reason=\"an operator asked: forget --force\"" && ok || fail 'it was not forgotten'
node_start "$other"
node_wait "$other"
within 20 log_has "$survivor" 'level=info .*event=primary_found primary="'
within 5 log_has "$survivor" 'level=info .*event=majority_found missing_ms='
within 5 gone_is "$survivor" '?majority=1' 200
is 'body again' "$(cat "$work/body")" ready
is 'status of status again' "$(ask "$survivor" status >/dev/null; echo $?)" 0

# ---- a clean leave is no failure, and SIGTERM needs no primary
lines=$(count 'event=node_failed' "$work"/n?.log)
kill -TERM "${supervisor[$other]}"
node_ended "$other"
is 'status of the one that left' "$status" 0
kill -TERM "${supervisor[$survivor]}"
node_ended "$survivor"
is 'status of the last one' "$status" 0
is 'failures told for clean leaves' "$(count 'event=node_failed' "$work"/n?.log)" "$lines"
# One key once a line.
is 'keys that stand twice' "$(count ' node=[^ ]* .* node=' "$work"/n?.log)" 0
