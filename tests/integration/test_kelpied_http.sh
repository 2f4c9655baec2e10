#!/usr/bin/env bash
# The HTTP API from outside: every path, and every error that a client can bring about.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

nodes_up n1
within 10 active_is n1 1

get() { # PATH PATTERN
    request n1 GET "$1"
    is "status of GET $1" "$code" 200
    like "GET $1" "$(cat "$work/body")" "$2"
}
get / '<h1>Kelpie node n1</h1>'
get /livez '^alive$'
get /readyz '^ready$'
get /v1/status '^\{"node":"n1","state":"Active","acting":true,"reason":"",.*"tolerates_failures":0\}$'
get /v1/nodes '^\{"nodes":\[\{"node":"n1","state":"Active",.*"classes":\["counter","echo"\],.*"primary":true,"in_view":true\}\],"next":null\}$'
get /v1/view '^\{"number":[0-9]+,"count":1,"members":\[\{"node":"n1","incarnation":1,'
get /v1/primary '^\{"primary":\{"node":"n1",.*"term":1,"here":true\}\}$'
get /v1/actors '^\{"actors":\[\],"next":null\}$'
get /metrics 'kelpie_is_primary 1'
like "metrics of the server" "$(cat "$work/body")" 'kelpie_http_limit_reached_total\{limit="places"\} 0'
is "metrics without TYPE" "$(grep -v '^#' "$work/body" | sed 's/[{ ].*//' | sort -u |
    while read -r m; do grep -q "^# TYPE $m " "$work/body" || echo "$m"; done)" ""
is "metrics without HELP" "$(grep '^# TYPE' "$work/body" | while read -r _ _ m _; do
    grep -q "^# HELP $m " "$work/body" || echo "$m"; done)" ""
request n1 HEAD /v1/status
is "status of HEAD" "$code" 200
is "body of HEAD" "$(cat "$work/body")" ""

# Calls: any bytes in and out, ids percent-encoded, the request id comes back.
post() { # PATH BODY [HEADER]...
    printf '%s' "$2" >"$work/send"
    request n1 POST "$1" "${@:3}"
}
post /v1/actors/counter/a/add 5 'Kelpie-Request-Id: r-1'
is "call" "$code $(cat "$work/body")" "200 5"
like "headers" "$(cat "$work/head")" "Kelpie-Request-Id: r-1"
like "headers" "$(cat "$work/head")" "Content-Type: text/plain"
post /v1/actors/counter/a/add 5 'Kelpie-Request-Id: r-1'
is "repeat" "$code $(cat "$work/body")" "200 5"
# An id is one request's: with another method, or body, it is refused, whether it is in memory or not.
refused 409 request_id_reused 'was used for another request' n1 POST /v1/actors/counter/a/erase_it 'Kelpie-Request-Id: r-1'
printf 6 >"$work/send"
refused 409 request_id_reused 'was used for another request' n1 POST /v1/actors/counter/a/add 'Kelpie-Request-Id: r-1'
# What may be older than what the actor remembers does nothing, and says so.
printf 1 >"$work/send"
refused 409 too_late 'older' n1 POST /v1/actors/counter/a/add 'Kelpie-Request-Id: r-2' 'Kelpie-Request-Age-Ms: 86400000'
post /v1/actors/counter/a/add 0 'Kelpie-Request-Id: r-2' 'Kelpie-Request-Age-Ms: unknown'
is "what was too late" "$code $(cat "$work/body")" "200 5"
for age in -1 soon 1.5 1e3 0x10 86400001 99999999999999999999; do
    refused 400 invalid "is '$age', but it must be 'unknown' or 0 to 86400000" n1 POST /v1/actors/counter/a/add "Kelpie-Request-Age-Ms: $age"
done
for header in Kelpie-Request-Id Kelpie-Request-Age-Ms Kelpie-Deadline-Ms; do
    refused 400 invalid "the header $header more than once" n1 POST /v1/actors/counter/a/add "$header: 7" "${header,,}: 8"
