/* SPDX-License-Identifier: MIT */
/*
 * What the monitor itself spends on a kept access: decode (cached), plan and
 * run; beside a `mov' emulated by hand, which knows that it is one.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <custos/decode.h>

#define ROUNDS 7

struct sample {
	const char *what;
	uint8_t bytes[16];
	size_t len;
	double goal; /* ns; 0: none */
};

static struct exec *exec;
static struct arch_regs regs;
static struct arch_xstate xstate;
static uint8_t memory[64];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One access as the session makes it. */
static void access_once(const struct sample *sample)
{
	int error;
	const struct insn *insn = decode_cached(
		exec, regs.rip, sample->bytes, sample->len, &error);
	struct exec_access *access;

	if (!insn || exec_plan(exec, insn, &regs, &xstate) != EXEC_OK)
		return;
	access = exec_access(exec, 0);
	memcpy(access->old_bytes, memory, access->size);
	if (exec_run(exec) == EXEC_OK && access_writes(access->kind))
		memcpy(memory, access->new_bytes, access->size);
}

/* mov r32/64, [m] and mov [m], r32/64 without displacement, nothing else. */
__attribute__((noinline)) static void mov_by_hand(const struct sample *sample)
{
	const uint8_t *b = sample->bytes;
	bool wide = (b[0] & 0xf0) == 0x40 && (b[0] & 8);
	uint8_t modrm;
	uint64_t *reg;

	b += (b[0] & 0xf0) == 0x40;
	modrm = b[1];
	reg = &regs.gpr[modrm >> 3 & 7];
	if (b[0] == 0x8b && wide)
		memcpy(reg, memory, 8);
	else if (b[0] == 0x8b)
		*reg = *(const uint32_t *)memory;
	else if (b[0] == 0x89)
		memcpy(memory, reg, wide ? 8 : 4);
}

static double best_ns(
	void (*run)(const struct sample *), const struct sample *sample)
{
	unsigned count = 20000;
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns(), time;

		for (unsigned i = 0; i < count; i++)
			run(sample);
		time = (now_ns() - start) / count;
		best = time < best ? time : best;
	}
	return best;
}

static double decode_ns(const struct sample *sample)
{
	struct insn insn;
	double start = now_ns();

	for (unsigned i = 0; i < 20000; i++)
		decode_insn(sample->bytes, sample->len, &insn);
	return (now_ns() - start) / 20000;
}

int main(void)
{
	static const struct sample samples[] = {
		{ "mov rax, [rbx]", { 0x48, 0x8b, 0x03 }, 3, 300 },
		{ "mov [rbx], eax", { 0x89, 0x03 }, 2, 300 },
		{ "lock inc qword [rbx]", { 0xf0, 0x48, 0xff, 0x03 }, 4, 0 },
		{ "push rax", { 0x50 }, 1, 0 },
		{ "rep movsb, one", { 0xf3, 0xa4 }, 2, 0 },
		{ "movups xmm1, [rbx]", { 0x0f, 0x10, 0x0b }, 3, 1000 },
		{ "movups [rbx], xmm1", { 0x0f, 0x11, 0x0b }, 3, 1000 },
		{ "addps xmm1, [rbx]", { 0x0f, 0x58, 0x0b }, 3, 1000 },
	};
	uint64_t bv = 3;
	uint32_t mxcsr = 0x1f80;
	double hand, ns;

	exec = exec_create();
	if (!exec)
		return 1;
	regs.rflags = 2;
	regs.gpr[ARCH_RBX] = 0x10000;
	regs.gpr[ARCH_RSP] = 0x20000;
	regs.gpr[ARCH_RCX] = 1000;
	xstate.size = 4096;
	memcpy(xstate.area + 24, &mxcsr, 4);
	memcpy(xstate.area + 512, &bv, 8);
	hand = best_ns(mov_by_hand, &samples[0]);
	printf("emulation, ns per access, best of %d rounds (mov by hand %.1f):\n",
		ROUNDS, hand);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		ns = best_ns(access_once, &samples[i]);
		printf("  %-22s %7.1f", samples[i].what, ns);
		if (i < 2)
			printf("  %.1f x by hand", ns / hand);
		if (samples[i].goal > 0)
			printf("  goal %.0f: %s", samples[i].goal,
				ns <= samples[i].goal ? "met" : "MISSED");
		putchar('\n');
	}
	printf("  decoded anew           %7.1f\n", decode_ns(&samples[0]));
	exec_destroy(exec);
	return 0;
}
