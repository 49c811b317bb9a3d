/* SPDX-License-Identifier: MIT */
#include "cli/run_state.h"

#include <stdlib.h>
#include <string.h>

#include "trace/trace_state.h"

struct run_state {
	struct trace_state *hash;
	const struct target_process **live; /* in the order of their ids */
	size_t count, room;
	bool failed; /* out of memory: the hash means nothing */
};

struct run_state *run_state_create(void)
{
	struct run_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->hash = trace_state_create();
	if (state->hash)
		return state;
	free(state);
	return NULL;
}

void run_state_destroy(struct run_state *state)
{
	if (!state)
		return;
	trace_state_destroy(state->hash);
	free(state->live);
	free(state);
}

void run_state_access(struct run_state *state, const struct run *run,
	const struct access *access)
{
	struct arch_regs regs;

	/* Copies are the guest kernel's: it has other registers. */
	if (!access->insn || !session_regs(run->session, &regs))
		return;
	trace_state_add(state->hash, regs.gpr, sizeof(regs.gpr));
	trace_state_add(state->hash, &regs.rip, sizeof(regs.rip));
	trace_state_add(state->hash, &regs.rflags, sizeof(regs.rflags));
}

void run_state_start(
	struct run_state *state, const struct target_process *process)
{
	size_t room = state->room * 2 + 16, at = state->count;
	const struct target_process **live = state->live;

	if (state->count == state->room) {
		live = reallocarray(live, room, sizeof(*live));
		if (!live) {
			state->failed = true;
			return;
		}
		state->live = live;
		state->room = room;
	}
	for (; at && live[at - 1]->id > process->id; at--)
		live[at] = live[at - 1];
	live[at] = process;
	state->count++;
}

static void add_process(struct run_state *state, const struct run *run,
	const struct target_process *process, int64_t code)
{
	const uint8_t *bytes;
	uint64_t va = 0;

	trace_state_add(state->hash, &process->id, sizeof(process->id));
	trace_state_add(state->hash, &code, sizeof(code));
	while (target_next_page(run->target, process->space, va, &va, &bytes)) {
		trace_state_add(state->hash, &va, sizeof(va));
		trace_state_add(state->hash, bytes, ARCH_PAGE_SIZE);
		va += ARCH_PAGE_SIZE;
	}
}

void run_state_exit(struct run_state *state, const struct run *run,
	const struct target_process *process, int64_t code)
{
	size_t left = 0;

	add_process(state, run, process, code);
	for (size_t i = 0; i < state->count; i++)
		if (state->live[i] != process)
			state->live[left++] = state->live[i];
	state->count = left;
}

uint64_t run_state_finish(struct run_state *state, const struct run *run)
{
	for (size_t i = 0; i < state->count; i++)
		add_process(state, run, state->live[i], 0);
	state->count = 0;
	return state->failed ? 0 : trace_state_value(state->hash);
}
