/* SPDX-License-Identifier: MIT */
/*
 * One pass over all frames finds who owns them, a second one looks at every
 * capability in them. Made ten million times: it is kept short.
 */
#include "tests/support/kernel_check.h"

#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/buffer.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/endpoint.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/page.h"
#include "guest/kernel/process.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define FRAMES_MAX 4096
#define ADDRESSES (UINT64_C(1) << 48) /* a window shows no others */
#define PAYLOADS 64		      /* of entries, that are told apart */

/* All capabilities of one type to one object taken together. */
struct shown {
	uint64_t first, end; /* of windows: addresses in the object */
	uint64_t payloads;   /* of entries; bits of notices */
	uint16_t rights;
	bool any;
};

struct object {
	uint64_t generation;
	uint32_t types; /* bits: those with any in now or before */
	bool sealed, limited;
	struct shown now[CUSTOS_CAP_MAX], before[CUSTOS_CAP_MAX];
};

static struct {
	uint32_t first, count; /* managed frames */
	uint64_t made;	       /* payloads of entries made since, as bits */
	uint8_t owned[FRAMES_MAX + 1];
	struct object objects[FRAMES_MAX + 1];
} check;

static const uint8_t frame_of_type[CUSTOS_CAP_MAX] = {
	[CUSTOS_CAP_PROCESS] = FRAME_PROCESS,
	[CUSTOS_CAP_CAPPAGE] = FRAME_CAPPAGE,
	[CUSTOS_CAP_GPT] = FRAME_GPT,
	[CUSTOS_CAP_BANK] = FRAME_BANK,
	[CUSTOS_CAP_PAGE] = FRAME_PAGE,
	[CUSTOS_CAP_ENDPOINT] = FRAME_ENDPOINT,
	[CUSTOS_CAP_RESUME] = FRAME_PROCESS,
	[CUSTOS_CAP_BUFFER] = FRAME_BUFFER,
	[CUSTOS_CAP_NOTICE] = FRAME_ENDPOINT,
	[CUSTOS_CAP_TABLE] = FRAME_TABLE,
	[CUSTOS_CAP_ENTRY] = FRAME_ENDPOINT,
};

static struct frame_info *info_at(uint32_t number)
{
	return frame_info(frame_gpa(number));
}

static void *at(uint32_t number)
{
	return machine_direct(frame_gpa(number));
}

void kernel_check_init(void)
{
	uint64_t end = CUSTOS_RAM_BASE + kernel_machine.ram_size;

	memset(&check, 0, sizeof(check));
	check.count = frame_number(end - 1);
	must(check.count <= FRAMES_MAX);
}

static struct object *object_of(uint32_t number)
{
	return &check.objects[number];
}

void kernel_check_allow(uint64_t gpa, unsigned type, unsigned rights)
{
	struct object *object = object_of(frame_number(gpa));

	object->generation = frame_info(gpa)->generation;
	object->limited = true;
	object->types |= 1u << type;
	object->before[type] = (struct shown){.any = true,
		.rights = (uint16_t)rights,
		.end = ADDRESSES,
		.payloads = UINT64_MAX};
}

void kernel_check_seal(uint64_t gpa)
{
	struct object *object = object_of(frame_number(gpa));

	object->generation = frame_info(gpa)->generation;
	object->sealed = true;
}

void kernel_check_entry_made(uint64_t payload)
{
	check.made |= UINT64_C(1) << payload % PAYLOADS;
}

/* ---- frames ---- */

static void own(uint32_t number)
{
	must(check.owned[number] == 0);
	check.owned[number] = 1;
}

static void own_rest(uint32_t number, const struct bank *bank)
{
	for (unsigned i = 1; i < frame_run_length(); i++) {
		const struct frame_info *info = info_at(number + i);

		must(info->type == FRAME_REST);
		must(info->bank == bank);
		own(number + i);
	}
}

