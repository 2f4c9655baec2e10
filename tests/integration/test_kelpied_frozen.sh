#!/usr/bin/env bash
# A node stands still, its supervisor too, for longer than its lease. What lay in its clients' connections
# meanwhile, accepted or not, is not read: they close without an answer, and a repeat elsewhere is applied
# once.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

nodes_up n1 n2 n3
within 10 active_is n2 3
host=${http[n1]%:*} port=${http[n1]##*:}
add() { # ID OF THE REQUEST
    printf 'POST /v1/actors/counter/c/add HTTP/1.1\r\nHost: %s\r\nKelpie-Request-Id: %s\r\nKelpie-Request-Age-Ms: 0\r\nContent-Length: 1\r\n\r\n1' \
        "$host" "$1"
}
add_at() { # NODE, ID OF THE REQUEST, AGE
    printf 1 >"$work/send"
    request "$1" POST /v1/actors/counter/c/add "Kelpie-Request-Id: $2" "Kelpie-Request-Age-Ms: $3"
}
value() { ask n2 call counter/c get; }

# One connection has been used, one has been accepted and was quiet, one has brought half a request.
exec 3<>"/dev/tcp/$host/$port" 4<>"/dev/tcp/$host/$port" 5<>"/dev/tcp/$host/$port"
add r0 >&3
IFS= read -t 5 -r line <&3
like "the answer before" "$line" '^HTTP/1.1 200 '
add r5 | head -c 60 >&5
# More than the system tells of at once: what its timers say comes after that.
many=()
for ((i = 0; i < 40; i++)); do
    exec {fd}<>"/dev/tcp/$host/$port"
    many+=("$fd")
done
sleep 0.2

child=$(child_of n1)
kill -STOP "${supervisor[n1]}" "$child"
for fd in "${many[@]}"; do add "r-$fd" >&"$fd"; done
add r3 >&3
add r4 >&4
add r5 | tail -c +61 >&5
# And one that the kernel took for it.
exec 6<>"/dev/tcp/$host/$port"
add r6 >&6
within 15 active_is n2 2
kill -CONT "$child" "${supervisor[n1]}"

# The rest of the answer before may still be there; nothing more may come, and the end does.
for fd in 3 4 5 6 "${many[@]}"; do
    rest=$(timeout 10 cat <&$fd 2>/dev/null)
    [ $? != 124 ] && ok || fail "connection $fd does not close"
    [[ $rest == *HTTP/1.1* ]] && fail "connection $fd got an answer: $rest" || ok
    eval "exec $fd<&-"
done
is "applied unread" "$(value)" 1
for id in r3 r4 r5 r6 r3 r4; do add_at n2 $id 5000; done
is "applied by the repeats" "$(value)" 5
# The node takes new connections, and acts again.
within 15 active_is n2 3
within 10 add_at n1 r7 0
is "its status" "$code" 200
is "applied in all" "$(value)" 6
log_has n1 event=suspended && ok || fail "n1 has not noticed that its lease ran out"
