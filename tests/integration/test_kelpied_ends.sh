#!/usr/bin/env bash
# Ends, signals, and what a process inherits: what must end a node ends it, once, and nothing else does.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

# A class whose handlers end their process as a node would, and a program that starts another with what
# nobody would wish to inherit.
cat >"$work/ends.c" <<'END'
#include "kelpie/kelpie.h"
#include <stdlib.h>
#include <string.h>
static int receive(struct kelpie_actor *a, const struct kelpie_message *m)
{
    if (strncmp(m->method, "exit", 4) == 0)
        exit(atoi(m->method + 4));
    return kelpie_reply_text(a, "well");
}
static const struct kelpie_class ends = {
    .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "ends", .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&ends, NULL};
END
"${CC:-cc}" -std=c11 -shared -fPIC -I "$KELPIE_SOURCE/include" -o "$work/ends.so" "$work/ends.c" || exit 1
cat >"$work/heir.c" <<'END'
#define _GNU_SOURCE
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct rlimit files = {20, 4096};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &files);
    close(0);
    return argc > 1 ? execvp(argv[1], argv + 1) : 1;
}
END
"${CC:-cc}" -o "$work/heir" "$work/heir.c" || exit 1

stop() { # ID STATUS
    kill -TERM "${supervisor[$1]}"
    node_ended "$1"
    is "status of $1" $status "$2"
}
store_pid() { pgrep -f -- "--store-process $work/" | head -n 1; }
deaths() { grep -c 'event=node_died' "$work/$1.log"; }

# ---- exit() in a class is a death, whatever its status; the supervisor ends when the store says Left.
node_start n1 --actors-in-node "$work/ends.so"
node_wait n1
for code in 0 1 2 4; do
    times=$(($(ready_count n1) + 1))
    request n1 POST "/v1/actors/ends/a/exit$code"
    node_wait n1 $times || break
done
is "deaths by exit" "$(deaths n1)" 4
like "what they were" "$(grep node_died "$work/n1.log" | head -n 1)" 'how="exit status 0, which is not'
is "the actor afterwards" "$(ask n1 call ends/a ping)" well

# ---- names: ps tells node, supervisor and store apart
is "name of the supervisor" "$(cat "/proc/${supervisor[n1]}/comm")" kelpied
is "name of the node" "$(cat "/proc/$(child_of n1)/comm")" kelpied-node
is "name of the store" "$(cat "/proc/$(store_pid)/comm")" kelpie-store
like "arguments of the node" "$(tr '\0' ' ' <"/proc/$(child_of n1)/cmdline")" '^kelpied-node --node-process'
like "arguments of the store" "$(tr '\0' ' ' <"/proc/$(store_pid)/cmdline")" '^kelpie-store --store-process'
session() { ps -o sid= -p "$1" | tr -d ' '; }
is "session of the node" "$(session "$(child_of n1)")" "$(child_of n1)"

# ---- what ends nothing
node=$(child_of n1) store=$(store_pid) before=$(deaths n1)
for signal in HUP USR1 USR2 ALRM VTALRM PROF IO; do
    kill -$signal "${supervisor[n1]}" "$node" "$store"
done
kill -TERM "$node"
kill -INT "$node"
sleep 0.5
is "the node after signals" "$(child_of n1)" "$node"
is "the store after signals" "$(store_pid)" "$store"
is "deaths by signals" "$(deaths n1)" "$before"

# ---- one end, told to all processes and more than once, as service managers and killall do
kill -TERM "${supervisor[n1]}" "$node" "$store"
kill -TERM "${supervisor[n1]}" "$node"
kill -INT "${supervisor[n1]}"
node_ended n1
is "status after many signals" $status 0
log_has n1 'event=node_left' && ok || fail "the supervisor did not ask the store"
! log_has n1 'event=node_killed' && ok || fail "the stop was forced"
store_gone() { [ -z "$(store_pid)" ]; }
within 5 store_gone
is "declared dead though it had left" \
    "$(sed -n '/event=node_ended/,$p' "$work/n1.log" | grep -c declared_dead)" 0

