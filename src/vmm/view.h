/* SPDX-License-Identifier: MIT */
/*
 * Private views: page tables for one vCPU alone, the guest's own but for a few
 * pages, which lead to the alias slot (always open), and for a window in the
 * kernel's half with an interrupt table of the monitor's, whose 256 gates end
 * in an `out'. The frames lie in a slot of the monitor's.
 *
 * A KVM that shadows page tables does not see the monitor write them. So
 * frames are written before their first use and never again: a view that no
 * longer agrees with the guest's tables is replaced by one from fresh frames,
 * and when the pool is used up, its slot is taken away and put back, which
 * makes KVM forget all of it.
 */
#ifndef CUSTOS_VMM_VIEW_H
#define CUSTOS_VMM_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "target/target.h"

struct vcpu;
struct view_pool;

#define VIEW_PAGES_MAX 16
#define VIEW_PORT 0x98 /* of the gates' out */

struct view {
	space_t space;
	uint64_t pages[VIEW_PAGES_MAX]; /* page addresses, ascending */
	unsigned page_count;
	unsigned first_frame, frame_count; /* in the pool; 0: free */
	uint64_t root; /* for CR3 */
	uint64_t window; /* va: the interrupt table, then the gates' code */
};

/*
 * The view of the vCPU's present address space with the pages that hold the
 * addresses open_va open. selector: the guest kernel's code segment. Valid
 * until the next call. -E2BIG: too many pages.
 */
int vmm_view_get(struct vcpu *vcpu, const uint64_t *open_va, size_t count,
	uint16_t selector, const struct view **out, struct error *err);

/* The vector whose gate's code holds rip; -1: none. */
int vmm_view_vector(const struct view *view, uint64_t rip);

void vmm_view_fini(struct vcpu *vcpu);

#endif
