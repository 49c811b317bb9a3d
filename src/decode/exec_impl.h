/* SPDX-License-Identifier: MIT */
/* Private to the executor: its state and the seams between its files. */
#ifndef CUSTOS_DECODE_EXEC_IMPL_H
#define CUSTOS_DECODE_EXEC_IMPL_H

#include "decode/decode_impl.h"

/* What thunk.S loads, and fills again. The offsets are known there. */
struct thunk_frame {
	uint64_t gpr[ARCH_GPR_MAX]; /* rsp's is not used */
	uint64_t flags;
	const void *code;
	const void *xstate_in; /* 64-byte aligned, valid for xrstor */
	void *xstate_out;
	uint64_t xstate_mask;
};

_Static_assert(offsetof(struct thunk_frame, flags) == 128, "thunk.S");
_Static_assert(offsetof(struct thunk_frame, code) == 136, "thunk.S");
_Static_assert(offsetof(struct thunk_frame, xstate_in) == 144, "thunk.S");
_Static_assert(offsetof(struct thunk_frame, xstate_out) == 152, "thunk.S");
_Static_assert(offsetof(struct thunk_frame, xstate_mask) == 160, "thunk.S");

/*
 * Run frame->code with these registers; what it leaves in them comes back.
 * thunk_run_xstate also loads and saves extended state. A fault in the code
 * ends it as well (thunk_faulted() tells).
 */
void thunk_run(struct thunk_frame *frame);
void thunk_run_xstate(struct thunk_frame *frame);

/* ---- slots.c: executable copies of displaced instructions ---- */

#define SLOT_BYTES 32
#define SLOT_COUNT 512

struct slots {
	uint8_t *memory; /* SLOT_COUNT slots, readable, writable, executable */
};

int slots_init(struct slots *slots); /* 0 or -errno */
void slots_fini(struct slots *slots);
const void *slots_get(struct slots *slots, const struct insn *insn);

/* ---- trap.c: faults of displaced instructions ---- */

/* Of the last run on this thread. */
struct trap {
	bool raised;
	uint8_t vector;
	uint64_t address; /* #PF: CR2 */
};

/* Install the process-wide handlers where they are not. */
void trap_init(void);

/* Run with faults of the code caught; *trap says whether there was one. */
void trap_run(struct thunk_frame *frame, bool xstate, struct trap *trap);

/* ---- xstate.c ---- */

#define XSTATE_X87 0x01u
#define XSTATE_SSE 0x02u
#define XSTATE_AVX 0x04u
#define XSTATE_OPMASK 0x20u
#define XSTATE_ZMM_HIGH 0x40u
#define XSTATE_ZMM_16 0x80u
#define XSTATE_COMPONENTS_MAX 19
#define XSTATE_LEGACY_SIZE 512u
#define XSTATE_HEADER_END 576u

/* Components the thunk loads and saves; 0 when the CPU has no XSAVE. */
uint64_t xstate_thunk_mask(void);
/* Components enabled in this machine (XCR0). */
uint64_t xstate_enabled(void);
/* Offset and size of a component in the standard layout; 0 if unknown. */
unsigned xstate_offset(unsigned component);
unsigned xstate_size(unsigned component);
bool xstate_is_aligned(unsigned component); /* in the compacted layout */
/* End of the components in mask, standard layout; at least 576. */
unsigned xstate_extent(uint64_t mask);
unsigned xstate_compact_extent(uint64_t mask);

/* Would XRSTOR take it? Otherwise the state came from a broken place. */
bool xstate_is_loadable(const struct arch_xstate *xstate);

/* Is an unmasked x87 exception pending (FSW.ES)? */
bool xstate_has_x87_error(const struct arch_xstate *xstate);

/* Is any x87 exception unmasked? */
bool xstate_unmasks_x87(const struct arch_xstate *xstate);

uint64_t xstate_bv(const struct arch_xstate *xstate);
/* The 64 bytes of a vector register; absent components read as zero. */
void xstate_get_vector(
	const struct arch_xstate *xstate, unsigned reg, uint8_t out[64]);
/* Make it bytes[0..size) with zeros above. */
void xstate_set_vector(struct arch_xstate *xstate, unsigned reg,
	const uint8_t *bytes, unsigned size);
uint64_t xstate_get_mask(const struct arch_xstate *xstate, unsigned reg);
void xstate_set_mask(
	struct arch_xstate *xstate, unsigned reg, uint64_t value);
