/* SPDX-License-Identifier: MIT */
/*
 * docs/KEEPERS.md against the scripts: its examples load, and what a script
 * can see is in it.
 */
#include "tests/unit/keeper/script_support.h"

static char *page; /* docs/KEEPERS.md */

static int read_page(void **state)
{
	FILE *file = fopen("docs/KEEPERS.md", "r");
	size_t len;

	(void)state;
	if (!file)
		return -1;
	page = calloc(1, 1 << 20);
	len = fread(page, 1, (1 << 20) - 1, file);
	fclose(file);
	return len ? 0 : -1;
}

static int free_page(void **state)
{
	(void)state;
	free(page);
	buf_fini(&printed);
	return 0;
}

static void its_examples_load(void **state)
{
	static const char fence[] = "```lua\n";
	unsigned count = 0;

	(void)state;
	for (char *at = strstr(page, fence); at; at = strstr(at, fence)) {
		char *end = strstr(at, "\n```\n");
		struct keeper *keeper;
		struct error err = { 0 };
		char script[4096];

		assert_non_null(end);
		at += strlen(fence);
		snprintf(script, sizeof(script), "%.*s", (int)(end - at), at);
		if (script_from(script, (struct script_options){ 0 }, &keeper,
			    &err))
			fail_msg("%s\n%s", script, err.text);
		keeper_destroy(keeper);
		at = end;
		count++;
	}
	assert_in_range(count, 4, 100);
}

/* Prints the names a script sees, one a line. */
static const char names_script[] =
	"local lua = {} for name in ([[_G _VERSION assert error getmetatable "
	"ipairs next pairs pcall rawequal rawget rawlen rawset select "
	"setmetatable tonumber tostring type xpcall string table math utf8 "
	"coroutine]]):gmatch('%S+') do lua[name] = true end\n"
	"for name in pairs(_G) do\n"
	"if not lua[name] then print(name) end end\n"
	"function load(a) for name in pairs(a) do print(name) end\n"
	"print 'copy' end store = load\n";

static void every_name_is_in_it(void **state)
{
	char *save, *name;
	unsigned count = 0;
	struct asked q;

	(void)state;
	buf_reset(&printed);
	asked_init(&q, script_of_text(names_script), ACCESS_STORE);
	ask(&q);
	assert_string_equal(q.err.text, "");
	for (name = strtok_r(printed.data, "\n", &save); name;
		name = strtok_r(NULL, "\n", &save), count++) {
		const char *at = page;
		size_t len = strlen(name);

		/* As code: `name`, `name(...)`, `a:name()`. */
		while ((at = strstr(at, name))) {
			if ((at[-1] == '`' || at[-1] == ':') &&
				(at[len] == '`' || at[len] == '('))
				break;
			at += len;
		}
		if (!at)
			fail_msg("%s is not in docs/KEEPERS.md", name);
	}
	assert_in_range(count, 30, 100);
	keeper_destroy(q.keeper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_examples_load),
		cmocka_unit_test(every_name_is_in_it),
	};

	return cmocka_run_group_tests(tests, read_page, free_page);
}
