/* SPDX-License-Identifier: MIT */
#include "tests/support/tiny_elf.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096

/* Offsets in the file agree with addresses modulo the page size. */
static size_t place(size_t at, uint64_t va)
{
	at = (at + PAGE - 1) & ~(size_t)(PAGE - 1);
	return at + va % PAGE;
}

void *tiny_elf_make(const struct tiny_segment *segments, unsigned count,
	uint64_t entry, size_t *out_size)
{
	size_t size = PAGE;
	Elf64_Ehdr *ehdr;
	Elf64_Phdr *phdr;
	uint8_t *file;

	for (unsigned i = 0; i < count; i++)
		size = place(size, segments[i].va) + segments[i].file_size;
	file = calloc(1, size);
	if (!file)
		abort();
	ehdr = (void *)file;
	memcpy(ehdr->e_ident, ELFMAG, SELFMAG);
	ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr->e_ident[EI_VERSION] = EV_CURRENT;
	ehdr->e_type = ET_EXEC;
	ehdr->e_machine = EM_X86_64;
	ehdr->e_version = EV_CURRENT;
	ehdr->e_entry = entry;
	ehdr->e_phoff = sizeof(*ehdr);
	ehdr->e_ehsize = sizeof(*ehdr);
	ehdr->e_phentsize = sizeof(*phdr);
	ehdr->e_phnum = (uint16_t)count;
	ehdr->e_shentsize = sizeof(Elf64_Shdr);
	phdr = (void *)(file + sizeof(*ehdr));
	size = PAGE;
	for (unsigned i = 0; i < count; i++) {
		const struct tiny_segment *s = &segments[i];

		size = place(size, s->va);
		phdr[i] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = s->flags,
			.p_offset = size,
			.p_vaddr = s->va,
			.p_paddr = s->va,
			.p_filesz = s->file_size,
			.p_memsz = s->mem_size,
			.p_align = PAGE,
		};
		if (s->file_size)
			memcpy(file + size, s->bytes, s->file_size);
		size += s->file_size;
	}
	*out_size = size;
	return file;
}
