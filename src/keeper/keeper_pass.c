/* SPDX-License-Identifier: MIT */
/* The keeper of ranges that are only watched. Stateless, so concurrent. */
#include <stdlib.h>

#include "keeper/keeper.h"

static enum keeper_status pass_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict,
	struct error *err)
{
	(void)keeper;
	(void)access;
	(void)err;
	verdict->kind = VERDICT_PASS;
	return KEEPER_OK;
}

static enum keeper_status pass_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	(void)keeper;
	(void)access;
	(void)report;
	(void)err;
	verdict->kind = VERDICT_CONTINUE;
	return KEEPER_OK;
}

static void pass_destroy(struct keeper *keeper)
{
	free(keeper);
}

static const struct keeper_ops pass_ops = {
	.name = "pass",
	.help = "let every access be performed",
	.concurrent = true,
	.access = pass_access,
	.stepped = pass_stepped,
	.destroy = pass_destroy,
};

struct keeper *keeper_pass_create(void)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (keeper && keeper_init(keeper, &pass_ops)) {
		free(keeper);
		return NULL;
	}
	return keeper;
}
