#!/usr/bin/env bash
# Plants one violation of each kind into a small clean tree, and expects scripts/lint to find it at
# its file and line, and to find nothing before.
set -euo pipefail

source_dir=${KELPIE_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
lint=$source_dir/scripts/lint
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0 checked=0

# What a tool that is not installed would check is left out (scripts/deps --lint installs them).
have() { command -v "$1" >/dev/null || { echo "left out: $1 is not installed"; return 1; }; }

# A clean tree: one file of a low floor, one of a high floor, a backend, a public header.
fresh() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/src/{base,env,rpc,cluster,http,store,loop,sim,bin} "$tree"/include/kelpie \
        "$tree"/tests/unit "$tree"/build
    cp "$source_dir/.clang-format" "$tree"
    cat >"$tree/include/kelpie/thing.h" <<'EOF'
#ifndef KELPIE_THING_H
#define KELPIE_THING_H

#include <stdint.h>

int thing_value(int a);

#endif
EOF
    cat >"$tree/src/base/low.c" <<'EOF'
#include <string.h>

#include "kelpie/thing.h"

/* A comment may say malloc(1) and strcpy(a, b), and so may a "string". */
static const char *const names[] = {"free(x)", "time(NULL)"};

struct ops {
    void (*free)(void *arg);
    int (*open)(const char *path);
};

int thing_value(int a)
{
    return a + (int)strlen(names[a & 1]);
}
EOF
    cat >"$tree/src/rpc/high.c" <<'EOF'
#include "rpc/high.h"

int high_value(const struct high *h)
{
    return h->ops->send(h->arg) + thing_value(1);
}
EOF
    cat >"$tree/src/rpc/high.h" <<'EOF'
#ifndef KELPIE_RPC_HIGH_H
#define KELPIE_RPC_HIGH_H

#include "kelpie/thing.h"

struct high_ops {
    int (*send)(void *arg);
};

struct high {
    const struct high_ops *ops;
    void *arg;
};

int high_value(const struct high *h);

#endif
EOF
    cat >"$tree/src/loop/back.c" <<'EOF'
#include <stdlib.h>
#include <time.h>

long back_now(void);

long back_now(void)
{
    return (long)time(NULL);
}
EOF
}

# Objects as the build would make them.
compile() {
    local file object list=
    for file in $(cd "$tree" && find src -name '*.c'); do
        object=$(basename "$file").o
        ${CC:-cc} -std=c11 -I"$tree/src" -I"$tree/include" -c "$tree/$file" -o "$tree/build/$object"
        list+="{\"directory\":\"$tree/build\",\"file\":\"../$file\",\"output\":\"$object\"},"
    done
    echo "[${list%,}]" >"$tree/build/compile_commands.json"
}

complain() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

expect_ok() { # CHECK
    local said
    checked=$((checked + 1))
    said=$("$lint" --root "$tree" "$1") || complain "$1 on a clean tree: $said"
    grep -qx "lint $1: ok" <<<"$said" || complain "$1 did not say ok: $said"
}

expect_finding() { # CHECK FILE:LINE REGEX
    local said status=0
    checked=$((checked + 1))
    said=$("$lint" --root "$tree" "$1") || status=$?
    [ $status = 1 ] || complain "$1 on $2 ended with status $status"
    grep -qx "lint $1: FAILED" <<<"$said" || complain "$1 did not fail on $2: $said"
    grep -qE "^$2: .*$3" <<<"$said" || complain "$1 did not find '$3' at $2: $said"
}

# Appends a function with that statement to FILE; the statement stands in the line LINE.
plant() { # FILE STATEMENT
    printf '\nvoid planted(void *a, void *b);\n\nvoid planted(void *a, void *b)\n{\n    %s\n}\n' "$2" >>"$tree/$1"
    line=$(($(wc -l <"$tree/$1") - 1))
}

fresh
checks='includes banned limits names marks words'
! have clang-format || checks+=' format'
! have cppcheck || checks+=' static'
for check in $checks; do
    expect_ok "$check"
done

if command -v clang-format >/dev/null; then
    fresh
    sed -i 's/^    return a/  return a/' "$tree/src/base/low.c"
    expect_finding format src/base/low.c:15 'not formatted'
