#!/usr/bin/env bash
# The command `kelpie`: its exit status, its sentences, its tables.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

unset KELPIE_ASK # it is the command that is judged

# Usage: status 2.
says 2 'which command' "$kelpie"
says 2 "no command 'stats'; did you mean 'status'" "$kelpie" stats
says 2 "no command 'node lst'; did you mean 'node list'" "$kelpie" node lst
says 2 "no command 'frobnicate'; kelpie --help lists them" "$kelpie" frobnicate
says 2 'unknown option --wide' "$kelpie" status --wide
says 2 'unknown option --w.x1b.31m' "$kelpie" status $'--w\e[31m'
says 2 'unknown option --nod; did you mean --node' "$kelpie" --nod x status
says 2 '--node needs a value' "$kelpie" --node
says 2 "'nowhere', but it must be HOST:PORT" "$kelpie" --node nowhere status
says 2 "-w is 'yaml', but it must be table or json" "$kelpie" -w yaml status
says 2 'usage: kelpie call TYPE/ID METHOD' "$kelpie" call counter/a
says 2 'usage: kelpie node drain ID' "$kelpie" node drain
says 2 'usage: kelpie node drain ID' "$kelpie" node drain a b
says 2 "'counter' is no actor: write TYPE/ID" "$kelpie" call counter get
says 2 'actor id is empty' "$kelpie" call counter/ get
says 2 'actor type is empty' "$kelpie" call /a get
says 2 'actor type .* 65 bytes' "$kelpie" call "$(printf 't%.0s' $(seq 65))/a" get
says 2 'not UTF-8' "$kelpie" call $'counter/a\xff' get
says 2 "--deadline-ms is 'soon'" "$kelpie" call counter/a get --deadline-ms soon
for after in soon -1 1.5 '' 9999999999999999999; do
    says 2 "--after is '$after', but it must be 0 to 315360000000" "$kelpie" call counter/a add --after="$after"
done
says 2 "--limit is '0'" "$kelpie" actor list --limit 0

# Help: status 0, with examples.
says 0 'usage: kelpie \[--node' "$kelpie" --help
says 0 '^kelpie 0\.' "$kelpie" --version
for command in status 'node list' 'node drain' 'node forget' 'actor list' 'actor locate' call events \
    'store check' 'store dump' 'store format' 'store backup' 'store restored'; do
    # shellcheck disable=SC2086
    says 0 "usage: kelpie $command.*kelpie $command" "$kelpie" $command --help
done

# Nobody there: status 1.
for command in status 'node list' 'node drain n1' 'node forget n1' 'actor list' 'actor locate a/b' events; do
    # shellcheck disable=SC2086
    says 1 '^kelpie: cannot reach a node at 127.0.0.1:1: connection refused or lost; start one with kelpied, or name one with --node$' \
        "$kelpie" --node 127.0.0.1:1 $command
done
says 1 'cannot reach a node at 127.0.0.1:1: .*applied: unknown$' "$kelpie" --node 127.0.0.1:1 call a/b c
says 1 'cannot reach a node at 127.0.0.1:2' env KELPIE_NODE=127.0.0.1:2 "$kelpie" status
says 1 'there is no store in .*nowhere' "$kelpie" store check --store "lmdb:$work/nowhere"
says 1 "must be lmdb:DIR" "$kelpie" store check --store memory:
for command in format restored; do
    says 1 'there is no store in .*nowhere' "$kelpie" store $command --store "lmdb:$work/nowhere"
done
[ ! -e "$work/nowhere" ] && ok || fail "a store was made"

nodes_up n1 n2
within 10 active_is n1 2
export KELPIE_NODE=${http[n1]}

