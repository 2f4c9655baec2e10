#!/usr/bin/env bash
# What the README tells a newcomer to type works as it stands there, and what cannot be written is said.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

# The three nodes on one machine, in a folder where nothing is yet; only the ports are the system's.
cd "$work" || exit 1
commands=$(sed -n 's|^ *build/\(kelpied --node-id.*\)|\1|p' "$KELPIE_SOURCE/README.md")
is "commands in the README" "$(wc -l <<<"$commands")" 3
while read -r _ _ id rest; do
    : >"$id.out"
    # shellcheck disable=SC2086
    "$kelpied" --node-id "$id" ${rest//:74??/:0} >"$id.out" 2>>"$id.log" &
    supervisor[$id]=$!
done <<<"$commands"
for id in n1 n2 n3; do node_wait $id; done
within 10 active_is n1 3
is "mode of what was made" "$(stat -c %a d d/store)" $'700\n700'

# Standard output that takes nothing: a sentence, and not status 0. (The sentence is of standard error.)
full() { # STATUS PROGRAM ARGUMENT...
    local text got want=$1
    shift
    text=$("$@" 2>&1 >/dev/full)
    got=$?
    is "status of '$*' on a full disk" $got "$want"
    like "what '$*' says" "$text" "^$(basename "$1"): standard output cannot be written: No space left"
}
full 1 "$kelpied" --help
full 1 "$kelpied" --version
full 1 "$kelpie" --help
full 1 "$kelpie" --version
full 1 "$kelpie" call --help
full 1 "$kelpie" --node "${http[n1]}" status
full 1 "$kelpie" --node "${http[n1]}" -w json node list
full 1 "$kelpie" --node "${http[n1]}" call counter/a add 1
full 1 "$kelpie" --node "${http[n1]}" events
full 1 "$kelpie" store dump --store "lmdb:$work/d/store"
full 1 "$KELPIE_BUILD/kelpie-sim" --help
full 1 "$KELPIE_BUILD/kelpie-sim" faults
full 1 "$KELPIE_BUILD/kelpie-sim" sweep --help
# A reader that has seen enough needs no sentence.
is "what is said to nobody" "$("$kelpie" store dump --store "lmdb:$work/d/store" 2>&1 >/dev/null | head -c 1)" ""
is "the reader is gone" "$({ "$kelpied" --help | true; } 2>&1)" ""
for id in n1 n2 n3; do kill -TERM "${supervisor[$id]}"; done
for id in n1 n2 n3; do
    node_ended $id
    is "status of $id" $status 0
done
