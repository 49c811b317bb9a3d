/* SPDX-License-Identifier: MIT */
/*
 * A bank is the frame its struct lies in, which it pays for itself and which is
 * in none of its own lists. Every number in it is kept exact along the whole
 * chain of banks above at every change: there are at most BANK_DEPTH_MAX.
 */
#include "bank.h"

#include "machine.h"
#include "object.h"
#include "panic.h"
#include "table.h"

/* Work done at one kernel entry, in frames. */
#define PIECE 64

static struct bank *root;
static struct bank *refusal;
static struct list ending;

static enum bank_list list_of(const struct frame_info *info)
{
	switch (info->type) {
	case FRAME_PROCESS:
		return BANK_PROCESSES;
	case FRAME_TABLE:
		return BANK_TABLES;
	default:
		return BANK_OBJECTS;
	}
}

static uint64_t frames_of(enum frame_type type)
{
	return type == FRAME_PROCESS ? frame_run_length() : 1;
}

static void link_frame(struct bank *bank, uint64_t gpa)
{
	struct frame_info *info = frame_info(gpa);
	uint32_t *first = &bank->first[list_of(info)], number;

	number = frame_number(gpa);
	info->prev = 0;
	info->next = *first;
	if (*first)
		frame_info(frame_gpa(*first))->prev = number;
	*first = number;
	bank->tables += info->type == FRAME_TABLE;
}

static void unlink_frame(struct bank *bank, uint64_t gpa)
{
	struct frame_info *info = frame_info(gpa);

	if (info->prev)
		frame_info(frame_gpa(info->prev))->next = info->next;
	else
		bank->first[list_of(info)] = info->next;
	if (info->next)
		frame_info(frame_gpa(info->next))->prev = info->prev;
	bank->tables -= info->type == FRAME_TABLE;
}

static void set_bank(uint64_t gpa, uint64_t frames, struct bank *bank)
{
	for (; frames; frames--, gpa += PAGE_SIZE)
		frame_info(gpa)->bank = bank;
}

static void count(struct bank *bank, int64_t frames)
{
	bank->own += (uint64_t)frames;
	for (; bank; bank = bank->parent)
		bank->all += (uint64_t)frames;
}

/* The innermost bank that may not use so many more frames, or NULL. */
static struct bank *find_limit(struct bank *bank, uint64_t frames)
{
	for (; bank; bank = bank->parent)
		if (bank->limit && bank->all + frames > bank->limit)
			return bank;
	return NULL;
}

static void begin(struct bank *bank, struct bank *parent, uint64_t limit)
{
	bank->parent = parent;
	bank->limit = limit;
	list_init(&bank->siblings);
	list_init(&bank->children);
	list_init(&bank->dying);
	frame_info(machine_gpa(bank))->bank = bank;
	count(bank, 1);
}

struct bank *bank_init(void)
{
	uint64_t gpa = frame_take(FRAME_BANK, true);

	invariant(gpa);
	root = machine_direct(gpa);
	refusal = NULL;
	list_init(&ending);
	begin(root, NULL, 0);
	return root;
}

struct bank *bank_root(void)
{
	return root;
}

static uint64_t take(struct bank *bank, enum frame_type type, bool zeros)
{
	uint64_t frames = frames_of(type), gpa = 0;

	refusal = find_limit(bank, frames);
	if (!refusal && !bank->ending)
		gpa = type == FRAME_PROCESS ? frame_run_take(type)
					    : frame_take(type, zeros);
	if (!gpa) {
		panic_record(EVENT_REFUSED,
			refusal ? frame_number(machine_gpa(refusal)) : 0, type);
		return 0;
	}
	set_bank(gpa, frames, bank);
	link_frame(bank, gpa);
	count(bank, (int64_t)frames);
	return gpa;
}

uint64_t bank_alloc(struct bank *bank, enum frame_type type)
{
	return take(bank, type, true);
}

uint64_t bank_alloc_dirty(struct bank *bank, enum frame_type type)
{
	return take(bank, type, false);
}

struct bank *bank_refusal(void)
{
	return refusal;
}

bool bank_can(struct bank *bank, uint64_t frames)
{
	refusal = find_limit(bank, frames);
	return !refusal && !bank->ending && frames <= frame_count_free();
}

/* No bank pays for it any more. */
static void release(uint64_t gpa)
{
	const struct frame_info *info = frame_info(gpa);

	unlink_frame(info->bank, gpa);
	count(info->bank, -(int64_t)frames_of(info->type));
}

static void give(uint64_t gpa)
{
	if (frame_info(gpa)->type == FRAME_PROCESS)
		frame_run_give(gpa);
	else
		frame_give(gpa);
}

void bank_free(uint64_t gpa)
{
	release(gpa);
	give(gpa);
}

