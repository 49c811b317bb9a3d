/* SPDX-License-Identifier: MIT */
#include "vmm/ram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <custos/arch.h>

#include "abi/custos_abi.h"
#include "base/checked.h"
#include "base/invariant.h"

#define CHUNK (UINT64_C(2) << 20)

static int map_twice(struct ram *ram, struct error *err)
{
	int prot = PROT_READ | PROT_WRITE;
	void *a, *b;

	a = mmap(NULL, ram->size, prot, MAP_SHARED, ram->fd, 0);
	if (a == MAP_FAILED)
		return error_set_errno(err, -errno,
			"cannot map %" PRIu64 " MiB of guest memory",
			ram->size >> 20);
	ram->guest = a;
	b = mmap(NULL, ram->size, prot, MAP_SHARED, ram->fd, 0);
	if (b == MAP_FAILED)
		return error_set_errno(err, -errno,
			"cannot map %" PRIu64 " MiB of guest memory twice",
			ram->size >> 20);
	ram->bytes = b;
	/* Neither must reach a child: its copy would not follow ours. */
	madvise(a, ram->size, MADV_DONTFORK);
	madvise(b, ram->size, MADV_DONTFORK);
	return 0;
}

int vmm_ram_init(struct ram *ram, uint64_t size, struct error *err)
{
	uint64_t frames;
	int rc;

	memset(ram, 0, sizeof(*ram));
	ram->fd = -1;
	pthread_mutex_init(&ram->lock, NULL);
	if (size == 0 || size > CUSTOS_RAM_MAX)
		return error_set(err, -EINVAL,
			"guest memory must be at most %" PRIu64 " GiB",
			CUSTOS_RAM_MAX >> 30);
	ram->size = (size + CHUNK - 1) & ~(CHUNK - 1);
	frames = ram->size >> ARCH_PAGE_SHIFT;
	ram->closed = calloc(frames / 64, sizeof(*ram->closed));
	if (!ram->closed)
		return error_set(err, -ENOMEM, "out of memory");
	ram->fd = memfd_create("custos-ram", MFD_CLOEXEC);
	if (ram->fd < 0 || ftruncate(ram->fd, (off_t)ram->size))
		return error_set_errno(
			err, -errno, "cannot make the guest's memory");
	rc = map_twice(ram, err);
	return rc;
}

void vmm_ram_fini(struct ram *ram)
{
	if (ram->guest)
		munmap(ram->guest, ram->size);
	if (ram->bytes)
		munmap(ram->bytes, ram->size);
	if (ram->fd >= 0)
		close(ram->fd);
	free((void *)ram->closed);
	pthread_mutex_destroy(&ram->lock);
}

uint8_t *vmm_gpa_range(const struct ram *ram, uint64_t gpa, uint64_t len)
{
	if (gpa < CUSTOS_RAM_BASE ||
		!checked_range(gpa - CUSTOS_RAM_BASE, len, ram->size))
		return NULL;
	return ram->bytes + (gpa - CUSTOS_RAM_BASE);
}

bool vmm_ram_read_word(void *ctx, uint64_t gpa, uint64_t *out)
{
	const uint8_t *at = vmm_gpa_range(ctx, gpa, sizeof(*out));

	if (!at || gpa % sizeof(*out))
		return false;
	*out = __atomic_load_n((const uint64_t *)(const void *)at,
		__ATOMIC_RELAXED);
	return true;
}

bool vmm_ram_is_closed(const struct ram *ram, uint64_t gpa)
{
	uint64_t frame = (gpa - CUSTOS_RAM_BASE) >> ARCH_PAGE_SHIFT;

	if (!vmm_gpa_range(ram, gpa, 1))
		return false;
	return atomic_load_explicit(
		       &ram->closed[frame / 64], memory_order_acquire) >>
		(frame % 64) & 1;
}

static void kept_bit(struct ram *ram, uint64_t frame, bool set)
{
	uint8_t bit = (uint8_t)(1u << (frame % 8));

	if (!ram->kept_map)
		return;
	if (set)
		atomic_fetch_or(&ram->kept_map[frame / 8], bit);
	else
		atomic_fetch_and(&ram->kept_map[frame / 8], (uint8_t)~bit);
}

static int protect(struct ram *ram, uint64_t frame, int prot, struct error *err)
{
	uint8_t *page = ram->guest + (frame << ARCH_PAGE_SHIFT);

	if (!mprotect(page, ARCH_PAGE_SIZE, prot))
		return 0;
	if (errno == ENOMEM)
		return error_set(err, -ENOMEM,
			"cannot close another page after %" PRIu64
			": the kernel allows no more mappings; raise "
			"vm.max_map_count with sysctl",
			ram->closed_count);
	return error_set_errno(err, -errno, "cannot protect guest memory");
}

int vmm_ram_close(struct ram *ram, uint64_t gpa, struct error *err)
{
	uint64_t frame = (gpa - CUSTOS_RAM_BASE) >> ARCH_PAGE_SHIFT;
	int rc = 0;

	invariant(vmm_gpa_range(ram, gpa, 1));
	pthread_mutex_lock(&ram->lock);
	if (!vmm_ram_is_closed(ram, gpa)) {
		/* First the bits: whoever is stopped by the closed page must
		 * find it marked, the guest's kernel included. */
		kept_bit(ram, frame, true);
		atomic_fetch_or(&ram->closed[frame / 64],
			UINT64_C(1) << (frame % 64));
		rc = protect(ram, frame, PROT_NONE, err);
		if (rc) {
			atomic_fetch_and(&ram->closed[frame / 64],
				~(UINT64_C(1) << (frame % 64)));
			kept_bit(ram, frame, false);
		} else {
			ram->closed_count++;
		}
	}
	pthread_mutex_unlock(&ram->lock);
	return rc;
}

int vmm_ram_open(struct ram *ram, uint64_t gpa, struct error *err)
{
	uint64_t frame = (gpa - CUSTOS_RAM_BASE) >> ARCH_PAGE_SHIFT;
	int rc = 0;

	invariant(vmm_gpa_range(ram, gpa, 1));
	pthread_mutex_lock(&ram->lock);
	if (vmm_ram_is_closed(ram, gpa)) {
		rc = protect(ram, frame, PROT_READ | PROT_WRITE, err);
		if (!rc) {
			atomic_fetch_and(&ram->closed[frame / 64],
				~(UINT64_C(1) << (frame % 64)));
			kept_bit(ram, frame, false);
			ram->closed_count--;
		}
	}
	pthread_mutex_unlock(&ram->lock);
	return rc;
}
