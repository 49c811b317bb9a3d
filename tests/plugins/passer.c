/* SPDX-License-Identifier: MIT */
/* The least a plugin can be that is asked; concurrent. Keeps its argument. */
#include <custos/keeper.h>

static int passer_open(
	struct custos_host *host, const char *argument, void **out_self)
{
	*out_self = host;
	return *argument ? host->keep(host, argument) : 0;
}

static int passer_access(void *self, const struct custos_access *access,
	struct custos_verdict *verdict)
{
	(void)self;
	(void)access;
	(void)verdict;
	return 0;
}

const struct custos_plugin custos_plugin = {
	CUSTOS_PLUGIN_HEADER,
	.name = "passer",
	.flags = CUSTOS_PLUGIN_CONCURRENT,
	.open = passer_open,
	.access = passer_access,
};
