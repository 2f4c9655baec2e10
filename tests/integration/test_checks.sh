#!/usr/bin/env bash
# The checks that the scripts of this folder share: one that fails fails its script, and so does a script that
# checks nothing or ends early.
set -uo pipefail
failed=0
ends() { # STATUS SCRIPT
    bash -c '. "$KELPIE_SOURCE/tests/lib/cluster.bash" || exit 1; '"$2" >/dev/null 2>&1
    local got=$?
    [ "$got" = "$1" ] || { echo "'$2' ends with $got, not $1"; failed=1; }
}
ends 0 'is one 1 1'
ends 1 'is one 1 2; true'
ends 1 'is one 1 2; is two 2 2'
ends 1 'like text abc "^b"; true'
ends 1 'says 0 "" false; true'
ends 1 'within 0 false; true'
ends 1 'true'
ends 3 'ok; exit 3'
ends 127 'ok; echo "$nosuch"; true'
ends 77 'exit 77'
exit $failed
