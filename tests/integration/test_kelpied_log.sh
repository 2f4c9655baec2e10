#!/usr/bin/env bash
# The log: nobody waits for its reader, every line says whose it is, in JSON where that was asked for, and
# no stranger fills a disk with it. And what a child of an actor's code cannot do.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

nodes_up w1 # who knows where the others are

# ---- standard output and error on a pipe that is full and that nobody reads
mkfifo "$work/pipe"
exec 8<>"$work/pipe"
timeout 1 cat /dev/zero >&8 2>/dev/null
"$kelpied" --node-id b1 --data-dir "$work/data" --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 \
    --log-level debug >&8 2>&8 8>&- &
supervisor[b1]=$!
find_b1() {
    http[b1]=$(ask w1 node list | awk '$1 == "b1" && $2 == "Active" {print $5}')
    [ "${http[b1]}" ] && [ "$(child_of b1)" ]
}
within 15 find_b1
is "counter" "$(ask b1 call counter/a add 1)" 1
first=$(child_of b1)
kill -KILL "$first"
changed() { find_b1 && [ "$(child_of b1)" != "$first" ]; }
within 15 changed
first=$(child_of b1)
kill -STOP "$first" # the watchdog acts although it cannot speak
within 15 changed
is "counter" "$(ask b1 call counter/a add 1)" 2
kill -TERM "${supervisor[b1]}"
node_ended b1
is "status with a log that nobody read" $status 0
exec 8>&-

# ---- a reader that has gone, and standard descriptors that are not there
: >"$work/c1.out"
"$kelpied" --node-id c1 --data-dir "$work/data" --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 \
    >"$work/c1.out" 2> >(true) <&- &
supervisor[c1]=$!
node_wait c1
is "counter" "$(ask c1 call counter/a add 1)" 3
kill -TERM "${supervisor[c1]}"
node_ended c1
is "status without a reader" $status 0
kill -TERM "${supervisor[w1]}"
node_ended w1

# ---- JSON: the node, its supervisor, and the store's process, each line with its node and program
kill_store # it began before, and wrote text
rm -f "$work/data/store/store.log"
node_start j1 --log-format json
node_wait j1
kill -KILL "$(child_of j1)"
node_wait j1 2
cp "$work/data/store/store.log" "$work/store.log"
says 1 '\{"time":"[^"]*","level":"error","node":"j1","program":"kelpied","event":"cannot_run","reason":"node id j1 is alive' \
    "$kelpied" --data-dir "$work/data" --node-id j1 --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 \
    --log-format json --log-level error
says 2 '^\{"time":"[^"]*","level":"error",.*"event":"cannot_run","reason":"--lease-ms is .*"\}$' \
    "$kelpied" --log-format json --lease-ms long
kill -TERM "${supervisor[j1]}"
node_ended j1
pattern='^{"time":"[-0-9T:.]*Z","level":"[a-z]*","node":"j1","program":"\(kelpied\|supervisor\|store\)","event":"[a-z_]*".*}$'
cat "$work/store.log" >>"$work/j1.log"
is "lines that are no JSON of their node" "$(grep -v "$pattern" "$work/j1.log")" ""
for program in kelpied supervisor store; do
    grep -q "\"program\":\"$program\"" "$work/j1.log" && ok || fail "no line of $program"
done
is "keys given twice" "$(grep -E '("[a-z_]+":).*[,{]\1' "$work/j1.log" | head -n 3)" ""

# ---- a stranger who sends nonsense
node_start s1
node_wait s1
rpc=$(ask s1 -w json status | json_of rpc)
before=$(stat -c %s "$work/s1.log")
nonsense() ( # in a process of its own: the node may close the connection before all is written
    exec 7<>"/dev/tcp/${rpc%:*}/${rpc##*:}" && printf 'GET / HTTP/1.1\r\n\r\n%064d' 0 >&7
)
for _ in $(seq 100); do nonsense 2>/dev/null; done
told() { log_has s1 event=bad_frame; }
within 5 told
lines=$(tail -c +$((before + 1)) "$work/s1.log" | grep -c 'event=bad_frame')
[ "$lines" -gt 0 ] && [ "$lines" -lt 90 ] && ok || fail "$lines lines of 100 bad frames"
like "a line" "$(grep 'event=bad_frame' "$work/s1.log" | head -n 1)" '^[^ ]* level=warn node=s1 program=kelpied event='

# ---- a handler that forks
cat >"$work/forks.c" <<'END'
#define _GNU_SOURCE
#include "kelpie/kelpie.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static int receive(struct kelpie_actor *a, const struct kelpie_message *m)
{
    static const char one[] = "1";
    int status = 0;
    if (strcmp(m->method, "get") == 0) {
        const uint8_t *value;
        size_t len;
        return kelpie_reply_text(a, kelpie_state_get(a, "k", 1, &value, &len) ? "set" : "unset");
    }
    pid_t child = fork();
    if (strcmp(m->method, "return") == 0) { /* in both: only the parent has a node to return to */
        if (child == 0) {
            int err = kelpie_state_put(a, "k", 1, one, 1);
            kelpie_log(a, "said by the child");
            return err ? err : kelpie_reply_text(a, "from the child");
        }
        waitpid(child, &status, 0);
        return kelpie_reply_text(a, WIFEXITED(status) ? "child ended" : "child died");
    }
    if (child == 0) { /* outlives its node, in a session of its own */
        setsid();
        sleep(20);
        _exit(0);
    }
    return kelpie_reply_text(a, "forked");
}
static const struct kelpie_class forks = {
    .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "forks", .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&forks, NULL};
END
"${CC:-cc}" -std=c11 -shared -fPIC -I "$KELPIE_SOURCE/include" -o "$work/forks.so" "$work/forks.c" || exit 1
listen=${http[c1]} node_start f1 --actors-in-node "$work/forks.so"
node_wait f1
is "the parent" "$(ask f1 call forks/a return)" "child ended"
is "the child wrote nothing" "$(ask f1 call forks/a get)" unset
log_has f1 'event=forked_child_ended' && ok || fail "the child's end is not in the log"
! log_has f1 'said by the child' && ok || fail "the child spoke for the node"
is "a child that stays" "$(ask f1 call forks/b stay)" forked
kill -KILL "$(child_of f1)"
node_wait f1 2 # on the same ports
is "f1 goes on" "$(ask f1 call forks/a get)" unset
again() { nonsense 2>/dev/null; log_has s1 'event=bad_frame .* untold=[1-9]'; }
within 15 again # what was not said of the nonsense is said with the next line
for id in s1 f1; do
    kill -TERM "${supervisor[$id]}"
    node_ended $id
    is "status of $id" $status 0
done
