#!/usr/bin/env bash
# Each of the broken variants of the specification, planted into a build of its own, is found within
# 200 seeds, by the invariant that it breaks; a run that fails exits 1 and names the line that
# reproduces it, and that line does.
set -euo pipefail
case $(basename "$KELPIE_BUILD") in
build) ;;
*)
    echo "the mutants are built once, beside the plain build"
    exit 77
    ;;
esac
cd "$KELPIE_SOURCE"
dir=build-mutants
sim=$dir/kelpie-sim
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Of the whole tree only the simulator is needed.
if [ -f $dir/build.ninja ]; then
    meson setup --reconfigure $dir >"$log" 2>&1 || { cat "$log"; exit 1; }
else
    meson setup $dir -Dmutants=true >"$log" 2>&1 || { cat "$log"; exit 1; }
fi
ninja -C $dir kelpie-sim >"$log" 2>&1 || { cat "$log"; exit 1; }

seeds=200 step=20 failed=0
declare -A found=() # the seed of each mutant

# The line by which a finding is repeated repeats it, and says so itself.
repeats() {
    local breaks=$1 out
    shift
    # shellcheck disable=SC2048,SC2086
    if out=$("$sim" $*); then
        echo "kelpie-sim $* exits 0"
    elif ! grep -q "^VIOLATION $breaks " <<<"$out" ||
        ! grep -q "^reproduce: kelpie-sim $*\$" <<<"$out"; then
        echo "kelpie-sim $* says:"
        echo "$out"
    else
        return 0
    fi
    failed=1
}

find_mutant() {
    local name=$1 breaks=$2 from out line cpu=0
    for ((from = 1; from <= seeds; from += step)); do
        out=$("$sim" sweep --seeds $from..$((from + step - 1)) --jobs 2 --duration 40s \
            --mutant "$name" 2>/dev/null) && continue
        cpu=$((cpu + $(sed -n 's/^cpu_ms *//p' <<<"$out")))
        line=$(grep "^seed [0-9]*: $breaks " <<<"$out" | sort -t' ' -k2n | head -n 1) || continue
        echo "found $name within $((from + step - 1)) seeds, $cpu ms of CPU: $line"
        found[$name]=$(sed 's/^seed \([0-9]*\):.*/\1/' <<<"$line")
        line="run --seed $(sed 's/^seed \([0-9]*\):.*/\1/' <<<"$line") --duration 40s --mutant $name"
        grep -q "^reproduce: kelpie-sim $line\$" <<<"$out" || { echo "no: $line"; failed=1; }
        repeats "$breaks" "$line"
        return
    done
    echo "SURVIVED $name: no $breaks within $seeds seeds"
    failed=1
}

find_mutant untimely FailedIsOver
find_mutant noquorum GrantedByMajority
find_mutant noack LeaveDetectionWeak
find_mutant nofence NoStaleWrite
find_mutant takeback SingleActivation
find_mutant twin FailedIsOver

# Of the others, those that took less than about a CPU second when they were planted, with room for what moved since; `kelpie-sim mutants` runs all.
quick=lapsed,onewindow,outage,deadbeat,moved,inview,goneview,unacked,waitdead,noexcuse,pastlife
quick+=,incarnation,coldstart,nodeadall,unasked,viewhash,earlyack,notgone,watchonly,countview,half
quick+=,oldanswer,usurp,sameterm,unclaimed,nostepdown,bynode,bynodeold,bynodeinc,generation,movesame
quick+=,deleterow,steal,anytarget,releaseany,loadany,sweepforgets,nodedupe,dedupenode
quick+=,nestedage,nestedrandom,nochain,openearly,keepgiven,callearly
quick+=,twocommits,orderlost,doubleperiod
"$sim" mutants --cpu-seconds 60 --only $quick 2>/dev/null || failed=1
if out=$("$KELPIE_BUILD/kelpie-sim" mutants 2>&1) || [[ $out != *"this build has no mutants"* ]]; then
    echo "a plain build says of its mutants: $out"
    failed=1
fi

# A finding shrinks by at least 80% of its events within a minute, and its file breaks the same.
shrinks() {
    local name=$1 breaks=$2 seed out before after
    seed=${found[$name]:-}
    if [ -z "$seed" ]; then
        echo "no: $name was not found, and cannot be shrunk"
        failed=1
        return
    fi
    out=$("$sim" shrink --seed "$seed" --duration 40s --mutant "$name" --seconds 25 \
        --out "$log.case") || true
    read -r before after <<<"$(sed -n 's/^shrunk from \([0-9]*\) to \([0-9]*\) .*/\1 \2/p' <<<"$out")"
    echo "shrunk $name, seed $seed: from $before to $after events"
    if [ "$((after * 5))" -gt "$before" ]; then
        echo "no: that is less than 80%"
        failed=1
    fi
    if out=$("$sim" replay "$log.case") || ! grep -q "^VIOLATION $breaks " <<<"$out"; then
        echo "no: the file does not break $breaks: $out"
        failed=1
    fi
    rm -f "$log.case"
}
shrinks twin FailedIsOver
shrinks nofence NoStaleWrite
exit $failed