like "status" "$("$kelpie" status)" 'node +n1, Active.*majority +yes: 2 of 2 voters active, 2 needed; none may fail'
like "status in JSON" "$("$kelpie" -w json status)" '^\{"node":"n1",.*\}$'
like "after the command" "$("$kelpie" status -w json --node "${http[n2]}")" '^\{"node":"n2",.*\}$'
like "node list" "$("$kelpie" node list)" $'NODE +STATE +PRIMARY.*\nn1 +Active .*\nn2 +Active '
is "call" "$("$kelpie" call counter/a add 41)" 41
is "negative" "$("$kelpie" call counter/a add -1)" 40
is "no body" "$("$kelpie" call counter/a add)" 41
is "standard input" "$(echo 1 | tr -d '\n' | "$kelpie" call counter/a add -)" 42
is "words" "$("$kelpie" call echo/x echo 'a b')" "a b"
is "dashes" "$("$kelpie" call echo/x echo -- --node)" "--node"
is "slashes" "$("$kelpie" call echo/x/y/z echo hi)" "hi"
like "JSON" "$("$kelpie" -w json call counter/a get --request-id q1)" '^\{"request_id":"q1","reply":"42"\}$'
is "the same id" "$("$kelpie" call counter/a add 5 --request-id q2) $("$kelpie" call counter/a add 5 --request-id q2)" "47 47"
says 1 'unknown_method' "$kelpie" call counter/a frob
# Sent, and not called: through either node, under one id once, and when its time has come.
for node in n1 n2; do
    is "sent through $node" "$("$kelpie" --node "${http[$node]}" call counter/later add 5 --after 0 --request-id s1; echo $?)" 0
    is "sent for later through $node" \
        "$("$kelpie" --node "${http[$node]}" call counter/later add 100 --after 86400000 --request-id s2; echo $?)" 0
done
later_is() { [ "$("$kelpie" call counter/later get)" = "$1" ]; }
within 5 later_is 5
says 0 'counter/later +later[^ ]* +add +counter/later' "$kelpie" message list counter/later
says 1 'request_id_reused' "$kelpie" call counter/later add 5 --after 1 --request-id s1
says 1 'request_id_reused' "$kelpie" call counter/later add 5 --request-id s1
says 1 'after_ms is .315360000001., but it must be 0 to 315360000000, ten years .invalid' "$kelpie" call counter/later add --after 315360000001
says 1 'no active node hosts actors of type nope' "$kelpie" call nope/a get --after 0
head -c 65537 /dev/zero >"$work/big"
text=$("$kelpie" call counter/later add - --after 0 <"$work/big" 2>&1)
like "a message over the limit" "$text" 'the message has 65537 bytes; at most 65536 are allowed .too_large'
is "nothing more came" "$("$kelpie" call counter/later get)" 5
like "whether it was applied" "$("$kelpie" call counter/a frob 2>&1)" 'applied: no$'
says 1 'no active node hosts actors of type nope' "$kelpie" call nope/a get
head -c 1048577 /dev/zero >"$work/big"
text=$("$kelpie" call echo/x echo - <"$work/big" 2>&1)
is "status of a body over the limit" $? 1
like "body over the limit" "$text" 'over the limit of 1048576 bytes'
like "locate" "$("$kelpie" actor locate counter/a)" $'ACTOR +NODE.*\ncounter/a +n[12] +yes +1 +1'
says 1 'placed nowhere' "$kelpie" actor locate counter/never
like "actor list" "$("$kelpie" actor list --type counter)" $'ACTOR.*\ncounter/a +n[12]'
is "limit" "$("$kelpie" actor list --limit 2 | tail -n 1)" "there are more; --limit shows them"
like "limit in JSON" "$("$kelpie" -w json actor list --limit 2)" '"more":true\}$'
says 1 'no node n9' "$kelpie" actor list --on n9
like "events" "$("$kelpie" events --no-follow)" 'info  n1  active incarnation=1 view='
like "events in JSON" "$("$kelpie" -w json events --no-follow | head -n 1)" '^\{"node":"n1","time_ms":[0-9]+,"event":"'

# The store from outside, while the cluster runs.
says 0 'records, 2 nodes, [0-9]+ actors, 0 problems$' "$kelpie" store check --data-dir "$work/data"
says 0 '"problems":\[\]\}$' "$kelpie" -w json store check --store "lmdb:$work/data/store"
says 0 'registry/actors/counter/a placed=true' "$kelpie" store dump --data-dir "$work/data"
says 1 "no cluster under the prefix 'other' in store lmdb:" "$kelpie" store check --data-dir "$work/data" --prefix other
says 1 "no cluster under the prefix 'other' in store lmdb:" "$kelpie" store dump --data-dir "$work/data" --prefix other
mkdir -m 700 "$work/empty"
for command in check dump format restored; do
    says 1 "there is no store in $work/empty \(the directory holds no data.mdb\)" \
        "$kelpie" store $command --store "lmdb:$work/empty"
done
is 'files in an empty directory' "$(ls -A "$work/empty")" ""
