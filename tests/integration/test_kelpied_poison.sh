#!/usr/bin/env bash
# Handlers that end their node's process. One that crashes is not carried from node to node: one call
# ends two nodes at most, and says so. One that calls exit(0) does not pass for a node that has left.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

cat >"$work/poison.c" <<'END'
#include "kelpie/kelpie.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int receive(struct kelpie_actor *a, const struct kelpie_message *m)
{
    if (strcmp(m->method, "crash") == 0)
        abort();
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

for id in n1 n2 n3; do node_start $id --actors "$work/poison.so"; done
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
