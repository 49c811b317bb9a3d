/* SPDX-License-Identifier: MIT */
/* The smallest ELF executables, made in memory for tests. */
#ifndef CUSTOS_TESTS_TINY_ELF_H
#define CUSTOS_TESTS_TINY_ELF_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct tiny_segment {
	uint64_t va;
	const void *bytes;
	uint64_t file_size;
	uint64_t mem_size;
	uint32_t flags; /* PF_R | PF_W | PF_X */
};

/* malloc()ed; *out_size bytes. Never NULL. */
void *tiny_elf_make(const struct tiny_segment *segments, unsigned count,
	uint64_t entry, size_t *out_size);

#endif
