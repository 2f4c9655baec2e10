#!/usr/bin/env bash
# Sessions that are made and erased: what they kept is gone at once. With SESSIONS=N so many, and it is waited (a
# minute and more: what they remember has its time) until no row of them is left, placements included.
export KELPIE_SOURCE=${KELPIE_SOURCE:-$PWD} KELPIE_BUILD=${KELPIE_BUILD:-$PWD/build}
. "$KELPIE_SOURCE/tests/lib/cluster.bash" || exit 1
sessions=${SESSIONS:-60}
cat >"$work/session.c" <<'C'
#include <kelpie/kelpie.h>
#include <string.h>

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (strcmp(m->method, "end") == 0)
        return kelpie_erase(actor);
    return kelpie_state_put(actor, "v", 1, m->body, m->body_len);
}

static const struct kelpie_class session = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "session",
    .receive = receive,
    .remember_ms = 1000,
};

const struct kelpie_class *const kelpie_classes[] = {&session, NULL};
C
${CC:-cc} -shared -fPIC -I"$KELPIE_SOURCE/include" -o "$work/session.so" "$work/session.c" || exit 1
for id in n1 n2; do node_start $id --actors-in-node "$work/session.so"; done
for id in n1 n2; do node_wait $id; done
within 10 active_is n1 2

rows() { "$kelpie" store dump --data-dir "$work/data" | grep -c '/session/'; }
is "no row before" "$(rows)" 0
# On eight connections: a program for each request would take too long.
each() { # METHOD
    python3 - "${http[n1]}" "${http[n2]}" "$sessions" "$1" <<'P'
import http.client, sys, threading
hosts, count, method = sys.argv[1:3], int(sys.argv[3]), sys.argv[4]
def some(first):
    conn = http.client.HTTPConnection(hosts[first % 2], timeout=30)
    for i in range(first, count, 8):
        conn.request("POST", "/v1/actors/session/%d/%s" % (i, method), b"x")
        answer = conn.getresponse()
        if answer.status != 200:
            print(i, answer.status, answer.read())
        answer.read()
threads = [threading.Thread(target=some, args=(k,)) for k in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
P
}
is "all are made" "$(each put)" ""
made=$(rows)
[ "$made" -ge $((3 * sessions)) ] && ok || fail "$made rows for $sessions sessions"
is "all are erased" "$(each end)" ""
state_rows() { "$kelpie" store dump --data-dir "$work/data" | grep -c '/session/.*/k/'; }
is "no state is left" "$(state_rows)" 0
says 0 ' 0 problems$' "$kelpie" store check --data-dir "$work/data"
[ -n "${SESSIONS:-}" ] || exit 0
gone() { sleep 1; [ "$(rows)" = 0 ]; }
# What they remember has its time, half a minute; then a pass sees that they are unchanged, and the next but one at the
# latest has swept them: each 10 s, or for each 40 of them 100 ms and five transactions (ADR 21), 40 ms on a busy machine.
within $((60 + 3 * sessions * 3 / 400)) gone
says 0 ' 0 problems$' "$kelpie" store check --data-dir "$work/data"
echo "$sessions sessions had $made rows, and have $(rows)"
