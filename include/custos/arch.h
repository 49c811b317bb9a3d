/* SPDX-License-Identifier: MIT */
/*
 * x86-64 vocabulary shared by every module and by embedders: registers,
 * extended state, faults and the kinds of memory access, as plain values.
 * Where they came from (KVM, ptrace, a test) is not known here.
 */
#ifndef CUSTOS_ARCH_H
#define CUSTOS_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the hardware's register numbers (SDM vol. 2, 2.1.5). */
enum arch_gpr {
	ARCH_RAX,
	ARCH_RCX,
	ARCH_RDX,
	ARCH_RBX,
	ARCH_RSP,
	ARCH_RBP,
	ARCH_RSI,
	ARCH_RDI,
	ARCH_R8,
	ARCH_R9,
	ARCH_R10,
	ARCH_R11,
	ARCH_R12,
	ARCH_R13,
	ARCH_R14,
	ARCH_R15,
	ARCH_GPR_MAX
};

struct arch_regs {
	uint64_t gpr[ARCH_GPR_MAX];
	uint64_t rip;
	uint64_t rflags;
	uint64_t fs_base;
	uint64_t gs_base;
};

#define ARCH_RFLAGS_CF (1u << 0)
#define ARCH_RFLAGS_FIXED (1u << 1) /* reads as one, always */
#define ARCH_RFLAGS_PF (1u << 2)
#define ARCH_RFLAGS_AF (1u << 4)
#define ARCH_RFLAGS_ZF (1u << 6)
#define ARCH_RFLAGS_SF (1u << 7)
#define ARCH_RFLAGS_TF (1u << 8)
#define ARCH_RFLAGS_IF (1u << 9)
#define ARCH_RFLAGS_DF (1u << 10)
#define ARCH_RFLAGS_OF (1u << 11)
#define ARCH_RFLAGS_IOPL (3u << 12)
#define ARCH_RFLAGS_NT (1u << 14)
#define ARCH_RFLAGS_RF (1u << 16)
#define ARCH_RFLAGS_AC (1u << 18)
#define ARCH_RFLAGS_ID (1u << 21)

/* Exception vectors (SDM vol. 3, table 6-1). */
enum arch_vector {
	ARCH_VECTOR_DE = 0,
	ARCH_VECTOR_DB = 1,
	ARCH_VECTOR_BP = 3,
	ARCH_VECTOR_UD = 6,
	ARCH_VECTOR_NM = 7,
	ARCH_VECTOR_DF = 8,
	ARCH_VECTOR_SS = 12,
	ARCH_VECTOR_GP = 13,
	ARCH_VECTOR_PF = 14,
	ARCH_VECTOR_MF = 16,
	ARCH_VECTOR_AC = 17,
	ARCH_VECTOR_XM = 19,
};

/* #PF error code bits (SDM vol. 3, 4.7). */
#define ARCH_PF_PRESENT 0x01u
#define ARCH_PF_WRITE 0x02u
#define ARCH_PF_USER 0x04u
#define ARCH_PF_RSVD 0x08u
#define ARCH_PF_FETCH 0x10u

/* A fault as the CPU would raise it; address matters for #PF only (CR2). */
struct arch_fault {
	enum arch_vector vector;
	uint32_t error_code; /* 0 for vectors without one */
	uint64_t address;
};

/*
 * Extended state (x87, SSE, AVX, AVX-512, ...) in the standard, non-compacted
 * XSAVE layout (SDM vol. 1, 13.4), which is what KVM_GET_XSAVE2 and ptrace's
 * NT_X86_XSTATE give. Components in their initial state may be unwritten: look
 * at XSTATE_BV in the header before reading one, set its bit when writing.
 */
#define ARCH_XSTATE_CAPACITY 16384 /* AMX included, 10752 today */

struct arch_xstate {
	_Alignas(64) uint8_t area[ARCH_XSTATE_CAPACITY];
	size_t size; /* bytes of area in use, at least 576 */
};

#define ARCH_PAGE_SHIFT 12
#define ARCH_PAGE_SIZE ((uint64_t)1 << ARCH_PAGE_SHIFT)
#define ARCH_PAGE_MASK (ARCH_PAGE_SIZE - 1)
#define ARCH_INSN_MAX 15 /* bytes in the longest instruction */

/* What an access does; one vocabulary for every module. */
enum access_kind {
	ACCESS_LOAD,
	ACCESS_STORE,
	ACCESS_RMW, /* one instruction loads and stores the same bytes */
	ACCESS_FETCH,
	/* Copies the guest kernel makes on a process's behalf. */
	ACCESS_IPC_SRC, /* read out of a sender's memory */
	ACCESS_IPC_DST, /* written into a receiver's memory */
	ACCESS_SYSCALL_LOAD, /* read as another system call's argument */
	ACCESS_SYSCALL_STORE, /* written as its result */
	ACCESS_KIND_MAX
};

/* "load", "store", "rmw", "fetch", "ipc_src", ...: as in docs and output. */
const char *access_kind_name(enum access_kind kind);

static inline bool access_reads(enum access_kind kind)
{
	return kind == ACCESS_LOAD || kind == ACCESS_RMW ||
		kind == ACCESS_FETCH || kind == ACCESS_IPC_SRC ||
		kind == ACCESS_SYSCALL_LOAD;
}

static inline bool access_writes(enum access_kind kind)
{
	return kind == ACCESS_STORE || kind == ACCESS_RMW ||
		kind == ACCESS_IPC_DST || kind == ACCESS_SYSCALL_STORE;
}

#endif
