/* SPDX-License-Identifier: MIT */
/* Compared with the CPU's own XSAVE and XRSTOR. */
#include "vmm/xsave.h"

#include <cpuid.h>
#include <string.h>

#include "tests/support/tests.h"

#define BV 512

static struct xsave_layout layout;
static size_t area_size;

static bool read_layout(void)
{
	unsigned eax, ebx, ecx, edx;

	if (!__get_cpuid_count(1, 0, &eax, &ebx, &ecx, &edx) ||
		!(ecx >> 27 & 1) || !__get_cpuid_count(0xd, 2, &eax, &ebx, &ecx,
					    &edx) ||
		!eax)
		return false;
	layout.component[2].offset = ebx;
	layout.component[2].size = eax;
	area_size = ebx + eax;
	return true;
}

static uint64_t bv_of(const struct arch_xstate *x)
{
	uint64_t bv;

	memcpy(&bv, x->area + BV, sizeof(bv));
	return bv;
}

static void set_bv(struct arch_xstate *x, uint64_t bv)
{
	memset(x->area + BV, 0, 64);
	memcpy(x->area + BV, &bv, sizeof(bv));
}

/* Bytes that any component may have: XMM and YMM all, x87 control valid. */
static void fill(struct arch_xstate *x, uint8_t seed, uint64_t bv)
{
	static const uint8_t mxcsr[8] = { 0x80, 0x1f, 0, 0, 0xff, 0xff, 2, 0 };

	memset(x, 0, sizeof(*x));
	x->size = area_size;
	memset(x->area + 160, seed, 256);
	memset(x->area + layout.component[2].offset, seed + 1,
		layout.component[2].size);
	memset(x->area + 32, seed + 2, 10);
	x->area[0] = 0x7f;
	x->area[1] = 0x03;
	memcpy(x->area + 24, mxcsr, sizeof(mxcsr));
	set_bv(x, bv);
}

/* What the CPU has after XRSTOR of state, then of memory with mask. */
__attribute__((target("xsave"), noinline)) static void by_cpu(
	const struct arch_xstate *state, const struct arch_xstate *memory,
	uint64_t mask, struct arch_xstate *out)
{
	static struct arch_xstate own;

	memset(out, 0, sizeof(*out));
	__builtin_ia32_xsave64(own.area, 7);
	__builtin_ia32_xrstor64((void *)state->area, 7);
	__builtin_ia32_xrstor64((void *)memory->area, (long long)mask);
	__builtin_ia32_xsave64(out->area, 7);
	__builtin_ia32_xrstor64(own.area, 7);
}

/* The components of a state with absent ones written out as initial. */
static void normalize(struct arch_xstate *x)
{
	struct arch_xstate zero;

	memset(&zero, 0, sizeof(zero));
	assert_true(vmm_xsave_merge(&layout, 7, x, &zero));
	*x = zero;
}

static void xrstor_agrees_with_the_cpu(void **state)
{
	struct arch_xstate before, memory, cpu, ours;

	(void)state;
	if (!read_layout())
		test_skip("this CPU has no AVX");
	for (uint64_t mask = 0; mask < 8; mask++)
		for (uint64_t bv = 0; bv < 8; bv++) {
			fill(&before, 0x10, 7);
			fill(&memory, 0x40, bv);
			by_cpu(&before, &memory, mask, &cpu);
			ours = before;
			assert_true(vmm_xrstor_merge(
				&layout, mask, &memory, &ours));
			normalize(&ours);
			normalize(&cpu);
			assert_memory_equal(
				ours.area + 32, cpu.area + 32, 128);
			assert_memory_equal(
				ours.area + 160, cpu.area + 160, 256);
			assert_memory_equal(
				ours.area + layout.component[2].offset,
				cpu.area + layout.component[2].offset,
				layout.component[2].size);
			assert_memory_equal(ours.area, cpu.area, 2);
			assert_memory_equal(ours.area + 24, cpu.area + 24, 4);
		}
}

static void xsave_touches_only_what_the_mask_names(void **state)
{
	struct arch_xstate from, memory;

	(void)state;
	if (!read_layout())
		test_skip("this CPU has no AVX");
	fill(&from, 0x10, 7);
	fill(&memory, 0x40, 1);
	assert_true(vmm_xsave_merge(&layout, 2, &from, &memory));
	assert_int_equal(memory.area[160], 0x10);
	assert_int_equal(memory.area[32], 0x42);
	assert_int_equal(memory.area[layout.component[2].offset], 0x41);
	assert_int_equal(bv_of(&memory), 3);
	/* A component in its initial state is saved as that. */
	set_bv(&from, 0);
	assert_true(vmm_xsave_merge(&layout, 2, &from, &memory));
	assert_int_equal(memory.area[160], 0);
	assert_int_equal(bv_of(&memory), 1);
}

static void malformed_areas_are_refused(void **state)
{
	struct arch_xstate from, memory;

	(void)state;
	if (!read_layout())
		test_skip("this CPU has no AVX");
	fill(&from, 0x10, 7);
	fill(&memory, 0x40, 7);
	memory.area[24 + 3] = 0xff; /* reserved MXCSR bits */
	assert_false(vmm_xrstor_merge(&layout, 7, &memory, &from));
	fill(&memory, 0x40, 7);
	memory.area[520 + 7] = 0x80; /* compacted */
	assert_false(vmm_xrstor_merge(&layout, 7, &memory, &from));
	fill(&memory, 0x40, UINT64_C(1) << 40); /* no such component */
	assert_false(vmm_xrstor_merge(&layout, 7, &memory, &from));
	fill(&memory, 0x40, UINT64_C(1) << 63);
	assert_false(vmm_xrstor_merge(&layout, 7, &memory, &from));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xrstor_agrees_with_the_cpu),
		cmocka_unit_test(xsave_touches_only_what_the_mask_names),
		cmocka_unit_test(malformed_areas_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
