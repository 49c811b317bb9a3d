/* SPDX-License-Identifier: MIT */
/* Page: bytes, and who is asked about them. */
#include "bank.h"
#include "call.h"
#include "copy.h"
#include "endpoint.h"
#include "frame.h"
#include "keep.h"
#include "machine.h"
#include "object.h"
#include "page.h"
#include "process.h"
#include "table.h"
#include "walk.h"

#define PIECE 64 /* bytes a keeper is asked about at a time */

#define TRAPPED (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC)

static struct page_attributes *attributes_of(uint64_t gpa)
{
	uint32_t number;

	if (!frame_is_managed(gpa))
		return NULL;
	number = frame_info(gpa)->attributes;
	return number ? machine_direct(frame_gpa(number)) : NULL;
}

unsigned page_kept(uint64_t gpa)
{
	const struct page_attributes *attributes = attributes_of(gpa);

	return attributes ? attributes->rights : 0;
}

const struct cap *page_keeper(uint64_t gpa)
{
	return &attributes_of(gpa)->keeper;
}

static void clear_keeper(uint64_t gpa)
{
	uint32_t number = frame_info(gpa)->attributes;

	if (!number)
		return;
	frame_info(gpa)->attributes = 0;
	bank_free(frame_gpa(number));
}

bool page_end(uint64_t gpa)
{
	table_unmap_frame(gpa);
	clear_keeper(gpa);
	return true;
}

static uint64_t target(const struct call *call)
{
	return machine_gpa(call->cap->object);
}

/* Its keeper's receiver sees the page as it is. */
static bool is_asked(const struct call *call, uint64_t gpa, unsigned right)
{
	const struct endpoint *endpoint;

	if (!(page_kept(gpa) & right))
		return false;
	endpoint = page_keeper(gpa)->object;
	return !cap_is_live(page_keeper(gpa)) ||
	       endpoint->recipient != call->caller;
}

/*
 * Whether bytes [offset, offset + length) of the page can be copied now: 0, or
 * the answer. A page the monitor keeps is refused: it would want to know the
 * address of an access, and there is none.
 */
static int64_t check_copy(const struct call *call)
{
	uint64_t offset = call->args[0], length = call->args[2];
	uint64_t gpa = target(call);
	struct walk way = {.end = WALK_PAGE, .gpa = gpa, .cap = *call->cap};

	if (call->cap->payload || offset > PAGE_SIZE ||
		length > PAGE_SIZE - offset)
		return -CUSTOS_E_REQUEST;
	if (copy_is_monitors(gpa))
		return -CUSTOS_E_BUSY;
	if (keep_page_is_locked(gpa) && keep_is_locked(call->caller, &way))
		return CALL_RESTART;
	return 0;
}

/* The page's keeper is asked about each piece, which it has served when the
 * call is made again. */
static int64_t ask(const struct call *call, struct cap keeper, bool store)
{
	uint64_t offset = call->args[0], va = call->args[1];
	uint64_t left = call->args[2], size;
	struct process *caller = call->caller;
	uint8_t bytes[PIECE];
	int64_t result = 0;

	for (; left && !result; left -= size, offset += size, va += size) {
		size = left < PIECE ? left : PIECE;
		if (store)
			result = copy_from_process(caller, bytes, va, size,
				CUSTOS_COPY_SYSCALL_LOAD);
		if (!result)
			result = keep_read(caller, &keeper, call->cap->object,
				offset, bytes, size, store);
		if (!store && !result)
			result = copy_to_process(caller, va, bytes, size,
				CUSTOS_COPY_SYSCALL_STORE);
	}
	return result;
}

int64_t page_call_read(const struct call *call)
{
	uint64_t gpa = target(call);
	int64_t result = check_copy(call);

	if (result)
		return result;
	if (is_asked(call, gpa, CUSTOS_RIGHT_READ))
		return ask(call, *page_keeper(gpa), false);
	return copy_to_process(call->caller, call->args[1],
		(uint8_t *)machine_direct(gpa) + call->args[0], call->args[2],
		CUSTOS_COPY_SYSCALL_STORE);
}

int64_t page_call_write(const struct call *call)
{
	uint64_t gpa = target(call);
	int64_t result = check_copy(call);

	if (result)
		return result;
	if (is_asked(call, gpa, CUSTOS_RIGHT_WRITE))
		return ask(call, *page_keeper(gpa), true);
	return copy_from_process(call->caller,
		(uint8_t *)machine_direct(gpa) + call->args[0], call->args[1],
		call->args[2], CUSTOS_COPY_SYSCALL_LOAD);
}

static struct page_attributes *make_attributes(uint64_t gpa)
{
	struct page_attributes *attributes = attributes_of(gpa);
	uint64_t frame;

	if (attributes)
		return attributes;
	frame = bank_alloc(frame_info(gpa)->bank, FRAME_ATTRIBUTES);
	if (!frame)
		return NULL;
	frame_info(gpa)->attributes = frame_number(frame);
	frame_info(frame)->producer = frame_number(gpa);
	return machine_direct(frame);
}

int64_t page_call_set_keeper(const struct call *call)
{
	const struct cap *entry = cap_find_typed(call->caller, call->args[0],
		CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND);
	uint64_t gpa = target(call), rights = call->args[1];
	struct page_attributes *attributes;

	if (!entry)
		return -CUSTOS_E_INVALID_CAP;
	if (!rights || rights & ~(uint64_t)TRAPPED)
		return -CUSTOS_E_REQUEST;
	attributes = make_attributes(gpa);
	if (!attributes)
		return keep_exhausted(call->caller, CUSTOS_CAP_PAGE, 0);
	/* commit */
	attributes->keeper = *entry;
	attributes->rights = (uint32_t)rights;
	table_unmap_frame(gpa);
	table_flush();
	return 0;
}

int64_t page_call_clear_keeper(const struct call *call)
{
	clear_keeper(target(call));
	return 0;
}
