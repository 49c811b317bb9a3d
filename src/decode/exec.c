/* SPDX-License-Identifier: MIT */
/*
 * The executor's frame: life cycle, the cache of decoded instructions,
 * operand addresses, and the run of displaced code. What each form of
 * instruction does with these is in exec_*.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/invariant.h"
#include "decode/exec_impl.h"

#define FLAGS_ARITHMETIC                                                       \
	(ARCH_RFLAGS_CF | ARCH_RFLAGS_PF | ARCH_RFLAGS_AF | ARCH_RFLAGS_ZF |   \
		ARCH_RFLAGS_SF | ARCH_RFLAGS_OF)

static const struct form_ops *const forms[FORM_MAX] = {
	[FORM_PLAIN] = &form_plain,
	[FORM_BIT] = &form_bit,
	[FORM_MASKMOV] = &form_maskmov,
	[FORM_XCHG] = &form_xchg,
	[FORM_XLAT] = &form_xlat,
	[FORM_MOFFS_LOAD] = &form_moffs_load,
	[FORM_MOFFS_STORE] = &form_moffs_store,
	[FORM_MOVDIR64B] = &form_movdir64b,
	[FORM_FLUSH] = &form_flush,
	[FORM_PUSH_REG] = &form_push,
	[FORM_PUSH_IMM] = &form_push,
	[FORM_PUSH_MEM] = &form_push_mem,
	[FORM_PUSH_FLAGS] = &form_push,
	[FORM_POP_REG] = &form_pop,
	[FORM_POP_MEM] = &form_pop_mem,
	[FORM_POP_FLAGS] = &form_pop_flags,
	[FORM_CALL_REL] = &form_call,
	[FORM_CALL_REG] = &form_call,
	[FORM_CALL_MEM] = &form_call_mem,
	[FORM_JMP_MEM] = &form_jmp_mem,
	[FORM_RET] = &form_ret,
	[FORM_LEAVE] = &form_leave,
	[FORM_ENTER] = &form_enter,
	[FORM_MOVS] = &form_string,
	[FORM_CMPS] = &form_string,
	[FORM_STOS] = &form_string,
	[FORM_LODS] = &form_string,
	[FORM_SCAS] = &form_string,
	[FORM_GATHER] = &form_gather,
	[FORM_SCATTER] = &form_scatter,
	[FORM_XSAVE] = &form_xsave,
	[FORM_XRSTOR] = &form_xrstor,
	[FORM_REGISTER] = &form_register,
	[FORM_NOP] = &form_nop,
	[FORM_LEA] = &form_lea,
	[FORM_DIRECTION] = &form_direction,
	[FORM_UNDEFINED] = &form_undefined,
	[FORM_JMP_REL] = &form_jump,
	[FORM_JMP_REG] = &form_jump,
	[FORM_JCC] = &form_jcc,
	[FORM_LOOP] = &form_loop,
};

/* ---- life ---- */

#define MAPPING_BYTES ((SCRATCH_PAGES + 2) * ARCH_PAGE_SIZE)

static int map_scratch(struct exec *exec)
{
	uint8_t *mapping = mmap(NULL, MAPPING_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mapping == MAP_FAILED)
		return -errno;
	exec->mapping = mapping;
	exec->scratch = mapping + ARCH_PAGE_SIZE;
	if (mprotect(exec->scratch, SCRATCH_PAGES * ARCH_PAGE_SIZE,
		    PROT_READ | PROT_WRITE))
		return -errno;
	return 0;
}

static struct arch_xstate *create_xstate(void)
{
	struct arch_xstate *xstate =
		aligned_alloc(64, sizeof(struct arch_xstate));

	if (xstate)
		memset(xstate, 0, sizeof(*xstate));
	return xstate;
}

struct exec *exec_create(void)
{
	struct exec *exec = aligned_alloc(64, sizeof(*exec));

	if (!exec)
		return NULL;
	memset(exec, 0, sizeof(*exec));
	exec->xstate_out = create_xstate();
	exec->xstate_clean = create_xstate();
	exec->cache = calloc(CACHE_LINES, sizeof(exec->cache[0]));
	if (!exec->xstate_out || !exec->xstate_clean || !exec->cache ||
		map_scratch(exec) || slots_init(&exec->slots)) {
		exec_destroy(exec);
		return NULL;
	}
	trap_init();
	return exec;
}

void exec_destroy(struct exec *exec)
{
	if (!exec)
		return;
	slots_fini(&exec->slots);
	if (exec->mapping)
		munmap(exec->mapping, MAPPING_BYTES);
	free(exec->xstate_out);
	free(exec->xstate_clean);
	free(exec->cache);
	free(exec);
}