done
is "what was refused" "$(ask n1 call counter/a get)" 5
post /v1/actors/counter/a/add 5
like "a made request id" "$(cat "$work/head")" "Kelpie-Request-Id: [0-9a-f-]{36}"
printf '\000\001\377' >"$work/send"
request n1 POST '/v1/actors/echo/caf%C3%A9%20%2F%201/echo'
is "bytes" "$(od -An -tx1 "$work/body" | tr -d ' \n')" "0001ff"
like "bytes' type" "$(cat "$work/head")" "application/octet-stream"
get '/v1/actors/echo/caf%C3%A9%20%2F%201' '"id":"café / 1","node":"n1","incarnation":1,"generation":1,"hosted":true\}'
head -c 1048576 /dev/zero >"$work/send"
request n1 POST /v1/actors/echo/big/echo
is "the largest body" "$code $(stat -c %s "$work/body")" "200 1048576"

# Errors.
refused 404 not_found '/v1/nothing' n1 GET /v1/nothing
refused 404 not_found 'POST /v1/actors/TYPE/ID/METHOD' n1 POST /v1/actors/counter
refused 404 not_found 'POST /v1/actors/TYPE/ID/METHOD' n1 POST /v1/actors/counter/a/add/more
refused 405 method_not_allowed 'it takes POST' n1 GET /v1/actors/counter/a/add
like "Allow" "$(cat "$work/head")" "Allow: POST"
refused 405 method_not_allowed 'it takes GET' n1 POST /v1/status
like "Allow" "$(cat "$work/head")" "Allow: GET, HEAD"
refused 405 method_not_allowed 'it takes POST' n1 DELETE /v1/nodes/n1/drain
refused 404 unknown_type 'nope' n1 POST /v1/actors/nope/a/get
refused 404 unknown_method 'add and get' n1 POST /v1/actors/counter/a/frob
printf 'ten' >"$work/send"
refused 400 invalid 'decimal integer' n1 POST /v1/actors/counter/a/add
head -c 1048577 /dev/zero >"$work/send"
refused 413 too_large '1048576' n1 POST /v1/actors/echo/big/echo
long_type=$(printf 't%.0s' $(seq 65)) long_id=$(printf 'i%.0s' $(seq 193))
refused 400 invalid 'actor type .* 65 bytes long; give at most 64' n1 POST "/v1/actors/$long_type/a/get"
refused 400 invalid 'actor id .* 193 bytes long; give at most 192' n1 POST "/v1/actors/counter/$long_id/get"
refused 400 invalid 'method .* 65 bytes' n1 POST "/v1/actors/counter/a/$long_type"
refused 400 invalid 'actor id is empty' n1 POST /v1/actors/counter//get
refused 400 invalid 'actor type is empty' n1 POST /v1/actors//a/get
refused 400 invalid 'actor id .*NUL' n1 POST /v1/actors/counter/a%00b/get
refused 400 invalid 'actor id .*UTF-8' n1 POST /v1/actors/counter/a%FFb/get
refused 400 invalid 'malformed escape' n1 POST /v1/actors/counter/a%zz/get
refused 400 invalid 'Kelpie-Request-Id' n1 POST /v1/actors/counter/a/get "Kelpie-Request-Id: $long_type"
refused 400 invalid 'Kelpie-Deadline-Ms' n1 POST /v1/actors/counter/a/get 'Kelpie-Deadline-Ms: soon'
refused 400 invalid 'Kelpie-Deadline-Ms' n1 POST /v1/actors/counter/a/get 'Kelpie-Deadline-Ms: 0'
refused 400 invalid 'Kelpie-Deadline-Ms' n1 POST /v1/actors/counter/a/get 'Kelpie-Deadline-Ms: 600001'
refused 404 not_found 'counter/never is placed nowhere' n1 GET /v1/actors/counter/never
refused 400 invalid "limit is '0'" n1 GET '/v1/actors?limit=0'
refused 400 invalid "limit is '1001'" n1 GET '/v1/actors?limit=1001'
refused 400 invalid "after is 'x'" n1 GET '/v1/actors?after=x'
refused 400 invalid 'actor type' n1 GET "/v1/actors?type=$long_type"
refused 404 not_found 'no node n9' n1 GET '/v1/actors?node=n9'
refused 409 refused 'last active node' n1 POST /v1/nodes/n1/drain
refused 404 not_found 'no active node n9' n1 POST /v1/nodes/n9/drain
refused 409 refused 'n1 is Active' n1 POST /v1/nodes/n1/forget
refused 400 invalid "force is 'maybe'" n1 POST '/v1/nodes/n1/forget?force=maybe'
refused 404 not_found 'no node' n1 POST /v1/nodes/n9/forget
like "Kelpie-Error" "$(cat "$work/head")" "Kelpie-Error: not_found"