void bank_move(uint64_t gpa, struct bank *to)
{
	uint64_t frames = frames_of(frame_info(gpa)->type);

	release(gpa);
	set_bank(gpa, frames, to);
	link_frame(to, gpa);
	count(to, (int64_t)frames);
}

static unsigned depth_of(const struct bank *bank)
{
	unsigned depth = 0;

	for (; bank; bank = bank->parent)
		depth++;
	return depth;
}

int bank_create_child(struct bank *parent, uint64_t limit, struct bank **out)
{
	uint64_t gpa;

	refusal = NULL;
	if (parent->ending || depth_of(parent) >= BANK_DEPTH_MAX)
		return -CUSTOS_E_LIMIT;
	refusal = find_limit(parent, 1);
	gpa = refusal ? 0 : frame_take(FRAME_BANK, true);
	if (!gpa)
		return -CUSTOS_E_LIMIT;
	*out = machine_direct(gpa);
	begin(*out, parent, limit);
	list_insert(&parent->children, &(*out)->siblings);
	return 0;
}

/* ---- ending ---- */

static struct bank *first_child(struct bank *bank)
{
	if (list_is_empty(&bank->children))
		return NULL;
	return LIST_ENTRY(bank->children.next, struct bank, siblings);
}

/* Everything of it is gone. */
static void end(struct bank *bank)
{
	uint64_t gpa = machine_gpa(bank);

	invariant(bank->own == 1 && bank->all == 1);
	list_remove(&bank->siblings);
	list_remove(&bank->dying);
	count(bank, -1);
	frame_give(gpa);
}

static uint32_t first_frame(const struct bank *bank)
{
	unsigned i;

	for (i = 0; i < BANK_LISTS; i++)
		if (bank->first[i])
			return bank->first[i];
	return 0;
}

/* The banks below end first; each is marked when it is come to. */
static struct bank *innermost(struct bank *bank)
{
	struct bank *child;

	while ((child = first_child(bank))) {
		child->ending = true;
		child->removing = false;
		bank = child;
	}
	return bank;
}

static void adopt(struct bank *child, struct bank *bank)
{
	child->parent = bank->parent;
	bank->all -= child->all;
	list_remove(&child->siblings);
	list_insert(&bank->parent->children, &child->siblings);
}

/* Give one thing of the bank to its parent; false: there was none. */
static bool remove_one(struct bank *bank)
{
	struct bank *child = first_child(bank);
	uint32_t number = first_frame(bank);

	if (child)
		adopt(child, bank);
	else if (number)
		bank_move(frame_gpa(number), bank->parent);
	else
		end(bank);
	return child || number;
}

static void remove_piece(struct bank *bank)
{
	unsigned i;

	for (i = 0; i < PIECE && remove_one(bank); i++)
		continue;
}

/* Objects that have ended and whose frames TLBs may still know. */
struct ended {
	uint64_t gpa[PIECE];
	unsigned count;
};

static void give_ended(const struct ended *ended)
{
	unsigned i;

	table_flush();
	for (i = 0; i < ended->count; i++)
		give(ended->gpa[i]);
}

/* Most objects are pages without a keeper. */
static bool end_object(uint64_t gpa)
{
	struct frame_info *info = frame_info(gpa);
	unsigned i;

	if (info->type != FRAME_PAGE || info->attributes)
		return object_end(gpa);
	info->generation = frame_new_generation();
	for (i = 0; i < FRAME_MAPPERS; i++)
		if (info->mappers[i].table) {
			table_unmap_frame(gpa);
			break;
		}
	return true;
}

/* One object or bank less; false: no more now. */
static bool destroy_one(struct bank *bank, struct ended *ended)
{
	struct bank *inner = innermost(bank);
	uint32_t number = first_frame(inner);
	uint64_t gpa;

	if (!number) {
		end(inner);
		return inner != bank;
	}
	gpa = frame_gpa(number);
	if (!end_object(gpa))
		return false;
	release(gpa);
	ended->gpa[ended->count++] = gpa;
	return true;
}

static void destroy_piece(struct bank *bank)
{
	struct ended ended;

	ended.count = 0;
	while (ended.count < PIECE && destroy_one(bank, &ended))
		continue;
	give_ended(&ended);
}

static __attribute__((noinline)) bool end_piece(void)
{
	struct bank *bank = LIST_ENTRY(ending.next, struct bank, dying);

	if (bank->removing)
		remove_piece(bank);
	else
		destroy_piece(bank);
	return list_is_empty(&ending);
}

/* Called at every kernel entry, nearly always for nothing. */
bool bank_end_piece(void)
{
	return list_is_empty(&ending) || end_piece();
}

void bank_end(struct bank *bank, bool remove)
{
	invariant(bank != root);
	if (!bank->ending) {
		panic_record(EVENT_BANK, frame_number(machine_gpa(bank)),
			bank->all);
		bank->ending = true;
		bank->removing = remove;
		list_insert(&ending, &bank->dying);
	}
	bank_end_piece();
}
