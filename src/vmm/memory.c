/* SPDX-License-Identifier: MIT */
/* Guest memory as its page tables show it: translate, look, change, close. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arch/paging.h"
#include "base/invariant.h"
#include "vmm/vmm_impl.h"

/* ---- translation ---- */

static uint32_t fault_code(enum access_kind kind)
{
	return ARCH_PF_USER | (access_writes(kind) ? ARCH_PF_WRITE : 0) |
		(kind == ACCESS_FETCH ? ARCH_PF_FETCH : 0);
}

static bool refuse(uint64_t va, uint32_t code, struct arch_fault *fault)
{
	/* A non-canonical address is no page fault but #GP. */
	*fault = (struct arch_fault){
		.vector = paging_is_canonical(va) ? ARCH_VECTOR_PF :
						    ARCH_VECTOR_GP,
		.error_code = paging_is_canonical(va) ? code : 0,
		.address = va,
	};
	return false;
}

const struct custos_device *vmm_device_at(const struct vmm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < vm->device_count; i++)
		if (gpa >= vm->devices[i].gpa &&
			gpa - vm->devices[i].gpa < vm->devices[i].size)
			return &vm->devices[i];
	return NULL;
}

/* What is at gpa; false when nothing is. */
bool vmm_fill_page(struct vmm *vm, uint64_t gpa, struct target_page *page)
{
	uint64_t base = gpa & ~ARCH_PAGE_MASK;

	page->frame = gpa >> ARCH_PAGE_SHIFT;
	page->bytes = vmm_gpa_range(&vm->ram, base, ARCH_PAGE_SIZE);
	if (page->bytes) {
		page->closed = vmm_ram_is_closed(&vm->ram, base);
		return true;
	}
	page->closed = true;
	return vmm_device_at(vm, gpa) != NULL;
}

bool vmm_translate(struct vmm *vm, space_t space, uint64_t va,
	enum access_kind kind, struct target_page *page,
	struct arch_fault *fault)
{
	struct paging_path path;
	uint32_t code = fault_code(kind);

	if (!paging_walk(space, va, vmm_ram_read_word, &vm->ram, &path))
		return refuse(va, code, fault);
	code |= ARCH_PF_PRESENT;
	if (!path.user || (access_writes(kind) && !path.writable) ||
		(kind == ACCESS_FETCH && !path.executable))
		return refuse(va, code, fault);
	if (!vmm_fill_page(vm, path.gpa, page))
		return refuse(va, code, fault);
	return true;
}

bool vmm_find_page(
	struct vmm *vm, space_t space, uint64_t va, struct target_page *page)
{
	struct paging_path path;

	return va < CUSTOS_USER_END &&
		paging_walk(space, va, vmm_ram_read_word, &vm->ram, &path) &&
		vmm_fill_page(vm, path.gpa, page);
}

/* ---- looking ---- */

/* Bytes of [va, va + len) that lie in va's page, and where in B. */
static uint8_t *page_part(
	struct vmm *vm, space_t space, uint64_t va, size_t len, size_t *out_n)
{
	uint64_t left = ARCH_PAGE_SIZE - (va & ARCH_PAGE_MASK);
	struct paging_path path;

	*out_n = len < left ? len : left;
	if (!paging_walk(space, va, vmm_ram_read_word, &vm->ram, &path))
		return NULL;
	return vmm_gpa_range(&vm->ram, path.gpa, *out_n);
}

size_t vmm_read(struct vmm *vm, space_t space, uint64_t va, void *bytes,
	size_t len)
{
	size_t done = 0, n;

	while (done < len) {
		const uint8_t *from =
			page_part(vm, space, va + done, len - done, &n);

		if (!from)
			break;
		memcpy((uint8_t *)bytes + done, from, n);
		done += n;
	}
	return done;
}

size_t vmm_write(struct vmm *vm, space_t space, uint64_t va, const void *bytes,
	size_t len)
{
	size_t done = 0, n;

	while (done < len) {
		uint8_t *to = page_part(vm, space, va + done, len - done, &n);

		if (!to)
			break;
		memcpy(to, (const uint8_t *)bytes + done, n);
		done += n;
	}
	return done;
}

/* Bytes of address space that end with the entry which stopped a walk. */
static uint64_t covered(const struct paging_path *path)
{
	return UINT64_C(1)
		<< (ARCH_PAGE_SHIFT + 9 * (ARCH_PAGING_LEVELS - path->depth));
}

