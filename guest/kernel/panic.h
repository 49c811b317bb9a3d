/* SPDX-License-Identifier: MIT */
/*
 * When the kernel finds itself broken, and the ring of recent events that is
 * printed then. A process's misbehaviour is never a reason to come here.
 */
#ifndef CUSTOS_KERNEL_PANIC_H
#define CUSTOS_KERNEL_PANIC_H

#include <stdint.h>

struct frame;

#define invariant(condition)                                                   \
	do {                                                                   \
		if (__builtin_expect(!(condition), 0))                         \
			panic_invariant(#condition, __FILE__, __LINE__);       \
	} while (0)

enum event {
	EVENT_START, /* process, module */
	EVENT_END,   /* process, exit code */
	EVENT_FAULT, /* process, vector */
	EVENT_KILL,  /* process, cpu it runs on */
	EVENT_BANK,  /* frame number of a bank that ends, frames it has */
	EVENT_REFUSED, /* frame number of the bank, 0: machine; enum frame_type */
	EVENT_ASK,   /* process, seq of the access put to a keeper */
	EVENT_MAX
};

/* Remember that this happened, on the executing CPU. */
void panic_record(enum event event, uint64_t a, uint64_t b);

_Noreturn void panic_invariant(const char *what, const char *file, int line);

/* The machine cannot go on, and the kernel is well: say why on the console (a
 * line of less than a page) and end with this exit code. */
_Noreturn void panic_end(const char *line, uint64_t code);

/* An exception at CPL 0. */
_Noreturn void panic_frame(const struct frame *frame);

#endif
