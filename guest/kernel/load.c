/* SPDX-License-Identifier: MIT */
/*
 * What is in a process when it starts. Its space begins with a node for all
 * addresses; the program and the stack are as few nodes below that as hold
 * them, wherever they are. Bytes of the file nobody may write are not copied.
 */
#include "bank.h"
#include "cpu.h"
#include "frame.h"
#include "gpt.h"
#include "object.h"
#include "panic.h"
#include "process.h"

#define LOG_SLOTS CUSTOS_GPT_L2V_STEP
#define LEAF_SPAN (PAGE_SIZE << LOG_SLOTS)
#define STACK_BASE (CUSTOS_STACK_TOP - CUSTOS_STACK_SIZE)
#define STACK_WARM (2 * PAGE_SIZE) /* translated before it is used */
#define SETUP_END (CUSTOS_START_VA + 2 * PAGE_SIZE)
#define OTHER_RIGHTS                                                           \
	(CUSTOS_RIGHT_CONTROL | CUSTOS_RIGHT_CALL | CUSTOS_RIGHT_STRONG |      \
		CUSTOS_RIGHT_INSPECT)
#define SLICE_NS UINT64_C(10000000)

/* A space being made. */
struct builder {
	struct bank *bank;
	struct gpt *root;
	struct gpt *leaf; /* used last */
	uint64_t base;	  /* its first address */
	bool refused;
};

static struct gpt *make_node(struct builder *builder, unsigned l2v)
{
	uint64_t gpa = bank_alloc(builder->bank, FRAME_GPT);
	struct gpt *gpt;

	if (!gpa) {
		builder->refused = true;
		return NULL;
	}
	gpt_begin(gpa);
	gpt = machine_direct(gpa);
	gpt->l2v = (uint8_t)l2v;
	gpt->inner = true;
	return gpt;
}

static void link_node(
	struct gpt *gpt, unsigned slot, struct gpt *node, uint64_t base)
{
	struct cap link = cap_make(
		CUSTOS_CAP_GPT, CUSTOS_RIGHTS_MEMORY, node, -base);

	gpt_put(gpt, slot, &link);
}

/* Let one node below the root's slot hold all of [low, high). */
static void make_top(struct builder *builder, uint64_t low, uint64_t high)
{
	unsigned slot = (unsigned)(low >> CUSTOS_GPT_L2V_MAX);
	unsigned l2v = CUSTOS_GPT_L2V_MIN, shift;
	struct gpt *node;

	if (builder->root->slots[slot].type)
		return;
	while (low >> (l2v + LOG_SLOTS) != (high - 1) >> (l2v + LOG_SLOTS))
		l2v += LOG_SLOTS;
	node = make_node(builder, l2v);
	shift = l2v + LOG_SLOTS;
	low = low >> shift << shift;
	if (node)
		link_node(builder->root, slot, node,
			low & ((UINT64_C(1) << CUSTOS_GPT_L2V_MAX) - 1));
}

/* Find the leaf of the address, making what is missing. */
static void find_leaf(struct builder *builder, uint64_t va)
{
	struct gpt *gpt = builder->root;
	uint64_t at = va;

	while (gpt->l2v > CUSTOS_GPT_L2V_MIN) {
		struct cap *slot = &gpt->slots[at >> gpt->l2v];

		at &= (UINT64_C(1) << gpt->l2v) - 1;
		if (!slot->type) {
			struct gpt *node =
				make_node(builder, gpt->l2v - LOG_SLOTS);

			if (!node)
				return;
			link_node(gpt, (unsigned)(slot - gpt->slots),
				node, 0);
		}
		at += slot->payload;
		gpt = slot->object;
	}
	builder->leaf = gpt;
	builder->base = va & ~(LEAF_SPAN - 1);
}

static void put(struct builder *builder, uint64_t va, const struct cap *cap)
{
	if (!builder->leaf || va - builder->base >= LEAF_SPAN)
		find_leaf(builder, va);
	if (!builder->refused)
		builder->leaf->slots[(va - builder->base) / PAGE_SIZE] = *cap;
}

