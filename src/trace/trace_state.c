/* SPDX-License-Identifier: MIT */
#include "trace/trace_state.h"

#include <stdlib.h>
#include <xxhash.h>

struct trace_state {
	XXH3_state_t *hash;
};

struct trace_state *trace_state_create(void)
{
	struct trace_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->hash = XXH3_createState();
	if (state->hash && XXH3_64bits_reset(state->hash) == XXH_OK)
		return state;
	trace_state_destroy(state);
	return NULL;
}

void trace_state_destroy(struct trace_state *state)
{
	if (!state)
		return;
	XXH3_freeState(state->hash);
	free(state);
}

void trace_state_add(struct trace_state *state, const void *bytes, size_t len)
{
	XXH3_64bits_update(state->hash, bytes, len);
}

uint64_t trace_state_value(const struct trace_state *state)
{
	return XXH3_64bits_digest(state->hash);
}
