/* SPDX-License-Identifier: MIT */
/*
 * A plugin that does what its argument says:
 *	RANGE WHAT CALLBACK: WHAT is done in CALLBACK (open, start, access,
 *	stepped, told, finish, close): segv, fpe, ill, abort, stack, service,
 *	fail, fail-silent, or a verdict (pass, serve, absorb, deny, stop, step,
 *	rollback, hold, grant, odd), or resume: ends access 9 with absorb.
 * Everything else passes. At the end it says what it was asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <custos/keeper.h>

struct tester {
	struct custos_host *host;
	char range[64], what[32], callback[32];
	unsigned accesses, steps, told;
};

static volatile unsigned recursions = 1u << 30; /* no stack is that large */

static int recurse(volatile char *below, unsigned left)
{
	volatile char block[4096];

	block[0] = below ? below[0] : 1;
	return left ? recurse(block, left - 1) + block[0] : 0;
}

static volatile int *volatile nowhere = (volatile int *)8;

static const struct {
	const char *name;
	uint32_t kind;
} verdicts[] = {
	{ "pass", CUSTOS_PASS },
	{ "serve", CUSTOS_SERVE },
	{ "absorb", CUSTOS_ABSORB },
	{ "deny", CUSTOS_DENY },
	{ "step", CUSTOS_STEP },
	{ "stop", CUSTOS_STOP },
	{ "hold", CUSTOS_HOLD },
	{ "grant", CUSTOS_GRANT },
	{ "rollback", CUSTOS_ROLLBACK },
	{ "odd", 77 },
};

static void crash(struct tester *t)
{
	volatile int zero = 0;

	if (!strcmp(t->what, "segv"))
		*nowhere = 1;
	if (!strcmp(t->what, "fpe"))
		zero = 100 / zero;
	if (!strcmp(t->what, "ill"))
		__builtin_trap();
	if (!strcmp(t->what, "abort"))
		abort();
	if (!strcmp(t->what, "stack"))
		recurse(NULL, recursions);
	if (!strcmp(t->what, "service"))
		t->host->log(t->host, (const char *)nowhere);
}

static int resume(struct tester *t)
{
	uint8_t value[4] = { 1, 2, 3, 4 };
	struct custos_verdict verdict = {
		.struct_size = sizeof(verdict),
		.kind = CUSTOS_GRANT, /* no end of a held access */
		.value = value,
	};

	if (!t->host->resume(t->host, 9, &verdict, sizeof(value)))
		return 1;
	verdict.kind = CUSTOS_ABSORB;
	return t->host->resume(t->host, 9, &verdict, sizeof(value));
}

/* What the argument wants of this callback. */
static int act(struct tester *t, const char *callback,
	struct custos_verdict *verdict)
{
	if (strcmp(t->callback, callback))
		return 0;
	crash(t);
	if (!strcmp(t->what, "resume"))
		return resume(t);
	if (!strcmp(t->what, "fail"))
		t->host->error(t->host, "as it was told");
	if (!strncmp(t->what, "fail", 4))
		return 5;
	for (size_t i = 0; verdict && i < sizeof(verdicts) / sizeof(*verdicts);
		i++)
		if (!strcmp(t->what, verdicts[i].name))
			verdict->kind = verdicts[i].kind;
	return 0;
}

static int tester_open(
	struct custos_host *host, const char *argument, void **out_self)
{
	struct tester *t = calloc(1, sizeof(*t));

	if (!t)
		return 1;
	t->host = host;
	*out_self = t;
	if (sscanf(argument, "%63s %31s %31s", t->range, t->what,
		    t->callback) < 1) {
		host->error(host, "no range was given");
		free(t);
		return 2;
	}
	if (act(t, "open", NULL)) {
		free(t);
		return 3;
	}
	return host->keep(host, t->range);
}

static void tester_close(void *self)
{
	act(self, "close", NULL);
	free(self);
}

static int tester_start(void *self)
{
	return act(self, "start", NULL);
}

static int tester_finish(void *self)
{
	struct tester *t = self;
	char text[128];

	snprintf(text, sizeof(text), "asked %u, stepped %u, told %u",
		t->accesses, t->steps, t->told);
	t->host->log(t->host, text);
	return act(t, "finish", NULL);
}

static int tester_access(void *self, const struct custos_access *access,
	struct custos_verdict *verdict)
{
	struct tester *t = self;
	int ret;

	t->accesses++;
	if (access->struct_size != sizeof(*access) ||
		verdict->struct_size != sizeof(*verdict)) {
		t->host->error(t->host, "sizes differ");
		return 1;
	}
	if (!strcmp(t->what, "rollback")) {
		verdict->kind = t->accesses == 1 ? CUSTOS_STEP : CUSTOS_PASS;
		return 0;
	}
	ret = act(t, "access", verdict);
	if (verdict->kind == CUSTOS_SERVE)
		memset(verdict->value, 7, access->size);
	if (verdict->kind == CUSTOS_DENY)
		strcpy(verdict->reason, "tester says no");
	if (verdict->kind == CUSTOS_HOLD)
		verdict->hold_ms = 20;
	if (!strcmp(t->callback, "stepped"))
		verdict->kind = CUSTOS_STEP;
	return ret;
}

static int tester_stepped(void *self, const struct custos_access *access,
	const struct custos_step *step, struct custos_verdict *verdict)
{
	struct tester *t = self;

	(void)access;
	t->steps++;
	if (step->struct_size != sizeof(*step) || step->times != 1) {
		t->host->error(t->host, "odd step");
		return 1;
	}
	return act(t, "stepped", verdict);
}

static void tester_told(void *self, const struct custos_access *access,
	uint32_t outcome, const uint8_t *final_bytes)
{
	struct tester *t = self;

	(void)access;
	(void)outcome;
	(void)final_bytes;
	t->told++;
	act(t, "told", NULL);
}

const struct custos_plugin custos_plugin = {
	CUSTOS_PLUGIN_HEADER,
	.name = "tester",
	.help = "does as its argument says",
	.open = tester_open,
	.close = tester_close,
	.start = tester_start,
	.finish = tester_finish,
	.access = tester_access,
	.stepped = tester_stepped,
	.told = tester_told,
};
