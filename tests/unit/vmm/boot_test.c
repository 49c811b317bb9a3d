/* SPDX-License-Identifier: MIT */
#include "vmm/boot.h"

#include <errno.h>
#include <string.h>

#include "arch/paging.h"
#include "tests/support/tests.h"
#include "tests/support/tiny_elf.h"

#define MIB (UINT64_C(1) << 20)
#define KERNEL CUSTOS_KERNEL_BASE

static const uint8_t bytes[8192] = { 0xf4, 1, 2, 3 };

/* A machine's files and what came of loading them. */
struct load {
	struct ram ram;
	struct boot boot;
	struct vmm_config config;
	void *files[2];
	struct image *images[2];
	const struct image *modules[CUSTOS_MODULES_MAX + 1];
	struct error err;
};

static struct image *open_tiny(struct load *l, unsigned i,
	const struct tiny_segment *segments, unsigned count)
{
	size_t size;

	l->files[i] = tiny_elf_make(segments, count, segments[0].va, &size);
	if (image_open_memory(i ? "program" : "kernel", l->files[i], size,
		    &l->images[i], &l->err))
		fail_msg("%s", l->err.text);
	return l->images[i];
}

static const struct tiny_segment good_kernel[] = {
	{ KERNEL, bytes, 4096, 4096, PF_R | PF_X },
	{ KERNEL + 0x1000, bytes, 4000, 0x3000, PF_R | PF_W },
};
static const struct tiny_segment good_program[] = {
	{ 0x400000, bytes, 5000, 5000, PF_R | PF_X },
	{ 0x403010, bytes, 16, 0x2000, PF_R | PF_W },
	{ 0x500000, bytes, 0, 0x1000, PF_R | PF_W },
};

static void start(struct load *l, uint64_t memory,
	const struct tiny_segment *kernel, unsigned kernel_count,
	const struct tiny_segment *program, unsigned program_count)
{
	memset(l, 0, sizeof(*l));
	assert_int_equal(vmm_ram_init(&l->ram, memory, &l->err), 0);
	l->config = VMM_CONFIG_INIT;
	l->config.kernel = open_tiny(l, 0, kernel, kernel_count);
	l->modules[0] = open_tiny(l, 1, program, program_count);
	l->config.modules = l->modules;
	l->config.module_count = 1;
}

static int load(struct load *l)
{
	const struct boot_machine machine = { .xcr0 = 7, .xsave_size = 832 };

	return vmm_boot_load(
		&l->ram, &l->config, &machine, &l->boot, &l->err);
}

static void finish(struct load *l)
{
	for (int i = 0; i < 2; i++) {
		image_close(l->images[i]);
		free(l->files[i]);
	}
	vmm_ram_fini(&l->ram);
}

static struct custos_boot_info *info_of(struct load *l)
{
	return (void *)vmm_gpa_range(
		&l->ram, l->boot.info, sizeof(struct custos_boot_info));
}

static bool translate(struct load *l, uint64_t va, struct paging_path *path)
{
	return paging_walk(
		l->boot.cr3, va, vmm_ram_read_word, &l->ram, path);
}

static void kernel_and_ram_are_mapped_with_their_rights(void **state)
{
	struct paging_path path;
	struct load l;

	(void)state;
	start(&l, 4 * MIB, good_kernel, 2, good_program, 3);
	assert_int_equal(load(&l), 0);
	assert_int_equal(l.boot.entry, KERNEL);
	assert_true(translate(&l, KERNEL + 3, &path));
	assert_true(path.executable && !path.writable && !path.user);
	assert_int_equal(*vmm_gpa_range(&l.ram, path.gpa, 1), 3);
	assert_true(translate(&l, KERNEL + 0x3fff, &path));
	assert_true(!path.executable && path.writable && !path.user);
	assert_false(translate(&l, KERNEL + 0x4000, &path));
	/* All of RAM, and nothing behind it. */
	assert_true(translate(
		&l, CUSTOS_DIRECT_BASE + CUSTOS_RAM_BASE, &path));
	assert_int_equal(path.gpa, CUSTOS_RAM_BASE);
	assert_true(path.writable && !path.executable && !path.user);
	assert_true(translate(&l,
		CUSTOS_DIRECT_BASE + CUSTOS_RAM_BASE + 4 * MIB - 1, &path));
	assert_false(translate(
		&l, CUSTOS_DIRECT_BASE + CUSTOS_RAM_BASE + 4 * MIB, &path));
	/* The lower half is the programs'. */
	assert_false(translate(&l, 0x400000, &path));
	finish(&l);
}

