/* SPDX-License-Identifier: MIT */
/* Descriptions: whatever they are, they are refused with a sentence, or become
 * steps that the guest's own check finds good. */
#include <string.h>
#include <unistd.h>

#include "base/invariant.h"
#include "guest/programs/system/description.c"
#include "keeper/script_system.h"
#include "tests/fuzz/script_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Programs are not opened: an image is nobody's here. */
static void use(struct system *system)
{
	const struct system_machine machine = { 64 << 20, 2 };
	struct buf bytes = BUF_INIT, text = BUF_INIT;
	struct error err = { 0 };

	if (system_resolve(system, &err) ||
		system_check(system, &machine, &err)) {
		invariant(err.text[0]);
		return;
	}
	system_print(system, &text);
	system_print_json(system, &text);
	system_print_dot(system, &text);
	if (system_pack(system, 0, &bytes, &err))
		invariant(err.text[0]);
	else
		invariant(!description_check(
			(const struct custos_system *)bytes.data, bytes.len));
	buf_fini(&bytes);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const args[] = { "s.lua", "1" };
	const struct script_system_options options = {
		.args = args,
		.arg_count = 2,
		.budget_ms = 1,
		.print = print_nothing,
	};
	struct system *system = NULL;
	struct error err = { 0 };
	char path[SCRIPT_PATH_MAX];

	write_script(path, data, size);
	if (script_system_read(path, &options, &system, &err))
		invariant(err.text[0]);
	else
		use(system);
	system_destroy(system);
	unlink(path);
	return 0;
}
