/* SPDX-License-Identifier: MIT */
/* Where a repeated run is not the recorded one: both sides of it. */
#ifndef CUSTOS_CLI_REPLAY_TELL_H
#define CUSTOS_CLI_REPLAY_TELL_H

#include "cli/replay.h"

struct divergence {
	const char *why; /* what is other than it was, or what happens now */
	const struct trace_record *recorded; /* what should; NULL: nothing */
	const struct access *now; /* NULL: it is no access */
	bool decided; /* now has come to: */
	enum outcome outcome;
	const uint8_t *final_bytes;
};

/* To people or programs, as the options say. On the thread that decides now,
 * for its stack. */
void replay_tell_divergence(
	struct replay *replay, const struct divergence *divergence);

#endif
