/* SPDX-License-Identifier: MIT */
/*
 * Decode x86-64 user instructions into what they do to memory, and execute
 * them from a given state, exactly as the CPU does. Pure: nothing here knows
 * where bytes, registers and memory come from, nothing touches memory but the
 * caller's buffers and a private scratch area.
 *
 * Use, for one instruction (one iteration of a rep form):
 *
 *	decode_insn(bytes, n, &insn)
 *	exec_plan(exec, &insn, &regs, xstate)	which bytes will be touched
 *	...fill access[i].old for every access that reads
 *	exec_run(exec)				new state and access[i].new
 *	...commit access[i].new, take exec->regs and exec->xstate
 *
 * Nothing is committed before everything has been computed, so an instruction
 * whose second operand cannot be had has not half-happened.
 */
#ifndef CUSTOS_DECODE_H
#define CUSTOS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <custos/arch.h>

/* How an instruction can be carried out. */
enum insn_method {
	INSN_EXECUTE, /* exec_plan() and exec_run() do it */
	INSN_STEP, /* decodes, but only the CPU can do it: single-step it */
	INSN_NO_ACCESS, /* touches no data memory, and only the CPU can do it */
	INSN_METHOD_MAX
};

#define INSN_OPERANDS_MAX 4 /* memory operands in one instruction */

/* One memory operand, before addresses are known. */
struct insn_operand {
	enum access_kind kind;
	uint32_t size; /* bytes; of one element for string and VSIB forms;
			* 0: depends on the state (xsave) */
	int8_t base, index; /* enum arch_gpr, or INSN_REG_NONE / _RIP */
	uint8_t scale; /* 1, 2, 4, 8 */
	uint8_t segment; /* INSN_SEGMENT_* */
	int64_t displacement; /* EVEX disp8*N already applied */
	uint16_t alignment; /* bytes demanded; 1: none */
	uint8_t lanes; /* >1: VSIB elements */
	bool vsib; /* index is a vector register */
	bool conditional; /* mask, count or predicate may leave it out */
};

#define INSN_REG_NONE (-1)
#define INSN_REG_RIP (-2)
#define INSN_SEGMENT_NONE 0
#define INSN_SEGMENT_FS 1
#define INSN_SEGMENT_GS 2

/*
 * A decoded instruction: a plain value, to be cached by its bytes. Fields
 * below `internal' are the executor's own.
 */
struct insn {
	uint8_t bytes[ARCH_INSN_MAX];
	uint8_t length;
	enum insn_method method;
	uint8_t operand_count;
	bool atomic; /* LOCK prefix, or xchg with memory */
	bool string; /* movs, cmps, stos, lods, scas */
	bool repeated; /* string with rep, repe or repne */
	bool address32; /* 67h */
	bool needs_xstate; /* exec_plan() wants xstate */
	bool branches; /* may leave rip elsewhere than behind it */
	struct insn_operand operands[INSN_OPERANDS_MAX];
	struct {
		uint8_t form; /* which handler: enum decode_form */
		/* The instruction with its memory operand at [base]. */
		uint8_t code[ARCH_INSN_MAX + 1];
		uint8_t code_len;
		uint8_t base; /* holds the operand's scratch address */
		uint8_t substitute; /* stands for rsp, or INSN_REG_NONE */
		uint8_t width; /* operand width in bytes (stack, bt, ...) */
		uint8_t reg, vreg, rm; /* register numbers of the encoding */
		uint8_t modrm; /* the original byte */
		bool rex; /* byte registers 4..7 are spl..dil */
		bool mmx; /* names an MMX register */
		bool converts; /* computes what it stores */
		bool x87; /* leaves instruction and data pointers behind */
		uint8_t mask_source; /* enum decode_mask */
		uint8_t mask_reg; /* k1..k7 or a vector register */
		uint8_t mask_lanes; /* mask elements that cover the operand */
		uint8_t granule; /* bytes of the operand per element */
		uint8_t repeat; /* 0, 0xf2 or 0xf3 */
		uint8_t index_bytes, data_bytes; /* element sizes of VSIB */
		uint16_t vector_bytes; /* vector length */
		uint16_t mnemonic; /* the decoder's, for tables */
		uint32_t hash; /* of code */
		int64_t immediate, immediate2;
	} internal;
};

/*
 * Decode the first instruction in bytes[0..len). Returns 0; -ENODATA when the
 * instruction needs more than len bytes (at most ARCH_INSN_MAX are looked at);
 * -EILSEQ when no user-mode instruction starts like that (#UD).
 */
int decode_insn(const uint8_t *bytes, size_t len, struct insn *out);

