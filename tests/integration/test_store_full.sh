#!/usr/bin/env bash
# The disk of the embedded store fills up and has room again: callers are told, and so are people, once when it
# begins and once when it ends, with what is free. On a file system of its own, which takes root.
if [ -z "${KELPIE_TEST_MOUNTS:-}" ]; then
    if ! unshare --mount true 2>/dev/null; then
        echo "skipped: it needs root and unshare"
        exit 77
    fi
    KELPIE_TEST_MOUNTS=1 exec unshare --mount bash "$0"
fi
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
mkdir "$work/data"
mount -t tmpfs -o size=3m,mode=0700 tmpfs "$work/data" 2>/dev/null || {
    echo "skipped: nothing can be mounted"
    trap - EXIT
    rm -rf "$work"
    exit 77
}
trap 'code=$?; umount -l "$work/data"; (exit $code); end' EXIT
metric() { # ID NAME
    request "$1" GET /metrics
    sed -n "s/^kelpie_$2 //p" "$work/body"
}

nodes_up n1 n2
within 10 active_is n1 2
says 0 '1' ask n1 call counter/a add 1
is 'full before' "$(metric n1 store_full)" 0
head -c 8000000 /dev/zero >"$work/data/ballast" 2>/dev/null
# New rows need room; what nodes rewrite may still find some.
for i in $(seq 60); do
    ask n1 call "counter/f$i" add 1 --deadline-ms 500 >/dev/null 2>"$work/said" || break
done
like 'what the caller is told' "$(cat "$work/said")" 'store_full'
within 5 log_has n1 event=store_full
log_has n1 'level=error .*event=store_full free_bytes=[0-9]* reason=' && ok || fail 'it does not say how much is free'
is 'the metric' "$(metric n1 store_full)" 1
like 'free bytes' "$(metric n1 store_free_bytes)" '^[0-9]+$'
like '/readyz names it' "$(request n1 GET /readyz && cat "$work/body")" 'the store has no room left'
like 'status' "$(ask n1 status)" 'TROUBLE +the store has no room left'
for i in 1 2 3; do ask n1 call "counter/h$i" add 1 --deadline-ms 300 >/dev/null 2>&1; done

rm "$work/data/ballast"
within 20 log_has n1 'level=info .*event=store_has_room free_bytes=[0-9]* full_ms=[0-9]* refused=[0-9]*'
within 10 ask n1 call counter/a add 1
is 'full after' "$(metric n1 store_full)" 0
is 'status of status' "$(ask n1 status >/dev/null; echo $?)" 0
is 'begins on n1' "$(grep -c 'event=store_full' "$work/n1.log")" 1
is 'ends on n1' "$(grep -c 'event=store_has_room' "$work/n1.log")" 1
