/*
 * Cases of the conformance suite that are of whole transactions: their bounds, rules that ask for more
 * reads, and a close while some are under way.
 */
#ifndef KELPIE_TESTS_STORE_CONFORMANCE_H
#define KELPIE_TESTS_STORE_CONFORMANCE_H

#include "store/store_fixture.h"

void conformance_bounds(struct store_fixture *f);
void conformance_more(struct store_fixture *f);
/* Closes `f` and opens it again, some times. */
void conformance_close(struct store_fixture *f);

#endif
