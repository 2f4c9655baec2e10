#!/usr/bin/env bash
# The process in which classes in C run, against a fake node.
command -v python3 >/dev/null || exit 77
export PYTHONDONTWRITEBYTECODE=1
exec python3 "${KELPIE_SOURCE:?}/tests/sdk/test_c_worker.py"