static void boot_info_describes_programs_devices_and_arguments(void **state)
{
	static const struct vmm_device devices[] = { { "uart", 1 },
		{ "disk", 5000 } };
	static const char *const args[] = { "prog", "", "two words" };
	const struct custos_module *module;
	const struct custos_boot_info *info;
	struct load l;

	(void)state;
	start(&l, 4 * MIB, good_kernel, 2, good_program, 3);
	l.config.cpus = 3;
	l.config.devices = devices;
	l.config.device_count = 2;
	l.config.args = args;
	l.config.arg_count = 3;
	assert_int_equal(load(&l), 0);
	info = info_of(&l);
	assert_int_equal(info->magic, CUSTOS_ABI_MAGIC);
	assert_int_equal(info->abi_version, CUSTOS_ABI_VERSION);
	assert_int_equal(info->cpu_count, 3);
	assert_int_equal(info->xsave_size, 832);
	assert_memory_equal(info->args, "prog\0\0two words", 16);
	assert_int_equal(info->devices[1].gpa, CUSTOS_DEVICE_BASE + 4096);
	assert_int_equal(info->devices[1].size, 8192);
	module = &info->modules[0];
	assert_string_equal(module->name, "program");
	assert_int_equal(module->segment_count, 3);
	assert_int_equal(module->segments[0].mem_size, 0x2000);
	assert_int_equal(module->segments[0].data_size, 5000);
	/* Not on a page boundary: the bytes before are zero. */
	assert_int_equal(module->segments[1].va, 0x403000);
	assert_int_equal(module->segments[1].mem_size, 0x3000);
	assert_int_equal(module->segments[1].data_size, 32);
	assert_memory_equal(
		vmm_gpa_range(&l.ram, module->segments[1].data, 20),
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xf4\1\2\3", 20);
	assert_int_equal(module->segments[2].data_size, 0);
	/* Free memory begins behind everything. */
	assert_true(info->free_base >= module->segments[1].data + 4096);
	assert_true(l.boot.guarded <= module->segments[0].data);
	assert_int_equal(info->free_base + info->free_size,
		CUSTOS_RAM_BASE + l.ram.size);
	finish(&l);
}

static void programs_outside_user_memory_are_refused(void **state)
{
	static const struct tiny_segment bad[] = {
		/* page 0 */
		{ 0x800, bytes, 16, 16, PF_R | PF_X },
		/* the kernel's half */
		{ KERNEL, bytes, 16, 16, PF_R | PF_X },
		{ CUSTOS_DIRECT_BASE, bytes, 16, 16, PF_R | PF_X },
		/* across the end, at the end */
		{ CUSTOS_USER_END - 4096, bytes, 16, 8192, PF_R | PF_X },
		{ CUSTOS_USER_END, bytes, 16, 16, PF_R | PF_X },
		/* larger than the half */
		{ 0x400000, bytes, 16, UINT64_C(1) << 48, PF_R | PF_X },
	};
	struct load l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(&l, 4 * MIB, good_kernel, 2, &bad[i], 1);
		assert_int_equal(load(&l), -EINVAL);
		assert_non_null(strstr(l.err.text, "program: segment at"));
		finish(&l);
	}
}

static void programs_larger_than_memory_are_refused(void **state)
{
	static const struct tiny_segment huge = { 0x400000, bytes, 16,
		64 * MIB, PF_R | PF_X };
	struct load l;

	(void)state;
	start(&l, 4 * MIB, good_kernel, 2, &huge, 1);
	assert_int_equal(load(&l), -ENOMEM);
	assert_non_null(strstr(l.err.text, "--memory"));
	finish(&l);
}

