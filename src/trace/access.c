/* SPDX-License-Identifier: MIT */
#include "trace/access.h"

#include "base/invariant.h"

static const char *const outcome_names[] = {
	[OUTCOME_PASS] = "pass",
	[OUTCOME_SERVE] = "serve",
	[OUTCOME_ABSORB] = "absorb",
	[OUTCOME_DENY] = "deny",
	[OUTCOME_STEP] = "step",
	[OUTCOME_ROLLBACK] = "rollback",
	[OUTCOME_STOP] = "stop",
	[OUTCOME_UNEMULATABLE] = "unemulatable",
	[OUTCOME_FAULT] = "fault",
};

_Static_assert(sizeof(outcome_names) / sizeof(outcome_names[0]) == OUTCOME_MAX,
	"a name for every outcome");

const char *outcome_name(enum outcome outcome)
{
	invariant(outcome < OUTCOME_MAX);
	return outcome_names[outcome];
}
