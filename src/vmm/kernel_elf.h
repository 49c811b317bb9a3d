/* SPDX-License-Identifier: MIT */
/* The guest kernel's ELF file, inside custos. */
#ifndef CUSTOS_VMM_KERNEL_ELF_H
#define CUSTOS_VMM_KERNEL_ELF_H

#include <stdint.h>

extern const uint8_t vmm_kernel_elf[];
extern const uint8_t vmm_kernel_elf_end[];

#endif
