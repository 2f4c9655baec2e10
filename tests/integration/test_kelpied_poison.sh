#!/usr/bin/env bash
# Handlers that end their node's process. One that crashes is not carried from node to node: one call
# ends two nodes at most, and says so; however many call it, it is poisoned then, until it is lifted.
# One that calls exit(0) does not pass for a node that has left.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

cat >"$work/poison.c" <<'END'
#include "kelpie/kelpie.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int receive(struct kelpie_actor *a, const struct kelpie_message *m)
{
    if (strcmp(m->method, "crash") == 0)
        abort();
    if (strcmp(m->method, "fault") == 0)
        raise(SIGSEGV);
    if (strcmp(m->method, "exit") == 0)
        exit(0);
    if (strcmp(m->method, "sleep") == 0)
        sleep(60);
    return kelpie_reply_text(a, "well");
}
static const struct kelpie_class poison = {
    .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "poison", .placement = KELPIE_PLACE_ROUND_ROBIN,
    .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&poison, NULL};
END
"${CC:-cc}" -std=c11 -shared -fPIC -I "$KELPIE_SOURCE/include" -o "$work/poison.so" \
    "$work/poison.c" || exit 1

for id in n1 n2 n3; do node_start $id --actors-in-node "$work/poison.so"; done
for id in n1 n2 n3; do node_wait $id; done
for id in n1 n2 n3; do within 10 active_is $id 3; done

for i in 1 2 3; do is "p$i" "$(ask n1 call poison/p$i ping)" well; done
target=$(ask n1 actor list | awk '$2 != "n1" && $1 ~ /^poison/ {print $1; exit}')
like "an actor elsewhere" "$target" '^poison/p[123]$'
request n1 POST "/v1/actors/$target/crash"
sleep 1
deaths=$(cat "$work"/n?.log | grep -c event=node_died)
is "deaths" "$deaths" 2
named="callback=receive type=${target%%/*} id=${target#*/} method=crash request=[^ ]+ for_ms=[0-9]+"
is "deaths that name what ran" "$(cat "$work"/n?.log | grep -cE "event=node_died .*$named")" 2
is "failures that do" "$(cat "$work"/n?.log |
    grep -c "event=node_failed .*reason=\".* in receive crash of $target\"")" 2
# The second one may be the node that was asked: then there is nobody left to answer.
if [ "$code" ]; then
    is "status" "$code" 504
    like "what it says" "$(cat "$work/body")" '"error":"unknown_result".*two nodes ended'
    within 5 log_has n1 "event=call_given_up type=\"${target%%/*}\" id=\"${target#*/}\" method=\"crash\""
else
    within 5 log_has n1 event=node_died
fi
for id in n1 n2 n3; do
    ! log_has $id event=node_died || node_wait $id 2
done
for id in n1 n2 n3; do within 15 active_is $id 3; done
is "the actor afterwards" "$(ask n1 call "$target" ping --deadline-ms 15000)" well
is "no further death" "$(cat "$work"/n?.log | grep -c event=node_died)" 2

# What ended two processes is poisoned: it is not run, other methods are, and it is listed.
says 1 'this method of the actor ended 2 processes of nodes, .* is not run for [0-9]+ s more \(poisoned' ask n1 call "$target" crash
like "it is listed" "$(ask n1 message poisoned)" "$target +crash +receive +2 +[^ ]+ ago +in [0-9]+s "
is "the supervisor that saw the second one says so" "$(cat "$work"/n?.log |
    grep -cE "event=turn_poisoned type=\"${target%%/*}\" id=\"${target#*/}\" method=\"crash\" .*deaths=2 for_ms=60000")" 1
is "no further death" "$(cat "$work"/n?.log | grep -c event=node_died)" 2