static void kernels_outside_their_addresses_are_refused(void **state)
{
	static const struct tiny_segment low = { 0x400000, bytes, 16, 16,
		PF_R | PF_X };
	static const struct tiny_segment huge = { KERNEL, bytes, 16, 64 * MIB,
		PF_R | PF_X };
	struct load l;

	(void)state;
	start(&l, 4 * MIB, &low, 1, good_program, 3);
	assert_int_equal(load(&l), -EINVAL);
	finish(&l);
	start(&l, 4 * MIB, &huge, 1, good_program, 3);
	assert_int_equal(load(&l), -ENOMEM);
	finish(&l);
}

static void counts_out_of_range_are_refused(void **state)
{
	static const struct vmm_device zero = { "zero", 0 };
	static const struct vmm_device large = { "large", UINT64_MAX };
	static const struct vmm_device unnamed = { "", 4096 };
	static char long_arg[CUSTOS_ARGS_MAX + 1];
	const char *args[] = { "p", long_arg };
	struct load l;

	(void)state;
	memset(long_arg, 'a', sizeof(long_arg) - 1);
	start(&l, 4 * MIB, good_kernel, 2, good_program, 3);
	l.config.cpus = 0;
	assert_int_equal(load(&l), -EINVAL);
	l.config.cpus = CUSTOS_CPUS_MAX + 1;
	assert_int_equal(load(&l), -EINVAL);
	l.config.cpus = CUSTOS_CPUS_MAX;
	l.config.module_count = CUSTOS_MODULES_MAX + 1;
	assert_int_equal(load(&l), -E2BIG);
	l.config.module_count = 1;
	l.config.device_count = CUSTOS_DEVICES_MAX + 1;
	assert_int_equal(load(&l), -E2BIG);
	l.config.device_count = 0;
	finish(&l);

	start(&l, 4 * MIB, good_kernel, 2, good_program, 3);
	l.config.args = args;
	l.config.arg_count = 2;
	assert_int_equal(load(&l), -E2BIG);
	finish(&l);

	for (int i = 0; i < 3; i++) {
		start(&l, 4 * MIB, good_kernel, 2, good_program, 3);
		l.config.devices = i == 0 ? &zero : i == 1 ? &large : &unnamed;
		l.config.device_count = 1;
		assert_int_equal(load(&l), -EINVAL);
		finish(&l);
	}
}

/* Whatever the segments: an error, or everything inside RAM and apart. */
static void random_programs_never_leave_ram(void **state)
{
	uint64_t seed = 1;
	struct load l;

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct tiny_segment s = { .bytes = bytes,
			.flags = PF_R | PF_X };
		const struct custos_segment *out;

		seed = seed * UINT64_C(6364136223846793005) +
			UINT64_C(1442695040888963407);
		s.va = seed >> (seed >> 58);
		s.file_size = seed >> 20 & 0xfff;
		s.mem_size = s.file_size + 1 + (seed >> 32 & 0xfffff);
		if (s.va + s.mem_size < s.va)
			continue;
		start(&l, 2 * MIB, good_kernel, 2, &s, 1);
		if (!load(&l)) {
			out = &info_of(&l)->modules[0].segments[0];
			assert_true(out->va <= s.va);
			assert_true(out->va + out->mem_size >=
				s.va + s.mem_size);
			assert_true(
				out->va + out->mem_size <= CUSTOS_USER_END);
			assert_true(!out->data_size ||
				vmm_gpa_range(&l.ram, out->data,
					out->data_size));
			assert_true(!out->data_size ||
				out->data + out->data_size <=
					info_of(&l)->free_base);
		}
		finish(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_and_ram_are_mapped_with_their_rights),
		cmocka_unit_test(
			boot_info_describes_programs_devices_and_arguments),
		cmocka_unit_test(programs_outside_user_memory_are_refused),
		cmocka_unit_test(programs_larger_than_memory_are_refused),
		cmocka_unit_test(kernels_outside_their_addresses_are_refused),
		cmocka_unit_test(counts_out_of_range_are_refused),
		cmocka_unit_test(random_programs_never_leave_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
