/* SPDX-License-Identifier: MIT */
/*
 * XSAVE and XRSTOR in the standard format, between an area in memory and a
 * state (SDM vol. 1, 13.7 and 13.8). Pure.
 */
#ifndef CUSTOS_VMM_XSAVE_H
#define CUSTOS_VMM_XSAVE_H

#include <stdbool.h>
#include <stdint.h>

#include <custos/arch.h>

#define XSAVE_COMPONENTS 63

/* Where each component is, from CPUID leaf 0xd; size 0: not there. The first
 * two (x87, SSE) share the legacy area and are not listed. */
struct xsave_layout {
	struct {
		uint32_t offset, size;
	} component[XSAVE_COMPONENTS];
};

/* Into memory, what XSAVE with this mask would write for state. False when
 * the areas are too small for the layout. */
bool vmm_xsave_merge(const struct xsave_layout *layout, uint64_t mask,
	const struct arch_xstate *state, struct arch_xstate *memory);

/* Into state, what XRSTOR with this mask would load from memory. False when
 * the CPU would refuse memory's header or MXCSR. */
bool vmm_xrstor_merge(const struct xsave_layout *layout, uint64_t mask,
	const struct arch_xstate *memory, struct arch_xstate *state);

#endif
