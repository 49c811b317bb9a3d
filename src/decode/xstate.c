/* SPDX-License-Identifier: MIT */
/*
 * The XSAVE image of extended state: which parts exist on this machine, where
 * they are, reading and writing registers in it. Components whose bit in
 * XSTATE_BV is clear are in their initial state and may hold anything.
 */
#include <cpuid.h>
#include <pthread.h>
#include <string.h>

#include "base/invariant.h"
#include "decode/exec_impl.h"

#define BV_OFFSET 512
#define FCW_MASKS 0x3f
#define FTW_OFFSET 4
#define FSW_OFFSET 2
#define FSW_ES 0x80
#define MXCSR_OFFSET 24
#define MXCSR_MASK_OFFSET 28
#define X87_REGS_OFFSET 32
#define XMM_OFFSET 160
#define MXCSR_MASK_DEFAULT 0xffbfu
#define MXCSR_INIT 0x1f80u

static struct {
	uint64_t enabled;
	uint64_t thunk_mask;
	uint32_t mxcsr_mask;
	unsigned offset[XSTATE_COMPONENTS_MAX];
	unsigned size[XSTATE_COMPONENTS_MAX];
	bool aligned[XSTATE_COMPONENTS_MAX];
} layout;
static pthread_once_t layout_once = PTHREAD_ONCE_INIT;

static uint64_t read_xcr0(void)
{
	uint32_t eax, edx;

	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return eax | (uint64_t)edx << 32;
}

static uint32_t read_mxcsr_mask(void)
{
	_Alignas(16) uint8_t area[512] = { 0 };
	uint32_t mask;

	__asm__ volatile("fxsave %0" : "=m"(area));
	memcpy(&mask, area + MXCSR_MASK_OFFSET, sizeof(mask));
	return mask ? mask : MXCSR_MASK_DEFAULT;
}

static void find_layout(void)
{
	unsigned eax, ebx, ecx, edx;

	layout.mxcsr_mask = read_mxcsr_mask();
	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return;
	layout.enabled = read_xcr0();
	layout.size[0] = 160;
	layout.offset[1] = XMM_OFFSET;
	layout.size[1] = 256;
	for (unsigned i = 2; i < XSTATE_COMPONENTS_MAX; i++) {
		if (!(layout.enabled >> i & 1) ||
			!__get_cpuid_count(13, i, &eax, &ebx, &ecx, &edx))
			continue;
		if (!eax || ebx > ARCH_XSTATE_CAPACITY ||
			eax > ARCH_XSTATE_CAPACITY - ebx)
			continue;
		layout.size[i] = eax;
		layout.offset[i] = ebx;
		layout.aligned[i] = ecx & 2;
	}
	layout.thunk_mask = layout.enabled &
		(XSTATE_X87 | XSTATE_SSE | XSTATE_AVX | XSTATE_OPMASK |
			XSTATE_ZMM_HIGH | XSTATE_ZMM_16);
}

static void know_layout(void)
{
	pthread_once(&layout_once, find_layout);
}

uint64_t xstate_thunk_mask(void)
{
	know_layout();
	return layout.thunk_mask;
}

uint64_t xstate_enabled(void)
{
	know_layout();
	return layout.enabled;
}

unsigned xstate_offset(unsigned component)
{
	know_layout();
	return layout.offset[component];
}

unsigned xstate_size(unsigned component)
{
	know_layout();
	return layout.size[component];
}

bool xstate_is_aligned(unsigned component)
{
	know_layout();
	return layout.aligned[component];
}

unsigned xstate_extent(uint64_t mask)
{
	unsigned end = XSTATE_HEADER_END;

	know_layout();
	for (unsigned i = 2; i < XSTATE_COMPONENTS_MAX; i++)
		if ((mask >> i & 1) && layout.offset[i] + layout.size[i] > end)
			end = layout.offset[i] + layout.size[i];
	return end;
}

unsigned xstate_compact_extent(uint64_t mask)
{
	unsigned end = XSTATE_HEADER_END;

	know_layout();
	for (unsigned i = 2; i < XSTATE_COMPONENTS_MAX; i++) {
		if (!(mask >> i & 1))
			continue;
		if (layout.aligned[i])
			end = (end + 63) & ~63u;
		end += layout.size[i];
	}
	return end;
}

static uint64_t load64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint32_t load32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

uint64_t xstate_bv(const struct arch_xstate *xstate)
{
	return load64(xstate->area + BV_OFFSET);
}

bool xstate_is_loadable(const struct arch_xstate *xstate)
{
	static const uint8_t zeros[56];

	know_layout();
	return xstate->size >= XSTATE_HEADER_END &&
		xstate->size <= ARCH_XSTATE_CAPACITY &&
		xstate->size >= xstate_extent(
			xstate_bv(xstate) & layout.enabled) &&
		!(xstate_bv(xstate) & ~layout.enabled) &&
		!memcmp(xstate->area + BV_OFFSET + 8, zeros, sizeof(zeros)) &&
		!(load32(xstate->area + MXCSR_OFFSET) & ~layout.mxcsr_mask);
}

static bool has(const struct arch_xstate *xstate, unsigned component)
{
	return xstate_bv(xstate) >> component & 1;
}

bool xstate_has_x87_error(const struct arch_xstate *xstate)
{
	return has(xstate, 0) && (xstate->area[FSW_OFFSET] & FSW_ES);
}

bool xstate_unmasks_x87(const struct arch_xstate *xstate)
{
	return has(xstate, 0) && (~xstate->area[0] & FCW_MASKS);
}

