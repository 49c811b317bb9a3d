/* SPDX-License-Identifier: MIT */
/* Random records, the same for the same seed, of every kind and shape. */
#ifndef CUSTOS_TESTS_SUPPORT_TRACE_RANDOM_H
#define CUSTOS_TESTS_SUPPORT_TRACE_RANDOM_H

#include <custos/trace.h>

struct trace_random {
	uint64_t state, time, seq;
	struct trace_record record;
	struct access_lane lanes[ACCESS_LANES_MAX];
	uint8_t insn[ARCH_INSN_MAX];
	uint64_t regs[TRACE_REGS], stack[TRACE_STACK_MAX];
	uint8_t old_bytes[4096], new_bytes[4096], final_bytes[4096];
	uint8_t bound[4096];
	char text[32];
};

extern const struct trace_meta trace_random_meta;
extern const struct trace_site_names trace_random_names;

void trace_random_init(struct trace_random *random, uint64_t seed);
uint64_t trace_random_number(struct trace_random *random, uint64_t below);

/* Valid until the next. */
const struct trace_record *trace_random_next(struct trace_random *random);

/* A trace of so many of them, ended with exit code -3. */
void trace_random_write(const char *path, uint64_t seed, unsigned count);

#endif
