#!/usr/bin/env bash
# Workers that are not the project's own (Python's standard library) run turns for real nodes: calls, reads,
# messages, domain errors; they end, hang and lie, and no node does.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
command -v python3 >/dev/null || exit 77
here=$KELPIE_SOURCE/tests/integration
declare -A worker=()

worker_start() { # NAME NODE SLOTS
    (
        trap - EXIT INT TERM
        while :; do python3 "$here/purse_worker.py" "$work/$2/kelpied.sock" "$3"; sleep 0.1; done
    ) 2>>"$work/$1.worker" &
    worker[$1]=$!
}
worker_kill() { # NAME: with what it runs
    local children
    kill -STOP "${worker[$1]}"
    children=$(pgrep -P "${worker[$1]}")
    kill -KILL "${worker[$1]}" 2>/dev/null
    # shellcheck disable=SC2086
    [ -z "$children" ] || kill -KILL $children 2>/dev/null
    wait "${worker[$1]}" 2>/dev/null
    unset "worker[$1]"
}
metric() { # NODE PATTERN
    request "$1" GET /metrics
    grep -q "$2" "$work/body"
}
end_all() {
    local name
    for name in "${!worker[@]}"; do worker_kill "$name"; done
    end
}
trap end_all EXIT

for id in n1 n2; do node_start $id --data-dir "$work/$id" --store "lmdb:$work/data/store"; done
for id in n1 n2; do node_wait $id; done
within 10 active_is n1 2
socket=$work/n1/kelpied.sock
is "mode of the socket" "$(stat -c %a "$socket")" 660

worker_start w1 n1 2
worker_start w2 n1 2
both() { metric n1 '^kelpie_workers 2$'; }
works() { both && [ "$(ask n1 call purse/a add 0 --deadline-ms 1000)" = "$1" ]; }
within 60 works 0
is "add" "$(ask n1 call purse/a add 5)" 5
is "through the other node" "$(ask n2 call purse/a add 5)" 10
is "read" "$(ask n1 call purse/a balance)" 10
like "domain error" "$(ask n1 call purse/a take 11 2>&1)" 'the purse holds 10'
like "a method that is none" "$(ask n1 call purse/a nope 2>&1)" 'has no such method'
is "send" "$(ask n1 call purse/a give b)" sent
came() { [ "$(ask n1 call purse/b balance)" = 1 ]; }
within 10 came
is "call" "$(ask n1 call purse/a move b)" "there: 2"
is "what the caller wrote before" "$(ask n1 call purse/a balance)" 9
like "no answer" "$(ask n1 call purse/a lie 2>&1)" "the worker says an answer with the member 'nothing'"

# A worker that ends in the middle of a turn: the turn runs again in the other one.
is "ends once" "$(ask n1 call purse/a once --deadline-ms 20000)" "attempt 2"
within 60 works 9
ask n1 call purse/c sleep 1 --deadline-ms 20000 >"$work/slept" &
sleeper=$!
sleeps() { grep -q 'c sleeps in' "$work"/w?.worker; }
within 10 sleeps
kill -KILL "$(sed -n 's/^c sleeps in //p' "$work"/w?.worker | head -n 1)"
wait $sleeper
is "killed" "$(cat "$work/slept")" slept
is "applied once" "$(ask n1 call purse/c balance)" 1
within 60 works 9

# What ends each of its workers is given up, what takes too long ends too, and others go on.
like "deadly" "$(ask n1 call purse/d die --deadline-ms 20000 2>&1)" 'workers ended, or took too long'
within 60 works 9
ask n1 call purse/e sleep 60 --deadline-ms 1000 >/dev/null 2>&1
long() { metric n1 '^kelpie_worker_turns_too_long_total{type="purse",method="sleep"} [1-9]'; }
within 20 long
like "named" "$(grep worker_turn_too_long "$work/n1.log" | head -n 1)" 'type="purse" id="e" method="sleep"'
within 60 works 9

# Bad input: one sentence each.
python3 - "$socket" "${http[n1]}" <<'PYTHON' >"$work/raw" 2>&1
import http.client, json, socket, sys

class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

def ask(c, body, worker="0d6f4c1e-5a5d-4b62-9f5e-2f1c8f1f3a77", method="POST", path="/v1/worker/next"):
    c.request(method, path, body, dict({"Kelpie-Request": "1"}, **({"Kelpie-Worker": worker} if worker else {})))
    a = c.getresponse()
    print(a.status, a.read().decode().strip()[:300])

hello = json.dumps({"worker": 1, "types": [{"type": "raw"}]})
ask(http.client.HTTPConnection(sys.argv[2]), hello)
for body in ("", "{}", "[", '{"worker":2,"types":[{"type":"x"}]}', '{"worker":1,"types":[]}',
             '{"worker":1,"types":[{"type":"%s"}]}' % ("x" * 65), '{"worker":1,"types":[{"type":"counter"}]}'):
    ask(Unix("node"), body)
ask(Unix("node"), hello, worker=None)
ask(Unix("node"), hello, worker="none")
c = Unix("node")
ask(c, "no")
ask(c, hello[:-1])
ask(Unix("node"), None, method="GET", path="/v1/status")
ask(Unix("node"), "x" * (8 * 1024 * 1024 + 1))
PYTHON
raw() { like "bad input $1" "$(sed -n "$1p" "$work/raw")" "$2"; }
raw 1 '404 .*on the node.s Unix socket only'
raw 2 '400 .*the worker says no JSON'
raw 3 "400 .*the worker does not say .*worker.*:1"
raw 4 '400 .*the worker says no JSON'
raw 5 '400 .*the version of the protocol'
raw 6 "400 .*says no list of 1 to 16 'types'"
raw 7 '400 .*says what is no name'
raw 8 '409 .*counter'
raw 9 '400 .*Kelpie-Worker must be a UUID'
raw 10 '400 .*Kelpie-Worker must be a UUID'
raw 11 '400 .*the worker says no JSON'
raw 13 '200 .*"node"'
raw 14 '413 .*8388608'

for id in n1 n2; do kill -TERM "${supervisor[$id]}"; done
for id in n1 n2; do
    node_ended $id
    is "status of $id" $status 0
done
[ ! -e "$socket" ] && ok || fail "the socket is there yet"
is "nodes that died" "$(cat "$work"/n?.log | grep -c 'event=node_died')" 0