fi

if command -v cppcheck >/dev/null; then
    fresh
    plant src/base/low.c 'int few[2]; few[2] = 1; (void)few; (void)a; (void)b;'
    expect_finding static "src/base/low.c:$line" arrayIndexOutOfBounds
fi

# The include table: a line at the top of FILE, what is said about it.
include() { # FILE INCLUDE REGEX
    fresh
    mkdir -p "$tree/$(dirname "$1")"
    [ -f "$tree/$1" ] || : >"$tree/$1"
    sed -i "1i #include $2" "$tree/$1" 2>/dev/null || true
    [ -s "$tree/$1" ] || echo "#include $2" >"$tree/$1"
    expect_finding includes "$1:1" "$3"
}
include src/base/low.c '"rpc/high.h"' 'base must not include rpc'
include src/rpc/high.c '"cluster/view.h"' 'rpc must not include cluster'
include src/cluster/view.c '"store/core.h"' 'cluster must not include store'
include src/http/page.c '"loop/loop.h"' 'http must not include loop'
include src/store/core.c '"record/keys.h"' 'store must not include record'
include src/loop/back.c '"rpc/high.h"' 'loop must not include rpc'
include src/http/page.c '"sim/world/world.h"' 'http must not include sim'
include src/sim/world/world.c '"bin/shared/options.h"' 'sim must not include bin'
include src/bin/kelpie/cli.c '"bin/kelpied/supervisor.h"' 'bin/kelpie must not include bin/kelpied'
include src/sim/stores/rows.c '"sim/checkers/checks.h"' 'sim/stores must not include sim/checkers'
include src/sim/flat.c '"base/low.h"' 'lies in none of the rooms of src/sim'
include src/base/low.c '"low.h"' 'write "<floor>/low.h"'
include src/attic/old.c '"base/low.h"' 'src/attic is not a floor'
include include/kelpie/thing.h '"base/low.h"' 'public header'
include src/base/low.c '<sys/socket.h>' 'is for backends'
include src/sim/world/world.c '<pthread.h>' 'is for backends'
include src/cluster/view.c '<jansson.h>' 'only in http, bin'
include src/loop/back.c '<lmdb.h>' 'only in store'
include src/store/recent.c '<unistd.h>' 'is for backends'

# Banned calls: one of each kind; a function handed on as a value; the core of the store.
banned() { # FILE STATEMENT REGEX
    fresh
    mkdir -p "$tree/$(dirname "$1")"
    [ -f "$tree/$1" ] || : >"$tree/$1"
    plant "$1" "$2"
    expect_finding banned "$1:$line" "$3"
}
banned src/base/low.c 'time(a);' 'time \(clock\)'
banned src/base/low.c 'clock_gettime(0, a);' clock
banned src/rpc/high.c 'usleep(1);' clock
banned src/rpc/high.c '(void)rand();' random
banned src/sim/world/world.c 'getrandom(a, 1, 0);' random
banned src/rpc/high.c 'b = malloc(1);' 'malloc \(allocation\)'
banned src/http/page.c 'free(a);' 'free \(allocation\)'
banned src/rpc/high.c 'each(a, free);' 'free \(allocation\)'
banned src/rpc/high.c 'connect(1, a, 2);' socket
banned src/rpc/high.c 'pthread_create(a, b, 0, 0);' 'pthread_create \(thread\)'
banned src/rpc/high.c '(void)getenv("A");' environment
banned src/rpc/high.c 'fork();' process
banned src/rpc/high.c 'fopen("a", "b");' file
banned src/sim/world/world.c 'printf("a");' file
banned src/rpc/high.c 'fputs("a", b);' stream
banned src/store/core.c 'b = malloc(1);' allocation
banned src/store/recent.c 'time(a);' clock
banned src/rpc/high.c 'strcpy(a, b);' 'strcpy\(\) has no bound'
banned src/loop/back.c 'sprintf(a, "b");' 'sprintf\(\) has no bound'
banned tests/unit/test_a.c 'strtok(a, b);' 'strtok\(\) has no bound'

