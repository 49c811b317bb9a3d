/* SPDX-License-Identifier: MIT */
/*
 * What the guest finds in its RAM when it starts: its kernel, page tables,
 * a GDT, the boot info and the programs. Needs no KVM.
 */
#ifndef CUSTOS_VMM_BOOT_H
#define CUSTOS_VMM_BOOT_H

#include <stdint.h>

#include "abi/custos_abi.h"
#include "base/error.h"
#include "vmm/ram.h"
#include "vmm/vmm.h"

/* Facts about the machine that boot info passes on. */
struct boot_machine {
	uint64_t xcr0;
	uint32_t xsave_size;
};

struct boot {
	uint64_t next; /* first gpa not given out yet */
	uint64_t cr3; /* page tables: kernel image and all RAM */
	uint64_t gdt; /* gpa; 3 entries */
	uint64_t info; /* gpa of struct custos_boot_info */
	uint64_t entry; /* virtual */
	/* [RAM base, guarded): what the monitor put there for the kernel;
	 * never closed. Program data follows it. */
	uint64_t guarded;
};

/* Are the counts in config within bounds? What costs nothing to find out. */
int vmm_boot_check(const struct vmm_config *config, struct error *err);

/*
 * Fill ram. The result depends on config->kernel (not NULL), modules, devices
 * and args only, all of which are checked here; see vmm_create() for what is
 * refused.
 */
int vmm_boot_load(struct ram *ram, const struct vmm_config *config,
	const struct boot_machine *machine, struct boot *out,
	struct error *err);

/* Where device index starts; devices lie one behind the other. */
uint64_t vmm_boot_device_gpa(const struct vmm_config *config, unsigned index);

#endif
