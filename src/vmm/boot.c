/* SPDX-License-Identifier: MIT */
/*
 * Placement is a bump allocation from the start of RAM: what the kernel needs
 * to live first (guarded), then the programs' data, then free memory. RAM is
 * zero when we start, so only what is not zero is written. Images have been
 * checked as files; here they are checked against this machine.
 */
#include "vmm/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arch/paging.h"
#include "base/checked.h"
#include "base/invariant.h"

#define PAGE CUSTOS_ABI_PAGE
#define LARGE (UINT64_C(2) << 20)
/* Accessed and dirty are preset: a KVM that emulates the page walk then never
 * has to write our tables. */
#define PTE_SEEN (ARCH_PTE_ACCESSED | ARCH_PTE_DIRTY)

struct loader {
	struct ram *ram;
	const struct vmm_config *config;
	struct boot *boot;
	struct custos_boot_info *info;
	struct error *err;
};

static uint64_t page_down(uint64_t value)
{
	return value & ~(PAGE - 1);
}

/* len bytes of zeroed RAM on a page boundary; 0 when there is not enough. */
static uint64_t take(struct loader *l, uint64_t len)
{
	uint64_t at = l->boot->next, size;

	if (!checked_add(len, PAGE - 1, &size))
		return 0;
	size = page_down(size);
	if (!size || !vmm_gpa_range(l->ram, at, size))
		return 0;
	l->boot->next = at + size;
	return at;
}

static int too_small(struct loader *l, const char *what)
{
	return error_set(l->err, -ENOMEM,
		"%s does not fit into %" PRIu64
		" MiB of guest memory; give the guest more with --memory",
		what, l->ram->size >> 20);
}

/* ---- page tables ---- */

static uint64_t *entry_at(struct loader *l, uint64_t table, unsigned index)
{
	void *at = vmm_gpa_range(l->ram, table + index * 8, 8);

	invariant(at);
	return at;
}

/* Map one page, 4 KiB (level 1) or 2 MiB (level 2), for CPL 0. */
static int map_page(struct loader *l, uint64_t va, uint64_t gpa, int leaf_level,
	uint64_t flags)
{
	uint64_t table = l->boot->cr3, *entry;

	for (int level = 4; level > leaf_level; level--) {
		entry = entry_at(l, table, (va >> (3 + 9 * level)) & 511);
		if (!*entry) {
			uint64_t next = take(l, PAGE);

			if (!next)
				return too_small(l, "the page table");
			*entry = next | ARCH_PTE_PRESENT | ARCH_PTE_WRITE |
				ARCH_PTE_ACCESSED;
		}
		table = *entry & ARCH_PTE_ADDRESS;
	}
	entry = entry_at(l, table, (va >> (3 + 9 * leaf_level)) & 511);
	if (*entry)
		return error_set(l->err, -EINVAL,
			"kernel: two segments share the page at 0x%" PRIx64,
			va);
	*entry = gpa | flags | ARCH_PTE_PRESENT | PTE_SEEN |
		(leaf_level > 1 ? ARCH_PTE_LARGE : 0);
	return 0;
}

static int map_ram(struct loader *l)
{
	for (uint64_t at = 0; at < l->ram->size; at += LARGE) {
		uint64_t gpa = CUSTOS_RAM_BASE + at;
		int rc = map_page(l, CUSTOS_DIRECT_BASE + gpa, gpa, 2,
			ARCH_PTE_WRITE | ARCH_PTE_NX | ARCH_PTE_GLOBAL);

		if (rc)
			return rc;
	}
	return 0;
}

/* ---- segments ---- */

/* The pages a segment covers: [*va, *va + *size). False when it wraps. */
static bool segment_pages(
	const struct image_segment *s, uint64_t *va, uint64_t *size)
{
	uint64_t end;

	if (!checked_add(s->address, s->mem_size, &end) ||
		!checked_add(end, PAGE - 1, &end))
		return false;
	*va = page_down(s->address);
	*size = page_down(end) - *va;
	return *size != 0;
}

/* Copy the file's bytes of s to gpa, where the page of its start is. */
static void copy_segment(
	struct loader *l, const struct image_segment *s, uint64_t gpa)
{
	uint8_t *to = vmm_gpa_range(
		l->ram, gpa + s->address % PAGE, s->file_size);

	invariant(to);
	if (s->file_size)
		memcpy(to, s->data, s->file_size);
}

