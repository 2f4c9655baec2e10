#!/usr/bin/env bash
# What a node costs its store does not grow with the number of nodes: counts of simulated clusters
# of 10 and of 40 nodes.
set -euo pipefail

"$KELPIE_BUILD/bench/scale" --check
# Nor does what a simulated client costs grow with the requests of a busy actor.
"$KELPIE_BUILD/bench/sim" --check
