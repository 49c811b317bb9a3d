/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "cli/replay_check_impl.h"

bool replay_same_bytes(const struct access *a, const uint8_t *x,
	const uint8_t *y)
{
	if (!x || !y)
		return x == y;
	return !memcmp(x + a->kept_first, y + a->kept_first, a->kept_count);
}

static bool same_insn(const struct access *a, const struct access *b)
{
	if (!a->insn || !b->insn)
		return a->insn == b->insn;
	return a->insn_len == b->insn_len &&
		!memcmp(a->insn, b->insn, a->insn_len);
}

const char *replay_compare_shape(const struct replay_check *check,
	const struct access *recorded, const struct access *now)
{
	if (recorded->process != now->process)
		return "another process";
	if (recorded->ip != now->ip)
		return "another instruction";
	if (!same_insn(recorded, now))
		return "other code there";
	if (recorded->kind != now->kind)
		return "another kind of access";
	if (recorded->address != now->address)
		return "another address";
	if (recorded->range != replay_recorded_id(check, now->range))
		return "another range";
	if (recorded->size != now->size || recorded->offset != now->offset ||
		recorded->kept_first != now->kept_first ||
		recorded->kept_count != now->kept_count)
		return "other bytes of the range";
	return NULL;
}

const char *replay_compare_values(const struct trace_record *recorded,
	const struct access *now, bool decided)
{
	const struct access *then = &recorded->access;

	if (!replay_same_bytes(now, then->old_bytes, now->old_bytes))
		return "memory holds another value";
	if (!access_writes(now->kind) ||
		(!decided && recorded->outcome == OUTCOME_SERVE))
		return NULL;
	if (!replay_same_bytes(now, then->new_bytes, now->new_bytes))
		return "another value is stored";
	return NULL;
}

static const char *const register_names[TRACE_REGS] = { "rax", "rcx", "rdx",
	"rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
	"r13", "r14", "r15", "rip", "rflags" };

const char *replay_compare_regs(const struct replay_check *check,
	const struct trace_record *recorded, char *room)
{
	const uint64_t *then = recorded->regs;
	struct arch_regs regs;
	uint64_t now[TRACE_REGS];

	if (!then || !session_regs(check->replay->run.session, &regs))
		return NULL;
	memcpy(now, regs.gpr, sizeof(regs.gpr));
	now[ARCH_GPR_MAX] = regs.rip;
	now[ARCH_GPR_MAX + 1] = regs.rflags;
	for (int i = 0; i < TRACE_REGS; i++) {
		if (then[i] == now[i])
			continue;
		snprintf(room, REPLAY_REGISTER_TEXT,
			"register %s is 0x%" PRIx64 ", was 0x%" PRIx64,
			register_names[i], now[i], then[i]);
		return room;
	}
	return NULL;
}

/* Is it what happens now? With several CPUs others may store to bytes just
 * when they are bound: their order with accesses is not known. */
bool replay_same_event(const struct replay_check *check,
	const struct trace_record *then, const struct trace_record *now)
{
	if (then->kind != now->kind || then->process != now->process)
		return false;
	if (now->kind == TRACE_PROCESS_EXIT)
		return then->exit_code == now->exit_code;
	if (now->kind != TRACE_BIND && now->kind != TRACE_UNBIND)
		return true;
	if (then->range != now->range || then->offset != now->offset ||
		then->size != now->size || !then->bytes != !now->bytes)
		return false;
	return !now->bytes || check->several ||
		!memcmp(then->bytes, now->bytes, now->size);
}