static int load_kernel_segment(struct loader *l, const struct image_segment *s)
{
	uint64_t va, size, gpa, flags = ARCH_PTE_GLOBAL;

	if (!segment_pages(s, &va, &size) || va < CUSTOS_KERNEL_BASE)
		return error_set(l->err, -EINVAL,
			"kernel: segment at 0x%" PRIx64
			" is outside the kernel's addresses (from 0x%" PRIx64
			")",
			s->address, CUSTOS_KERNEL_BASE);
	gpa = take(l, size);
	if (!gpa)
		return too_small(l, "the kernel");
	copy_segment(l, s, gpa);
	if (s->flags & IMAGE_WRITE)
		flags |= ARCH_PTE_WRITE;
	if (!(s->flags & IMAGE_EXEC))
		flags |= ARCH_PTE_NX;
	for (uint64_t at = 0; at < size; at += PAGE) {
		int rc = map_page(l, va + at, gpa + at, 1, flags);

		if (rc)
			return rc;
	}
	return 0;
}

static int load_kernel(struct loader *l)
{
	const struct image *kernel = l->config->kernel;
	int rc;

	for (unsigned i = 0; i < image_segment_count(kernel); i++) {
		rc = load_kernel_segment(l, image_segment(kernel, i));
		if (rc)
			return rc;
	}
	l->boot->entry = image_entry(kernel);
	return 0;
}

static uint32_t segment_flags(unsigned flags)
{
	return (flags & IMAGE_READ ? CUSTOS_SEGMENT_READ : 0) |
		(flags & IMAGE_WRITE ? CUSTOS_SEGMENT_WRITE : 0) |
		(flags & IMAGE_EXEC ? CUSTOS_SEGMENT_EXEC : 0);
}

static int load_module_segment(struct loader *l, const char *name,
	const struct image_segment *s, struct custos_segment *out)
{
	uint64_t va, size;

	if (!segment_pages(s, &va, &size) || va >= CUSTOS_KERNEL_BASE ||
		va + size > CUSTOS_USER_END || va < PAGE)
		return error_set(l->err, -EINVAL,
			"%s: segment at 0x%" PRIx64 " of 0x%" PRIx64
			" bytes overlaps the kernel or page 0 (programs have "
			"0x%" PRIx64 " to 0x%" PRIx64 ")",
			name, s->address, s->mem_size, PAGE, CUSTOS_USER_END);
	if (size > l->ram->size)
		return too_small(l, name);
	out->va = va;
	out->mem_size = size;
	out->flags = segment_flags(s->flags);
	if (!s->file_size)
		return 0;
	out->data_size = s->address - va + s->file_size;
	out->data = take(l, out->data_size);
	if (!out->data)
		return too_small(l, name);
	copy_segment(l, s, out->data);
	return 0;
}

static int load_module(
	struct loader *l, const struct image *image, struct custos_module *out)
{
	unsigned count = image_segment_count(image);
	int rc;

	if (count > CUSTOS_SEGMENTS_MAX)
		return error_set(l->err, -EINVAL,
			"%s: %u loadable segments; at most %d can be loaded",
			image_name(image), count, CUSTOS_SEGMENTS_MAX);
	strncpy(out->name, image_name(image), sizeof(out->name) - 1);
	out->entry = image_entry(image);
	out->segment_count = count;
	for (unsigned i = 0; i < count; i++) {
		rc = load_module_segment(l, image_name(image),
			image_segment(image, i), &out->segments[i]);
		if (rc)
			return rc;
	}
	return 0;
}

/* As if the file of module 0 had one segment more. */
static int load_data(struct loader *l, struct custos_module *module)
{
	const struct vmm_config *config = l->config;
	const struct image_segment segment = {
		.address = config->data_va,
		.mem_size = config->data_size,
		.file_size = config->data_size,
		.data = config->data,
		.flags = IMAGE_READ,
	};

	if (!config->data_size)
		return 0;
	if (module->segment_count == CUSTOS_SEGMENTS_MAX)
		return error_set(l->err, -EINVAL,
			"%s: too many segments to be given data", module->name);
	return load_module_segment(l, module->name, &segment,
		&module->segments[module->segment_count++]);
}

/* ---- boot info ---- */

static int fill_args(struct loader *l)
{
	size_t used = 0;

	for (unsigned i = 0; i < l->config->arg_count; i++) {
		size_t len = strlen(l->config->args[i]) + 1;

		if (len > sizeof(l->info->args) - used)
			return error_set(l->err, -E2BIG,
				"the program's arguments are longer than %d "
				"bytes",
				CUSTOS_ARGS_MAX);
		memcpy(l->info->args + used, l->config->args[i], len);
		used += len;
	}
	l->info->args_count = l->config->arg_count;
	return 0;
}

uint64_t vmm_boot_device_gpa(const struct vmm_config *config, unsigned index)
{
	uint64_t gpa = CUSTOS_DEVICE_BASE;

	for (unsigned i = 0; i < index; i++)
		gpa += page_down(config->devices[i].size + PAGE - 1);
	return gpa;
}

