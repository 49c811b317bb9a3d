/* SPDX-License-Identifier: MIT */
/*
 * The CPU's own answer: a traced child that single-steps one instruction in a
 * given state on memory shared with us.
 */
#ifndef CUSTOS_TESTS_DECODE_NATIVE_H
#define CUSTOS_TESTS_DECODE_NATIVE_H

#include <stdbool.h>
#include <sys/types.h>

#include <custos/decode.h>

/* Addresses in the child. Around DATA and READONLY nothing is mapped. */
#define CODE_ADDRESS UINT64_C(0x10000100)
#define DATA_ADDRESS UINT64_C(0x10100000)
#define DATA_SIZE UINT64_C(0x10000)
#define READONLY_ADDRESS UINT64_C(0x10200000) /* DATA again, read-only */

struct native {
	pid_t pid; /* 0: none yet, or it died */
	int fd;
	uint8_t *code; /* at CODE_ADDRESS in the child */
	uint8_t *data; /* at DATA_ADDRESS in the child */
	uint64_t sticky_flags; /* ID and NT: ptrace cannot set them */
	struct arch_xstate xstate; /* what the child started with */
};

struct state {
	struct arch_regs regs;
	struct arch_xstate xstate;
};

struct outcome {
	bool faulted;
	struct arch_fault fault; /* error_code is not known */
	struct state state;
};

/* 0, or -errno with a message on stderr. */
int native_open(struct native *native);
void native_close(struct native *native);

/* False when the child was lost (say why on stderr): it is made anew by the
 * next call. */
bool native_step(struct native *native, const struct insn *insn,
	const struct state *before, struct outcome *after);

#endif
