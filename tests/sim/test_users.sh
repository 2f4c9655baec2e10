#!/usr/bin/env bash
# Users' actors in the simulator: the two examples of docs/testing-your-actors.md are found and clean as printed
# there, a class that looks at the clock is named, and what is wrong is one sentence.
set -uo pipefail
sim=$KELPIE_BUILD/kelpie-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$KELPIE_SOURCE" || exit 1
failed=0
fail() { echo "$*"; failed=1; }
build() { ${CC:-cc} -std=c11 -shared -fPIC -Iinclude "$@"; }

bad() { # WHAT ARGS...: one sentence, status 2
    local want=$1 said status
    shift
    said=$("$sim" "$@" 2>&1 >/dev/null)
    status=$?
    [ $status = 2 ] && [ "$(wc -l <<<"$said")" = 1 ] && [[ $said == "kelpie-sim: "*"$want"* ]] ||
        fail "kelpie-sim $*: status $status, said: $said"
}
finds() { # WHAT ARGS...: a violation
    local want=$1 said status
    shift
    said=$("$sim" "$@" 2>&1)
    status=$?
    [ $status = 1 ] && [[ $said == *"$want"* ]] || fail "kelpie-sim $*: status $status, said: $said"
}

# ---- memory that is not taken back, in C
build examples/sim_memory/basket.c -o "$dir/basket.so" || exit 1
build -DBUG examples/sim_memory/basket.c -o "$dir/bug.so" || exit 1
"$sim" sweep --seeds 1..3 --jobs 2 --twice 50 --actors "$dir/basket.so" >"$dir/out" 2>&1 || fail "the sound basket: $(cat "$dir/out")"
finds 'WhatUsersExpect at' sweep --seeds 1..60 --first --twice 0 --actors "$dir/bug.so"
said=$("$sim" shrink --seed 2 --seconds 1 --actors "$dir/bug.so" --out "$dir/c.case" 2>&1)
[[ $said == *"VIOLATION WhatUsersExpect: basket"* ]] || fail "shrink: $said"
finds 'VIOLATION WhatUsersExpect at' replay "$dir/c.case"
"$sim" replay "$dir/c.case" --actors "$dir/basket.so" >/dev/null 2>&1 || fail 'the case breaks the sound basket too'

# ---- two calls for one, in Python
command -v python3 >/dev/null || { echo 'no python3'; exit $failed; }
export PYTHONPATH=sdk/python PYTHONDONTWRITEBYTECODE=1
worker='python3 examples/sim_two_calls/purse.py'
load=examples/sim_two_calls/workload.json
short=(--duration 5s --nodes 3 --set users=3 --set think_ms=100 --faults crash,unknown,late,partition)
"$sim" compare --seed 1 --worker "$worker" --workload $load "${short[@]}" >"$dir/out" 2>&1 ||
    fail "the sound purse: $(cat "$dir/out")"
finds 'the sum of balance over all purse is' sweep --seeds 1..60 --first --jobs 2 --twice 0 --worker "$worker bug" --workload $load "${short[@]}"

# ---- a class that looks at the clock
cat >"$dir/clock.c" <<'END'
#include <kelpie/sim.h>
#include <stdio.h>
#include <time.h>
static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct timespec t;
    char text[64];
    (void)m;
    timespec_get(&t, TIME_UTC);
    snprintf(text, sizeof text, "%ld", t.tv_nsec);
    return kelpie_reply_text(actor, text);
}
static const struct kelpie_class clock_class = {
    .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "clock", .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&clock_class, NULL};
static void ask(struct kelpie_sim *sim, unsigned client)
{
    (void)client;
    kelpie_sim_expect(sim, 1, "so");
    kelpie_sim_ask(sim, "clock", "wall", "look", "", 0);
}
const struct kelpie_sim_workload kelpie_sim_workload = {
    .abi = KELPIE_SIM_VERSION, .size = sizeof(struct kelpie_sim_workload), .ask = ask};