/* A page of its own, with the bytes at gpa in it unless that is 0. */
static struct cap make_page(
	struct builder *builder, uint64_t from, unsigned rights)
{
	uint64_t gpa = from ? bank_alloc_dirty(builder->bank, FRAME_PAGE)
			    : bank_alloc(builder->bank, FRAME_PAGE);

	if (!gpa) {
		builder->refused = true;
		return (struct cap){0};
	}
	if (from)
		machine_copy(machine_direct(gpa), machine_direct(from),
			PAGE_SIZE);
	return cap_make(CUSTOS_CAP_PAGE, rights | OTHER_RIGHTS,
		machine_direct(gpa), 0);
}

static unsigned segment_rights(const struct custos_segment *segment)
{
	unsigned rights = CUSTOS_RIGHT_READ;

	if (segment->flags & CUSTOS_SEGMENT_WRITE)
		rights |= CUSTOS_RIGHT_WRITE;
	if (segment->flags & CUSTOS_SEGMENT_EXEC)
		rights |= CUSTOS_RIGHT_EXEC;
	return rights;
}

static struct cap segment_page(struct builder *builder,
	const struct custos_segment *segment, uint64_t offset)
{
	unsigned rights = segment_rights(segment);
	bool from_file = offset < segment->data_size;
	struct cap cap;

	if (!from_file || (rights & CUSTOS_RIGHT_WRITE))
		return make_page(builder,
			from_file ? segment->data + offset : 0, rights);
	cap = cap_make(CUSTOS_CAP_FIXED, rights | OTHER_RIGHTS, NULL,
		segment->data + offset);
	cap.pages = 1;
	return cap;
}

static void put_segment(
	struct builder *builder, const struct custos_segment *segment)
{
	uint64_t offset;

	for (offset = 0; offset < segment->mem_size && !builder->refused;
		offset += PAGE_SIZE) {
		struct cap cap = segment_page(builder, segment, offset);

		put(builder, segment->va + offset, &cap);
	}
}

static void put_own(struct builder *builder, uint64_t from, uint64_t to,
	unsigned rights)
{
	for (; from < to && !builder->refused; from += PAGE_SIZE) {
		struct cap cap = make_page(builder, 0, rights);

		put(builder, from, &cap);
	}
}

/* Nodes as low as they can be. When program and stack are in reach of the same
 * slot of the root, or the program is not, nodes of all levels. */
static void put_tops(
	struct builder *builder, const struct custos_module *module)
{
	uint64_t low = UINT64_MAX, high = 0;
	unsigned i;

	for (i = 0; i < module->segment_count; i++) {
		const struct custos_segment *segment = &module->segments[i];

		if (segment->va < low)
			low = segment->va;
		if (segment->va + segment->mem_size > high)
			high = segment->va + segment->mem_size;
	}
	if (high <= low || high > STACK_BASE >> CUSTOS_GPT_L2V_MAX
					      << CUSTOS_GPT_L2V_MAX)
		return;
	if (low >> CUSTOS_GPT_L2V_MAX == (high - 1) >> CUSTOS_GPT_L2V_MAX)
		make_top(builder, low, high);
	make_top(builder, STACK_BASE, SETUP_END);
}

static void put_program(
	struct builder *builder, const struct custos_module *module)
{
	unsigned i;

	put_tops(builder, module);
	for (i = 0; i < module->segment_count && !builder->refused; i++)
		put_segment(builder, &module->segments[i]);
	put_own(builder, STACK_BASE, CUSTOS_STACK_TOP,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE);
	put_own(builder, CUSTOS_START_VA, SETUP_END, CUSTOS_RIGHT_READ);
}

static void populate(
	struct process *process, const struct custos_module *module)
{
	unsigned i;

	for (i = 0; i < module->segment_count; i++)
		space_populate(process, module->segments[i].va,
			module->segments[i].mem_size);
	space_populate(process, CUSTOS_STACK_TOP - STACK_WARM, STACK_WARM);
	space_populate(process, CUSTOS_START_VA, 2 * PAGE_SIZE);
}

static int make_caps(struct process *process, struct bank *bank)
{
	uint64_t gpa = bank_alloc(bank, FRAME_CAPPAGE);

	if (!gpa)
		return -CUSTOS_E_LIMIT;
	process->caps = cap_make(CUSTOS_CAP_CAPPAGE, CUSTOS_RIGHT_ALL,
		machine_direct(gpa), 0);
	return 0;
}