# The simulator may allocate, a backend may look at the clock.
fresh
mkdir -p "$tree/src/sim/world"
: >"$tree/src/sim/world/world.c"
plant src/sim/world/world.c 'b = malloc(1);'
plant src/loop/back.c 'time(a);'
printf 'static int send(void *a);\n' >"$tree/src/rpc/own.c"
plant src/rpc/own.c 'send(a);'
: >"$tree/src/store/omap_lmdb.c"
plant src/store/omap_lmdb.c 'open(a, 0);'
expect_ok banned

# Globals: in the data, zeroed, and hidden in a function; constants and tables of pointers are none.
if have objdump; then
    fresh
    expect_finding globals src/base/low.c:1 'no object'
    compile
    expect_ok globals
    for kind in 'int planted_count;' 'static int planted_count = 1;' \
        '_Thread_local int planted_count;'; do
        fresh
        printf '\n%s\nint *planted(void);\nint *planted(void) { return &planted_count; }\n' \
            "$kind" >>"$tree/src/rpc/high.c"
        compile
        expect_finding globals src/rpc/high.c:8 "'planted_count'"
    done
    fresh
    plant src/base/low.c 'static int planted_count; planted_count += a == b;'
    compile
    expect_finding globals "src/base/low.c:$line" "'planted_count'"
fi

# Bounds on lengths.
fresh
for i in $(seq 701); do echo "/* $i */"; done >"$tree/src/base/long.c"
expect_finding limits src/base/long.c:701 'FILE_LINES_MAX = 700'
fresh
{
    printf 'void long_one(int *a)\n{\n'
    for i in $(seq 99); do echo "    *a += $i;"; done
    echo '}'
} >"$tree/src/base/long.c"
expect_finding limits src/base/long.c:2 'FUNCTION_LINES_MAX = 100'

fresh
mkdir -p "$tree/src/store/part"
echo '/* */' >"$tree/src/store/part/low.h"
expect_finding names src/store/part/low.h:1 'taken by src/base/low'

# Marks: a name twice, one that is no literal, one that is no words, one in a header.
fresh
echo 'void m(void) { SOMETIMES("low-mark"); SOMETIMES("other-mark"); }' >"$tree/src/base/m.c"
expect_ok marks
printf '\nvoid n(void) { SOMETIMES("low-mark"); }\n' >"$tree/src/rpc/n.c"
expect_finding marks src/rpc/n.c:2 "'low-mark' is at src/base/m.c:1"
for planted in 'n.c|(NAME)' 'n.c|("Not This")' 'n.h|("a-mark")'; do
    fresh
    echo "void n(void) { SOMETIMES${planted#*|}; }" >"$tree/src/rpc/${planted%%|*}"
    expect_finding marks "src/rpc/${planted%%|*}:1" mark
done

# Words, spelled so that this file has none of them.
for word in /wo''rk/main /ro''ot/.ssh TO''DO FIX''ME XX''X; do
    fresh
    printf 'a\nsee %s here\n' "$word" >"$tree/notes.md"
    expect_finding words notes.md:2 "does not belong"
done
fresh
echo 'mktemp name.XXXXXX' >"$tree/notes.md"
expect_ok words

# Names of the specification, in comments and tables.
fresh
mkdir -p "$tree"/spec "$tree"/docs
printf -- '-- MODULE A --\nVARIABLE gone\nTick == TRUE\nLand(c) == c\n==\n' >"$tree/spec/A.tla"
printf '/* It lands (spec: Land, Tick). */\n' >"$tree/src/base/s.c"
printf '| rule | spec | reads |\n|---|---|---|\n| a | Land, Tick to nobody | Row |\n| b | – | |\n' >"$tree/docs/rules.md"
expect_ok spec
printf '/* (spec: Land,\n * Lost) (spec: Flown) */\n' >>"$tree/src/base/s.c"
expect_finding spec src/base/s.c:3 "no Flown"
rm "$tree/src/base/s.c"
printf '| c | Lost | |\n' >>"$tree/docs/rules.md"
expect_finding spec docs/rules.md:5 "no action Lost"

if "$lint" --root "$tree" nonsense 2>/dev/null; then
    complain "an unknown check was accepted"
fi

echo "$checked expectations, $failures failed"
[ $failures = 0 ]