END
build "$dir/clock.c" -o "$dir/clock.so" || exit 1
finds 'turn life=' compare --seed 1 --duration 5s --actors "$dir/clock.so"
[[ $("$sim" compare --seed 1 --duration 5s --actors "$dir/clock.so") == *"of clock/wall look"* ]] || fail 'its name is not said'

# ---- what is wrong is one sentence
head -c 3000 "$dir/basket.so" >"$dir/cut.so"
head -c 20 "$dir/basket.so" >"$dir/short.so"
cp "$dir/basket.so" "$dir/other.so"
printf '\x28\x00' | dd of="$dir/other.so" bs=1 seek=18 conv=notrunc status=none
echo 'int x;' >"$dir/x.c" && build "$dir/x.c" -o "$dir/none.so"
bad 'cannot be read: No such file' run --seed 1 --actors "$dir/nothing.so"
bad 'is truncated' run --seed 1 --actors "$dir/cut.so"
bad 'is too short' run --seed 1 --actors "$dir/short.so"
bad 'for another architecture' run --seed 1 --actors "$dir/other.so"
bad 'is no shared object' run --seed 1 --actors "$dir/x.c"
bad 'has no symbol kelpie_classes' run --seed 1 --actors "$dir/none.so"
bad 'has no symbol kelpie_sim_workload' run --seed 1 --actors "$dir/basket.so" --workload "$dir/none.so"
bad 'give one of them' run --seed 1 --actors "$dir/basket.so" --worker true --workload $load
bad 'needs --actors FILE or --worker' run --seed 1 --workload $load
work() { echo "$1" >"$dir/w.json"; }
json() { work "$2"; bad "$1" run --seed 1 --actors "$dir/basket.so" --workload "$dir/w.json"; }
json 'is no JSON' '{"actors":'
json "'calls' is no list" '{"actors":{"basket":["1"]}}'
json "there is no class of the type 'baskets'" '{"actors":{"baskets":["1"]},"calls":[],"end":[]}'
json "has the member 'metod'" '{"actors":{"basket":["1"]},"calls":[{"type":"basket","metod":"put"}],"end":[]}'
json "no method 'putt'" '{"actors":{"basket":["1"]},"calls":[{"type":"basket","method":"putt"}],"end":[{"type":"basket","method":"count","least":0}]}'
json 'checks nothing' '{"actors":{"basket":["1"]},"calls":[{"type":"basket","method":"put"}],"end":[{"type":"basket","method":"count"}]}'
json 'neither {A..B} nor {TYPE}' '{"actors":{"basket":["1"]},"calls":[{"type":"basket","method":"put","body":"{"}],"end":[]}'
hello='echo "{\"worker\":1,\"types\":[{\"type\":\"t\"}]}"; read x;'
work '{"actors":{"t":["1"]},"calls":[{"type":"t","method":"m"}],"end":[{"type":"t","method":"m","least":0}]}'
worker() { bad "$1" run --seed 1 --worker "$2" --workload "$dir/w.json" "${@:3}"; }
worker 'ended with status 3 at its start' 'exit 3'
worker 'says no JSON' 'echo hello'
worker 'the version of the protocol' 'echo "{\"worker\":2,\"types\":[]}"'
worker 'has not answered within 1 s, at its start' 'exec sleep 60' --worker-limit 1
worker 'ended with signal 9 at t/1 m' "$hello"' kill -9 $$'
worker 'has not answered within 2 s, at t/1 m' "$hello exec sleep 60" --worker-limit 2
worker 'says no JSON' "$hello echo '{'; read x"
worker "says no 'ticket'" "$hello echo '{}'; read x"
worker 'answers the ticket 99' "$hello"' echo "{\"ticket\":99}"; read x'
worker "member 'put', which is not known" "$hello"' echo "{\"ticket\":1,\"put\":{}}"; read x'
worker 'puts a key of 97 bytes' "$hello"' echo "{\"ticket\":1,\"puts\":{\"$(printf %97s x)\":\"\"}}"; read x'
bad "the type 'post' is one of" run --seed 1 --worker 'echo "{\"worker\":1,\"types\":[{\"type\":\"post\"}]}"; read x' --workload $load
[ $failed = 0 ] && echo "users' actors are found, repeated, and named"
exit $failed
