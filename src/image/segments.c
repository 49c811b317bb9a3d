/* SPDX-License-Identifier: MIT */
/* ELF header and program headers, and every way they can lie. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "image/image_impl.h"

#define PAGE UINT64_C(4096)

static int check_ident(const struct image *image, struct error *err)
{
	const uint8_t *ident = image->bytes;

	if (image->size < SELFMAG || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return image_refuse(image, -ENOEXEC, err, "not an ELF file");
	if (image->size < EI_NIDENT)
		return image_refuse(image, -ENOEXEC, err,
			"truncated: ends inside the ELF header");
	if (ident[EI_CLASS] == ELFCLASS32)
		return image_refuse(image, -ENOEXEC, err,
			"a 32-bit program; custos runs 64-bit x86 ones");
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB ||
		ident[EI_VERSION] != EV_CURRENT)
		return image_refuse(image, -ENOEXEC, err,
			"not a 64-bit little-endian ELF file");
	if (image->size < sizeof(Elf64_Ehdr))
		return image_refuse(image, -ENOEXEC, err,
			"truncated: ends inside the ELF header");
	return 0;
}

static int check_type(
	const struct image *image, const GElf_Ehdr *header, struct error *err)
{
	if (header->e_machine != EM_X86_64)
		return image_refuse(image, -ENOEXEC, err,
			"made for another machine (ELF machine %u, not x86-64)",
			header->e_machine);
	if (header->e_type == ET_DYN)
		return image_refuse(image, -ENOEXEC, err,
			"position-independent or a shared library; link it "
			"with -static -no-pie");
	if (header->e_type == ET_REL)
		return image_refuse(image, -ENOEXEC, err,
			"an object file, not linked yet");
	if (header->e_type != ET_EXEC)
		return image_refuse(image, -ENOEXEC, err,
			"not an executable (ELF type %u)", header->e_type);
	return 0;
}

/* Both header tables inside the file? Section headers matter, too: they come
 * last, so their absence is how a cut-off file shows. */
static int check_tables(
	const struct image *image, const GElf_Ehdr *header, struct error *err)
{
	uint64_t sections = header->e_shnum ? header->e_shnum : 1;

	if (header->e_phnum && header->e_phentsize != sizeof(Elf64_Phdr))
		return image_refuse(image, -EINVAL, err,
			"program headers of %u bytes instead of %zu",
			header->e_phentsize, sizeof(Elf64_Phdr));
	if (!checked_range(header->e_phoff,
		    header->e_phnum * sizeof(Elf64_Phdr), image->size))
		return image_refuse(image, -EINVAL, err,
			"truncated: its program headers are at byte %" PRIu64
			" of %zu",
			header->e_phoff, image->size);
	if (header->e_shoff &&
		!checked_range(header->e_shoff, sections * sizeof(Elf64_Shdr),
			image->size))
		return image_refuse(image, -EINVAL, err,
			"truncated: its section headers are at byte %" PRIu64
			" of %zu",
			header->e_shoff, image->size);
	return 0;
}

static int check_segment(const struct image *image, const GElf_Phdr *header,
	struct error *err)
{
	uint64_t end;

	if (header->p_filesz > header->p_memsz)
		return image_refuse(image, -EINVAL, err,
			"the segment at 0x%" PRIx64 " has %" PRIu64
			" bytes in the file but only %" PRIu64 " in memory",
			header->p_vaddr, header->p_filesz, header->p_memsz);
	if (!checked_range(header->p_offset, header->p_filesz, image->size))
		return image_refuse(image, -EINVAL, err,
			"truncated: the segment at 0x%" PRIx64
			" is bytes %" PRIu64 "+%" PRIu64 " of %zu",
			header->p_vaddr, header->p_offset, header->p_filesz,
			image->size);
	if (!checked_add(header->p_vaddr, header->p_memsz, &end) ||
		!checked_add(end, PAGE - 1, &end) ||
		!checked_add(header->p_paddr, header->p_memsz, &end))
		return image_refuse(image, -EINVAL, err,
			"the segment at 0x%" PRIx64 " (0x%" PRIx64
			" bytes) wraps around the end of the address space",
			header->p_vaddr, header->p_memsz);
	return 0;
}

