/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "image/image_impl.h"

/* Nobody's program; a hostile sparse file could eat the host's memory. */
#define FILE_SIZE_MAX ((off_t)1 << 30)

int image_refuse(const struct image *image, int code, struct error *err,
	const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(err, code, "%s: %s", image->shown_as, text);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int image_init(struct image *image, struct error *err)
{
	int ret;

	elf_version(EV_CURRENT);
	ret = image_load_segments(image, err);
	if (!ret)
		ret = image_load_symbols(image, err);
	if (!ret)
		image_load_cfi(image);
	return ret;
}

/* Takes over bytes when owned is set, also when it fails. */
static int open_bytes(const char *path, const void *bytes, size_t size,
	void *owned, struct image **out, struct error *err)
{
	struct image *image = calloc(1, sizeof(*image));
	int ret;

	if (!image) {
		free(owned);
		return error_set_errno(err, -ENOMEM, "%s", path);
	}
	pthread_mutex_init(&image->lock, NULL);
	image->owned = owned;
	image->bytes = bytes;
	image->size = size;
	image->shown_as = path;
	image->name = strdup(base_name(path));
	ret = image->name ? image_init(image, err)
			  : error_set_errno(err, -ENOMEM, "%s", path);
	if (ret) {
		image_close(image);
		return ret;
	}
	image->shown_as = NULL;
	*out = image;
	return 0;
}

int image_open_memory(const char *name, const void *bytes, size_t size,
	struct image **out, struct error *err)
{
	return open_bytes(name, bytes, size, NULL, out, err);
}

/*
 * Read rather than map: a mapped file that somebody cuts short would kill us
 * with SIGBUS at an arbitrary place.
 */
static int read_whole(int fd, const char *path, void **out_bytes,
	size_t *out_size, struct error *err)
{
	struct stat st;
	size_t size, done = 0;
	uint8_t *bytes;

	if (fstat(fd, &st))
		return error_set_errno(err, -errno, "cannot read %s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EINVAL, "%s is a directory", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s is not a file", path);
	if (st.st_size > FILE_SIZE_MAX)
		return error_set(err, -EINVAL, "%s is larger than 1 GiB", path);
	size = (size_t)st.st_size;
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return error_set_errno(err, -ENOMEM, "cannot read %s", path);
	while (done < size) {
		ssize_t n = read(fd, bytes + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int code = -errno;

			free(bytes);
			return error_set_errno(
				err, code, "cannot read %s", path);
		}
		if (n == 0)
			break; /* somebody cut it short: so be it */
		done += (size_t)n;
	}
	*out_bytes = bytes;
	*out_size = done;
	return 0;
}

int image_open(const char *path, struct image **out, struct error *err)
{
	void *bytes = NULL;
	size_t size = 0;
	int ret;
	/* O_NONBLOCK: do not hang on a fifo before we know it is one. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_set_errno(err, -errno, "cannot open %s", path);
	ret = read_whole(fd, path, &bytes, &size, err);
	close(fd);
	if (ret)
		return ret;
	return open_bytes(path, bytes, size, bytes, out, err);
}

void image_close(struct image *image)
{
	if (!image)
		return;
	image_free_debug(image);
	image_free_symbols(image);
	cfi_table_fini(&image->cfi);
	elf_end(image->elf);
	pthread_mutex_destroy(&image->lock);
	free(image->name);
	free(image->owned);
	free(image);
}

void image_load_cfi(struct image *image)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(image->elf, &names))
		return;
	while ((section = elf_nextscn(image->elf, section))) {
		const char *name;

		if (!gelf_getshdr(section, &header) ||
			header.sh_type == SHT_NOBITS ||
			(header.sh_flags & SHF_COMPRESSED) ||
			!checked_range(header.sh_offset, header.sh_size,
				image->size))
			continue;
		name = elf_strptr(image->elf, names, header.sh_name);
		if (name && !strcmp(name, ".eh_frame"))
			cfi_table_add(&image->cfi,
				image->bytes + header.sh_offset,
				header.sh_size, header.sh_addr, true);
		else if (name && !strcmp(name, ".debug_frame"))
			cfi_table_add(&image->cfi,
				image->bytes + header.sh_offset,
				header.sh_size, 0, false);
	}
	cfi_table_sort(&image->cfi);
}

const char *image_name(const struct image *image)
{
	return image->name;
}

uint64_t image_entry(const struct image *image)
{
	return image->entry;
}

unsigned image_segment_count(const struct image *image)
{
	return image->segment_count;
}

const struct image_segment *image_segment(
	const struct image *image, unsigned index)
{
	return index < image->segment_count ? &image->segments[index] : NULL;
}

void image_describe(
	const struct image *image, uint64_t address, struct buf *out)
{
	struct image_symbol symbol;

	if (!image_symbol_at(image, address, &symbol)) {
		buf_printf(out, "0x%" PRIx64, address);
		return;
	}
	buf_add_str(out, symbol.name);
	if (address != symbol.address)
		buf_printf(out, "+0x%" PRIx64, address - symbol.address);
}
