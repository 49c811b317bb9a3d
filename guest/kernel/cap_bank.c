/* SPDX-License-Identifier: MIT */
/* Bank: makes and ends the objects that need frames. */
#include "bank.h"
#include "call.h"
#include "frame.h"
#include "gpt.h"
#include "keep.h"
#include "machine.h"
#include "object.h"
#include "process.h"

#define BANK_RIGHTS                                                            \
	(CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CONTROL)
#define ENDPOINT_RIGHTS (CUSTOS_RIGHT_SEND | CUSTOS_RIGHT_RECEIVE)
#define PROCESS_RIGHTS (CUSTOS_RIGHT_WAIT | CUSTOS_RIGHT_CONTROL)
#define BUFFER_RIGHTS                                                          \
	(CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_SEND |          \
		CUSTOS_RIGHT_CONTROL)

/* More frames than any machine has; a call can return it. */
#define LIMIT_MAX UINT32_MAX

/* Tables looked at by one call. */
#define TABLES_MAX 1024

struct kind {
	enum frame_type frame;
	uint32_t rights;
	void (*begin)(uint64_t gpa); /* NULL: zeros will do */
};

/* Of what can be had; the others are FRAME_FREE. A process is made by its own
 * function. */
static const struct kind kinds[CUSTOS_CAP_MAX] = {
	[CUSTOS_CAP_PAGE] = {FRAME_PAGE, CUSTOS_RIGHTS_MEMORY, NULL},
	[CUSTOS_CAP_CAPPAGE] = {FRAME_CAPPAGE, CUSTOS_RIGHTS_MEMORY, NULL},
	[CUSTOS_CAP_GPT] = {FRAME_GPT, CUSTOS_RIGHTS_MEMORY, gpt_begin},
	[CUSTOS_CAP_ENDPOINT] = {FRAME_ENDPOINT, ENDPOINT_RIGHTS,
		endpoint_begin},
	[CUSTOS_CAP_PROCESS] = {FRAME_PROCESS, PROCESS_RIGHTS, NULL},
	[CUSTOS_CAP_BUFFER] = {FRAME_BUFFER, BUFFER_RIGHTS, buffer_begin},
};

static struct bank *target(const struct call *call)
{
	return call->cap->object;
}

/* An object of that kind, or NULL. */
static void *make(struct bank *bank, const struct kind *kind)
{
	uint64_t gpa;

	if (kind->frame == FRAME_PROCESS)
		return process_create(bank);
	gpa = bank_alloc(bank, kind->frame);
	if (!gpa)
		return NULL;
	if (kind->begin)
		kind->begin(gpa);
	return machine_direct(gpa);
}

int64_t bank_call_alloc(const struct call *call)
{
	uint64_t type = call->args[0];
	struct cap *to = cap_find_empty(call->caller, call->args[1]);
	void *object;

	if (type >= CUSTOS_CAP_MAX || !kinds[type].frame || !to)
		return -CUSTOS_E_REQUEST;
	object = make(target(call), &kinds[type]);
	if (!object)
		return keep_exhausted(call->caller, (enum custos_captype)type,
			0);
	/* commit */
	*to = cap_make((enum custos_captype)type, kinds[type].rights, object,
		0);
	return 0;
}

/* The object a capability names, if it has a frame; else 0. */
static uint64_t frame_of(const struct cap *cap)
{
	return cap->object && cap->type != CUSTOS_CAP_BANK
		       ? machine_gpa(cap->object)
		       : 0;
}

/* What has to be had to be able to free the object: not only a resume
 * capability to a process, an entry to an endpoint. */
static bool is_whole(const struct cap *cap)
{
	return cap->type < CUSTOS_CAP_MAX && kinds[cap->type].frame;
}

int64_t bank_call_free(const struct call *call)
{
	struct process *caller = call->caller;
	struct cap *cap = cap_find(caller, call->args[0]);
	struct cap self = cap_make(CUSTOS_CAP_PROCESS, 0, caller, 0);
	uint64_t gpa;

	if (!cap)
		return -CUSTOS_E_INVALID_CAP;
	gpa = frame_of(cap);
	if (!gpa || frame_info(gpa)->bank != target(call))
		return -CUSTOS_E_REQUEST;
	if (!is_whole(cap) && cap->type != CUSTOS_CAP_TABLE)
		return -CUSTOS_E_REQUEST;
	/* commit */
	if (object_destroy(gpa))
		return cap_is_live(&self) ? 0 : CALL_NO_RESULT;
	/* It goes on with this capability alone. */
	cap->generation = frame_info(gpa)->generation;
	return CALL_RESTART;
}