static int make_space(struct process *process, struct bank *bank,
	const struct custos_module *module)
{
	struct builder builder = {.bank = bank};

	builder.root = make_node(&builder, CUSTOS_GPT_L2V_MAX);
	if (!builder.root)
		return -CUSTOS_E_LIMIT;
	builder.root->inner = false;
	process->space = cap_make(
		CUSTOS_CAP_GPT, CUSTOS_RIGHTS_MEMORY, builder.root, 0);
	put_program(&builder, module);
	return builder.refused ? -CUSTOS_E_LIMIT : 0;
}

static void init_state(
	struct process *process, const struct custos_module *module)
{
	process->frame.rip = module->entry;
	process->frame.rsp = CUSTOS_STACK_TOP - 8;
	process->frame.gpr[GPR_RDI] = CUSTOS_START_VA;
	machine_copy(process->name, module->name, CUSTOS_NAME_MAX);
}

static void init_start_info(struct process *process)
{
	struct custos_start_info *info = process_start_info(process);

	info->magic = CUSTOS_ABI_MAGIC;
	info->abi_version = CUSTOS_ABI_VERSION;
	info->args = CUSTOS_START_ARGS_VA;
	info->cpu_count = boot_info->cpu_count;
}

static void give_own(struct process *process)
{
	static const char self[CUSTOS_NAME_MAX] = "self";
	static const char caps[CUSTOS_NAME_MAX] = "caps";
	static const char space[CUSTOS_NAME_MAX] = "space";
	struct cap cap = cap_make(
		CUSTOS_CAP_PROCESS, CUSTOS_RIGHT_ALL, process, 0);

	process_give(process, self, &cap, CUSTOS_RIGHT_ALL);
	process_give(process, caps, &process->caps, CUSTOS_RIGHT_ALL);
	process_give(process, space, &process->space, CUSTOS_RIGHT_ALL);
}

int process_load(struct process *process, struct bank *bank, unsigned index,
	uint32_t cpu)
{
	const struct custos_module *module = &boot_info->modules[index];
	int error = make_caps(process, bank);

	if (!error)
		error = make_space(process, bank, module);
	if (error)
		return error;
	/* Nobody but the kernel has a use for these rights. */
	process->bank = cap_make(CUSTOS_CAP_BANK, CUSTOS_RIGHT_READ, bank, 0);
	process->schedule = cap_make(CUSTOS_CAP_SCHEDULE, CUSTOS_RIGHT_ALL,
		NULL, SCHEDULE_PAYLOAD(cpu, SLICE_NS));
	process_apply_schedule(process);
	init_state(process, module);
	init_start_info(process);
	give_own(process);
	populate(process, module);
	return 0;
}

void process_unload(struct process *process)
{
	struct cap space = process->space, caps = process->caps;

	while (!object_destroy(machine_gpa(process)))
		continue;
	while (!memory_free(&space, UINT32_MAX))
		continue;
	if (cap_is_live(&caps))
		object_destroy(machine_gpa(caps.object));
}

static void *setup_page(const struct process *process, uint64_t va)
{
	struct walk way;

	walk(&process->space, va, &way);
	invariant(way.end == WALK_PAGE);
	return machine_direct(way.gpa);
}

struct custos_start_info *process_start_info(struct process *process)
{
	return setup_page(process, CUSTOS_START_VA);
}

char *process_start_args(struct process *process)
{
	return setup_page(process, CUSTOS_START_ARGS_VA);
}

int process_give(struct process *process, const char *name,
	const struct cap *from, unsigned rights)
{
	struct custos_start_info *info = process_start_info(process);
	struct custos_named_cap *named;
	uint32_t slot = info->cap_count + 1;
	struct cap *to = cap_find_empty(process, slot);

	if (!to || info->cap_count >= CUSTOS_START_CAPS)
		return -CUSTOS_E_LIMIT;
	cap_copy(to, from, rights);
	named = &info->caps[info->cap_count++];
	machine_copy(named->name, name, CUSTOS_NAME_MAX);
	named->name[CUSTOS_NAME_MAX - 1] = '\0';
	named->slot = slot;
	named->type = from->type;
	return 0;
}