static bool is_in(enum bank_list list, unsigned type)
{
	switch (type) {
	case FRAME_PROCESS:
		return list == BANK_PROCESSES;
	case FRAME_TABLE:
		return list == BANK_TABLES;
	case FRAME_FREE:
	case FRAME_KERNEL:
	case FRAME_BANK:
	case FRAME_REST:
		return false;
	default:
		return list == BANK_OBJECTS;
	}
}

static uint64_t check_list(const struct bank *bank, enum bank_list list)
{
	uint32_t number, before = 0;
	uint64_t frames = 0;

	for (number = bank->first[list]; number;
		number = info_at(number)->next) {
		const struct frame_info *info = info_at(number);

		own(number);
		must(info->prev == before);
		must(info->bank == bank);
		must(is_in(list, info->type));
		if (info->type == FRAME_PROCESS)
			own_rest(number, bank);
		frames += list == BANK_PROCESSES ? frame_run_length() : 1;
		before = number;
	}
	return frames;
}

/* Frames of it and of the banks below it. */
static uint64_t check_bank(const struct bank *bank, unsigned depth)
{
	uint64_t own_frames = 1, all, tables;
	const struct list *link;

	must(depth <= BANK_DEPTH_MAX);
	own(frame_number(machine_gpa(bank)));
	must(frame_info(machine_gpa(bank))->type == FRAME_BANK);
	tables = check_list(bank, BANK_TABLES);
	must(bank->tables == tables);
	own_frames += tables + check_list(bank, BANK_PROCESSES) +
		      check_list(bank, BANK_OBJECTS);
	must(bank->own == own_frames);
	all = own_frames;
	for (link = bank->children.next; link != &bank->children;
		link = link->next) {
		const struct bank *child =
			LIST_ENTRY(link, struct bank, siblings);

		must(child->parent == bank);
		all += check_bank(child, depth + 1);
	}
	must(bank->all == all);
	return all;
}

static void check_frames(void)
{
	uint64_t used = check_bank(bank_root(), 1), free = 0;

	memset(check.owned + check.count + 1, 1, FRAMES_MAX - check.count);
	for (uint32_t number = 1; number <= check.count; number++) {
		unsigned type = info_at(number)->type;

		free += type == FRAME_FREE;
		must(check.owned[number] ==
			(type != FRAME_FREE && type != FRAME_KERNEL));
	}
	must(free == frame_count_free());
	must(used + free + frame_count_kernel() == frame_count_all());
}

/* ---- capabilities ---- */

/* Addresses beyond ADDRESSES are below 0. */
static void add_window(struct shown *shown, const struct cap *cap)
{
	uint64_t first = cap->payload, end = ADDRESSES;

	if (cap->pages)
		end = first + (uint64_t)cap->pages * PAGE_SIZE;
	if (!cap->pages || first > ADDRESSES)
		first = 0;
	if (end > ADDRESSES)
		end = cap->payload > ADDRESSES ? 0 : ADDRESSES;
	if (!shown->any || first < shown->first)
		shown->first = first;
	if (!shown->any || end > shown->end)
		shown->end = end;
}

static void add_payload(struct shown *shown, const struct cap *cap)
{
	if (cap->type == CUSTOS_CAP_NOTICE)
		shown->payloads |= cap->payload;
	else if (cap->type == CUSTOS_CAP_ENTRY)
		shown->payloads |= UINT64_C(1) << cap->payload % PAYLOADS;
}

/* No frame of a bank, and of a program's file only what it says. */
static void check_fixed(const struct cap *cap)
{
	uint64_t last = cap->payload + (uint64_t)cap->pages * PAGE_SIZE - 1;

	must(cap->pages);
	must(!frame_is_managed(cap->payload));
	must(!frame_is_managed(last));
}

