#!/usr/bin/env bash
# Bad input to kelpied: each gets one clear sentence and a status that is not 0, and nothing is lost.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

# kelpied with these options ends at once with that status and says one line that matches.
refuses() { # STATUS PATTERN OPTION...
    local status=$1 pattern=$2 text got
    shift 2
    text=$(timeout 20 "$kelpied" --log-level error --data-dir "$work/data" --listen 127.0.0.1:0 \
        --rpc-listen 127.0.0.1:0 "$@" 2>&1 </dev/null)
    got=$?
    is "status of kelpied $* ($text)" "$got" "$status"
    like "what kelpied $* says" "$text" "^kelpied: .*$pattern"
    is "lines of kelpied $*: $text" "$(wc -l <<<"$text")" 1
}

# ---- options, variables, the INI file
refuses 2 'unknown option --nod-id; did you mean --node-id\?' --nod-id n1
refuses 2 'unknown option --frobnicate; --help lists them all' --frobnicate
refuses 2 '--lease-ms needs a value' --lease-ms
refuses 2 "'n1' is not an option" n1
refuses 2 'unknown option --x.x1b.31m; --help' $'--x\e[31m'
refuses 2 '--listen is .a.x0ab.x1b.31m' --listen $'a\nb\e[31m'
refuses 2 "--lease-ms is 'long', but it must be a number" --lease-ms long
refuses 2 'heartbeat-ms is 700, but it must be at most a third of lease-ms' --heartbeat-ms 700
refuses 2 "--log-level is 'loud', but it must be one of: debug, info, warn, error" --log-level loud
refuses 2 'node-id is empty' --node-id ''
refuses 2 'node-id .* is 129 bytes long; give at most 128' --node-id "$(printf 'n%.0s' $(seq 129))"
refuses 2 'node-id .*UTF-8' --node-id $'n\xff'
refuses 2 "--prefix is 'seventeen-letters', but it must be 1 to 16 bytes" --prefix seventeen-letters
refuses 2 "--store is 'floppy:a', but it must be lmdb:DIR, fdb\[:FILE\] or memory:" --store floppy:a
refuses 2 "--listen is '7400', but it must be HOST:PORT" --listen 7400
refuses 2 "--listen is '127.0.0.1:70000', but it must be HOST:PORT" --listen 127.0.0.1:70000
refuses 2 '--listen is 0.0.0.0:0, which is not loopback: .*--insecure allows it' --listen 0.0.0.0:0
refuses 2 '--rpc-listen is 10.0.0.1:0, which is not loopback' --rpc-listen 10.0.0.1:0
refuses 2 '--rpc-listen is 0.0.0.0:0, but the other nodes need an address' --rpc-listen 0.0.0.0:0 --insecure
KELPIE_LEASE_MS=x refuses 2 "KELPIE_LEASE_MS is 'x', but it must be a number"
KELPIE_INSECURE=perhaps refuses 2 "KELPIE_INSECURE is 'perhaps', but it must be yes or no"
mkdir -m 700 "$work/data"
ini() { printf '%b' "$1" >"$work/data/kelpied.ini"; }
ini '[kelpied]\nlease_ms = 2000\n'
refuses 2 "kelpied.ini:2: there is no option 'lease_ms'; did you mean 'lease-ms'\?"
ini '# fine\nlease-ms = 3000\n\nlease-ms = 2000\n'
refuses 2 'kelpied.ini:4: lease-ms is given again, after line 2'
ini 'lease-ms\n'
refuses 2 "kelpied.ini:1: 'lease-ms' is not of the form name = value"
ini '[other]\n'
refuses 2 'kelpied.ini:1: section \[other\] is unknown'
ini 'idle-ms = never\n'
refuses 2 "kelpied.ini:1: idle-ms is 'never'"
rm "$work/data/kelpied.ini"
refuses 2 'file /nowhere.ini cannot be read: No such file' --config /nowhere.ini
is "nothing was made" "$(ls -A "$work/data")" ""

# ---- sockets
nodes_up n1
within 10 active_is n1 1
is "counter" "$(ask n1 call counter/a add 3)" 3
refuses 1 "cannot listen on ${http[n1]}: the port is in use" --node-id n2 --listen "${http[n1]}"
refuses 1 'cannot listen on .*in use' --node-id n2 --rpc-listen "${http[n1]}"
refuses 1 'no.such.host' --node-id n2 --insecure --listen no.such.host:1

