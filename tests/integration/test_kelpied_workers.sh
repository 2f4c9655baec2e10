#!/usr/bin/env bash
# Classes that do what they should not, in processes of their own: it costs the turns under way there, the node and its
# other actors go on, and each is named.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
command -v python3 >/dev/null || exit 77
export PYTHONDONTWRITEBYTECODE=1
cc=${CC:-cc}
build() { # SOURCE TO FLAG...
    "$cc" -std=c11 -D_GNU_SOURCE -w -shared -fPIC "-I$KELPIE_SOURCE/include" "${@:3}" "$1" -o "$2" ||
        { fail "cannot build $1"; exit; }
}
thing=$KELPIE_SOURCE/tests/sdk/thing.c
build "$thing" "$work/thing.so"
cat >"$work/dies.c" <<'END'
#include <stdlib.h>
#include <unistd.h>
#include <kelpie/kelpie.h>
__attribute__((constructor)) static void dies(void) { _exit(7); }
static int receive(struct kelpie_actor *a, const struct kelpie_message *m) { return 0; }
static const struct kelpie_class c = {
    .abi = KELPIE_ABI_VERSION, .size = sizeof c, .type = "never", .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&c, NULL};
END
build "$work/dies.c" "$work/dies.so"

# It is not ready before its workers are.
cat >"$work/late.c" <<'END'
#include <unistd.h>
#include <kelpie/kelpie.h>
__attribute__((constructor)) static void late(void) { while (access("go", F_OK) != 0) usleep(10000); }
static int receive(struct kelpie_actor *a, const struct kelpie_message *m) { return kelpie_reply_text(a, "late"); }
static const struct kelpie_class c = {
    .abi = KELPIE_ABI_VERSION, .size = sizeof c, .type = "late", .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&c, NULL};
END
build "$work/late.c" "$work/late.so"
cd "$work" || exit 1
readyz() {
    PYTHONPATH=$KELPIE_SOURCE/sdk/python python3 -c 'import sys
from kelpie.connection import Address, Connection
print(Connection(Address(sys.argv[1])).ask("GET", "/readyz", timeout_s=5).body.decode())' "$work/data/kelpied.sock" 2>&1
}
node_start n0 --actors late.so
says_late() { [[ $(readyz) == *"the workers of this node's actors (--actors) have not registered yet"* ]]; }
within 25 says_late
is "ready before them" "$(ready_count n0)" 0
touch go
node_wait n0
like "ready" "$(readyz)" "^ready"
is "the late one" "$(ask n0 call late/x m)" late
kill -TERM "${supervisor[n0]}"
node_ended n0

# A name without a slash is a file here. One that cannot be loaded does not keep the node from the rest.
# A leak ends by the bound of memory and a fault by its signal, before the bound of time: what is allocated is not
# touched, and a sanitizer looks up no names.
unset MALLOC_PERTURB_
ASAN_OPTIONS+=:symbolize=0
node_start n1 --actors thing.so --actors "$work/dies.so" --actor-memory-mb 64
node_wait n1 || exit
like "what is not hosted" "$(cat n1.log)" "actors_not_hosted file=\"[^ ]*dies.so\" starts=3 how=\"exit status 7\""
is "a call" "$(ask n1 call thing/x echo hello)" hello
node=$(child_of n1)
worker_pid() { sed -n 's/.*event=worker_started pid=\([0-9]*\) file="*[^ ]*thing.so.*/\1/p' n1.log | tail -n 1; }
worker_of() { [ "$(worker_pid)" != "$1" ]; }
is "its priority" "$(cut -d ' ' -f 19 "/proc/$(worker_pid)/stat")" "$((5 + $(cut -d ' ' -f 19 /proc/self/stat)))"
is "its output" "$(readlink "/proc/$(worker_pid)/fd/1")" /dev/null

# ---- each costs its process, and is named; a counter beside it is answered as ever
beside=0
hurts() { # METHOD HOW
    local pid
    beside=$((beside + 5))
    pid=$(worker_pid)
    ask n1 call --deadline-ms 500 "thing/$1" "$1" >/dev/null 2>&1 &
    for _ in 1 2 3 4 5; do ask n1 call counter/beside add 1 >/dev/null || fail "a counter beside $1"; done
    within 15 worker_of "$pid"
    wait $!
    like "what is said of $1" "$(grep "pid=$pid" n1.log)" \
        "worker_died how=\"$2.* callback=receive type=thing id=$1 method=$1 request=[^ ]* for_ms="
    within 10 answers
}
answers() { [ "$(ask n1 call --deadline-ms 1000 thing/y echo again)" = again ]; }
# Sanitizers have their own ends, and no bound on memory.
if grep -q __asan_init "$kelpied"; then
    hurts crashes 'signal 6'
    hurts exits ''
else
    hurts crashes 'signal 11'
    hurts exits 'exit status 0'
    hurts leaks 'signal 6'
fi
hurts spins 'signal 9'
like "who was killed" "$(cat n1.log)" "worker_killed .* method=spins request=[^ ]* for_ms=1[0-9][0-9][0-9] limit_ms=1000"
like "what is slow" "$(cat n1.log)" "callback_slow .* method=spins"
pid=$(worker_pid)
ask n1 call --deadline-ms 500 thing/closes closes >/dev/null 2>&1
within 10 worker_of "$pid"
within 10 answers
is "counted beside them" "$(ask n1 call counter/beside get)" $beside
is "the node's process" "$(child_of n1)" "$node"

# ---- a worker that is killed in the middle of a turn: another answers it
ask n1 call --deadline-ms 10000 thing/slow sleeps 700 >slept &
sleep 0.3
kill -KILL "$(worker_pid)"
wait $!
is "the turn of a worker that was killed" "$(cat slept)" slept

# ---- the file is replaced while it runs: the next process has the new one
sed 's/"forked"/"anew"/' "$thing" >anew.c
build anew.c "$work/thing.so"
pid=$(worker_pid)
is "the old one" "$(ask n1 call thing/z forks)" forked
kill -KILL "$pid"
within 10 worker_of "$pid"
within 10 answers
is "the new one" "$(ask n1 call thing/z forks)" anew

# ---- the node dies: the workers go on at the next; the supervisor dies: they do
pid=$(worker_pid)
kill -KILL "$node"
node_wait n1 2
within 10 answers
is "the worker's process" "$(worker_pid)" "$pid"
kill -KILL "${supervisor[n1]}"
gone() { ! kill -0 "$1"; }
within 5 gone "$pid"
wait "${supervisor[n1]}" 2>/dev/null
unset "supervisor[n1]"

# ---- without a supervisor the node has them itself
node_start n2 --no-supervisor --actors "$work/thing.so" --actor-workers 2
node_wait n2
is "two processes" "$(grep -c worker_started n2.log)" 2
is "without a supervisor" "$(ask n2 call thing/x echo hello)" hello
kill -TERM "${supervisor[n2]}"
node_ended n2
is "status" $status 0

# ---- what can be seen without loading it is said at once
head -c 4000 thing.so >cut.so
says 1 'cut.so is truncated' "$kelpied" --node-id x --data-dir "$work/x" --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 --actors "$work/cut.so"
says 1 'nowhere.so cannot be read|nowhere.so' "$kelpied" --node-id x --data-dir "$work/x" --actors nowhere.so
says 1 'method sleeps of class thing blocks' "$kelpied" --no-supervisor --node-id x --data-dir "$work/x" --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 --actors-in-node "$work/thing.so"
