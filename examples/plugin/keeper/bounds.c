/* SPDX-License-Identifier: MIT */
/*
 * bounds: an int that must stay between two values. A store that leaves them
 * is reported with who made it, and does not happen.
 *
 *	custos run --plugin ./bounds.so:VARIABLE,LEAST,MOST prog.elf
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <custos/keeper.h>

struct bounds {
	struct custos_host *host;
	char variable[64];
	int least, most;
	unsigned long stores, bad;
};

static int bounds_open(
	struct custos_host *host, const char *argument, void **out_self)
{
	struct bounds *b = calloc(1, sizeof(*b));

	if (!b) {
		host->error(host, "out of memory");
		return 1;
	}
	if (sscanf(argument, "%63[^,],%d,%d", b->variable, &b->least,
		    &b->most) != 3 ||
		b->least > b->most) {
		host->error(host, "the argument is VARIABLE,LEAST,MOST");
		free(b);
		return 1;
	}
	b->host = host;
	*out_self = b;
	return host->keep(host, b->variable);
}

static void report(
	struct bounds *b, const struct custos_access *access, int value)
{
	char where[128], text[256];

	b->host->line(b->host, access->process, access->ip, where,
		sizeof(where));
	if (!where[0]) /* no debug information */
		b->host->symbol(b->host, access->process, access->ip, where,
			sizeof(where));
	snprintf(text, sizeof(text), "%s would become %d by %s", b->variable,
		value, where);
	b->host->finding(b->host, text);
}

static int bounds_access(void *self, const struct custos_access *access,
	struct custos_verdict *verdict)
{
	struct bounds *b = self;
	int value;

	if (!access->new_bytes || access->size != sizeof(value))
		return 0; /* CUSTOS_PASS is there already */
	memcpy(&value, access->new_bytes, sizeof(value));
	b->stores++;
	if (value >= b->least && value <= b->most)
		return 0;
	b->bad++;
	report(b, access, value);
	verdict->kind = CUSTOS_ABSORB;
	return 0;
}

static int bounds_finish(void *self)
{
	struct bounds *b = self;
	char text[128];

	snprintf(text, sizeof(text), "%lu of %lu stores were out of bounds",
		b->bad, b->stores);
	b->host->log(b->host, text);
	return 0;
}

static void bounds_close(void *self)
{
	free(self);
}

const struct custos_plugin custos_plugin = {
	CUSTOS_PLUGIN_HEADER,
	.name = "bounds",
	.help = "keeps an int between two values",
	.open = bounds_open,
	.close = bounds_close,
	.access = bounds_access,
	.finish = bounds_finish,
};