static int fill_devices(struct loader *l)
{
	const struct vmm_config *config = l->config;

	for (unsigned i = 0; i < config->device_count; i++) {
		const struct vmm_device *d = &config->devices[i];
		struct custos_device *out = &l->info->devices[i];

		/* 16 of these stay below the monitor's own slots. */
		if (!d->size || d->size > UINT64_C(1) << 30)
			return error_set(l->err, -EINVAL,
				"device %s: its size must be from 1 byte to "
				"1 GiB",
				d->name);
		if (!d->name[0] || strlen(d->name) >= sizeof(out->name))
			return error_set(l->err, -EINVAL,
				"device %s: names have 1 to %zu characters",
				d->name, sizeof(out->name) - 1);
		strcpy(out->name, d->name);
		out->gpa = vmm_boot_device_gpa(config, i);
		out->size = page_down(d->size + PAGE - 1);
	}
	l->info->device_count = config->device_count;
	return 0;
}

int vmm_boot_check(const struct vmm_config *config, struct error *err)
{
	if (config->cpus < 1 || config->cpus > CUSTOS_CPUS_MAX)
		return error_set(err, -EINVAL,
			"%u CPUs: a machine has 1 to %d", config->cpus,
			CUSTOS_CPUS_MAX);
	if (config->module_count > CUSTOS_MODULES_MAX)
		return error_set(err, -E2BIG,
			"%u programs: at most %d can be loaded",
			config->module_count, CUSTOS_MODULES_MAX);
	if (config->device_count > CUSTOS_DEVICES_MAX)
		return error_set(err, -E2BIG,
			"%u devices: a machine has at most %d",
			config->device_count, CUSTOS_DEVICES_MAX);
	return 0;
}

static int place_tables(struct loader *l)
{
	static const uint64_t gdt[] = {
		0,
		UINT64_C(0x00af9b000000ffff), /* 0x08: 64-bit code, CPL 0 */
		UINT64_C(0x00cf93000000ffff), /* 0x10: data */
	};
	uint64_t map;

	l->boot->cr3 = take(l, PAGE);
	l->boot->gdt = take(l, PAGE);
	l->boot->info = take(l, sizeof(struct custos_boot_info));
	map = take(l, l->ram->size / PAGE / 8);
	if (!l->boot->cr3 || !l->boot->gdt || !l->boot->info || !map)
		return too_small(l, "the boot information");
	memcpy(vmm_gpa_range(l->ram, l->boot->gdt, sizeof(gdt)), gdt,
		sizeof(gdt));
	l->info = (void *)vmm_gpa_range(
		l->ram, l->boot->info, sizeof(*l->info));
	l->info->flags =
		(l->config->virtual_time ? CUSTOS_BOOT_VIRTUAL_TIME : 0) |
		(l->config->no_table_sharing ? CUSTOS_BOOT_NO_SHARING : 0) |
		(l->config->ordered ? CUSTOS_BOOT_ORDERED : 0) |
		(l->config->repeated ? CUSTOS_BOOT_REPEATED : 0);
	l->info->kept_map = map;
	l->ram->kept_map = (void *)vmm_gpa_range(
		l->ram, map, l->ram->size / PAGE / 8);
	return map_ram(l);
}

static int place_all(struct loader *l)
{
	int rc;

	if ((rc = place_tables(l)) || (rc = load_kernel(l)) ||
		(rc = fill_args(l)) || (rc = fill_devices(l)))
		return rc;
	l->boot->guarded = l->boot->next;
	for (unsigned i = 0; i < l->config->module_count; i++) {
		rc = load_module(l, l->config->modules[i],
			&l->info->modules[i]);
		if (!rc && i == 0)
			rc = load_data(l, &l->info->modules[0]);
		if (rc)
			return rc;
	}
	l->info->module_count = l->config->module_count;
	return 0;
}

int vmm_boot_load(struct ram *ram, const struct vmm_config *config,
	const struct boot_machine *machine, struct boot *out, struct error *err)
{
	struct loader l = { ram, config, out, NULL, err };
	int rc;

	memset(out, 0, sizeof(*out));
	out->next = CUSTOS_RAM_BASE;
	if ((rc = vmm_boot_check(config, err)) || (rc = place_all(&l)))
		return rc;
	if (!vmm_gpa_range(ram, out->next, PAGE))
		return too_small(&l, "what the kernel needs to start");
	l.info->magic = CUSTOS_ABI_MAGIC;
	l.info->abi_version = CUSTOS_ABI_VERSION;
	l.info->cpu_count = config->cpus;
	l.info->xsave_size = machine->xsave_size;
	l.info->xcr0 = machine->xcr0;
	l.info->ram_base = CUSTOS_RAM_BASE;
	l.info->ram_size = ram->size;
	l.info->free_base = out->next;
	l.info->free_size = CUSTOS_RAM_BASE + ram->size - out->next;
	return 0;
}
