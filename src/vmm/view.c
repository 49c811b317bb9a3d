/* SPDX-License-Identifier: MIT */
#include "vmm/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/paging.h"
#include "base/invariant.h"
#include "vmm/vmm_impl.h"

#define PAGE ARCH_PAGE_SIZE
#define POOL_FRAMES 256u
#define POOL_SIZE (POOL_FRAMES * PAGE)
#define VIEWS_MAX 32u
#define ENTRIES 512u
#define SEEN (ARCH_PTE_ACCESSED | ARCH_PTE_DIRTY)
/* What the CPU may change in an entry behind the kernel's back. */
#define VOLATILE_BITS (ARCH_PTE_ACCESSED | ARCH_PTE_DIRTY)

/* The window's frames, at the start of the pool. */
enum { FRAME_IDT, FRAME_GATES, FRAME_PT, FRAME_PD, FRAME_PDPT, FRAME_FIRST };

#define GATE_CODE_SIZE 8

struct view_pool {
	uint64_t gpa; /* of frame 0 */
	uint64_t (*frames)[ENTRIES]; /* POOL_FRAMES; the guest's, too */
	/* What the guest's table had when frame i was copied from it, and
	 * where that is (0: made, not copied). Ours alone. */
	uint64_t (*originals)[ENTRIES];
	uint64_t sources[POOL_FRAMES];
	unsigned used;
	struct view views[VIEWS_MAX];
	unsigned window_index; /* of the root's entries; 0: none yet */
	uint16_t selector; /* in the interrupt table */
};

static uint64_t frame_gpa(const struct view_pool *pool, unsigned frame)
{
	return pool->gpa + frame * PAGE;
}

/* ---- the window ---- */

static uint64_t window_va(const struct view_pool *pool)
{
	return UINT64_C(0xffff000000000000) |
		(uint64_t)pool->window_index << 39;
}

static void write_gates(struct view_pool *pool)
{
	uint8_t *code = (uint8_t *)pool->frames[FRAME_GATES];
	static const uint8_t out_hlt[] = { 0xe6, VIEW_PORT, 0xf4 };

	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = window_va(pool) + PAGE + i * GATE_CODE_SIZE;
		uint64_t *gate = &pool->frames[FRAME_IDT][2 * i];

		memcpy(code + i * GATE_CODE_SIZE, out_hlt, sizeof(out_hlt));
		gate[0] = (at & 0xffff) | (uint64_t)pool->selector << 16 |
			UINT64_C(0x8e) << 40 | (at >> 16 & 0xffff) << 48;
		gate[1] = at >> 32;
	}
}

static void write_window(struct view_pool *pool)
{
	uint64_t table = ARCH_PTE_PRESENT | ARCH_PTE_WRITE | SEEN;

	pool->frames[FRAME_PT][0] = frame_gpa(pool, FRAME_IDT) | table |
		ARCH_PTE_NX;
	pool->frames[FRAME_PT][1] = frame_gpa(pool, FRAME_GATES) |
		ARCH_PTE_PRESENT | SEEN;
	pool->frames[FRAME_PD][0] = frame_gpa(pool, FRAME_PT) | table;
	pool->frames[FRAME_PDPT][0] = frame_gpa(pool, FRAME_PD) | table;
}

/* Have the window where the root has nothing, its gates for selector. */
static int place_window(struct view_pool *pool, const uint64_t *root,
	uint16_t selector, struct error *err)
{
	unsigned i = pool->window_index;

	if (i && !root[i] && pool->selector == selector)
		return 0;
	for (i = 320; i < ENTRIES - 1 && root[i]; i++)
		;
	if (root[i])
		return error_set(err, -ENOTSUP,
			"the guest's address space has no room for the "
			"monitor's window");
	pool->window_index = i;
	pool->selector = selector;
	write_gates(pool);
	return 0;
}

/* ---- the pool ---- */

static int set_slot(struct vcpu *vcpu, uint64_t size, struct error *err)
{
	struct view_pool *pool = vcpu->views;

	return vmm_kvm_set_slot(&vcpu->vm->kvm,
		SLOT_MONITOR + vcpu->thread.index, pool->gpa, pool->frames,
		size, err);
}

