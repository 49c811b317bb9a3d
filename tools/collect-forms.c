/* SPDX-License-Identifier: MIT */
/*
 * Collects examples of instructions with memory operands from the executable
 * sections of ELF files: one per form and addressing shape, most frequent
 * first, as tests/decode/binaries.txt has them. Sections are swept linearly;
 * what data among code looks like is kept out by asking for several
 * occurrences.
 *
 * Usage: collect-forms [-n MINIMUM] [-m MAXIMUM-LINES] FILE...
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/decode/forms.h"

#define TABLE_SIZE (1u << 17)

struct example {
	uint64_t key; /* 0: free */
	uint64_t count;
	uint8_t bytes[ARCH_INSN_MAX];
	uint8_t length;
};

static struct example *table;
static unsigned used;
static unsigned long files, instructions;

static void count(uint64_t key, const uint8_t *bytes, uint8_t length)
{
	unsigned i = (unsigned)(key % TABLE_SIZE);

	while (table[i].key && table[i].key != key)
		i = (i + 1) % TABLE_SIZE;
	table[i].count++;
	if (table[i].key || used > TABLE_SIZE / 2)
		return;
	used++;
	table[i].key = key;
	memcpy(table[i].bytes, bytes, length);
	table[i].length = length;
}

static void sweep(const uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		size_t rest = size - at;
		uint64_t key;
		unsigned length = form_key(bytes + at,
			rest < ARCH_INSN_MAX ? rest : ARCH_INSN_MAX, &key);

		if (length && key)
			count(key, bytes + at, (uint8_t)length);
		instructions++;
		at += length ? length : 1;
	}
}

static void read_sections(const uint8_t *file, size_t size)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *section;

	if (size < sizeof(*header) || memcmp(file, ELFMAG, SELFMAG) ||
		file[EI_CLASS] != ELFCLASS64 ||
		header->e_machine != EM_X86_64 || header->e_shoff > size ||
		header->e_shoff % 8 ||
		(size - header->e_shoff) / sizeof(*section) < header->e_shnum)
		return;
	files++;
	section = (const Elf64_Shdr *)(file + header->e_shoff);
	for (unsigned i = 0; i < header->e_shnum; i++, section++)
		if ((section->sh_flags & SHF_EXECINSTR) &&
			section->sh_type == SHT_PROGBITS &&
			section->sh_offset <= size &&
			section->sh_size <= size - section->sh_offset)
			sweep(file + section->sh_offset, section->sh_size);
}

static void read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *file;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size) {
		file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE,
			fd, 0);
		if (file != MAP_FAILED) {
			read_sections(file, (size_t)st.st_size);
			munmap(file, (size_t)st.st_size);
		}
	}
	close(fd);
}

static int more_frequent(const void *a, const void *b)
{
	uint64_t x = ((const struct example *)a)->count;
	uint64_t y = ((const struct example *)b)->count;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void print_all(uint64_t minimum, unsigned long maximum)
{
	struct insn insn;
	char text[128];

	qsort(table, TABLE_SIZE, sizeof(*table), more_frequent);
	printf("# Instructions with memory operands, one per form and "
	       "addressing shape, from %lu files\n"
	       "# with %lu instructions, most frequent first. Made by "
	       "tools/collect-forms.\n",
		files, instructions);
	for (unsigned i = 0; i < TABLE_SIZE && table[i].count >= minimum &&
		i < maximum;
		i++) {
		if (decode_insn(table[i].bytes, table[i].length, &insn))
			continue;
		decode_text(&insn, 0, text, sizeof(text));
		for (unsigned b = 0; b < table[i].length; b++)
			printf("%02x", table[i].bytes[b]);
		printf(" # %s\n", text);
	}
}

int main(int argc, char **argv)
{
	uint64_t minimum = 3;
	unsigned long maximum = 6000;
	int option;

	while ((option = getopt(argc, argv, "n:m:")) != -1)
		switch (option) {
		case 'n':
			minimum = strtoull(optarg, NULL, 10);
			break;
		case 'm':
			maximum = strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	table = calloc(TABLE_SIZE, sizeof(*table));
	if (!table)
		return 1;
	for (int i = optind; i < argc; i++)
		read_file(argv[i]);
	print_all(minimum, maximum);
	free(table);
	return fflush(stdout) ? 1 : 0;
}
