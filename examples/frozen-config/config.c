/* SPDX-License-Identifier: MIT */
/*
 * A configuration that is read once, by config_read(), and constant from then
 * on. But a comparison lacks a `='. With `fixed' it has it.
 */
#include <custos/guest.h>

struct config {
	uint32_t speed;
	uint32_t verbose;
};

volatile struct config config;

__attribute__((noinline)) static void config_read(void)
{
	config.speed = 9600;
	config.verbose = 0;
}

__attribute__((noinline)) static bool is_verbose(bool fixed)
{
	if (fixed)
		return config.verbose == 1;
	return (config.verbose = 1); /* the bug */
}

__attribute__((noinline)) static void report(uint32_t step, bool fixed)
{
	if (is_verbose(fixed))
		printf("step %u\n", step);
}

int main(int argc, char **argv)
{
	bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
	uint32_t step;

	config_read();
	for (step = 1; step <= 3; step++)
		report(step, fixed);
	printf("done at %u\n", config.speed);
	return 0;
}