static int check_neighbours(const struct image *image,
	const struct image_segment *new, struct error *err)
{
	uint64_t first = new->address / PAGE;
	uint64_t last = (new->address + (new->mem_size - 1)) / PAGE;

	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct image_segment *old = &image->segments[i];
		uint64_t old_last =
			(old->address + (old->mem_size - 1)) / PAGE;
		bool overlap = ranges_overlap(new->address, new->mem_size,
			old->address, old->mem_size);

		if (first > old_last || old->address / PAGE > last)
			continue;
		return image_refuse(image, -EINVAL, err,
			"the segments at 0x%" PRIx64 " and 0x%" PRIx64 " %s",
			old->address, new->address,
			overlap ? "overlap" : "share a page");
	}
	return 0;
}

static int add_segment(
	struct image *image, const GElf_Phdr *header, struct error *err)
{
	struct image_segment segment = {
		.address = header->p_vaddr,
		.mem_size = header->p_memsz,
		.file_size = header->p_filesz,
		.physical = header->p_paddr,
		.flags = (header->p_flags & PF_R ? IMAGE_READ : 0) |
			(header->p_flags & PF_W ? IMAGE_WRITE : 0) |
			(header->p_flags & PF_X ? IMAGE_EXEC : 0),
	};
	int ret = check_segment(image, header, err);

	if (ret)
		return ret;
	if (segment.mem_size == 0)
		return 0;
	if (image->segment_count == IMAGE_SEGMENTS_MAX)
		return image_refuse(image, -EINVAL, err,
			"more than %d loadable segments", IMAGE_SEGMENTS_MAX);
	ret = check_neighbours(image, &segment, err);
	if (ret)
		return ret;
	segment.data = image->bytes + header->p_offset;
	image->segments[image->segment_count++] = segment;
	return 0;
}

static int add_segments(
	struct image *image, unsigned count, struct error *err)
{
	for (unsigned i = 0; i < count; i++) {
		GElf_Phdr header;
		int ret = 0;

		if (!gelf_getphdr(image->elf, (int)i, &header))
			return image_refuse(image, -EINVAL, err,
				"damaged program header %u: %s", i,
				elf_errmsg(-1));
		if (header.p_type == PT_INTERP)
			ret = image_refuse(image, -ENOEXEC, err,
				"dynamically linked; link it with -static");
		else if (header.p_type == PT_LOAD)
			ret = add_segment(image, &header, err);
		if (ret)
			return ret;
	}
	if (image->segment_count == 0)
		return image_refuse(
			image, -EINVAL, err, "has no loadable segment");
	return 0;
}

static int check_entry(const struct image *image, struct error *err)
{
	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct image_segment *segment = &image->segments[i];

		if ((segment->flags & IMAGE_EXEC) &&
			ranges_overlap(image->entry, 1, segment->address,
				segment->mem_size))
			return 0;
	}
	return image_refuse(image, -EINVAL, err,
		"its entry point 0x%" PRIx64
		" is not inside an executable segment",
		image->entry);
}

int image_load_segments(struct image *image, struct error *err)
{
	GElf_Ehdr header;
	int ret = check_ident(image, err);

	if (ret)
		return ret;
	/* libelf only reads through this pointer (ELF_C_READ inside). */
	image->elf = elf_memory((char *)image->bytes, image->size);
	if (!image->elf || !gelf_getehdr(image->elf, &header))
		return image_refuse(image, -ENOEXEC, err,
			"damaged ELF header: %s", elf_errmsg(-1));
	ret = check_type(image, &header, err);
	if (!ret)
		ret = check_tables(image, &header, err);
	if (!ret)
		ret = add_segments(image, header.e_phnum, err);
	if (ret)
		return ret;
	image->entry = header.e_entry;
	return check_entry(image, err);
}
