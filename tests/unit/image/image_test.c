/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tests.h"
#include "tests/unit/image/elf_builder.h"

static void opens_a_small_executable(void **state)
{
	struct elf_file file;
	struct image *image;
	struct error err = { 0 };

	(void)state;
	elf_file_init(&file);
	file.text[3] = 0x90;
	assert_int_equal(image_open_memory(
				 "t.elf", &file, sizeof(file), &image, &err),
		0);
	assert_string_equal(image_name(image), "t.elf");
	assert_int_equal(image_entry(image), TEXT_VA);
	assert_int_equal(image_segment_count(image), 2);
	assert_int_equal(image_segment(image, 0)->address, TEXT_VA);
	assert_int_equal(
		image_segment(image, 0)->flags, IMAGE_READ | IMAGE_EXEC);
	assert_int_equal(image_segment(image, 0)->data[3], 0x90);
	assert_int_equal(image_segment(image, 1)->mem_size, 0x1000);
	assert_int_equal(image_segment(image, 1)->file_size, 32);
	assert_int_equal(image_segment(image, 1)->physical, DATA_VA);
	assert_null(image_segment(image, 2));
	image_close(image);
}

/* How one number in a good file is spoiled, and what is said about it. */
struct lie {
	size_t offset, size;
	uint64_t value;
	int code;
	const char *says;
};

#define H(field) ELF_OFFSET(header.field), sizeof(((Elf64_Ehdr *)0)->field)
#define P(n, field)                                                            \
	ELF_OFFSET(segments[n].field), sizeof(((Elf64_Phdr *)0)->field)
#define S(n, field)                                                            \
	ELF_OFFSET(sections[n].field), sizeof(((Elf64_Shdr *)0)->field)

static const struct lie lies[] = {
	{ 0, 1, 'M', -ENOEXEC, "not an ELF file" },
	{ EI_CLASS, 1, ELFCLASS32, -ENOEXEC, "32-bit" },
	{ EI_CLASS, 1, 7, -ENOEXEC, "not a 64-bit little-endian" },
	{ EI_DATA, 1, ELFDATA2MSB, -ENOEXEC, "not a 64-bit little-endian" },
	{ EI_VERSION, 1, 9, -ENOEXEC, "not a 64-bit little-endian" },
	{ H(e_machine), EM_AARCH64, -ENOEXEC, "another machine" },
	{ H(e_type), ET_DYN, -ENOEXEC, "-static -no-pie" },
	{ H(e_type), ET_REL, -ENOEXEC, "an object file, not linked yet" },
	{ H(e_type), ET_CORE, -ENOEXEC, "not an executable" },
	{ H(e_phentsize), 55, -EINVAL, "program headers of 55 bytes" },
	{ H(e_phoff), UINT64_MAX - 7, -EINVAL, "program headers" },
	{ H(e_phoff), sizeof(struct elf_file) - 8, -EINVAL, "truncated" },
	{ H(e_phnum), 60000, -EINVAL, "truncated" },
	{ H(e_phnum), 0, -EINVAL, "no loadable segment" },
	{ H(e_shoff), sizeof(struct elf_file) - 8, -EINVAL, "truncated" },
	{ H(e_shoff), UINT64_MAX - 7, -EINVAL, "truncated" },
	{ H(e_entry), TEXT_VA - 1, -EINVAL, "entry point" },
	{ H(e_entry), TEXT_VA + 64, -EINVAL, "entry point" },
	{ H(e_entry), DATA_VA, -EINVAL, "not inside an executable segment" },
	{ P(0, p_type), PT_INTERP, -ENOEXEC, "dynamically linked" },
	{ P(0, p_type), PT_NOTE, -EINVAL, "entry point" },
	{ P(0, p_filesz), 65, -EINVAL, "65 bytes in the file but only 64" },
	{ P(1, p_filesz), UINT64_MAX, -EINVAL, "in the file but only" },
	{ P(1, p_offset), sizeof(struct elf_file) - 31, -EINVAL, "truncated" },
	{ P(1, p_offset), UINT64_MAX, -EINVAL, "truncated" },
	{ P(1, p_vaddr), UINT64_MAX - 8, -EINVAL, "wraps" },
	{ P(1, p_vaddr), UINT64_MAX - 0x1000, -EINVAL, "wraps" },
	{ P(1, p_memsz), UINT64_MAX, -EINVAL, "wraps" },
	{ P(1, p_paddr), UINT64_MAX - 8, -EINVAL, "wraps" },
	{ P(1, p_vaddr), TEXT_VA + 8, -EINVAL, "overlap" },
	{ P(1, p_vaddr), TEXT_VA - 8, -EINVAL, "overlap" },
	{ P(1, p_vaddr), TEXT_VA + 64, -EINVAL, "share a page" },
	{ P(1, p_vaddr), TEXT_VA + 0xfff, -EINVAL, "share a page" },
	{ S(3, sh_offset), sizeof(struct elf_file), -EINVAL, "symbol table" },
	{ S(3, sh_size), UINT64_MAX, -EINVAL, "symbol table" },
};

