#!/usr/bin/env bash
# A release build has no marks: without KELPIE_MARKS a rule's object has no section of them, with it
# it has; and meson leaves it out of release builds unless asked.
set -euo pipefail
source_dir=${KELPIE_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

has_marks() { # FLAGS
    "${CC:-cc}" -std=c11 -O2 "$@" -I"$source_dir/src" -I"$source_dir/include" \
        -c "$source_dir/src/cluster/rules_failure.c" -o "$dir/rules.o"
    grep -q kelpie_marks "$dir/rules.o"
}
has_marks -DKELPIE_MARKS || { echo 'no marks where they are wanted'; exit 1; }
! has_marks || { echo 'marks in an object without KELPIE_MARKS'; exit 1; }

asked() { # MESON_OPTIONS
    meson setup "$@" "$dir/build" "$source_dir" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
    grep -c -e -DKELPIE_MARKS "$dir/build/compile_commands.json" || true
    rm -rf "$dir/build"
}
[ "$(asked --buildtype=release)" = 0 ] || { echo 'a release build has marks'; exit 1; }
[ "$(asked --buildtype=release -Dmarks=enabled)" != 0 ] || { echo '-Dmarks=enabled: none'; exit 1; }
echo 'marks are for the simulator only'
