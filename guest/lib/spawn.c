/* SPDX-License-Identifier: MIT */
/* Starting other programs. */
#include <custos/guest.h>

#include "guest_impl.h"

/* By slot of the process: the bank made for it. */
static uint32_t banks[CUSTOS_SLOTS];

static int put_args(
	struct custos_spawn *to, char *bytes, const char *const *argv)
{
	for (; *argv; argv++) {
		size_t size = strlen(*argv) + 1;

		if (size > CUSTOS_ARGS_MAX - to->args_size)
			return -CUSTOS_E_LIMIT;
		memcpy(bytes + to->args_size, *argv, size);
		to->args_size += (uint32_t)size;
		to->args_count++;
	}
	return 0;
}

static int put_cap(struct custos_spawn *to, const char *name, uint32_t slot,
	uint32_t rights)
{
	struct custos_spawn_cap *cap = &to->caps[to->cap_count];

	if (to->cap_count >= CUSTOS_SPAWN_CAPS)
		return -CUSTOS_E_LIMIT;
	snprintf(cap->name, sizeof(cap->name), "%s", name);
	cap->slot = slot;
	cap->rights = rights;
	to->cap_count++;
	return 0;
}

/* What a child gets unless told otherwise. Modules that no longer fit are
 * left out. */
static void put_usual_caps(struct custos_spawn *to)
{
	static const char *const usual[] = {
		"console", "timer", "schedule", "discrim"};
	uint32_t i;

	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (cap_find(usual[i]))
			put_cap(to, usual[i], cap_find(usual[i]),
				CUSTOS_RIGHT_ALL);
	for (i = 0; i < guest_info->cap_count; i++)
		if (guest_info->caps[i].type == CUSTOS_CAP_MODULE &&
			strcmp(guest_info->caps[i].name, "program"))
			put_cap(to, guest_info->caps[i].name,
				guest_info->caps[i].slot, CUSTOS_RIGHT_ALL);
}

/* What does not depend on the bank; on success request->slot is taken. */
static int64_t fill(struct custos_spawn *request, const char *module,
	const char *const *argv, const struct custos_spawn_cap *caps,
	uint32_t count)
{
	const char *const only_name[] = {module, NULL};
	static char bytes[CUSTOS_ARGS_MAX];
	int64_t result;
	uint32_t i;

	memset(request, 0, sizeof(*request));
	request->args = (uint64_t)bytes;
	result = put_args(request, bytes, argv ? argv : only_name);
	for (i = 0; i < count && !result; i++)
		result = put_cap(
			request, caps[i].name, caps[i].slot, caps[i].rights);
	if (result)
		return result;
	put_cap(request, "program", cap_find(module), CUSTOS_RIGHT_ALL);
	request->slot = cap_slot_alloc();
	return 0;
}

int64_t spawn_as(const char *module, const char *const *argv,
	const struct spawn_how *how, const struct custos_spawn_cap *caps,
	uint32_t count)
{
	static struct custos_spawn request;
	int64_t bank = how->bank ? how->bank : bank_create(how->limit);
	int64_t result;

	if (bank < 0)
		return bank;
	result = fill(&request, module, argv, caps, count);
	if (!result) {
		request.cpu = how->cpu;
		request.flags = how->flags;
		request.bank = (uint32_t)bank;
		put_cap(&request, "bank", (uint32_t)bank, CUSTOS_RIGHT_ALL);
		put_usual_caps(&request);
		flush(); /* our lines before the child's */
		result = custos_module_spawn(
			cap_find(module), (uint64_t)&request);
		if (result)
			cap_slot_free(request.slot);
	}
	if (result && !how->bank)
		bank_end((uint32_t)bank);
	if (result)
		return result;
	banks[request.slot] = how->bank ? 0 : (uint32_t)bank;
	return request.slot;
}

int64_t spawn(const char *module, const char *const *argv, uint32_t cpu,
	const struct custos_spawn_cap *caps, uint32_t count)
{
	return spawn_as(module, argv, &(struct spawn_how){.cpu = cpu}, caps,
		count);
}

uint32_t spawned_bank(uint32_t process)
{
	return banks[process % CUSTOS_SLOTS];
}

int64_t wait_exit(uint32_t process)
{
	uint32_t bank = spawned_bank(process);
	int64_t code;

	flush();
	code = custos_process_wait(process);
	banks[process % CUSTOS_SLOTS] = 0;
	if (bank)
		bank_end(bank);
	cap_slot_free(process);
	return code;
}