static void check_cap(const struct cap *cap)
{
	uint32_t number;
	struct object *object;
	struct shown *shown;

	if (!cap->type || !cap_is_live(cap))
		return;
	must(cap->type < CUSTOS_CAP_MAX);
	must(!cap->object == !frame_of_type[cap->type]);
	if (cap->type == CUSTOS_CAP_FIXED)
		check_fixed(cap);
	if (!cap->object)
		return;
	number = frame_number(machine_gpa(cap->object));
	must(at(number) == cap->object);
	must(info_at(number)->type == frame_of_type[cap->type]);
	object = object_of(number);
	shown = &object->now[cap->type];
	if (cap_is_memory(cap) && cap->type != CUSTOS_CAP_ENTRY)
		add_window(shown, cap);
	add_payload(shown, cap);
	shown->rights |= cap->rights;
	shown->any = true;
	object->types |= 1u << cap->type;
}

static void check_caps(const struct cap *caps, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (caps[i].type)
			check_cap(&caps[i]);
}

/* Whom it asks, keep.asked, is the kernel's to know, not its own. */
static void check_process_caps(const struct process *process)
{
	check_cap(&process->space);
	check_cap(&process->caps);
	check_cap(&process->keeper);
	check_cap(&process->bank);
	check_cap(&process->schedule);
	check_cap(&process->ends);
	check_cap(&process->keep.cap);
}

static void check_gpt_caps(const struct gpt *gpt)
{
	check_caps(gpt->slots, CUSTOS_GPT_SLOTS);
	check_cap(&gpt->keeper);
	check_cap(&gpt->bank);
}

static void check_buffer_caps(const struct buffer *buffer)
{
	check_caps(buffer->caps, CUSTOS_MESSAGE_CAPS);
	check_cap(&buffer->thread);
}

static void check_frame_caps(uint32_t number)
{
	const struct page_attributes *attributes = at(number);
	const struct bank *bank = at(number);

	switch (info_at(number)->type) {
	case FRAME_CAPPAGE:
		must(*(uint16_t *)at(number) == CUSTOS_CAP_NULL);
		check_caps(at(number), CUSTOS_SLOTS);
		return;
	case FRAME_GPT:
		check_gpt_caps(at(number));
		return;
	case FRAME_PROCESS:
		check_process_caps(at(number));
		return;
	case FRAME_BUFFER:
		check_buffer_caps(at(number));
		return;
	case FRAME_ATTRIBUTES:
		check_cap(&attributes->keeper);
		return;
	case FRAME_BANK:
		check_cap(&bank->keeper);
		return;
	default:
		return;
	}
}

/* ---- what they show taken together ---- */

/* Some capabilities are derived from ones of another type. */
static bool is_derived(const struct object *object, unsigned type)
{
	const struct shown *endpoint = &object->before[CUSTOS_CAP_ENDPOINT];
	unsigned both = CUSTOS_RIGHT_SEND | CUSTOS_RIGHT_RECEIVE;

	switch (type) {
	case CUSTOS_CAP_ENTRY:
	case CUSTOS_CAP_NOTICE:
		return (endpoint->rights & both) == both;
	case CUSTOS_CAP_RESUME:
	case CUSTOS_CAP_TABLE:
		return true;
	default:
		return false;
	}
}

static void check_growth(const struct object *object, unsigned type)
{
	const struct shown *now = &object->now[type];
	const struct shown *before = &object->before[type];
	uint64_t payloads = now->payloads & ~before->payloads;

	if (is_derived(object, type)) {
		must(type == CUSTOS_CAP_NOTICE || !(payloads & ~check.made));
		return;
	}
	if (now->rights & ~before->rights)
		print_error("frame %u as %s: rights %x, were %x\n",
			(unsigned)(object - check.objects),
			cap_type_name(type), now->rights, before->rights);
	must(!(now->rights & ~before->rights));
	must(payloads == 0);
	if (!now->any)
		return;
	must(before->any);
	must(now->first >= before->first && now->end <= before->end);
}

