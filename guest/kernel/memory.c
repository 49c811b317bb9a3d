/* SPDX-License-Identifier: MIT */
/*
 * Trees of pages. Making a large one takes many kernel entries: what there is
 * meanwhile is in the process that calls, and nobody else has it.
 */
#include "bank.h"
#include "call.h"
#include "frame.h"
#include "gpt.h"
#include "object.h"
#include "process.h"

#define LOG_SLOTS CUSTOS_GPT_L2V_STEP
/* What the largest node spans. */
#define LENGTH_MAX (UINT64_C(1) << (CUSTOS_GPT_L2V_MAX + LOG_SLOTS))
#define PIECE 64 /* pages made or freed at once: those of a node */

static unsigned top_l2v(uint64_t length)
{
	unsigned l2v = CUSTOS_GPT_L2V_MIN;

	while ((length - 1) >> (l2v + LOG_SLOTS))
		l2v += LOG_SLOTS;
	return l2v;
}

/* Pages, and all nodes but the top one's. */
static uint64_t frames_of(uint64_t length)
{
	uint64_t count = length / PAGE_SIZE, all = count;

	while (count > CUSTOS_GPT_SLOTS) {
		count = (count + CUSTOS_GPT_SLOTS - 1) / CUSTOS_GPT_SLOTS;
		all += count;
	}
	return all;
}

/* The node that holds the page of the address, made with all above it. */
static struct gpt *make_leaf(struct gpt *gpt, struct bank *bank, uint64_t at)
{
	while (gpt->l2v > CUSTOS_GPT_L2V_MIN) {
		struct cap *slot =
			&gpt->slots[at >> gpt->l2v & (CUSTOS_GPT_SLOTS - 1)];

		if (!slot->type) {
			struct gpt *node =
				gpt_make(bank, gpt->l2v - LOG_SLOTS);
			struct cap link;

			if (!node)
				return NULL;
			node->inner = true;
			link = cap_make(CUSTOS_CAP_GPT, CUSTOS_RIGHTS_MEMORY,
				node, 0);
			gpt_put(gpt, (unsigned)(slot - gpt->slots), &link);
		}
		gpt = slot->object;
	}
	return gpt;
}

static bool make_piece(struct gpt *top, struct bank *bank, uint64_t from,
	uint64_t to)
{
	struct gpt *leaf = make_leaf(top, bank, from * PAGE_SIZE);
	unsigned i;

	if (!leaf)
		return false;
	for (i = 0; i < to - from; i++) {
		uint64_t gpa = bank_alloc(bank, FRAME_PAGE);

		if (!gpa)
			return false;
		leaf->slots[i] = cap_make(CUSTOS_CAP_PAGE,
			CUSTOS_RIGHTS_MEMORY, machine_direct(gpa), 0);
	}
	return true;
}

static struct cap *first_in(struct gpt *gpt)
{
	unsigned i;

	for (i = 0; i < CUSTOS_GPT_SLOTS; i++)
		if (gpt->slots[i].type)
			return &gpt->slots[i];
	return NULL;
}

static void free_object(const struct cap *cap)
{
	if (cap_is_live(cap))
		while (!object_destroy(machine_gpa(cap->object)))
			continue;
}

bool memory_free(const struct cap *tree, unsigned count)
{
	struct cap top = *tree;

	for (; count && cap_is_live(&top); count--) {
		struct cap *cap = &top, *below;

		while (cap->type == CUSTOS_CAP_GPT && cap_is_live(cap) &&
			(below = first_in(cap->object)))
			cap = below;
		if (cap->object)
			free_object(cap);
		*cap = (struct cap){0};
	}
	return !cap_is_live(&top);
}

static void forget_made(struct process *process)
{
	process->made = (struct cap){0};
	process->made_pages = 0;
}

/* What the process was making is not wanted any more. */
static int64_t undo(struct process *process)
{
	if (memory_free(&process->made, PIECE))
		forget_made(process);
	return CALL_RESTART;
}

static int64_t begin(
	struct process *process, struct bank *bank, uint64_t length)
{
	struct gpt *top;

	if (!bank_can(bank, frames_of(length) + (length > PAGE_SIZE)))
		return -CUSTOS_E_LIMIT;
	top = gpt_make(bank, top_l2v(length));
	if (!top)
		return -CUSTOS_E_LIMIT;
	process->made = cap_make(
		CUSTOS_CAP_GPT, CUSTOS_RIGHTS_MEMORY, top, 0);
	process->made_length = length;
	process->made_pages = 0;
	return 0;
}

static int64_t create_page(struct bank *bank, struct cap *out)
{
	uint64_t gpa = bank_alloc(bank, FRAME_PAGE);

	if (!gpa)
		return -CUSTOS_E_LIMIT;
	*out = cap_make(CUSTOS_CAP_PAGE, CUSTOS_RIGHTS_MEMORY,
		machine_direct(gpa), 0);
	return 0;
}

/* More pages; true: all of them are there. */
static bool go_on(struct process *process, struct bank *bank)
{
	uint64_t all = process->made_length / PAGE_SIZE;
	uint64_t from = process->made_pages, to = from + PIECE;

	if (to > all)
		to = all;
	if (make_piece(process->made.object, bank, from, to))
		process->made_pages = to;
	else
		process->made_length = 0; /* to be undone */
	return process->made_pages == all;
}

int64_t memory_create(struct process *process, struct bank *bank,
	uint64_t length, struct cap *out)
{
	int64_t error;

	if (!length || length & PAGE_MASK || length > LENGTH_MAX)
		return -CUSTOS_E_REQUEST;
	if (length == PAGE_SIZE)
		return create_page(bank, out);
	if (!cap_is_live(&process->made)) {
		error = begin(process, bank, length);
		if (error)
			return error;
	}
	if (process->made_length != length ||
		frame_info(machine_gpa(process->made.object))->bank != bank)
		return undo(process);
	if (!go_on(process, bank))
		return CALL_RESTART;
	/* commit */
	*out = process->made;
	if (length < gpt_span(out->object))
		out->pages = (uint32_t)(length / PAGE_SIZE);
	forget_made(process);
	return 0;
}
