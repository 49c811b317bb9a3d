/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of `custos run SYSTEM.lua': builds what the description says, then
 * waits for its processes. Its exit code, and so the machine's: the first of
 * theirs that is not 0, in the order of the description; 125 when the system
 * could not be built. Processes nobody waits for end with the machine.
 */
#include <custos/guest.h>

#include "build.h"
#include "description.h"

#define EXIT_NOT_BUILT 125

static const struct custos_system *const description =
	(const struct custos_system *)CUSTOS_SYSTEM_VA;

static const char *text_at(uint32_t offset)
{
	return description_at(description, offset);
}

static _Noreturn void fail(
	const struct custos_system_step *step, int64_t result)
{
	printf("system: %s:%u: %s `%s': %s\n", text_at(description->path),
		step->line, build_op_name(step->op), text_at(step->name),
		error_name(result));
	exit(EXIT_NOT_BUILT);
}

static void report(const struct custos_system_step *step, int64_t code)
{
	if (description->flags & CUSTOS_SYSTEM_QUIET)
		return;
	printf("system: %s ended with %ld\n", text_at(step->name), code);
	flush();
}

int main(void)
{
	const char *wrong =
		description_check(description, CUSTOS_SYSTEM_SIZE_MAX);
	int64_t result, code = 0;

	if (wrong) {
		printf("system: %s\n", wrong);
		return EXIT_NOT_BUILT;
	}
	for (uint32_t i = 0; i < description->step_count; i++) {
		const struct custos_system_step *step =
			description_step(description, i);

		result = build_step(description, step);
		if (result < 0)
			fail(step, result);
		if (step->op != CUSTOS_SYSTEM_WAIT)
			continue;
		report(step, result);
		if (!code)
			code = result;
	}
	return (int)code;
}