# ---- a mask with everything blocked, SIGCHLD and SIGTERM ignored, few files, no standard input
: >"$work/h1.out"
"$work/heir" "$kelpied" --node-id h1 --data-dir "$work/data" --listen 127.0.0.1:0 \
    --rpc-listen 127.0.0.1:0 >"$work/h1.out" 2>>"$work/h1.log" &
supervisor[h1]=$!
node_wait h1
for field in SigBlk SigIgn; do
    # Ignored are PIPE, TTIN, TTOU and XFSZ.
    want=0000000000000000
    [ $field = SigBlk ] || want=0000000001301000
    is "$field of the node" "$(sed -n "s/^$field:\t//p" "/proc/$(child_of h1)/status")" $want
done
is "standard input" "$(readlink "/proc/$(child_of h1)/fd/0")" /dev/null
like "open files" "$(grep 'Max open files' "/proc/$(child_of h1)/limits")" ' 4096 +4096 '
kill -KILL "$(child_of h1)"
node_wait h1 2
log_has h1 'event=declared_dead .*declared failed' && ok || fail "its death was not declared"
stop h1 0
node_start h2 --no-supervisor
node_wait h2
kill -TERM "${supervisor[h2]}" && kill -TERM "${supervisor[h2]}"
kill -HUP "${supervisor[h2]}"
node_ended h2
is "status of a node without supervisor, told twice" $status 0

# ---- a terminal that is closed
if command -v script >/dev/null; then
    : >"$work/t1.out"
    script -qec "'$kelpied' --node-id t1 --data-dir '$work/data' --listen 127.0.0.1:0 \
        --rpc-listen 127.0.0.1:0 >'$work/t1.out' 2>/dev/tty & echo \$! >'$work/t1.pid'; wait" \
        /dev/null >"$work/t1.log" 2>&1 </dev/null &
    terminal=$!
    node_wait t1
    supervisor[t1]=$(cat "$work/t1.pid") node=$(child_of t1)
    kill -KILL $terminal
    wait $terminal 2>/dev/null
    sleep 0.5
    is "the node after its terminal" "$(child_of t1)" "$node"
    kill -KILL "$node"
    node_wait t1 2 # its supervisor lives, too
    kill -TERM "${supervisor[t1]}"
    gone() { ! kill -0 "${supervisor[t1]}" 2>/dev/null; }
    within 10 gone
    unset "supervisor[t1]"
fi

# ---- a supervisor that is to end and gets no answer from the store: it asks for 5 s, says so, and ends
node_start e1 --data-dir "$work/e"
node_wait e1
chmod 0755 "$work/e/store" # nobody can start the store's process
kill -KILL "$(pgrep -f -- "--store-process $work/e")"
kill -TERM "${supervisor[e1]}"
sleep 1.1
kill -TERM "${supervisor[e1]}" # the second time it forces
begun=${EPOCHREALTIME/[.,]/}
node_ended e1
took=$((${EPOCHREALTIME/[.,]/} - begun))
is "status without an answer" $status 1
[ $took -ge 4500000 ] && [ $took -le 9000000 ] && ok || fail "it asked for $took us"
log_has e1 'level=error .*event=declare_dead_failed reason="the store does not answer' && ok || fail "it does not say so"

# ---- process 1 waits for the orphans: the store's process is one
if unshare -pf --mount-proc true 2>/dev/null; then
    : >"$work/p1.out"
    unshare -pf --mount-proc "$kelpied" --node-id p1 --data-dir "$work/p1" --listen 127.0.0.1:0 \
        --rpc-listen 127.0.0.1:0 >"$work/p1.out" 2>>"$work/p1.log" &
    outer=$!
    supervisor[p1]=$outer
    node_wait p1
    store=$(pgrep -f -- "--store-process $work/p1")
    kill -KILL "$store"
    is "p1 goes on" "$(ask p1 call counter/a add 1 --deadline-ms 15000)" 1
    inner=$(pgrep -P $outer)
    zombies() { ps -o stat= --ppid "$inner" | grep -c '^Z'; }
    no_zombies() { [ "$(zombies)" = 0 ]; }
    within 3 no_zombies
    kill -TERM "$inner"
    node_ended p1
    is "status of process 1" $status 0
fi
