#!/usr/bin/env bash
# The table of errors in docs/http-api.md is that of include/kelpie/error.h: name, status, retry, applied.
set -euo pipefail
cd "$KELPIE_SOURCE"

from_header() {
    tr -d '\\\n' <include/kelpie/error.h |
        grep -oE 'X\([0-9]+, [A-Z_]+, "[a-z_]+", [0-9]+, [01], [A-Z]+,' |
        sed -E 's/^X\([0-9]+, [A-Z_]+, "([a-z_]+)", ([0-9]+), ([01]), ([A-Z]+),$/\1 \2 \3 \L\4/; s/ 0 / no /; s/ 1 / yes /'
}
from_docs() {
    sed -nE 's/^\| `([a-z_]+)` \| ([0-9]{3}) \| (yes|no) \| (no|unknown|yes) \|.*$/\1 \2 \3 \4/p' docs/http-api.md
}

rows=$(from_header | wc -l)
[ "$rows" -ge 30 ] || { echo "only $rows rows were found in the header"; exit 1; }
diff <(from_header) <(from_docs) || { echo "docs/http-api.md is not the table of kelpie/error.h"; exit 1; }
echo "$rows rows"