/*
 * The instruction as text, Intel syntax, addresses relative to rip, into text
 * (NUL-terminated, cut at capacity). Falls back to hex bytes; never fails.
 */
void decode_text(const struct insn *insn, uint64_t rip, char *text,
	size_t capacity);

/* The address formula of an operand: "fs:[rbx + rcx*8 + 0x10]". */
void decode_operand_text(const struct insn *insn, unsigned operand, char *text,
	size_t capacity);

/* Accesses of one execution, gather lanes and enter's levels included. */
#define EXEC_ACCESSES_MAX 72

struct exec_access {
	enum access_kind kind; /* load, store or rmw */
	uint8_t operand; /* index into insn.operands */
	uint8_t lane; /* element number of VSIB forms, else 0 */
	uint32_t size; /* bytes, never 0 */
	/* linear; address + size - 1 is canonical, too, but may have wrapped
	 * from the top of the address space to its bottom */
	uint64_t address;
	/*
	 * Selected bytes of a masked access of at most 64 bytes (bit i: byte
	 * address + i); all ones otherwise. Others are neither accessed nor
	 * fault.
	 */
	uint64_t byte_mask;
	/* size bytes each, inside struct exec. old: filled by the caller
	 * before exec_run() (zero when kind is store: then only bytes the
	 * caller knows). new: valid after exec_run() for stores and rmw. */
	uint8_t *old_bytes;
	uint8_t *new_bytes;
	/* Nothing moves (byte_mask is 0), but the CPU faults when these bytes
	 * are not writable: where enter leaves rsp, all of maskmov's operand.
	 */
	bool probe;
};

enum exec_status {
	EXEC_OK,
	EXEC_FAULT, /* exec->fault; nothing may be committed */
	EXEC_CANNOT, /* not emulated here: step it */
};

struct exec; /* per host thread; holds scratch memory and buffers */

/*
 * NULL when out of memory. One per thread at a time. Installs process-wide
 * handlers for SIGSEGV, SIGBUS, SIGFPE and SIGILL, which pass on
 * every fault that is not an emulated instruction's; these signals must not
 * be blocked around exec_run().
 */
struct exec *exec_create(void);
void exec_destroy(struct exec *exec); /* NULL is fine */

/*
 * Does the target's CR0.AM let EFLAGS.AC demand alignment? False at first:
 * then no #AC is ever raised.
 */
void exec_set_alignment_check(struct exec *exec, bool enabled);

/*
 * decode_insn() through a cache of the executor's. ip only chooses the cache
 * line; what counts is the bytes, so changed code and pages shared by several
 * address spaces are never confused. Returns NULL with *error as
 * decode_insn(). Valid until the next call for the same exec.
 */
const struct insn *decode_cached(struct exec *exec, uint64_t ip,
	const uint8_t *bytes, size_t len, int *error);

/*
 * Work out which bytes insn will touch from this state. xstate may be NULL
 * when !insn->needs_xstate. insn, regs and xstate must stay until exec_run().
 * EXEC_OK: exec_access()/exec_count() list the accesses, in the order the CPU
 * makes them where the manual defines one. There may be none at all (rep with
 * count 0, mask of zeros, clflush, an x87 store with an unmasked exception): go
 * on all the same. EXEC_FAULT, as of exec_run(): the state alone decides on a
 * fault (non-canonical address, misaligned aligned-move).
 */
enum exec_status exec_plan(struct exec *exec, const struct insn *insn,
	const struct arch_regs *regs, const struct arch_xstate *xstate);

unsigned exec_count(const struct exec *exec);
struct exec_access *exec_access(struct exec *exec, unsigned i);

/*
 * Execute the planned instruction on the old bytes. May be called again after
 * the old bytes were changed (an atomic that lost its race). EXEC_OK:
 * exec_regs() is the state after (rip moved on, or still at a rep form with
 * elements to go), exec_xstate() the extended state after, or NULL when
 * unchanged; new_bytes of every writing access are valid. EXEC_FAULT:
 * exec_regs() is the state before; exec_xstate() is not NULL when the fault
 * itself changes it (MXCSR flags of #XM): commit it with the fault.
 */
enum exec_status exec_run(struct exec *exec);

/*
 * The state in which the CPU raises a page fault at access number done, those
 * before it made or not: a gather or scatter has done them (commit their
 * new_bytes), everything else has not. exec_regs() and exec_xstate() as after
 * exec_run(), rip still at the instruction. Needs the old bytes of the
 * accesses before done.
 */
enum exec_status exec_run_lanes(struct exec *exec, unsigned done);

const struct arch_regs *exec_regs(const struct exec *exec);
const struct arch_xstate *exec_xstate(const struct exec *exec);
const struct arch_fault *exec_fault(const struct exec *exec);

#endif
