/* SPDX-License-Identifier: MIT */
/* Reading a system description; see abi/custos_system.h. */
#ifndef CUSTOS_SYSTEM_DESCRIPTION_H
#define CUSTOS_SYSTEM_DESCRIPTION_H

#include "abi/custos_system.h"

/* NULL: everything in it can be used without a further look; else what is
 * wrong. At most room bytes are read. */
const char *description_check(
	const struct custos_system *description, uint64_t room);

static inline const struct custos_system_step *description_step(
	const struct custos_system *description, uint32_t index)
{
	return (const struct custos_system_step *)((const char *)description +
		       description->steps) +
		index;
}

/* What lies at an offset. */
static inline const void *description_at(
	const struct custos_system *description, uint64_t offset)
{
	return (const char *)description + offset;
}

#endif
