/* SPDX-License-Identifier: MIT */
/* Carrying out a description's steps. */
#ifndef CUSTOS_SYSTEM_BUILD_H
#define CUSTOS_SYSTEM_BUILD_H

#include "abi/custos_system.h"

/* One step of a checked description. The result of its calls: below 0 is
 * -CUSTOS_E_*; of WAIT: the exit code. */
int64_t build_step(const struct custos_system *description,
	const struct custos_system_step *step);

const char *build_op_name(uint32_t op); /* "BANK", ... */

#endif