#define WALKS_MAX (1 << 22) /* tables that loop need not be followed */

bool vmm_next_page(struct vmm *vm, space_t space, uint64_t va,
	uint64_t *out_va, const uint8_t **out_bytes)
{
	va = (va + ARCH_PAGE_MASK) & ~ARCH_PAGE_MASK;
	for (unsigned n = 0; va < CUSTOS_USER_END && n < WALKS_MAX; n++) {
		struct paging_path path;
		uint64_t size;

		if (!paging_walk(space, va, vmm_ram_read_word, &vm->ram,
			    &path)) {
			size = covered(&path);
		} else if (!path.user) {
			size = path.page_size;
		} else {
			*out_va = va;
			*out_bytes = vmm_gpa_range(&vm->ram,
				path.gpa & ~ARCH_PAGE_MASK, ARCH_PAGE_SIZE);
			if (*out_bytes)
				return true;
			size = ARCH_PAGE_SIZE;
		}
		va = (va | (size - 1)) + 1;
	}
	return false;
}

/* ---- closing ---- */

/* Is gpa a table in the tree of depth `level' under table? Bounded: a hostile
 * tree has at most 512^3 entries, of which those not RAM end at once. */
static bool is_table_below(
	const struct ram *ram, uint64_t table, int level, uint64_t gpa)
{
	const uint64_t *entries =
		(const void *)vmm_gpa_range(ram, table, ARCH_PAGE_SIZE);

	if (!entries)
		return false;
	if (table == gpa)
		return true;
	if (level == 1)
		return false;
	/* The kernel's half is not a process's: [0, 256) of the root. */
	for (int i = 0; i < (level == 4 ? 256 : 512); i++) {
		uint64_t entry = __atomic_load_n(
			&entries[i], __ATOMIC_RELAXED);

		if ((entry & ARCH_PTE_PRESENT) && !(entry & ARCH_PTE_LARGE) &&
			is_table_below(
				ram, entry & ARCH_PTE_ADDRESS, level - 1, gpa))
			return true;
	}
	return false;
}

struct table_search {
	struct vmm *vm;
	uint64_t gpa;
	const struct target_process *found;
};

static bool is_not_its_table(void *ctx, const struct target_process *process)
{
	struct table_search *search = ctx;

	if (!is_table_below(&search->vm->ram,
		    process->space & ARCH_PTE_ADDRESS, 4, search->gpa))
		return true;
	search->found = process;
	return false;
}

/*
 * KVM itself walks page tables and delivers exceptions onto kernel stacks
 * through mapping A; closed, such a frame brings the guest down instead of
 * making an access.
 */
static int check_closable(struct vmm *vm, uint64_t gpa, struct error *err)
{
	struct table_search search = { vm, gpa, NULL };

	if (gpa < vm->boot.guarded)
		return error_set(err, -ENOENT,
			"the page at 0x%" PRIx64
			" holds the guest kernel's own code, data or page "
			"tables and cannot be kept",
			gpa);
	vmm_process_each(&vm->processes, is_not_its_table, &search);
	if (search.found)
		return error_set(err, -ENOENT,
			"the page at 0x%" PRIx64
			" is a page table of process %s and cannot be kept",
			gpa, search.found->name);
	return 0;
}

int vmm_close_frame(struct vmm *vm, frame_t frame, struct error *err)
{
	uint64_t gpa = frame << ARCH_PAGE_SHIFT;
	int rc;

	if (vmm_device_at(vm, gpa))
		return 0; /* never open */
	if (frame >> (64 - ARCH_PAGE_SHIFT) ||
		!vmm_gpa_range(&vm->ram, gpa, ARCH_PAGE_SIZE))
		return error_set(err, -ENOENT,
			"no memory at frame 0x%" PRIx64, frame);
	if (vmm_ram_is_closed(&vm->ram, gpa))
		return 0;
	rc = check_closable(vm, gpa, err);
	return rc ? rc : vmm_ram_close(&vm->ram, gpa, err);
}

int vmm_open_frame(struct vmm *vm, frame_t frame, struct error *err)
{
	uint64_t gpa = frame << ARCH_PAGE_SHIFT;

	if (frame >> (64 - ARCH_PAGE_SHIFT) ||
		!vmm_gpa_range(&vm->ram, gpa, ARCH_PAGE_SIZE))
		return error_set(err, -ENOENT,
			"no memory at frame 0x%" PRIx64 " that could be opened",
			frame);
	return vmm_ram_open(&vm->ram, gpa, err);
}
