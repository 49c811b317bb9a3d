/* SPDX-License-Identifier: MIT */
/* A small valid ELF executable in memory, for tests to spoil. */
#ifndef CUSTOS_TESTS_UNIT_IMAGE_ELF_BUILDER_H
#define CUSTOS_TESTS_UNIT_IMAGE_ELF_BUILDER_H

#include <elf.h>
#include <stddef.h>
#include <string.h>

#define TEXT_VA UINT64_C(0x401000)
#define DATA_VA UINT64_C(0x403000)

struct elf_file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[10]; /* two used */
	uint8_t text[64];
	uint8_t data[32];
	Elf64_Sym symbols[16];
	char strings[256];
	Elf64_Shdr sections[5]; /* null, text, data, symtab, strtab */
};

struct elf_symbol {
	const char *name;
	uint8_t info;
	uint16_t section;
	uint64_t value, size;
};

#define ELF_OFFSET(member) offsetof(struct elf_file, member)

static inline void elf_file_set_symbols(struct elf_file *file,
	const struct elf_symbol *symbols, size_t count)
{
	size_t used = 1;

	memset(file->symbols, 0, sizeof(file->symbols));
	memset(file->strings, 0, sizeof(file->strings));
	for (size_t i = 0; i < count; i++) {
		file->symbols[i + 1] = (Elf64_Sym){
			.st_name = (uint32_t)used,
			.st_info = symbols[i].info,
			.st_shndx = symbols[i].section,
			.st_value = symbols[i].value,
			.st_size = symbols[i].size,
		};
		strcpy(file->strings + used, symbols[i].name);
		used += strlen(symbols[i].name) + 1;
	}
}

static inline void elf_file_set_headers(struct elf_file *file)
{
	memcpy(file->header.e_ident, ELFMAG, SELFMAG);
	file->header.e_ident[EI_CLASS] = ELFCLASS64;
	file->header.e_ident[EI_DATA] = ELFDATA2LSB;
	file->header.e_ident[EI_VERSION] = EV_CURRENT;
	file->header.e_type = ET_EXEC;
	file->header.e_machine = EM_X86_64;
	file->header.e_version = EV_CURRENT;
	file->header.e_entry = TEXT_VA;
	file->header.e_phoff = ELF_OFFSET(segments);
	file->header.e_shoff = ELF_OFFSET(sections);
	file->header.e_ehsize = sizeof(Elf64_Ehdr);
	file->header.e_phentsize = sizeof(Elf64_Phdr);
	file->header.e_phnum = 2;
	file->header.e_shentsize = sizeof(Elf64_Shdr);
	file->header.e_shnum = 5;
}

static inline void elf_file_init(struct elf_file *file)
{
	memset(file, 0, sizeof(*file));
	elf_file_set_headers(file);
	file->segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = ELF_OFFSET(text),
		.p_vaddr = TEXT_VA,
		.p_paddr = TEXT_VA,
		.p_filesz = sizeof(file->text),
		.p_memsz = sizeof(file->text) };
	file->segments[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_flags = PF_R | PF_W,
		.p_offset = ELF_OFFSET(data),
		.p_vaddr = DATA_VA,
		.p_paddr = DATA_VA,
		.p_filesz = sizeof(file->data),
		.p_memsz = 0x1000 };
	file->sections[1] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
		.sh_flags = SHF_ALLOC | SHF_EXECINSTR,
		.sh_addr = TEXT_VA,
		.sh_offset = ELF_OFFSET(text),
		.sh_size = sizeof(file->text) };
	file->sections[2] = (Elf64_Shdr){ .sh_type = SHT_NOBITS,
		.sh_flags = SHF_ALLOC | SHF_WRITE,
		.sh_addr = DATA_VA,
		.sh_size = 0x1000 };
	file->sections[3] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB,
		.sh_offset = ELF_OFFSET(symbols),
		.sh_size = sizeof(file->symbols),
		.sh_link = 4,
		.sh_entsize = sizeof(Elf64_Sym) };
	file->sections[4] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
		.sh_offset = ELF_OFFSET(strings),
		.sh_size = sizeof(file->strings) };
}

#endif
