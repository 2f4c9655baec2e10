#!/usr/bin/env bash
# Wrong usage of kelpie-sim is one clear sentence and status 2; help is help.
set -uo pipefail
sim=$KELPIE_BUILD/kelpie-sim
failed=0

bad() {
    local want=$1 said status
    shift
    said=$("$sim" "$@" 2>&1 >/dev/null)
    status=$?
    if [ $status != 2 ] || [ "$(wc -l <<<"$said")" != 1 ] || [[ $said != *"$want"* ]]; then
        echo "kelpie-sim $*: status $status, said: $said"
        failed=1
    fi
}
good() {
    "$sim" "$@" >/dev/null 2>&1 || { echo "kelpie-sim $*: status $?"; failed=1; }
}

unset DST_SEED
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad 'a command is needed'
bad "no command 'walk'" walk
bad 'needs --seed' run
bad 'needs --seeds' sweep
bad 'or --minutes' sweep --jobs 1
bad "no option '--sed'" run --sed 1
bad "no option '--jobs'" run --seed 1 --jobs 2
bad 'needs a value' run --seed
bad "needs a number, not 'x'" run --seed x
bad "needs a number, not '-1'" run --seed -1
bad "takes no 'more'" run --seed 1 more
bad '--nodes must be' run --seed 1 --nodes 0
bad '--nodes must be' run --seed 1 --nodes 10
bad '--actors must be' run --seed 1 --actors 10001
bad '--duration' run --seed 1 --duration 5x
bad '--duration' run --seed 1 --duration 0
bad '--duration' run --seed 1 --duration 25h
bad "no fault named 'rain'" run --seed 1 --faults crash,rain
bad "no fault named ''" run --seed 1 --faults crash,
bad 'NAME=VALUE' run --seed 1 --set lease_ms
bad "no value named 'lease'" run --seed 1 --set lease=2000
bad "lease_ms must be 1 to 600000, not 'x'" run --seed 1 --set lease_ms=x
bad "lease_ms must be 1 to 600000, not ''" run --seed 1 --set lease_ms=
bad 'nodes must be 1 to 9' sweep --seeds 1..2 --set nodes=10
bad 'at most a third' run --seed 1 --set heartbeat_ms=5000
bad 'table or json' run --seed 1 -w yaml
bad '--log needs' run --seed 1 --log loud
bad '--mutant' run --seed 1 --mutant no-such-mutant
bad 'needs --seed' shrink
bad "no option '--seeds'" shrink --seeds 1..2
bad '--seconds must be' shrink --seed 1 --seconds 0
bad "cannot write '/no/where'" shrink --seed 1 --out /no/where
bad 'breaks nothing' shrink --seed 5 --faults none --duration 1s --out "$dir/none.case"
bad 'needs a FILE' replay
bad "takes no 'b'" replay a b
bad "cannot read it" replay /no/where
bad "cannot write '/no/where'" run --seed 1 --report /no/where
cp "$KELPIE_SOURCE/tests/regressions/nofence.case" "$dir/twice.case"
sed -i 's/^clients=.*/&\nclients=2/' "$dir/twice.case"
bad "it says 'clients' twice" replay "$dir/twice.case"
mkfifo "$dir/fifo"
bad "Is a directory" run --seed 1 --report "$dir"
bad "not supported" run --seed 1 --trace "$dir/fifo"
bad "no TYPE/ID" run --seed 1 --turns-of counter --turns-tla "$dir/turns.tla"
[ -p "$dir/fifo" ] || { echo "a fifo was replaced by a file"; failed=1; }
bad 'range' sweep --seeds 9..3
bad 'range' sweep --seeds 1-3
bad 'at least 1' sweep --seeds 1..2 --jobs 0
bad 'at most' sweep --seeds 1..2 --jobs 1000
bad '--nodes must be' sweep --seeds 1..2 --nodes 99
bad "--minutes must be" sweep --minutes 0
bad "--minutes must be" sweep --minutes -1
bad "--minutes must be" sweep --minutes ten
bad "--minutes must be" sweep --minutes 1m
bad "--minutes must be" sweep --minutes 10081
bad '--twice must be at most 100' sweep --seeds 1..2 --twice 101
bad 'needs a number' sweep --seeds 1..2 --twice half
bad "needs a range" run --seed 1 --events 5-6
bad "the range is empty" run --seed 1 --events 6..5
bad "the range is empty" run --seed 1 --events 0..5
bad 'compare needs' compare
bad 'compare needs' compare --seed 1 --seeds 1..2
bad "cannot run '/no/where'" compare --seed 1 --with /no/where
bad 'did not run seed 1' compare --seed 1 --with /bin/true
DST_SEED=abc bad 'DST_SEED' run

good --help
good values
good run --seed 1 --duration 1s --set clients=0 --set lease_ms=3000
good run --help
good sweep --help
good compare --help
good shrink --help
good replay --help
good faults
good run --seed 5 --nodes 1 --actors 0 --duration 2s --faults none -w table
good sweep --seeds 5..6 --jobs 2 --duration 500ms
[ $failed = 0 ] && echo "every wrong usage is one sentence"
exit $failed
