/* SPDX-License-Identifier: MIT */
/* Starting other programs. */
#include <custos/guest.h>

#include "guest_impl.h"

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
	static const char *const usual[] = {"console", "bank", "timer"};
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

int64_t spawn(const char *module, const char *const *argv, uint32_t cpu,
	const struct custos_spawn_cap *caps, uint32_t count)
{
	const char *const only_name[] = {module, NULL};
	static char bytes[CUSTOS_ARGS_MAX];
	static struct custos_spawn request;
	uint32_t i;
	int64_t result = 0;

	memset(&request, 0, sizeof(request));
	request.args = (uint64_t)bytes;
	request.cpu = cpu;
	result = put_args(&request, bytes, argv ? argv : only_name);
	for (i = 0; i < count && !result; i++)
		result = put_cap(
			&request, caps[i].name, caps[i].slot, caps[i].rights);
	if (result)
		return result;
	put_cap(&request, "program", cap_find(module), CUSTOS_RIGHT_ALL);
	put_usual_caps(&request);
	request.slot = cap_slot_alloc();
	flush(); /* our lines before the child's */
	result = custos_module_spawn(cap_find(module), (uint64_t)&request);
	if (result == 0)
		return request.slot;
	cap_slot_free(request.slot);
	return result;
}

int64_t wait_exit(uint32_t process)
{
	int64_t code;

	flush();
	code = custos_process_wait(process);
	cap_slot_free(process);
	return code;
}
