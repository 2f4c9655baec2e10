#!/usr/bin/env bash
# The README's first classes, in C and in Python, work as printed; only the port is the system's.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
command -v python3 >/dev/null || exit 77
export PYTHONDONTWRITEBYTECODE=1 KELPIE_LISTEN=127.0.0.1:0 KELPIE_RPC_LISTEN=127.0.0.1:0
export KELPIE_DATA_DIR=$work/data
cd "$work" || exit 1
ln -s "$KELPIE_BUILD" build
ln -s "$KELPIE_SOURCE/sdk" sdk
ln -s "$KELPIE_SOURCE/include" include
awk '/^## A first class/ { on = 1; next } /^## / { on = 0 } on' "$KELPIE_SOURCE/README.md" >page
python3 "$KELPIE_SOURCE/tests/lib/page_run.py" page "$work"
# The command finds the node by its socket, or where the page says no other: here by the port that it was given.
sed -i 's|^build/kelpied.*|& \nuntil grep -q ready said; do sleep 0.05; done; export KELPIE_NODE=$(sed -n "s/.*ready http=\\([^ ]*\\).*/\\1/p" said)|' script
set -m
timeout 60 bash ./script >said 2>script.log &
script=$!
wait $script
is "what is printed" "$(grep -v "^kelpied: node" said | tr -d '\n')" "keptbuy milkkeptbuy milk"
kill -KILL -- -$script 2>/dev/null
[ $failures = 0 ] || { cat script; tail -n 5 script.log; }
