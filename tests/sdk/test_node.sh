#!/usr/bin/env bash
# The package for Node.js (18 or newer): its worker against a fake node, its client against a small server.
: "${KELPIE_SOURCE:?}"
command -v python3 >/dev/null && command -v node >/dev/null || exit 77
[ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 18')" = true ] || exit 77
export PYTHONDONTWRITEBYTECODE=1
node --test "$KELPIE_SOURCE/tests/sdk/client.test.js" >"${TMPDIR:-/tmp}/kelpie-node-test.$$" 2>&1
status=$?
[ $status = 0 ] || cat "${TMPDIR:-/tmp}/kelpie-node-test.$$"
rm -f "${TMPDIR:-/tmp}/kelpie-node-test.$$"
python3 "$KELPIE_SOURCE/tests/sdk/test_node.py" || status=1
exit $status
