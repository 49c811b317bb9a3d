/* SPDX-License-Identifier: MIT */
/* Tables of registers: whatever the text, bits have one meaning each. */
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"
#include "keeper/builtin_registers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct builtin_register *r)
{
	uint64_t seen = r->reserved;

	for (int i = 0; i < REGISTER_MODE_MAX; i++) {
		invariant(!(seen & r->masks[i]));
		seen |= r->masks[i];
	}
	invariant(seen == UINT64_MAX >> (64 - 8 * r->size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct builtin_registers *map = calloc(1, sizeof(*map));
	char *text = calloc(1, size + 1);
	struct error err = { 0 };

	if (map && text) {
		memcpy(text, data, size);
		if (!builtin_registers_parse("fuzz", text, map, &err))
			for (unsigned i = 0; i < map->count; i++)
				check(&map->regs[i]);
		builtin_registers_fini(map);
	}
	free(text);
	free(map);
	return 0;
}
