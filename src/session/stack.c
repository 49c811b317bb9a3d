/* SPDX-License-Identifier: MIT */
/* The stack of the process whose access is being decided. */
#include "session/session_impl.h"

static bool read_word(void *ctx, uint64_t va, uint64_t *out)
{
	struct worker *w = ctx;

	/* Behind everybody's back: looking must not make accesses. */
	return target_read(w->session->config.target, w->start_space, va, out,
		       sizeof(*out)) == sizeof(*out);
}

bool session_regs(struct session *s, struct arch_regs *out)
{
	const struct worker *w = session_current;

	if (!w || w->session != s || !w->has_start)
		return false;
	*out = w->start;
	return true;
}

size_t session_stack(struct session *s, uint64_t *out_ips, size_t max)
{
	struct worker *w = session_current;
	const uint64_t *gpr;
	struct image_frame frame;
	size_t count = 0;

	if (!w || w->session != s || !w->has_start || !w->start_process ||
		!w->start_process->image)
		return 0;
	/* Keepers that are told are told when the instruction is done. */
	gpr = w->start.gpr;
	frame = (struct image_frame){
		.rip = w->start.rip,
		.rsp = gpr[ARCH_RSP],
		.rbp = gpr[ARCH_RBP],
		.rbx = gpr[ARCH_RBX],
		.r12 = gpr[ARCH_R12],
		.r13 = gpr[ARCH_R13],
		.r14 = gpr[ARCH_R14],
		.r15 = gpr[ARCH_R15],
	};
	while (count < max) {
		out_ips[count++] = frame.rip;
		if (!image_unwind(w->start_process->image, &frame, count == 1,
			    read_word, w))
			break;
	}
	return count;
}