static void refuses_files_that_lie(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct elf_file file;
		struct image *image = NULL;
		struct error err = { 0 };
		int ret;

		elf_file_init(&file);
		memcpy((char *)&file + lies[i].offset, &lies[i].value,
			lies[i].size);
		ret = image_open_memory(
			"t.elf", &file, sizeof(file), &image, &err);
		if (ret != lies[i].code || !strstr(err.text, lies[i].says))
			fail_msg("lie %zu: %d, \"%s\", not \"%s\"", i, ret,
				err.text, lies[i].says);
		assert_null(image);
		assert_int_equal(err.code, ret);
		assert_memory_equal(err.text, "t.elf: ", 7);
	}
}

/* In its own heap block, so that a sanitizer sees a byte read too many. */
static void refuses_a_file_cut_anywhere(void **state)
{
	struct elf_file file;

	(void)state;
	elf_file_init(&file);
	for (size_t size = 0; size < sizeof(file); size++) {
		struct image *image = NULL;
		struct error err = { 0 };
		void *cut = malloc(size ? size : 1);
		int ret;

		memcpy(cut, &file, size);
		ret = image_open_memory("t.elf", cut, size, &image, &err);
		if (ret >= 0 || !err.text[0])
			fail_msg("%zu of %zu bytes: %d", size, sizeof(file),
				ret);
		if (size >= 4 && !strstr(err.text, "truncated"))
			fail_msg("%zu bytes: %s", size, err.text);
		free(cut);
	}
}

static void refuses_too_many_segments(void **state)
{
	struct elf_file file;
	struct image *image;
	struct error err;

	(void)state;
	for (unsigned count = 8; count <= 9; count++) {
		int ret;

		elf_file_init(&file);
		file.header.e_phnum = (uint16_t)count;
		for (unsigned i = 2; i < count; i++) {
			file.segments[i] = file.segments[1];
			file.segments[i].p_vaddr += 0x1000 * i;
		}
		ret = image_open_memory(
			"t.elf", &file, sizeof(file), &image, &err);
		assert_int_equal(ret, count == 8 ? 0 : -EINVAL);
		if (!ret)
			image_close(image);
	}
	assert_non_null(strstr(err.text, "more than 8"));
}

static void leaves_out_empty_segments(void **state)
{
	struct elf_file file;
	struct image *image;

	(void)state;
	elf_file_init(&file);
	file.segments[1].p_filesz = file.segments[1].p_memsz = 0;
	assert_int_equal(image_open_memory(
				 "t.elf", &file, sizeof(file), &image, NULL),
		0);
	assert_int_equal(image_segment_count(image), 1);
	image_close(image);
}

/* Every byte of the file wrong once: whatever happens, it is no crash. */
static void survives_any_wrong_byte(void **state)
{
	struct elf_file good, file;

	(void)state;
	elf_file_init(&good);
	for (size_t i = 0; i < sizeof(good); i++) {
		static const uint8_t spoil[] = { 0x01, 0x80, 0xff };
		struct image *image;
		struct image_symbol symbol;

		for (size_t j = 0; j < sizeof(spoil); j++) {
			file = good;
			((uint8_t *)&file)[i] ^= spoil[j];
			if (image_open_memory("t.elf", &file, sizeof(file),
				    &image, NULL))
				continue;
			image_symbol_at(image, TEXT_VA + 3, &symbol);
			image_close(image);
		}
	}
}

static void refuses_what_is_not_a_file(void **state)
{
	static const struct {
		const char *path;
		int code;
		const char *says;
	} cases[] = {
		{ "/nonexistent/x", -ENOENT, "cannot open /nonexistent/x" },
		{ "/", -EINVAL, "is a directory" },
		{ "/dev/null", -EINVAL, "is not a file" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image *image;
		struct error err = { 0 };

		assert_int_equal(image_open(cases[i].path, &image, &err),
			cases[i].code);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

static void opens_by_path_and_names_it_by_its_last_part(void **state)
{
	char path[] = "/tmp/custos-image-test-XXXXXX";
	struct elf_file file;
	struct image *image;
	struct error err;
	int fd = mkstemp(path);

	(void)state;
	elf_file_init(&file);
	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
	assert_int_equal(image_open(path, &image, &err), 0);
	assert_string_equal(image_name(image), path + strlen("/tmp/"));
	image_close(image);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(image_open(path, &image, &err), -ENOEXEC);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_a_small_executable),
		cmocka_unit_test(refuses_files_that_lie),
		cmocka_unit_test(refuses_a_file_cut_anywhere),
		cmocka_unit_test(refuses_too_many_segments),
		cmocka_unit_test(leaves_out_empty_segments),
		cmocka_unit_test(survives_any_wrong_byte),
		cmocka_unit_test(refuses_what_is_not_a_file),
		cmocka_unit_test(opens_by_path_and_names_it_by_its_last_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
