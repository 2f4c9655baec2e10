#!/usr/bin/env bash
# The package for Python, against a fake node.
command -v python3 >/dev/null || exit 77
export PYTHONDONTWRITEBYTECODE=1
exec python3 "${KELPIE_SOURCE:?}/tests/sdk/test_python.py"
