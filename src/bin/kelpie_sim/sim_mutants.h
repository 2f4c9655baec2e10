/* `kelpie-sim mutants`: each planted mistake against the sweep that must find it. */
#ifndef KELPIE_BIN_SIM_MUTANTS_H
#define KELPIE_BIN_SIM_MUTANTS_H

/* The arguments after the command's name as well. Returns the exit status: 0, 1 when one survives,
 * 2 for wrong usage. */
int sim_mutants_main(int argc, char **argv);

#endif
