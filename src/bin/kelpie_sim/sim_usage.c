#include "bin/kelpie_sim/sim_usage.h"

const char usage_all[] =
    "usage: kelpie-sim run --seed N [options]\n"
    "       kelpie-sim sweep --seeds A..B [options]\n"
    "       kelpie-sim compare --seeds A..B [options]\n"
    "       kelpie-sim shrink --seed N [options]\n"
    "       kelpie-sim replay FILE [options]\n"
    "       kelpie-sim mutants [options]\n"
    "       kelpie-sim faults\n"
    "       kelpie-sim values\n"
    "\n"
    "Runs the very node that kelpied runs on simulated clocks, network and store, with faults, and\n"
    "checks the invariants of the protocol after every event. The same seed gives the same history.\n"
    "`kelpie-sim run --help`, and likewise for the others, lists the options.\n";

const char usage_common[] =
    "  --nodes N        how many nodes (1 to 9; default: drawn from the seed, 3 to 7)\n"
    "  --actors N       how many counters (default: drawn)\n"
    "  --actors FILE    runs the actor classes of a shared object, a copy in each life of a node\n"
    "                   (docs/testing-your-actors.md)\n"
    "  --worker CMD     runs actors in a process that CMD starts, one for each life of a node\n"
    "                   (docs/workers.md)\n"
    "  --workload FILE  what these are asked, and what must hold: JSON, or a shared object\n"
    "                   (default: --actors FILE is both)\n"
    "  --worker-limit N real seconds until a worker must have answered (default: 60)\n"
    "  --duration TIME  virtual time with faults, such as 90s, 500ms, 5m (default: 60s)\n"
    "  --faults LIST    none, all, or names with commas (default: drawn; `kelpie-sim faults`)\n"
    "  --set NAME=VALUE one value instead of the drawn one, such as lease_ms=4000; may be repeated\n"
    "                   (`kelpie-sim values` lists the names and their bounds)\n"
    "  --mutant NAME    switches a planted mistake on (builds with -Dmutants=true only)\n"
    "  -w FORMAT        table or json\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 no violation, 1 a violation, 2 wrong usage.\n";

const char usage_run[] =
    "usage: kelpie-sim run --seed N [options]\n"
    "\n"
    "One run. Prints the configuration, then what happened, the hash of the history, and each\n"
    "violation with the line that reproduces it.\n"
    "\n"
    "  --seed N         the seed (default: the environment's DST_SEED)\n"
    "  --log LEVEL      prints the nodes' logs with virtual times: debug, info, warn, error\n"
    "  --events A..B    prints these events; or: all\n"
    "  --trace FILE     writes the steps of the specification, one JSON object a line\n"
    "  --trace-tla FILE the same as a TLA+ module, for spec/Trace.tla\n"
    "  --turns-tla FILE writes the turns of one actor as a TLA+ module, for spec/TurnsTrace.tla\n"
    "  --turns-of T/ID  of this actor (default: the first trial, where there is one, or counter)\n"
    "  --report FILE    writes a page that shows the run (docs/simulation.md)\n";

const char usage_sweep[] =
    "usage: kelpie-sim sweep --seeds A..B [options]\n"
    "       kelpie-sim sweep --minutes N [options]\n"
    "\n"
    "Many runs. Prints the sums, for each violation the line that reproduces it, and what the runs\n"
    "came by: how often each fault struck during each phase of the protocol, the marks in the code\n"
    "that were passed, and how long the calm took (docs/simulation.md).\n"
    "\n"
    "  --seeds A..B     the first and the last seed\n"
    "  --minutes N      begins no seed later (default: until the last); may be 0.5. Without --seeds\n"
    "                   it begins with seed 1\n"
    "  --jobs N         runs at the same time (default: 1)\n"
    "  --first          ends at the first violation\n"
    "  --twice PERCENT  so many of the seeds run again in a process of their own, and must have the\n"
    "                   same hash (default: 5)\n"
    "  --require-coverage\n"
    "                   fails when a mark was never passed, or a fault never met a phase (default: if\n"
    "                   there are 2000 seeds or more, and no other option changes the runs)\n";

const char usage_compare[] =
    "usage: kelpie-sim compare --seed N [options]\n"
    "       kelpie-sim compare --seeds A..B [options]\n"
    "\n"
    "Runs each seed in two processes, and compares the hashes of their histories. When they differ it\n"
    "prints the first event that does.\n"
    "\n"
    "  --seed N         the seed\n"
    "  --seeds A..B     the first and the last seed\n"
    "  --with PROGRAM   the kelpie-sim of another build for the second process (default: this one)\n";

const char usage_shrink[] =
    "usage: kelpie-sim shrink --seed N [options]\n"
    "\n"
    "Makes a failing run small: fewer faults, nodes, actors, clients, calls, shorter, another seed,\n"
    "as long as the same invariant breaks. Writes the smallest as a file for `kelpie-sim replay`.\n"
    "\n"
    "  --seed N         the seed (default: the environment's DST_SEED)\n"
    "  --out FILE       where to write it (default: seed-N.case)\n"
    "  --seconds N      how long to try (default: 60)\n";

const char usage_replay[] =
    "usage: kelpie-sim replay FILE [options]\n"
    "\n"
    "Runs a file that `kelpie-sim shrink` wrote, and prints what `kelpie-sim run` prints.\n"
    "\n"
    "  --actors FILE, --worker CMD, --workload FILE\n"
    "                   in the place of those that the file names\n"
    "  --log LEVEL      prints the nodes' logs with virtual times: debug, info, warn, error\n"
    "  --events A..B    prints these events; or: all\n"
    "  --trace FILE     writes the steps of the specification, one JSON object a line\n"
    "  --trace-tla FILE the same as a TLA+ module, for spec/Trace.tla\n"
    "  --turns-tla FILE writes the turns of one actor as a TLA+ module, for spec/TurnsTrace.tla\n"
    "  --turns-of T/ID  of this actor (default: the first trial, where there is one, or counter)\n"
    "  --report FILE    writes a page that shows the run (docs/simulation.md)\n"
    "  -w FORMAT        table or json\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 no violation, 1 a violation, 2 wrong usage.\n";
