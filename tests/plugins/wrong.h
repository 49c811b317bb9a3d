/* SPDX-License-Identifier: MIT */
/* A plugin that a custos must refuse; WRONG changes what the header says. */
#include <custos/keeper.h>

static int wrong_open(
	struct custos_host *host, const char *argument, void **out_self)
{
	(void)argument;
	*out_self = host;
	return 0;
}

__attribute__((unused)) static void wrong_told(void *self, const struct custos_access *access,
	uint32_t outcome, const uint8_t *final_bytes)
{
	(void)self;
	(void)access;
	(void)outcome;
	(void)final_bytes;
}

#ifndef WRONG_TOLD
#define WRONG_TOLD wrong_told
#endif

#define HEADER(the_magic, the_version, the_access_size)                        \
	.magic = (the_magic), .version = (the_version),                        \
	.plugin_size = sizeof(struct custos_plugin),                           \
	.host_size = sizeof(struct custos_host),                               \
	.access_size = (the_access_size),                                      \
	.verdict_size = sizeof(struct custos_verdict),                         \
	.step_size = sizeof(struct custos_step)

const struct custos_plugin custos_plugin = {
	WRONG,
	.name = "wrong",
	.open = wrong_open,
	.told = WRONG_TOLD,
};