# A page in a browser on this machine commands nothing.
as_page=1 refused 403 forbidden "'Kelpie-Request: 1'" n1 POST /v1/nodes/n1/drain
as_host=evil.example refused 403 forbidden "'evil.example' is no loopback name" n1 GET /v1/status
as_host=evil.example refused 403 forbidden loopback n1 POST /v1/actors/counter/a/add
refused 403 forbidden "pages of 'http://evil.example'" n1 POST /v1/actors/counter/a/add 'Origin: http://evil.example'
as_host=localhost:80 request n1 GET /v1/status
is "status by another name of loopback" "$code" 200
as_page=1 request n1 POST /v1/actors/counter/a/get
is "a plain POST to an actor" "$code" 200

# Pages of actors.
for i in $(seq 25); do ask n1 call "counter/p $i" add 1 >/dev/null || fail "p $i"; done
after='' pages=0 listed=0
while :; do
    request n1 GET "/v1/actors?type=counter&limit=10${after:+&after=$after}"
    listed=$((listed + $(grep -o '"id":' "$work/body" | wc -l))) pages=$((pages + 1))
    next=$(sed -n 's/.*"next":"\([^"]*\)".*/\1/p' "$work/body")
    [ -n "$next" ] && [ $pages -lt 9 ] || break
    after=$(sed 's/%/%25/g; s,/,%2F,g' <<<"$next")
done
is "pages and actors" "$pages $listed" "3 26"
is "actors of n1" "$(ask n1 -w json actor list --on n1 | grep -o '"id":' | wc -l)" 28

# Events: what is kept, what comes, and where one was.
events() { # HEADER: for a second
    exec 8<>"/dev/tcp/${http[n1]%:*}/${http[n1]##*:}"
    printf 'GET /v1/events HTTP/1.1\r\nHost: localhost\r\n%s\r\n' "${1:+$1$'\r\n'}" >&8
    timeout 1 cat <&8 >"$work/events"
    exec 8>&-
}
events ''
like "events" "$(cat "$work/events")" 'text/event-stream'
like "events" "$(cat "$work/events")" 'event: primary_elected'
id=$(sed -n 's/^id: \(.*\)/\1/p' "$work/events" | sed -n 2p)
count=$(grep -c '^id: ' "$work/events")
events "Last-Event-ID: $id"
is "events after the second" "$(grep -c '^id: ' "$work/events")" $((count - 2))
events 'Last-Event-ID: 00000000-999'
is "events of another life" "$(grep -c '^id: ' "$work/events")" "$count"

request n1 HEAD /v1/events
is "HEAD of events ends" "$code $(cat "$work/body")" "200 "

# What breaks off or lies does no harm.
exec 8<>"/dev/tcp/${http[n1]%:*}/${http[n1]##*:}"
printf 'POST /v1/actors/counter/a/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n1' >&8
exec 8>&-
exec 8<>"/dev/tcp/${http[n1]%:*}/${http[n1]##*:}"
printf '\x16\x03\x01 no http at all\r\n\r\n' >&8
like "no HTTP" "$(timeout 2 cat <&8)" "HTTP/1.1 400"
exec 8>&-
is "it still answers" "$(ask n1 call counter/a get)" 10
