/* SPDX-License-Identifier: MIT */
/* A small guest on the machine at hand, to see whether what custos builds
 * upon works here: booting, stopping at a closed page, stepping on it. */
#ifndef CUSTOS_VMM_SELFTEST_H
#define CUSTOS_VMM_SELFTEST_H

#include "base/error.h"

struct selftest {
	unsigned stops, steps;
	double stop_us, step_us; /* per one */
};

/* Takes less than ten seconds whatever happens. */
int vmm_selftest(struct selftest *out, struct error *err);

#endif