int64_t bank_call_create_child(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);
	struct bank *child;

	if (!to || call->args[1] > LIMIT_MAX)
		return -CUSTOS_E_REQUEST;
	if (bank_create_child(target(call), call->args[1], &child))
		return keep_exhausted(call->caller, CUSTOS_CAP_BANK, 0);
	/* commit */
	*to = cap_make(CUSTOS_CAP_BANK, BANK_RIGHTS, child, 0);
	return 0;
}

int64_t bank_call_set_limit(const struct call *call)
{
	if (call->args[0] > LIMIT_MAX)
		return -CUSTOS_E_REQUEST;
	/* commit */
	target(call)->limit = call->args[0];
	return 0;
}

/* Least of what the limits above leave and the machine has. */
static uint64_t count_available(const struct bank *bank)
{
	uint64_t available = frame_count_free(), left;

	for (; bank; bank = bank->parent) {
		if (!bank->limit)
			continue;
		left = bank->limit > bank->all ? bank->limit - bank->all : 0;
		if (left < available)
			available = left;
	}
	return available;
}

int64_t bank_call_usage(const struct call *call)
{
	const struct bank *bank = target(call);

	switch (call->args[0]) {
	case CUSTOS_USAGE_OWN:
		return (int64_t)bank->own;
	case CUSTOS_USAGE_ALL:
		return (int64_t)bank->all;
	case CUSTOS_USAGE_LIMIT:
		return (int64_t)bank->limit;
	case CUSTOS_USAGE_FREE:
		return (int64_t)count_available(bank);
	case CUSTOS_USAGE_TABLES:
		return (int64_t)bank->tables;
	case CUSTOS_USAGE_MACHINE:
		return (int64_t)frame_count_free();
	default:
		return -CUSTOS_E_REQUEST;
	}
}

int64_t bank_call_owner(const struct call *call)
{
	const struct cap *cap = cap_find(call->caller, call->args[0]);

	if (!cap)
		return -CUSTOS_E_INVALID_CAP;
	if (!cap->object)
		return 0;
	return frame_info(machine_gpa(cap->object))->bank == target(call);
}

int64_t bank_call_set_keeper(const struct call *call)
{
	const struct cap *cap = NULL;

	if (call->args[0]) {
		cap = cap_find_typed(call->caller, call->args[0],
			CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND);
		if (!cap)
			return -CUSTOS_E_INVALID_CAP;
	}
	/* commit */
	target(call)->keeper = cap ? *cap : (struct cap){0};
	return 0;
}

static int64_t finish(const struct call *call, bool remove)
{
	struct process *caller = call->caller;
	struct cap self = cap_make(CUSTOS_CAP_PROCESS, 0, caller, 0);
	struct cap bank = *call->cap;

	if (bank.object == bank_root())
		return -CUSTOS_E_REQUEST;
	/* commit */
	bank_end(bank.object, remove);
	if (!cap_is_live(&self))
		return CALL_NO_RESULT;
	if (!cap_is_live(&bank))
		return 0;
	caller->ends = bank;
	return CALL_RESTART;
}

int64_t bank_call_remove(const struct call *call)
{
	return finish(call, true);
}

int64_t bank_call_destroy(const struct call *call)
{
	return finish(call, false);
}

int64_t bank_call_create_memory(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);
	uint64_t length = call->args[1];
	struct cap memory;
	int64_t error;

	if (!to || !length || length & PAGE_MASK)
		return -CUSTOS_E_REQUEST;
	error = memory_create(call->caller, target(call), length, &memory);
	if (error == -CUSTOS_E_LIMIT)
		return keep_exhausted(call->caller, CUSTOS_CAP_GPT, 0);
	if (error)
		return error;
	/* commit */
	*to = memory;
	return 0;
}

int64_t bank_call_find_table(const struct call *call)
{
	uint32_t number = target(call)->first[BANK_TABLES];
	struct cap *to = cap_find_empty(call->caller, call->args[1]);
	uint64_t n = call->args[0];

	if (!to)
		return -CUSTOS_E_REQUEST;
	if (n >= TABLES_MAX)
		return -CUSTOS_E_LIMIT;
	for (; number && n; n--)
		number = frame_info(frame_gpa(number))->next;
	if (!number)
		return -CUSTOS_E_REQUEST;
	/* commit */
	*to = cap_make(CUSTOS_CAP_TABLE, CUSTOS_RIGHT_READ,
		machine_direct(frame_gpa(number)), 0);
	return 0;
}
