/* SPDX-License-Identifier: MIT */
/* Scripts: whatever they are, they load or are refused, and answer or fail. */
#include <unistd.h>

#include "base/invariant.h"
#include "keeper/script.h"
#include "tests/fuzz/script_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keeper *open_script(const uint8_t *data, size_t size)
{
	const struct script_options options = {
		.budget_ms = 5,
		.memory_max = 8 << 20,
		.print = print_nothing,
	};
	struct keeper *keeper = NULL;
	struct error err = { 0 };
	char path[SCRIPT_PATH_MAX];

	write_script(path, data, size);
	if (script_open(path, &options, &keeper, &err))
		invariant(err.text[0]);
	unlink(path);
	return keeper;
}

static void ask_all(struct keeper *keeper)
{
	uint8_t old[64] = { 5 }, new[64] = { 6 }, value[64] = { 0 };
	struct verdict verdict = { .value = value };
	struct error err = { 0 };

	for (int kind = 0; kind < ACCESS_KIND_MAX; kind++) {
		const struct access access = {
			.seq = 1,
			.kind = (enum access_kind)kind,
			.address = 0x404010,
			.size = kind & 1 ? 8 : 16,
			.range_name = "counter",
			.kept_count = 8,
			.old_bytes = old,
			.new_bytes = access_writes((enum access_kind)kind)
				? new
				: NULL,
			.process_name = "fuzz",
		};

		if (keeper_ask(keeper, &access, VERDICT_DENY, &verdict, &err))
			invariant(verdict.kind == VERDICT_DENY && err.text[0]);
		keeper_ask_stepped(keeper, &access,
			&(struct step_report){ .times = 1 }, VERDICT_PASS,
			&verdict, &err);
	}
	keeper_start(keeper, &err);
	keeper_finish(keeper, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keeper *keeper = open_script(data, size);

	if (keeper) {
		ask_all(keeper);
		keeper_destroy(keeper);
	}
	return 0;
}