static void *map(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int pool_create(struct vcpu *vcpu, struct error *err)
{
	struct view_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return error_set(err, -ENOMEM, "out of memory");
	vcpu->views = pool;
	pool->gpa = CUSTOS_MONITOR_BASE + vcpu->thread.index * POOL_SIZE;
	pool->frames = map(POOL_SIZE);
	pool->originals = map(POOL_SIZE);
	if (!pool->frames || !pool->originals) {
		vmm_view_fini(vcpu);
		return error_set(err, -ENOMEM, "out of memory for stepping");
	}
	madvise(pool->frames, POOL_SIZE, MADV_DONTFORK);
	pool->used = FRAME_FIRST;
	write_window(pool);
	return set_slot(vcpu, POOL_SIZE, err);
}

/* Forget all views, and have KVM forget them. */
static int pool_reset(struct vcpu *vcpu, struct error *err)
{
	struct view_pool *pool = vcpu->views;
	int rc = set_slot(vcpu, 0, err);

	if (rc)
		return rc;
	memset(pool->views, 0, sizeof(pool->views));
	pool->used = FRAME_FIRST;
	return set_slot(vcpu, POOL_SIZE, err);
}

void vmm_view_fini(struct vcpu *vcpu)
{
	struct view_pool *pool = vcpu->views;

	if (!pool)
		return;
	if (pool->frames)
		munmap(pool->frames, POOL_SIZE);
	if (pool->originals)
		munmap(pool->originals, POOL_SIZE);
	free(pool);
	vcpu->views = NULL;
}

/* ---- building ---- */

struct builder {
	struct vcpu *vcpu;
	struct view_pool *pool;
	struct view *view;
};

/* A frame with the guest's table at gpa; 0 when there is none. */
static unsigned copy_table(struct builder *b, uint64_t gpa)
{
	const uint8_t *table = vmm_gpa_range(&b->vcpu->vm->ram, gpa, PAGE);
	struct view_pool *pool = b->pool;
	unsigned frame = pool->used;

	if (!table)
		return 0;
	invariant(frame < POOL_FRAMES);
	pool->used++;
	/* One read: what is compared later must be what is used now. */
	memcpy(pool->originals[frame], table, PAGE);
	memcpy(pool->frames[frame], pool->originals[frame], PAGE);
	pool->sources[frame] = gpa;
	return frame;
}

/* A frame with the table that a large page's entry at level stands for. */
static unsigned split_large(struct builder *b, uint64_t entry, int level)
{
	struct view_pool *pool = b->pool;
	unsigned frame = pool->used;
	uint64_t size = UINT64_C(1) << (3 + 9 * (level - 1));
	uint64_t base = entry & ARCH_PTE_ADDRESS & ~(size * ENTRIES - 1);
	uint64_t flags = entry & (ARCH_PTE_NX | 0x1ff);

	invariant(frame < POOL_FRAMES);
	pool->used++;
	if (level == 2)
		flags &= ~ARCH_PTE_LARGE;
	for (unsigned i = 0; i < ENTRIES; i++)
		pool->frames[frame][i] = (base + i * size) | flags;
	pool->sources[frame] = 0;
	return frame;
}

/* The frame of this view that entry leads to; 0 when it leads elsewhere. */
static unsigned own_frame(const struct builder *b, uint64_t entry)
{
	uint64_t gpa = entry & ARCH_PTE_ADDRESS;
	uint64_t frame = (gpa - b->pool->gpa) / PAGE;

	if (gpa < b->pool->gpa || frame < b->view->first_frame ||
		frame >= b->pool->used)
		return 0;
	return (unsigned)frame;
}

/* Our own copy of the table below *entry, which then leads there. */
static unsigned own_table(struct builder *b, uint64_t *entry, int level)
{
	unsigned frame = own_frame(b, *entry);
	uint64_t flags = *entry & ~ARCH_PTE_ADDRESS;

	if (frame)
		return frame;
	if (*entry & ARCH_PTE_LARGE) {
		frame = split_large(b, *entry, level);
		flags = (flags & ~(ARCH_PTE_LARGE | ARCH_PTE_GLOBAL)) |
			ARCH_PTE_ACCESSED;
	} else {
		frame = copy_table(b, *entry & ARCH_PTE_ADDRESS);
	}
	if (frame)
		*entry = frame_gpa(b->pool, frame) | flags;
	return frame;
}

/* A page that is not mapped, or not to RAM, is left alone: the instruction
 * then finds what it would have found anyway. */
static void open_page(struct builder *b, uint64_t va)
{
	unsigned frame = b->view->first_frame;
	uint64_t *entry, gpa;

	for (int level = 4; level > 1; level--) {
		entry = &b->pool->frames[frame][va >> (3 + 9 * level) & 511];
		if (!(*entry & ARCH_PTE_PRESENT) ||
			(level == 4 && (*entry & ARCH_PTE_LARGE)))
			return;
		frame = own_table(b, entry, level);
		if (!frame)
			return;
	}
	entry = &b->pool->frames[frame][va >> ARCH_PAGE_SHIFT & 511];
	gpa = *entry & ARCH_PTE_ADDRESS;
	if (!(*entry & ARCH_PTE_PRESENT) ||
		!vmm_gpa_range(&b->vcpu->vm->ram, gpa, PAGE))
		return;
	*entry = (*entry & ~(ARCH_PTE_ADDRESS | ARCH_PTE_GLOBAL)) | SEEN |
		(gpa - CUSTOS_RAM_BASE + CUSTOS_ALIAS_BASE);
}

/* Frames a view of that many pages may need. */
static unsigned frames_needed(unsigned pages)
{
	return 1 + 3 * pages;
}

static int build(struct vcpu *vcpu, struct view *view, uint16_t selector,
	struct error *err)
{
	struct builder b = { vcpu, vcpu->views, view };
	struct view_pool *pool = b.pool;
	int rc;

	view->first_frame = copy_table(&b, view->space);
	if (!view->first_frame)
		return error_set(err, -EFAULT,
			"the guest's page tables are not in its memory");
	rc = place_window(
		pool, pool->frames[view->first_frame], selector, err);
	if (rc)
		return rc;
	for (unsigned i = 0; i < view->page_count; i++)
		open_page(&b, view->pages[i]);
	pool->frames[view->first_frame][pool->window_index] =
		frame_gpa(pool, FRAME_PDPT) | ARCH_PTE_PRESENT |
		ARCH_PTE_WRITE | ARCH_PTE_ACCESSED;
	view->frame_count = pool->used - view->first_frame;
	view->root = frame_gpa(pool, view->first_frame);
	view->window = window_va(pool);
	vcpu->stats.views_built++;
	return 0;
}

/* ---- finding ---- */

static bool has_same_table(
	const struct vcpu *vcpu, const uint64_t *original, uint64_t source)
{
	const uint64_t *now =
		(const void *)vmm_gpa_range(&vcpu->vm->ram, source, PAGE);
	uint64_t differ = 0;

	if (!now)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		differ |= original[i] ^ now[i];
	if (!(differ & ~VOLATILE_BITS))
		return true;
	return false;
}

static bool is_current(const struct vcpu *vcpu, const struct view *view)
{
	const struct view_pool *pool = vcpu->views;

	if (view->window != window_va(pool))
		return false;
	for (unsigned i = 0; i < view->frame_count; i++) {
		unsigned frame = view->first_frame + i;

		if (pool->sources[frame] &&
			!has_same_table(vcpu, pool->originals[frame],
				pool->sources[frame]))
			return false;
	}
	return true;
}

static bool is_for(const struct view *view, const struct view *wanted)
{
	return view->frame_count && view->space == wanted->space &&
		view->page_count == wanted->page_count &&
		!memcmp(view->pages, wanted->pages,
			wanted->page_count * sizeof(wanted->pages[0]));
}

/* The pages of open_va, ascending, each once. */
static int fill_key(struct view *key, const uint64_t *open_va, size_t count,
	struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t page = open_va[i] & ~ARCH_PAGE_MASK;
		unsigned at = key->page_count;

		while (at && key->pages[at - 1] >= page)
			at--;
		if (at < key->page_count && key->pages[at] == page)
			continue;
		if (key->page_count == VIEW_PAGES_MAX)
			return error_set(err, -E2BIG,
				"more than %d kept pages in one instruction",
				VIEW_PAGES_MAX);
		memmove(&key->pages[at + 1], &key->pages[at],
			(key->page_count - at) * sizeof(key->pages[0]));
		key->pages[at] = page;
		key->page_count++;
	}
	return 0;
}