# Many who repeat it: two nodes, and no more; bystanders are served all the while.
# A node has another address in each life.
learn() { http[$1]=$(sed -n "s/^kelpied: node $1 ready http=\([^ ]*\).*/\1/p" "$work/$1.out" | tail -n 1); }
deaths() { cat "$work"/n?.log | grep -c event=node_died; }
repeat() { # N: until it is told that it is of no use
    local until=$((SECONDS + 10))
    while [ $SECONDS -lt $until ]; do
        for id in n1 n2 n3; do
            learn $id
            ask $id call poison/many fault --deadline-ms 3000 2>&1 | grep -o 'poisoned' && sleep 0.2
        done
    done >"$work/repeat.$1"
}
repeat 1 & repeater[1]=$!
repeat 2 & repeater[2]=$!
until=$((SECONDS + 9)) served=0
while [ $SECONDS -lt $until ]; do
    for id in n1 n2 n3; do learn $id; ask $id call counter/by add 1 --deadline-ms 4000 >/dev/null 2>&1 && served=$((served + 1)); done
done
wait "${repeater[@]}"
is "deaths by many" "$(deaths)" 4
like "each was told" "$(sort -u "$work/repeat.1" "$work/repeat.2")" '^poisoned$'
[ $served -ge 20 ] && ok || fail "bystanders were served $served times"
for id in n1 n2 n3; do learn $id; within 20 active_is $id 3; done
for id in n1 n2 n3; do request $id GET /metrics; cat "$work/body"; done >"$work/metrics"
like "metrics" "$(grep kelpie_poisoned_total "$work/metrics")" 'kelpie_poisoned_total [1-9]'

# An operator lifts it: of one method, of all; then it runs, and may do so again.
says 1 not_found ask n2 message lift poison/many ping
says 0 'lifted.*runs again' ask n2 message lift poison/many fault
says 1 not_found ask n2 message lift poison/many
within 5 log_has n2 'event=poison_lifted type="poison" id="many" method="fault" by=operator'
is "it is not listed" "$(ask n3 message poisoned | grep -c many)" 0
is "its other method" "$(ask n1 call poison/many ping --deadline-ms 15000)" well
fault_again() { learn n1; ask n1 call poison/many fault --deadline-ms 1000; [ "$(deaths)" -gt 4 ]; }
within 10 fault_again
sleep 1
[ "$(deaths)" -le 6 ] && ok || fail "$(deaths) deaths"
for id in n1 n2 n3; do learn $id; within 20 active_is $id 3; done
says 0 'lifted' ask n1 message lift "$target"
is "after that the actor" "$(ask n1 call "$target" ping --deadline-ms 15000)" well

# exit(0) does not pass for a node that has left: its life is declared dead at once.
gone=$(ask n1 actor list | awk -v t="$target" '$1 == t {print $2}')
request "$gone" POST "/v1/actors/$target/exit"
by_exit='event=node_died .*how="exit status 0'
within 5 log_has "$gone" "$by_exit"
after_end() { sed -n "/$by_exit/,\$p" "$work/$gone.log" | grep -q 'result="declared failed"'; }
within 5 after_end

# What blocks its node is named while it does, and when the node is killed for it.
node_wait "$gone" $(($(grep -c event=node_died "$work/$gone.log") + 1))
is "an actor again" "$(ask n1 call "$target" ping --deadline-ms 15000)" well
gone=$(ask n1 actor list | awk -v t="$target" '$1 == t {print $2}')
request "$gone" POST "/v1/actors/$target/sleep"
named="callback=receive type=${target%%/*} id=${target#*/} method=sleep request=[^ ]* for_ms=[1-9]"
within 10 log_has "$gone" "event=callback_slow $named"
within 20 log_has "$gone" event=node_hangs
within 5 log_has "$gone" "event=node_died .*how=\"signal 9 (Killed)\" $named"

# Where nothing runs, a death names nothing: the last callback has ended.
node_wait "$gone" $(($(grep -c event=node_died "$work/$gone.log") + 1))
is "an actor once more" "$(ask n1 call "$target" ping --deadline-ms 15000)" well
host=$(ask n1 actor list | awk -v t="$target" '$1 == t {print $2}')
kill -KILL "$(child_of "$host")"
within 5 log_has "$host" 'event=node_died .*how="signal 9 (Killed)"$'