/* What is shown now is what may be shown from now on. */
static void check_object(uint32_t number)
{
	struct object *object = object_of(number);
	uint64_t generation = info_at(number)->generation;
	bool is_new = object->generation != generation;
	uint32_t types = object->types;

	object->generation = generation;
	if (is_new)
		object->sealed = object->limited = false;
	for (; types; types &= types - 1) {
		unsigned type = (unsigned)__builtin_ctz(types);

		if (!is_new)
			check_growth(object, type);
		if (!object->limited || !object->before[type].any)
			object->before[type] = object->now[type];
		object->now[type] = (struct shown){.any = false};
		if (!object->before[type].any)
			object->types &= ~(1u << type);
	}
}

/* ---- who waits where ---- */

static const struct process *process_in(const struct list *link)
{
	const struct process *process = LIST_ENTRY(link, struct process, link);

	must(frame_info(machine_gpa(process))->type == FRAME_PROCESS);
	must(link->next->prev == link);
	return process;
}

static void check_queue(
	const struct list *queue, enum process_state a, enum process_state b)
{
	const struct list *link;

	for (link = queue->next; link != queue; link = link->next) {
		const struct process *process = process_in(link);

		must(process->state == a || process->state == b);
	}
}

static void check_endpoint(const struct endpoint *endpoint)
{
	const struct process *recipient = endpoint->recipient;

	check_queue(&endpoint->senders, PROCESS_SENDING, PROCESS_ASKING);
	check_queue(&endpoint->receivers, PROCESS_RECEIVING, PROCESS_RECEIVING);
	if (recipient)
		must(frame_info(machine_gpa(recipient))->type == FRAME_PROCESS);
}

static void check_process(const struct process *process)
{
	check_queue(&process->waiters, PROCESS_WAITING, PROCESS_WAITING);
	for (unsigned i = 0; i < KEEP_HOLDS; i++)
		if (process->keep.holds[i].holder)
			check_queue(&process->keep.holds[i].waiters,
				PROCESS_LOCKED, PROCESS_LOCKED);
	if (process->state == PROCESS_RUNNING)
		must(process->cpu->current == process);
}

static void check_buffer(const struct buffer *buffer)
{
	const struct list *link;

	for (link = buffer->line.next; link != &buffer->line;
		link = link->next) {
		const struct buffer *source =
			LIST_ENTRY(link, struct buffer, link);

		must(frame_info(machine_gpa(source))->type == FRAME_BUFFER);
		must(source->target == buffer);
		must(link->next->prev == link);
	}
}

static void check_cpu(const struct cpu *cpu)
{
	check_queue(&cpu->ready, PROCESS_READY, PROCESS_READY);
	check_queue(&cpu->sleepers, PROCESS_SLEEPING, PROCESS_SLEEPING);
	if (cpu->current)
		must(frame_info(machine_gpa(cpu->current))->type == FRAME_PROCESS);
	if (cpu->xstate_owner)
		must(frame_info(machine_gpa(cpu->xstate_owner))->type == FRAME_PROCESS);
}

static void check_waiting(uint32_t number)
{
	switch (info_at(number)->type) {
	case FRAME_ENDPOINT:
		check_endpoint(at(number));
		return;
	case FRAME_PROCESS:
		check_process(at(number));
		return;
	case FRAME_BUFFER:
		check_buffer(at(number));
		return;
	default:
		return;
	}
}

void kernel_check(void)
{
	memset(check.owned, 0, sizeof(check.owned));
	check_frames();
	for (uint32_t number = 1; number <= check.count; number++) {
		const struct object *object = object_of(number);

		if (!check.owned[number])
			continue;
		check_waiting(number);
		if (!object->sealed ||
			object->generation != info_at(number)->generation)
			check_frame_caps(number);
	}
	for (uint32_t number = 1; number <= check.count; number++)
		if (check.owned[number])
			check_object(number);
	check_cpu(cpu_get(0));
	check.made = 0;
}
