/* SPDX-License-Identifier: MIT */
/*
 * A target that is a few pages of memory and registers set by a test: the
 * session can be driven without KVM. Code is at FAKE_CODE, data pages from
 * FAKE_DATA on; a step is done by the executor, on the pages themselves.
 */
#ifndef CUSTOS_TESTS_FAKE_TARGET_H
#define CUSTOS_TESTS_FAKE_TARGET_H

#include "target/target_impl.h"

#define FAKE_PAGES 1032 /* 0: code; 1..: data */
#define FAKE_MAPPED 8 /* at first; the others are unmapped */
#define FAKE_CODE UINT64_C(0x400000)
#define FAKE_DATA UINT64_C(0x401000)
#define FAKE_DEVICE UINT64_C(0xa00000) /* a device page, always closed */
#define FAKE_SPACE 0x1000

struct fake_thread {
	struct target_thread thread;
	struct arch_regs regs;
	struct arch_xstate xstate;
	bool faulted; /* target_thread_fault() was called */
	struct arch_fault fault;
	unsigned steps;
};

struct fake_target {
	struct target target;
	/* Of thread 0 and 1, in one address space; the first is started. */
	struct target_process process, other_process;
	_Alignas(4096) uint8_t pages[FAKE_PAGES][4096];
	bool closed[FAKE_PAGES], unmapped[FAKE_PAGES], read_only[FAKE_PAGES];
	bool hidden[FAKE_PAGES]; /* there, but not mapped at the moment */
	bool watching, asks; /* target_watch_spaces() */
	struct fake_thread threads[2];
	const struct target_handler *handler;
	/* What target_run() does after process_start: the test's body. */
	void (*body)(struct fake_target *fake, void *ctx);
	void *body_ctx;
	bool stopped;
};

/* In the caller's storage (large: make it static). */
void fake_target_init(struct fake_target *fake);

/*
 * Execute the instruction in code on a thread, as a CPU would: natively when
 * it touches no closed page (which the tests do not need: it fails), else
 * through the handler. Returns what the handler said.
 */
enum target_resume fake_target_run_insn(struct fake_target *fake, unsigned cpu,
	const void *code, size_t len);

/* What addresses lead to has changed: tell, and answer what is asked. */
void fake_target_changed(struct fake_target *fake);

/* A data byte by its virtual address. */
uint8_t *fake_target_byte(struct fake_target *fake, uint64_t va);

#endif