/* The place for a view like key: its old one, a free one, or NULL. */
static struct view *find_place(struct view_pool *pool, const struct view *key)
{
	struct view *empty = NULL;

	for (unsigned i = 0; i < VIEWS_MAX; i++) {
		if (is_for(&pool->views[i], key))
			return &pool->views[i];
		if (!pool->views[i].frame_count && !empty)
			empty = &pool->views[i];
	}
	return empty;
}

int vmm_view_get(struct vcpu *vcpu, const uint64_t *open_va, size_t count,
	uint16_t selector, const struct view **out, struct error *err)
{
	struct view key = {
		.space = vcpu_kvm_sregs(vcpu)->cr3 & ARCH_PTE_ADDRESS,
	};
	struct view *view;
	int rc = fill_key(&key, open_va, count, err);

	if (rc || (!vcpu->views && (rc = pool_create(vcpu, err))))
		return rc;
	view = find_place(vcpu->views, &key);
	if (view && view->frame_count && vcpu->views->selector == selector &&
		is_current(vcpu, view)) {
		*out = view;
		return 0;
	}
	if (!view || vcpu->views->used + frames_needed(key.page_count) >
			POOL_FRAMES) {
		rc = pool_reset(vcpu, err);
		if (rc)
			return rc;
		view = &vcpu->views->views[0];
	}
	*view = key;
	rc = build(vcpu, view, selector, err);
	*out = view;
	if (rc)
		view->frame_count = 0;
	return rc;
}

int vmm_view_vector(const struct view *view, uint64_t rip)
{
	uint64_t at = rip - (view->window + PAGE);

	return at < 256 * GATE_CODE_SIZE ? (int)(at / GATE_CODE_SIZE) : -1;
}