# ---- frames to the peer port: that connection is closed, the node lives
rpc=$(ask n1 -w json status | json_of rpc)
frame() { # BYTES
    exec 8<>"/dev/tcp/${rpc%:*}/${rpc##*:}"
    printf '%b' "$1" >&8
    timeout 2 cat <&8 >/dev/null
    is "connection closed after $1" $? 0
    exec 8>&-
}
frame 'GET / HTTP/1.1\r\n\r\n'
frame 'KLP1\x00\x01\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00'
frame 'KLP1\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x'
frame 'KLP1\x00\x63\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x'
within 5 log_has n1 'event=bad_frame.*error=protocol'
within 5 log_has n1 'event=bad_frame.*error=version'
is "it still answers" "$(ask n1 call counter/a get)" 3

# ---- classes from shared objects
cc=${CC:-cc}
class() { # NAME SOURCE
    printf '#include "kelpie/kelpie.h"\n#include <string.h>\n%s\n' "$2" >"$work/$1.c"
    "$cc" -std=c11 -shared -fPIC -I "$KELPIE_SOURCE/include" -o "$work/$1.so" "$work/$1.c" ||
        fail "$1.c does not compile"
}
receive='static int receive(struct kelpie_actor *a, const struct kelpie_message *m)
{ (void)m; return kelpie_reply_text(a, "hi"); }'
list() { # INITIALIZER...
    local i=0 one
    printf '%s\n' "$receive"
    for one in "$@"; do printf 'static const struct kelpie_class c%d = {%s};\n' $i "$one"; i=$((i + 1)); done
    printf 'const struct kelpie_class *const kelpie_classes[] = {'
    for ((i = 0; i < $#; i++)); do printf '&c%d, ' $i; done
    printf 'NULL};\n'
}
class old "$(list '.abi = 99, .type = "old", .receive = receive')"
class twice "$(list '.abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "echo", .receive = receive')"
class untyped "$(list '.abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "", .receive = receive')"
class wordy "$(list ".abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = \"$(printf 't%.0s' $(seq 65))\", .receive = receive")"
class deaf "$(list '.abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "deaf"')"
class none "$(list)"
class other 'int nothing;'
printf 'no object' >"$work/text.so"
refuses 1 'nowhere.so' --node-id x --actors-in-node "$work/nowhere.so"
refuses 1 'text.so' --node-id x --actors-in-node "$work/text.so"
refuses 1 'has no symbol kelpie_classes' --node-id x --actors-in-node "$work/other.so"
refuses 1 'built for interface version 99, this program has version 2' --node-id x --actors-in-node "$work/old.so"
refuses 1 'a class of type echo already' --node-id x --actors-in-node "$work/twice.so"
refuses 1 'actor type is empty' --node-id x --actors-in-node "$work/untyped.so"
refuses 1 'actor type .* 65 bytes' --node-id x --actors-in-node "$work/wordy.so"
refuses 1 'deaf has no receive function' --node-id x --actors-in-node "$work/deaf.so"
refuses 1 'kelpie_classes is empty' --node-id x --actors-in-node "$work/none.so"

# A class whose handler fails, one that fills its state, one that does not activate.
class bad 'static int fails(struct kelpie_actor *a, const struct kelpie_message *m)
{
    static char block[30000];
    char key[2] = "k";
    if (!strcmp(m->method, "get")) {
        const uint8_t *v; size_t n;
        return kelpie_reply_text(a, kelpie_state_get(a, "k", 1, &v, &n) ? "there" : "empty");
    }
    int err = kelpie_state_put(a, "k", 1, "v", 1);
    if (err) return err;
    if (!strcmp(m->method, "fill")) {
        for (key[0] = 1; key[0] < 100; key[0]++)
            if ((err = kelpie_state_put(a, key, 1, block, sizeof block))) return err;
    }
    return KELPIE_E_HANDLER_FAILED;
}
static int never(struct kelpie_actor *a) { (void)a; return KELPIE_E_HANDLER_FAILED; }
static const struct kelpie_class bad = {.abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "bad", .receive = fails};
static const struct kelpie_class dead = {.abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "dead", .receive = fails,
                                         .activate = never};
const struct kelpie_class *const kelpie_classes[] = {&bad, &dead, NULL};'
node_start n2 --actors-in-node "$work/bad.so"
node_wait n2
within 10 active_is n1 2
refused 500 handler_failed '.' n1 POST /v1/actors/bad/a/fail
refused 507 state_full '.' n1 POST /v1/actors/bad/a/fill
is "its state is as before" "$(ask n1 call bad/a get)" empty
refused 500 handler_failed '.' n1 POST /v1/actors/dead/a/get
is "others go on" "$(ask n2 call counter/a get)" 3
# An actor type that no living node hosts any more.
kill -TERM "${supervisor[n2]}"
node_ended n2
is "status of n2" $status 0
refused 404 unknown_type 'bad' n1 POST /v1/actors/bad/a/get
kill -TERM "${supervisor[n1]}"
node_ended n1

# ---- a peer of another cluster, at the address of one that is dead
node_start a1
node_wait a1
rpc=$(ask a1 -w json status | json_of rpc)
kill -STOP "${supervisor[a1]}" # it declares nobody dead
kill -KILL "$(child_of a1)"
rpc_listen=$rpc node_start b1 --store "lmdb:$work/other" --data-dir "$work/b"
node_wait b1
node_start a2
node_wait a2
within 5 log_has b1 'event=bad_frame.*error=store_foreign'
is "counter of the one" "$(ask a2 call counter/a get)" 3
is "counter of the other" "$(ask b1 call counter/a get)" 0
for id in a2 b1; do
    kill -TERM "${supervisor[$id]}"
    node_ended $id
    is "status of $id" $status 0
done
kill -KILL "${supervisor[a1]}"
node_ended a1

# ---- stores that cannot be opened
: >"$work/file"
refuses 1 "$work/file" --store "lmdb:$work/file"
mkdir -m 755 "$work/open"
refuses 1 "$work/open" --store "lmdb:$work/open"
refuses 1 '/proc/nowhere' --store lmdb:/proc/nowhere
kill_store
# Corrupt: the file's first pages are no database any more. What it says is not lost: put back, all
# is there.
cp -p "$work/data/store/data.mdb" "$work/good.mdb"
head -c 16384 /dev/urandom | dd of="$work/data/store/data.mdb" conv=notrunc status=none
refuses 1 "$work/data/store" --node-id n1
says 1 "$work/data/store" "$kelpie" store check --data-dir "$work/data"
kill_store
cp -p "$work/good.mdb" "$work/data/store/data.mdb"
nodes_up n1
is "put back" "$(ask n1 call counter/a get)" 3

# ---- a full disk: an error that says so, and nothing lost. Only where a small one can be made.
mkdir -p "$work/small"
if mount -t tmpfs -o size=3m,mode=700 tmpfs "$work/small" 2>/dev/null; then
    trap 'code=$?; umount -l "$work/small" 2>/dev/null; (exit $code); end' EXIT
    node_start f1 --store "lmdb:$work/small/store" --data-dir "$work/f"
    node_wait f1
    is "before" "$(ask f1 call counter/a add 1)" 1
    cat /dev/zero >"$work/small/filler" 2>/dev/null
    text=''
    # Free pages in the store's file are still used.
    for i in $(seq 60); do
        text=$(ask f1 call "counter/full$i" add 1 --deadline-ms 4000 2>&1) || break
    done
    like "a call on a full disk" "$text" '^kelpie: .*full'
    is "what was acknowledged" "$(ask f1 call counter/a get)" 1
    rm "$work/small/filler"
    back() { [ "$(ask f1 call counter/a get)" = 1 ]; }
    within 15 back
    kill -TERM "${supervisor[f1]}"
    node_ended f1
    is "status of f1" $status 0
    kill_store
    cat /dev/zero >"$work/small/filler" 2>/dev/null
    rm -rf "$work/small/store"
    cat /dev/zero >"$work/small/filler-2" 2>/dev/null
    refuses 1 'no room left' --node-id f1 --store "lmdb:$work/small/store" --data-dir "$work/f"
else
    echo "skipped: a full disk (no right to mount one)"
fi
