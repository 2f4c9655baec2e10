#!/usr/bin/env bash
# docs/tutorial.md does what it says, command by command; only the ports are the system's.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1
command -v python3 >/dev/null || exit 77
export PYTHONDONTWRITEBYTECODE=1
cd "$work" || exit 1
ln -s "$KELPIE_BUILD" build
ln -s "$KELPIE_SOURCE/sdk" sdk
# Free ones, until somebody else takes them.
# shellcheck disable=SC2046
python3 "$KELPIE_SOURCE/tests/lib/page_run.py" "$KELPIE_SOURCE/docs/tutorial.md" "$work" $(python3 - <<'END'
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
END
)
# What it starts and does not end is ended with this shell's children.
set -m
bash ./script >said 2>script.log &
script=$!
supervisor[script]=-$script
wait $script
is "what is printed" "$(grep -v "^kelpied: node" said)" "$(cat wanted)"
kill -KILL -- -$script 2>/dev/null
[ $failures = 0 ] || tail -n 5 script.log d1.log w1.log
