/* SPDX-License-Identifier: MIT */
/* The symbol table: sorted once by address and by name, then only searched. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "image/image_impl.h"

/* Ranks: what people mean when several symbols share a name or an address. */
#define RANK_GLOBAL 4
#define RANK_TYPED 2
#define RANK_SIZED 1

static Elf_Scn *find_table(Elf *elf, GElf_Shdr *header)
{
	Elf_Scn *section = NULL, *dynamic = NULL;
	GElf_Shdr candidate;

	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &candidate))
			continue;
		if (candidate.sh_type == SHT_SYMTAB) {
			*header = candidate;
			return section;
		}
		if (candidate.sh_type == SHT_DYNSYM) {
			*header = candidate;
			dynamic = section;
		}
	}
	return dynamic;
}

/* Only names of places in memory are of use here. */
static bool is_place(const GElf_Sym *symbol)
{
	unsigned type = GELF_ST_TYPE(symbol->st_info);

	return (type == STT_NOTYPE || type == STT_OBJECT ||
		       type == STT_FUNC || type == STT_GNU_IFUNC) &&
		symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS &&
		symbol->st_shndx != SHN_COMMON;
}

static uint64_t section_end(Elf *elf, unsigned index)
{
	GElf_Shdr header;
	uint64_t end;

	if (!gelf_getshdr(elf_getscn(elf, index), &header) ||
		!checked_add(header.sh_addr, header.sh_size, &end))
		return 0;
	return end;
}

static bool make_symbol(Elf *elf, const GElf_Shdr *table,
	const GElf_Sym *entry, struct symbol *out)
{
	unsigned type = GELF_ST_TYPE(entry->st_info);
	uint64_t end;

	if (!is_place(entry))
		return false;
	out->shown.name = elf_strptr(elf, table->sh_link, entry->st_name);
	if (!out->shown.name || !*out->shown.name)
		return false;
	out->shown.address = entry->st_value;
	out->shown.size = entry->st_size;
	if (!checked_add(entry->st_value, entry->st_size, &end))
		out->shown.size = 0; /* a size that wraps is no size */
	out->shown.function = type == STT_FUNC || type == STT_GNU_IFUNC;
	out->section_end = section_end(elf, entry->st_shndx);
	out->rank = (uint8_t)((GELF_ST_BIND(entry->st_info) != STB_LOCAL
						? RANK_GLOBAL
						: 0) |
		(type != STT_NOTYPE ? RANK_TYPED : 0) |
		(out->shown.size ? RANK_SIZED : 0));
	return true;
}

static int compare_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->shown.address != y->shown.address)
		return x->shown.address < y->shown.address ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->shown.name, y->shown.name);
}

static int compare_name(const void *a, const void *b, void *table)
{
	const struct symbol *symbols = table;
	const struct symbol *x = &symbols[*(const uint32_t *)a];
	const struct symbol *y = &symbols[*(const uint32_t *)b];
	int order = strcmp(x->shown.name, y->shown.name);

	if (order)
		return order;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return x < y ? -1 : x > y;
}

static uint64_t symbol_end(const struct symbol *symbol)
{
	return symbol->shown.address + symbol->shown.size;
}

static void index_symbols(struct symbol_table *table)
{
	struct symbol *symbols = table->by_address;

	qsort(symbols, table->count, sizeof(*symbols), compare_address);
	for (uint32_t i = 0; i < table->count; i++) {
		uint32_t best = i ? table->reach[i - 1] : 0;

		table->by_name[i] = i;
		table->reach[i] =
			symbol_end(&symbols[i]) >= symbol_end(&symbols[best])
			? i
			: best;
	}
	qsort_r(table->by_name, table->count, sizeof(*table->by_name),
		compare_name, symbols);
}

int image_load_symbols(struct image *image, struct error *err)
{
	struct symbol_table *table = &image->symbols;
	GElf_Shdr header;
	Elf_Scn *section = find_table(image->elf, &header);
	Elf_Data *data;
	size_t count;

	if (!section)
		return 0;
	if (!checked_range(header.sh_offset, header.sh_size, image->size))
		return image_refuse(image, -EINVAL, err,
			"truncated: its symbol table is beyond its end");
	data = elf_getdata(section, NULL);
	count = data ? data->d_size / sizeof(Elf64_Sym) : 0;
	if (!count || count > INT32_MAX)
		return 0;
	table->by_address = calloc(count, sizeof(*table->by_address));
	table->by_name = calloc(count, sizeof(*table->by_name));
	table->reach = calloc(count, sizeof(*table->reach));
	if (!table->by_address || !table->by_name || !table->reach)
		return image_refuse(image, -ENOMEM, err, "out of memory");
	for (size_t i = 0; i < count; i++) {
		GElf_Sym entry;

		if (gelf_getsym(data, (int)i, &entry) &&
			make_symbol(image->elf, &header, &entry,
				&table->by_address[table->count]))
			table->count++;
	}
	index_symbols(table);
	return 0;
}

void image_free_symbols(struct image *image)
{
	free(image->symbols.by_address);
	free(image->symbols.by_name);
	free(image->symbols.reach);
}

bool image_find_symbol(const struct image *image, const char *name,
	struct image_symbol *out)
{
	const struct symbol_table *table = &image->symbols;
	size_t low = 0, high = table->count;
	const struct symbol *found;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		found = &table->by_address[table->by_name[middle]];
		if (strcmp(found->shown.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == table->count)
		return false;
	found = &table->by_address[table->by_name[low]];
	if (strcmp(found->shown.name, name) != 0)
		return false;
	*out = found->shown;
	return true;
}

/* How many symbols begin at or below address. */
static size_t count_up_to(const struct symbol_table *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->by_address[middle].shown.address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool covers(const struct symbol *symbol, uint64_t address)
{
	return address >= symbol->shown.address &&
		address < symbol_end(symbol);
}

bool image_symbol_at(const struct image *image, uint64_t address,
	struct image_symbol *out)
{
	const struct symbol_table *table = &image->symbols;
	size_t count = count_up_to(table, address);
	const struct symbol *nearest, *longest;

	if (count == 0)
		return false;
	nearest = &table->by_address[count - 1];
	longest = &table->by_address[table->reach[count - 1]];
	if (covers(nearest, address))
		*out = nearest->shown;
	else if (covers(longest, address))
		*out = longest->shown; /* nearest is a label or a piece in it */
	else if (nearest->shown.size == 0 && address < nearest->section_end &&
		!covers(longest, nearest->shown.address))
		*out = nearest->shown;
	else
		return false;
	return true;
}