/* The low 64 bits of x87 register st(i)'s physical mmx register i. */
uint64_t xstate_get_mmx(const struct arch_xstate *xstate, unsigned reg);
/* MXCSR belongs to SSE: those who load the image look at SSE's bit only. */
void xstate_mark_mxcsr(struct arch_xstate *xstate);
/* Make physical register 0 the top of the x87 stack. */
void xstate_clear_top(struct arch_xstate *xstate);
/* Mark all x87 registers as in use. */
void xstate_fill_tags(struct arch_xstate *xstate);
/* Do the two differ in anything a program can see? */
bool xstate_differs(const struct arch_xstate *a, const struct arch_xstate *b);
void xstate_copy(struct arch_xstate *to, const struct arch_xstate *from);

/* ---- the executor ---- */

#define SCRATCH_PAGES 5u
#define ARENA_BYTES (2u * ARCH_XSTATE_CAPACITY)
#define CACHE_LINES 1024u

struct exec {
	/* Plan. */
	const struct insn *insn;
	const struct arch_regs *regs;
	const struct arch_xstate *xstate;
	unsigned count;
	size_t arena_used;
	struct exec_access accesses[EXEC_ACCESSES_MAX];
	bool alignment_check;
	bool counted_out; /* rep with count 0 */
	unsigned pushes; /* enter: accesses that move something */
	/* exec->fault comes when all accesses planned turn out possible. */
	bool late_fault;
	unsigned fault_lane; /* which lane that is */
	uint64_t operand_address; /* of the whole operand at scratch */
	unsigned offset; /* of the first access's bytes in it */
	/* Run. */
	bool xstate_changed;
	struct arch_regs out;
	struct arch_fault fault;
	struct thunk_frame frame;
	/* Memory. */
	uint8_t *scratch; /* SCRATCH_PAGES between two guard pages */
	uint8_t *mapping;
	struct slots slots;
	struct arch_xstate *xstate_out, *xstate_clean;
	struct insn *cache; /* CACHE_LINES */
	_Alignas(64) uint8_t arena[ARENA_BYTES];
};

struct form_ops {
	enum exec_status (*plan)(struct exec *exec);
	enum exec_status (*run)(struct exec *exec);
	/* State at a page fault at access number done; NULL: as before. */
	enum exec_status (*run_to_fault)(struct exec *exec, unsigned done);
};

extern const struct form_ops form_plain, form_bit, form_maskmov, form_xchg,
	form_xlat, form_moffs_load, form_moffs_store, form_movdir64b,
	form_flush, form_push, form_pop, form_push_mem, form_pop_mem,
	form_pop_flags, form_call, form_call_mem, form_jmp_mem, form_ret,
	form_leave, form_enter, form_string, form_gather, form_scatter,
	form_xsave, form_xrstor, form_register, form_nop, form_lea,
	form_direction, form_undefined, form_jump, form_jcc, form_loop;

/* Raise a fault without an address. */
enum exec_status exec_raise(struct exec *exec, enum arch_vector vector);

/* Effective and linear address of an operand in the plan's state. */
uint64_t exec_effective(
	const struct exec *exec, const struct insn_operand *operand);
uint64_t exec_segment_base(
	const struct exec *exec, const struct insn_operand *operand);

/*
 * Add an access of size bytes at a linear address after checking that it is
 * canonical and aligned as operand demands. EXEC_FAULT when not.
 */
enum exec_status exec_add(struct exec *exec, unsigned operand,
	enum access_kind kind, uint64_t address, uint32_t size);
/* The same, without the demand for alignment. */
enum exec_status exec_add_unaligned(struct exec *exec, unsigned operand,
	enum access_kind kind, uint64_t address, uint32_t size);
/* The same where the operand's formula says, with its own kind and size. */
enum exec_status exec_add_operand(struct exec *exec, unsigned operand);

/*
 * When planning an access fails but others come before it, the fault waits
 * until these are known to be possible: exec_run() raises it.
 */
enum exec_status exec_defer(struct exec *exec, enum exec_status status);

/* Little-endian value of size <= 8 bytes. */
uint64_t exec_load(const struct exec_access *access);
void exec_store(struct exec_access *access, uint64_t value);

/* A register as a size-byte operand, by its number in the encoding; 32-bit
 * writes clear the upper half. */
uint64_t exec_get_reg(const struct exec *exec, unsigned reg, unsigned size);
void exec_set_reg(
	struct exec *exec, unsigned reg, unsigned size, uint64_t value);

/* Go to target; #GP where no code can be. */
enum exec_status exec_branch(struct exec *exec, uint64_t target);

/* Run the displaced code with its operand, size bytes, at scratch; NULL: it
 * has none. */
enum exec_status exec_thunk(struct exec *exec, uint8_t *scratch);
/* Where in scratch an operand at this address goes. */
uint8_t *exec_place(struct exec *exec, uint64_t address);

#endif
