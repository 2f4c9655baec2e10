#!/usr/bin/env bash
# What the programs show and how they are linked: kelpied exports the public interface and nothing else.
set -uo pipefail
kelpied=${KELPIE_BUILD:?}/kelpied
failures=0
fail() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

exported=$(nm -D --defined-only "$kelpied" | awk '{print $3}' | sed 's/@.*//' | LC_ALL=C sort -u)
if grep -q '^__[aut]san_' <<<"$exported"; then
    echo "a sanitizer's symbols are there too: skipped"
    exit 77
fi
# The names that the public headers declare, and those of the linker.
public=$(grep -ohE '\bkelpie_[a-z_]+\(' "${KELPIE_SOURCE:?}"/include/kelpie/{kelpie,error}.h | tr -d '(' | LC_ALL=C sort -u)
linker=$'_IO_stdin_used\n__bss_start\n__data_start\n_edata\n_end\n_fini\n_init\n_start\ndata_start\nmain'
[ "$(wc -l <<<"$public")" -ge 15 ] || fail "the public headers declare only: $public"
more=$(LC_ALL=C comm -23 <(echo "$exported") <(printf '%s\n%s\n' "$public" "$linker" | LC_ALL=C sort -u) |
    grep -vE '^(stdin|stdout|stderr|environ|optarg|optind)$')
[ -z "$more" ] || fail "kelpied exports what is not public: $(head -n 20 <<<"$more" | tr '\n' ' ')"
less=$(LC_ALL=C comm -13 <(echo "$exported") <(echo "$public"))
[ -z "$less" ] || fail "kelpied does not export: $less"

# What workloads call (kelpie/sim.h) is the simulator's, beside what classes do.
simulated=$(nm -D --defined-only "$KELPIE_BUILD/kelpie-sim" | awk '{print $3}' | LC_ALL=C sort -u)
wanted=$(grep -ohE '\bkelpie_[a-z_]+\(' "$KELPIE_SOURCE"/include/kelpie/*.h | tr -d '(' | LC_ALL=C sort -u)
less=$(LC_ALL=C comm -13 <(echo "$simulated") <(echo "$wanted"))
[ -z "$less" ] || fail "kelpie-sim does not export: $less"

for program in kelpied kelpie kelpie-sim; do
    file=$KELPIE_BUILD/$program
    readelf -h "$file" | grep -q 'Type: *DYN' || fail "$program is at a fixed address"
    readelf -d "$file" | grep -q 'BIND_NOW\|FLAGS_1.*NOW' || fail "$program binds late"
    readelf -lW "$file" | grep 'GNU_STACK' | grep -q 'RW ' || fail "the stack of $program is executable"
done
echo "$failures failed"
[ "$failures" = 0 ]
