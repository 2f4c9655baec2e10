#!/usr/bin/env bash
# Files of actor classes as others build them: in C++, for another kelpie.h, with what no program knows.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
flags=(-Wall -Wextra -Werror -Wconversion -Wshadow -fPIC -shared -I"$KELPIE_SOURCE/include")
cxx=${CXX:-g++}
command -v "$cxx" >/dev/null || { echo "no $cxx"; exit 77; }

# kelpied with that file ends at once, and says why.
refuses() { # FILE PATTERN
    local text
    text=$(timeout 20 "$kelpied" --log-level error --data-dir "$work/none" --store memory: \
        --listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0 --actors-in-node "$1" 2>&1 </dev/null)
    is "status with $1" $? 1
    like "what is said of $1" "$text" "^kelpied: .*$2"
}

# ---- a class in C++
cat >"$work/till.cc" <<'END'
#include <kelpie/kelpie.h>

#include <cstring>
#include <string>

namespace {

int receive(kelpie_actor *actor, const kelpie_message *m)
{
    const uint8_t *value = nullptr;
    size_t len = 0;
    if (std::strcmp(m->method, "tell") == 0)
        return kelpie_send(actor, "nowhere", "x", "knock", nullptr, 0, nullptr);
    if (std::strcmp(m->method, "open") == 0)
        return kelpie_state_put(actor, "open", 4, "", 0);
    bool open = kelpie_state_get(actor, "open", 4, &value, &len);
    if (std::strcmp(m->method, "is_open") == 0)
        return kelpie_reply_text(actor, open ? "yes" : "no");
    if (std::strcmp(m->method, "close") == 0)
        return kelpie_state_delete(actor, "open", 4); /* refused: it is declared a read */
    if (!open)
        return kelpie_fail(actor, "closed", "the till \"7\" is closed");
    const std::string &greeting = *static_cast<const std::string *>(kelpie_class_arg(actor));
    return kelpie_reply_text(actor, greeting.c_str());
}

const kelpie_method methods[] = {{"is_open", KELPIE_METHOD_READ, 0},
                                 {"close", KELPIE_METHOD_READ, 0},
                                 {nullptr, 0, 0}};

kelpie_class make()
{
    static std::string greeting = "good morning";
    kelpie_class c{};
    c.abi = KELPIE_ABI_VERSION;
    c.size = sizeof(kelpie_class);
    c.type = "till";
    c.receive = receive;
    c.arg = &greeting;
    c.methods = methods;
    return c;
}

const kelpie_class till = make();

} // namespace

const kelpie_class *const kelpie_classes[] = {&till, nullptr};
END
says 0 '' "$cxx" -std=c++11 "${flags[@]}" -o "$work/till.so" "$work/till.cc"
node_start n1 --actors-in-node "$work/till.so"
node_start n2 --actors-in-node "$work/till.so"
for id in n1 n2; do node_wait $id; done
within 10 active_is n1 2

is "a read of what never was" "$(ask n1 call till/7 is_open)" no
like "has left no row" "$(ask n1 -w json actor list)" '"actors":\[\]'
request n1 POST /v1/actors/till/7/greet 'Kelpie-Request-Id: r1'
is "status of a domain error" "$code" 422
is "its body" "$(cat "$work/body")" \
    '{"error":"domain_error","message":"the till \"7\" is closed","retry":false,"applied":"no","code":"closed"}'
like "its heads" "$(cat "$work/head")" 'Kelpie-Error: domain_error'
like "its heads" "$(cat "$work/head")" 'Kelpie-Error-Code: closed'
ask n1 call till/7 tell
# Nobody hosts its receiver: it waits, and its age is shown.
waits() { ask n2 message list nowhere/x | grep -qE 'nowhere/x +waiting[^ ]+ +knock +till/7 +[1-9][0-9]*s ago +- +- +0 +-'; }
within 10 waits
ask n1 call till/7 open
is "it is open" "$(ask n2 call till/7 is_open)" yes
is "and greets" "$(ask n2 call till/7 greet)" "good morning"
home=$(ask n1 -w json actor locate till/7 | json_of node)
kill -KILL "$(child_of "$home")"
request "$([ "$home" = n1 ] && echo n2 || echo n1)" POST /v1/actors/till/7/greet 'Kelpie-Request-Id: r1' \
    'Kelpie-Deadline-Ms: 15000'
is "what was refused once stays so, also on another node" "$code" 422
other=$([ "$home" = n1 ] && echo n2 || echo n1)
says 1 'the till "7" is closed \(domain_error: closed\)' ask "$other" call till/7 greet --request-id r1
refused 409 refused 'declared as a read cannot write' "$other" POST /v1/actors/till/7/close
for id in n1 n2; do
    kill -TERM "${supervisor[$id]}"
    node_ended $id
done

# ---- of other versions: a struct that has more, or less, than this program's
plain() { # NAME ABI MEMBERS EXTRA: as its header has it
    cat >"$work/$1.c" <<END
#include <kelpie/kelpie.h>
static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    return kelpie_reply_text(actor, m->method);
}
static const struct kelpie_method methods[] = {{"m", $4, 0}, {0}};
static const struct {
    struct kelpie_class class;
    const void *more[2];
} given = {
    .class = {.abi = $2, .size = $3, .type = "plain", .receive = receive, .methods = methods},
    .more = {0, $5},
};
const struct kelpie_class *const kelpie_classes[] = {&given.class, 0};
END
    says 0 '' "${CC:-cc}" "${flags[@]}" -Wno-missing-field-initializers -o "$work/$1.so" "$work/$1.c"
}
whole='sizeof(struct kelpie_class)'
plain abi1 1 "$whole" 0 0
refuses "$work/abi1.so" 'built for interface version 1, this program has version 2; build it again'
plain tiny 2 8 0 0
refuses "$work/tiny.so" 'a class says that it has 8 bytes; set its size to sizeof'
plain wants 2 'sizeof(given)' 0 '&given'
refuses "$work/wants.so" 'class plain was built for a newer kelpie.h and uses what this program does not have'
plain odd 2 "$whole" 128 0
refuses "$work/odd.so" 'method m of class plain has flags 0x80'
plain short 2 KELPIE_CLASS_SIZE_MIN 128 0 # what it does not have is not looked at
plain newer 2 'sizeof(given)' 0 0
# ---- a window that is none: -1, and a year, which 32 bits do not hold
window() { # NAME MS
    sed "s/\.type = \"plain\"/&, .remember_ms = (uint32_t)($2)/" "$work/short.c" >"$work/$1.c"
    sed -i 's/KELPIE_CLASS_SIZE_MIN/sizeof(struct kelpie_class)/; s/"m", 128/"m", 0/' "$work/$1.c"
    says 0 '' "${CC:-cc}" "${flags[@]}" -Wno-missing-field-initializers -o "$work/$1.so" "$work/$1.c"
}
window below -1
refuses "$work/below.so" 'below.so: a class remembers requests for 4294967295 ms; at most 86400000, a day, are allowed$'
window year '365ull * 24 * 3600 * 1000'
refuses "$work/year.so" 'year.so: a class remembers requests for [0-9]+ ms; at most 86400000, a day, are allowed$'
window over 86400001
refuses "$work/over.so" 'a class remembers requests for 86400001 ms; at most 86400000, a day, are allowed$'
for name in short newer; do
    rm -rf "$work/data"
    node_start $name --actors-in-node "$work/$name.so"
    node_wait $name
    is "a class that is $name" "$(ask $name call plain/1 hello)" hello
    kill -TERM "${supervisor[$name]}"
    node_ended $name
done