/* Copy a piece of a component; zeros when it is in its initial state. */
static void get_piece(const struct arch_xstate *xstate, unsigned component,
	size_t offset, void *out, size_t size)
{
	if (has(xstate, component) && layout.size[component])
		memcpy(out, xstate->area + layout.offset[component] + offset,
			size);
	else
		memset(out, 0, size);
}

/* Make a component's bytes count, with its initial contents if it had none. */
static uint8_t *open_component(struct arch_xstate *xstate, unsigned component)
{
	uint8_t *bytes = xstate->area + layout.offset[component];
	uint64_t bv = xstate_bv(xstate);

	if (!has(xstate, component)) {
		memset(bytes, 0, layout.size[component]);
		bv |= UINT64_C(1) << component;
		memcpy(xstate->area + BV_OFFSET, &bv, sizeof(bv));
	}
	return bytes;
}

void xstate_get_vector(
	const struct arch_xstate *xstate, unsigned reg, uint8_t out[64])
{
	know_layout();
	if (reg >= 16) {
		get_piece(xstate, 7, (reg - 16) * 64, out, 64);
		return;
	}
	get_piece(xstate, 1, reg * 16, out, 16);
	get_piece(xstate, 2, reg * 16, out + 16, 16);
	get_piece(xstate, 6, reg * 32, out + 32, 32);
}

static void set_piece(struct arch_xstate *xstate, unsigned component,
	size_t offset, const uint8_t *bytes, size_t size)
{
	static const uint8_t zeros[64];

	if (!layout.size[component])
		return;
	if (!has(xstate, component) && !memcmp(bytes, zeros, size))
		return;
	memcpy(open_component(xstate, component) + offset, bytes, size);
}

void xstate_set_vector(struct arch_xstate *xstate, unsigned reg,
	const uint8_t *bytes, unsigned size)
{
	uint8_t whole[64] = { 0 };

	know_layout();
	invariant(size <= sizeof(whole) && reg < 32);
	memcpy(whole, bytes, size);
	if (reg >= 16) {
		set_piece(xstate, 7, (reg - 16) * 64, whole, 64);
		return;
	}
	set_piece(xstate, 1, reg * 16, whole, 16);
	set_piece(xstate, 2, reg * 16, whole + 16, 16);
	set_piece(xstate, 6, reg * 32, whole + 32, 32);
}

uint64_t xstate_get_mask(const struct arch_xstate *xstate, unsigned reg)
{
	uint64_t value;

	know_layout();
	get_piece(xstate, 5, reg * 8, &value, sizeof(value));
	return value;
}

void xstate_set_mask(struct arch_xstate *xstate, unsigned reg, uint64_t value)
{
	uint8_t bytes[8];

	know_layout();
	memcpy(bytes, &value, sizeof(value));
	set_piece(xstate, 5, reg * 8, bytes, sizeof(bytes));
}

uint64_t xstate_get_mmx(const struct arch_xstate *xstate, unsigned reg)
{
	unsigned top = 0;
	uint64_t value;

	know_layout();
	/* The image holds st(0)..st(7); mm(i) is physical register i. */
	if (has(xstate, 0))
		top = (xstate->area[3] >> 3) & 7;
	get_piece(xstate, 0, X87_REGS_OFFSET + ((reg - top) & 7) * 16u, &value,
		sizeof(value));
	return value;
}

void xstate_mark_mxcsr(struct arch_xstate *xstate)
{
	uint64_t bv = xstate_bv(xstate) | XSTATE_SSE;

	/* xsave has written the registers, in use or not. */
	if (load32(xstate->area + MXCSR_OFFSET) != MXCSR_INIT)
		memcpy(xstate->area + BV_OFFSET, &bv, sizeof(bv));
}

void xstate_clear_top(struct arch_xstate *xstate)
{
	uint8_t *area = xstate->area, regs[8 * 16];
	unsigned top = (area[FSW_OFFSET + 1] >> 3) & 7;

	if (!has(xstate, 0))
		return;
	for (unsigned i = 0; i < 8; i++)
		memcpy(regs + ((i + top) & 7) * 16,
			area + X87_REGS_OFFSET + i * 16, 16);
	memcpy(area + X87_REGS_OFFSET, regs, sizeof(regs));
	area[FSW_OFFSET + 1] &= (uint8_t)~0x38;
}

void xstate_fill_tags(struct arch_xstate *xstate)
{
	xstate->area[FTW_OFFSET] = 0xff;
}

static bool component_differs(const struct arch_xstate *a,
	const struct arch_xstate *b, unsigned component)
{
	unsigned offset = layout.offset[component];

	return memcmp(a->area + offset, b->area + offset,
		       layout.size[component]) != 0;
}

bool xstate_differs(const struct arch_xstate *a, const struct arch_xstate *b)
{
	uint64_t bv = xstate_bv(a);

	know_layout();
	if (bv != xstate_bv(b))
		return true;
	if ((bv & XSTATE_X87) &&
		(memcmp(a->area, b->area, MXCSR_OFFSET) ||
			memcmp(a->area + X87_REGS_OFFSET,
				b->area + X87_REGS_OFFSET,
				XMM_OFFSET - X87_REGS_OFFSET)))
		return true;
	if (load32(a->area + MXCSR_OFFSET) != load32(b->area + MXCSR_OFFSET))
		return true;
	for (unsigned i = 1; i < XSTATE_COMPONENTS_MAX; i++)
		if ((bv >> i & 1) && component_differs(a, b, i))
			return true;
	return false;
}

void xstate_copy(struct arch_xstate *to, const struct arch_xstate *from)
{
	memcpy(to->area, from->area, from->size);
	to->size = from->size;
}