void exec_set_alignment_check(struct exec *exec, bool enabled)
{
	exec->alignment_check = enabled;
}

/* ---- decoded instructions ---- */

const struct insn *decode_cached(struct exec *exec, uint64_t ip,
	const uint8_t *bytes, size_t len, int *error)
{
	struct insn *line = &exec->cache[(ip ^ ip >> 12) % CACHE_LINES];

	*error = 0;
	if (line->length && line->length <= len &&
		!memcmp(line->bytes, bytes, line->length))
		return line;
	*error = decode_insn(bytes, len, line);
	if (!*error)
		return line;
	line->length = 0;
	return NULL;
}

/* ---- addresses ---- */

uint64_t exec_effective(
	const struct exec *exec, const struct insn_operand *operand)
{
	const struct arch_regs *regs = exec->regs;
	uint64_t address = (uint64_t)operand->displacement;

	if (operand->base == INSN_REG_RIP)
		address += regs->rip + exec->insn->length;
	else if (operand->base != INSN_REG_NONE)
		address += regs->gpr[operand->base];
	if (operand->index != INSN_REG_NONE && !operand->vsib)
		address += regs->gpr[operand->index] * operand->scale;
	return exec->insn->address32 ? (uint32_t)address : address;
}

uint64_t exec_segment_base(
	const struct exec *exec, const struct insn_operand *operand)
{
	switch (operand->segment) {
	case INSN_SEGMENT_FS:
		return exec->regs->fs_base;
	case INSN_SEGMENT_GS:
		return exec->regs->gs_base;
	default:
		return 0;
	}
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool is_stack_operand(const struct insn_operand *operand)
{
	return operand->segment == INSN_SEGMENT_NONE &&
		(operand->base == ARCH_RSP || operand->base == ARCH_RBP);
}

enum exec_status exec_raise(struct exec *exec, enum arch_vector vector)
{
	exec->fault = (struct arch_fault){ .vector = vector };
	return EXEC_FAULT;
}

/* ---- accesses ---- */

static uint8_t *take_arena(struct exec *exec, uint32_t size)
{
	size_t start = (exec->arena_used + 63) & ~(size_t)63;

	invariant(start + size <= ARENA_BYTES);
	exec->arena_used = start + size;
	return exec->arena + start;
}

enum exec_status exec_add(struct exec *exec, unsigned operand,
	enum access_kind kind, uint64_t address, uint32_t size)
{
	const struct insn_operand *o = &exec->insn->operands[operand];

	if (o->alignment > 1 && (address & (o->alignment - 1u)))
		return exec_raise(exec, ARCH_VECTOR_GP);
	return exec_add_unaligned(exec, operand, kind, address, size);
}

enum exec_status exec_add_unaligned(struct exec *exec, unsigned operand,
	enum access_kind kind, uint64_t address, uint32_t size)
{
	const struct insn_operand *o = &exec->insn->operands[operand];
	struct exec_access *access = &exec->accesses[exec->count];

	if (!is_canonical(address) || !is_canonical(address + size - 1))
		return exec_raise(exec, is_stack_operand(o) ? ARCH_VECTOR_SS :
							      ARCH_VECTOR_GP);
	invariant(exec->count < EXEC_ACCESSES_MAX && size);
	*access = (struct exec_access){
		.kind = kind,
		.operand = (uint8_t)operand,
		.size = size,
		.address = address,
		.byte_mask = ~UINT64_C(0),
		.old_bytes = take_arena(exec, size),
	};
	access->new_bytes = take_arena(exec, size);
	memset(access->old_bytes, 0, size);
	exec->count++;
	return EXEC_OK;
}

enum exec_status exec_add_operand(struct exec *exec, unsigned operand)
{
	const struct insn_operand *o = &exec->insn->operands[operand];

	return exec_add(exec, operand, o->kind,
		exec_effective(exec, o) + exec_segment_base(exec, o), o->size);
}

enum exec_status exec_defer(struct exec *exec, enum exec_status status)
{
	if (status != EXEC_FAULT || !exec->count)
		return status;
	exec->late_fault = true;
	return EXEC_OK;
}

uint64_t exec_load(const struct exec_access *access)
{
	uint64_t value = 0;

	invariant(access->size <= sizeof(value));
	memcpy(&value, access->old_bytes, access->size);
	return value;
}

void exec_store(struct exec_access *access, uint64_t value)
{
	invariant(access->size <= sizeof(value));
	memcpy(access->new_bytes, &value, access->size);
}

/* ---- registers ---- */

static bool is_high_byte(const struct exec *exec, unsigned reg, unsigned size)
{
	return size == 1 && reg >= 4 && reg < 8 && !exec->insn->internal.rex;
}

static uint64_t low_bits(uint64_t value, unsigned size)
{
	return size >= 8 ? value : value & ((UINT64_C(1) << size * 8) - 1);
}

uint64_t exec_get_reg(const struct exec *exec, unsigned reg, unsigned size)
{
	if (is_high_byte(exec, reg, size))
		return exec->regs->gpr[reg - 4] >> 8 & 0xff;
	return low_bits(exec->regs->gpr[reg], size);
}

void exec_set_reg(
	struct exec *exec, unsigned reg, unsigned size, uint64_t value)
{
	uint64_t *gpr = exec->out.gpr;

	value = low_bits(value, size);
	if (is_high_byte(exec, reg, size))
		gpr[reg - 4] = (gpr[reg - 4] & ~UINT64_C(0xff00)) | value << 8;
	else if (size >= 4)
		gpr[reg] = value;
	else
		gpr[reg] = (gpr[reg] & ~low_bits(~UINT64_C(0), size)) | value;
}

/* ---- displaced code ---- */

#define FOP_OFFSET 6
#define FIP_OFFSET 8
#define FDP_OFFSET 16

uint8_t *exec_place(struct exec *exec, uint64_t address)
{
	return exec->scratch + (address & ARCH_PAGE_MASK);
}

static enum exec_status prepare_xstate(struct exec *exec)
{
	const struct arch_xstate *in = exec->xstate;
	struct arch_xstate *out = exec->xstate_out;
	uint64_t mask = xstate_thunk_mask();
	unsigned covered;

	if (!mask || !xstate_is_loadable(in))
		return EXEC_CANNOT;
	covered = xstate_extent(mask);
	/* xsave fills what it covers; the rest is passed on. */
	memcpy(out->area + XSTATE_LEGACY_SIZE, in->area + XSTATE_LEGACY_SIZE,
		XSTATE_HEADER_END - XSTATE_LEGACY_SIZE);
	if ((xstate_bv(in) & ~mask) && in->size > covered)
		memcpy(out->area + covered, in->area + covered,
			in->size - covered);
	out->size = in->size > covered ? in->size : covered;
	exec->frame.xstate_in = in->area;
	exec->frame.xstate_out = out->area;
	exec->frame.xstate_mask = mask;
	return EXEC_OK;
}

/*
 * The x87 instruction and data pointers name our code and our scratch now:
 * make them the guest's. Some CPUs leave the data pointer alone unless there
 * is an unmasked exception.
 */
static void repair_x87(struct exec *exec, const uint8_t *scratch)
{
	uint8_t *area = exec->xstate_out->area;
	const uint8_t *before = exec->xstate->area;
	uint64_t fip, fdp, code = (uint64_t)(uintptr_t)exec->frame.code;
	bool moved;

	memcpy(&fip, area + FIP_OFFSET, sizeof(fip));
	memcpy(&fdp, area + FDP_OFFSET, sizeof(fdp));
	if (fip == code)
		memcpy(area + FIP_OFFSET, &exec->regs->rip, sizeof(fip));
	moved = scratch && fdp == (uint64_t)(uintptr_t)scratch;
	/* The opcode holds ModRM. */
	if (fip == code &&
		(moved || memcmp(area + FOP_OFFSET, before + FOP_OFFSET, 2)))
		area[FOP_OFFSET] = exec->insn->internal.modrm;
	if (!moved)
		return;
	fdp = exec_effective(exec, &exec->insn->operands[0]);
	memcpy(area + FDP_OFFSET, &fdp, sizeof(fdp));
}

static void load_frame(struct exec *exec, uint8_t *scratch)
{
	const struct insn *insn = exec->insn;
	struct thunk_frame *frame = &exec->frame;
	uint64_t flags = exec->regs->rflags & FLAGS_ARITHMETIC;

	memcpy(frame->gpr, exec->regs->gpr, sizeof(frame->gpr));
	if (insn->internal.substitute != NO_SUBSTITUTE)
		frame->gpr[insn->internal.substitute] =
			exec->regs->gpr[ARCH_RSP];
	if (insn->internal.base != NO_SUBSTITUTE)
		frame->gpr[insn->internal.base] =
			(uint64_t)(uintptr_t)scratch;
	if (exec->alignment_check)
		flags |= exec->regs->rflags & ARCH_RFLAGS_AC;
	frame->flags = flags | ARCH_RFLAGS_FIXED;
	frame->code = slots_get(&exec->slots, insn);
}

static void take_frame(struct exec *exec)
{
	const struct insn *insn = exec->insn;
	struct thunk_frame *frame = &exec->frame;

	memcpy(exec->out.gpr, frame->gpr, sizeof(frame->gpr));
	if (insn->internal.base != NO_SUBSTITUTE)
		exec->out.gpr[insn->internal.base] =
			exec->regs->gpr[insn->internal.base];
	exec->out.gpr[ARCH_RSP] = exec->regs->gpr[ARCH_RSP];
	if (insn->internal.substitute != NO_SUBSTITUTE) {
		exec->out.gpr[ARCH_RSP] =
			frame->gpr[insn->internal.substitute];
		exec->out.gpr[insn->internal.substitute] =
			exec->regs->gpr[insn->internal.substitute];
	}
	exec->out.rflags = (exec->out.rflags & ~(uint64_t)FLAGS_ARITHMETIC) |
		(frame->flags & FLAGS_ARITHMETIC);
}

static enum exec_status take_trap(struct exec *exec, const struct trap *trap)
{
	exec->out = *exec->regs;
	switch (trap->vector) {
	case ARCH_VECTOR_DE:
	case ARCH_VECTOR_UD:
	case ARCH_VECTOR_GP:
	case ARCH_VECTOR_SS:
	case ARCH_VECTOR_MF:
	case ARCH_VECTOR_AC:
	case ARCH_VECTOR_XM:
		return exec_raise(exec, trap->vector);
	default:
		/* #PF: the operand is not what we took it for; scratch's guard
		 * pages caught it. */
		return EXEC_CANNOT;
	}
}

enum exec_status exec_thunk(struct exec *exec, uint8_t *scratch)
{
	bool xstate = exec->insn->needs_xstate;
	struct trap trap;

	if (xstate && prepare_xstate(exec) != EXEC_OK)
		return EXEC_CANNOT;
	load_frame(exec, scratch);
	trap_run(&exec->frame, xstate, &trap);
	if (xstate)
		xstate_mark_mxcsr(exec->xstate_out);
	if (xstate && exec->insn->internal.x87)
		repair_x87(exec, scratch);
	if (xstate)
		exec->xstate_changed =
			xstate_differs(exec->xstate, exec->xstate_out);
	if (trap.raised)
		return take_trap(exec, &trap);
	take_frame(exec);
	return EXEC_OK;
}

/* ---- the interface ---- */

enum exec_status exec_plan(struct exec *exec, const struct insn *insn,
	const struct arch_regs *regs, const struct arch_xstate *xstate)
{
	invariant(insn->internal.form < FORM_MAX);
	exec->insn = insn;
	exec->regs = regs;
	exec->xstate = xstate;
	exec->count = 0;
	exec->arena_used = 0;
	exec->counted_out = false;
	exec->late_fault = false;
	exec->xstate_changed = false;
	exec->out = *regs;
	if (insn->method != INSN_EXECUTE || !forms[insn->internal.form])
		return EXEC_CANNOT;
	if (insn->needs_xstate && (!xstate || !xstate_is_loadable(xstate)))
		return EXEC_CANNOT;
	return forms[insn->internal.form]->plan(exec);
}

unsigned exec_count(const struct exec *exec)
{
	return exec->count;
}

struct exec_access *exec_access(struct exec *exec, unsigned i)
{
	invariant(i < exec->count);
	return &exec->accesses[i];
}

enum exec_status exec_run(struct exec *exec)
{
	exec->out = *exec->regs;
	exec->out.rip += exec->insn->length;
	exec->out.rflags &= ~(uint64_t)ARCH_RFLAGS_RF;
	exec->xstate_changed = false;
	if (exec->late_fault && !exec->insn->operands[0].vsib) {
		exec->out = *exec->regs;
		return EXEC_FAULT;
	}
	return forms[exec->insn->internal.form]->run(exec);
}

enum exec_status exec_run_lanes(struct exec *exec, unsigned done)
{
	const struct form_ops *ops = forms[exec->insn->internal.form];

	invariant(done <= exec->count);
	exec->out = *exec->regs;
	exec->xstate_changed = false;
	return ops->run_to_fault ? ops->run_to_fault(exec, done) : EXEC_OK;
}

const struct arch_regs *exec_regs(const struct exec *exec)
{
	return &exec->out;
}

const struct arch_xstate *exec_xstate(const struct exec *exec)
{
	return exec->xstate_changed ? exec->xstate_out : NULL;
}

const struct arch_fault *exec_fault(const struct exec *exec)
{
	return &exec->fault;
}
