#!/usr/bin/env bash
# What kelpied loads and obeys: a class's own names stay its own, and no file that others may write counts.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

# Names that kelpied, libevent and the C library have too.
cat >"$work/own.c" <<'END'
#include "kelpie/kelpie.h"
#include <stdio.h>
uint32_t crc32c(const void *data, size_t len);
uint32_t crc32c(const void *data, size_t len)
{
    (void)data;
    return 4200 + (uint32_t)len;
}
int event_base_loop(void);
int event_base_loop(void)
{
    return 17;
}
const char *log_quote(void);
const char *log_quote(void)
{
    return "own";
}
static int receive(struct kelpie_actor *a, const struct kelpie_message *m)
{
    extern char **environ;
    char text[64];
    (void)m;
    snprintf(text, sizeof(text), "%u %d %s %s", crc32c("abc", 3), event_base_loop(), log_quote(),
             environ && environ[0] ? "environment" : "none");
    return kelpie_reply_text(a, text);
}
static const struct kelpie_class own = {.abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "own", .receive = receive};
const struct kelpie_class *const kelpie_classes[] = {&own, NULL};
END
"${CC:-cc}" -std=c11 -shared -fPIC -I "$KELPIE_SOURCE/include" -o "$work/own.so" "$work/own.c" || exit 1
node_start n1 --actors "$work/own.so"
node_wait n1
# (The sanitizers' library must come first, and so do names of libevent then: see actors_load.c.)
grep -qaF __asan_init "$kelpied" ||
    is "a class's own functions" "$(ask n1 call own/a get)" "4203 17 own environment"
is "ours" "$(ask n1 call counter/a add 2)" 2
kill -TERM "${supervisor[n1]}"
node_ended n1
is "status" $status 0

# ---- owners and modes
refuses() { # PATTERN OPTION...
    says "$1" "^kelpied: $2" timeout 20 "$kelpied" --log-level error --data-dir "$work/data" \
        --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 "${@:3}"
}
for mode in 0666 0757 0646; do
    chmod $mode "$work/own.so"
    refuses 1 "$work/own.so may be written by others \(mode $mode\)" --actors "$work/own.so"
done
chmod 0755 "$work/own.so"
mkdir -m 0777 "$work/open"
chmod 0777 "$work/open"
cp "$work/own.so" "$work/open/own.so"
refuses 1 "$work/open/own.so lies below $work/open, which may be written by others" \
    --actors "$work/open/own.so"
ln -s "$work/open/own.so" "$work/link.so"
refuses 1 "$work/link.so lies below $work/open" --actors "$work/link.so"
printf 'lease-ms = 3000\n' >"$work/data/kelpied.ini"
chmod 0666 "$work/data/kelpied.ini"
refuses 2 "$work/data/kelpied.ini may be written by others"
chmod 0644 "$work/data/kelpied.ini"
if [ "$(id -u)" = 0 ]; then
    chown 12345 "$work/own.so"
    refuses 1 "$work/own.so belongs to user 12345" --actors "$work/own.so"
    chown 0:12345 "$work/own.so"
    chmod 0775 "$work/own.so"
    refuses 1 "$work/own.so may be written by others \(mode 0775\)" --actors "$work/own.so"
    chown 12345 "$work/data/kelpied.ini"
    refuses 2 "$work/data/kelpied.ini belongs to user 12345"
    chown 0 "$work/data/kelpied.ini"
    chmod 0755 "$work/own.so"
fi
cp "$work/own.so" "$work/data/fdb.so"
chmod 0777 "$work/data/fdb.so"
refuses 1 "$work/data/fdb.so may be written by others" --store "fdb:$work/none" --fdb-library "$work/data/fdb.so"
node_start n2 --actors "$work/own.so" # all is well again
node_wait n2
is "the INI file counts" "$(ask n2 -w json status | json_of lease_ms)" 3000
kill -TERM "${supervisor[n2]}"
node_ended n2
is "status" $status 0
