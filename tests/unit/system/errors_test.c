/* SPDX-License-Identifier: MIT */
/* What is wrong with a description is said with file and line. */
#include "tests/unit/system/described.h"

#define OK_PROCESS "process{ 'p', program = 'p.elf' }\n"

static const struct {
	const char *text, *want;
} wrong[] = {
	{ "x = = 1", "s.lua:1: " },
	{ "\nproces{ 'a' }",
		"s.lua:2: unknown word 'proces'; did you mean 'process'?" },
	{ "local a = console", "s.lua:1: unknown word 'console'; the object of "
			       "that name is \"console\", with quotes" },
	{ "memory 'a'", "s.lua:1: memory: memory{ \"name\", KEY = VALUE, ... } "
			"is wanted" },
	{ "\nmemory{ 'a', sise = 1 }",
		"s.lua:2: memory: unknown key 'sise'; did you mean 'size'? "
		"(keys: bank, size, contents, file, pages)" },
	{ "memory{ 'a', 'b' }", "s.lua:1: memory: one thing too many in { }" },
	{ "memory{ 'a', size = '4Q' }",
		"s.lua:1: memory: size must be a number, or a string such as "
		"\"64K\"" },
	{ "memory{ 'a', size = -1 }", "s.lua:1: memory: size is less than 0" },
	{ "memory{ 'a b', size = 1 }", "s.lua:1: `a b' cannot be a name" },
	{ "memory{ 'console', size = 1 }",
		"s.lua:1: `console' is the console that is always there" },
	{ "memory{ 'a', size = 1 }\nbank{ 'a' }",
		"s.lua:2: there is a `a' already: a memory object, line 1" },
	{ OK_PROCESS "memory{ 'a' }", "s.lua:2: memory `a' has no size" },
	{ OK_PROCESS "memory{ 'a', size = 3, contents = 'four' }",
		"s.lua:2: memory `a': 4 bytes of contents, but a size of 3" },
	{ "memory{ 'a', file = 'none.bin' }",
		"s.lua:1: memory: cannot open none.bin: No such file" },
	{ "memory{ 'a', file = '/dev/zero' }",
		"s.lua:1: memory: cannot open /dev/zero: not a file" },
	{ OK_PROCESS "memory{ 'a', size = 1, bank = 'smal' }\nbank{ 'small' }",
		"s.lua:2: memory `a': bank: there is no `smal'; did you mean "
		"small?" },
	{ OK_PROCESS "memory{ 'a', size = 1, bank = 'b' }\nendpoint{ 'b' }",
		"s.lua:2: memory `a': bank must be a bank; `b' is an endpoint "
		"(line 3)" },
	{ OK_PROCESS "memory{ 'a', size = 1, bank = 7 }",
		"s.lua:2: memory: bank must be an object or its name, not "
		"number" },
	{ "bank{ 'a', parent = 'b' }\nbank{ 'b', parent = 'a' }",
		"which needs it in turn: neither can be made first" },
	{ "process{ 'a', program = 'p.elf', caps = { 'b' } }\n"
	  "process{ 'b', program = 'p.elf', caps = { 'a' } }",
		"which needs it in turn" },
	{ "node{ 'n', size = '1M', map = { { 'n' } } }",
		"s.lua:1: node `n' refers to itself" },
	{ "process{ 'p' }", "s.lua:1: process `p' has no program" },
	{ "process{ 'p', program = 'none.elf' }",
		"s.lua:1: program `none.elf': cannot open none.elf: No such "
		"file" },
	{ "\nprocess{ 'p', program = 'bytes.bin' }",
		"s.lua:2: program `bytes.bin': " },
	{ "process{ 'p', program = 'p.elf', cpu = 2 }",
		"s.lua:1: process `p': there is no CPU 2: the machine has 2 "
		"(--cpus)" },
	{ "process{ 'p', program = 'p.elf', service = true }",
		"s.lua: there is no process to wait for" },
	{ "memory{ 'a', size = '8K' }\n"
	  "process{ 'p', program = 'p.elf', map = { { 'a' } } }",
		"s.lua:2: process: map: at = ADDRESS is missing" },
	{ "memory{ 'a', size = '8K' }\n"
	  "process{ 'p', program = 'p.elf',\n"
	  "  map = { { 'a', at = 0x1001 } } }",
		"s.lua:2: process `p': map `a': at, offset and length must be "
		"whole pages" },
	{ "memory{ 'a', size = '8K' }\n"
	  "process{ 'p', program = 'p.elf',\n"
	  "  map = { { 'a', at = 0x10000000, length = '12K' } } }",
		"s.lua:2: process `p': map `a': offset 0x0, length 0x3000: it "
		"has only 0x2000 bytes (line 1)" },
	{ "memory{ 'a', size = '8K' }\nmemory{ 'b', size = '8K' }\n"
	  "process{ 'p', program = 'p.elf', map = {\n"
	  "  { 'a', at = 0x10000000 }, { 'b', at = 0x10001000 } } }",
		"s.lua:3: process `p': map b at 0x10001000 to 0x10003000 "
		"overlaps map a at 0x10000000 to 0x10002000" },
	{ "memory{ 'a', size = '8K' }\n"
	  "process{ 'p', program = 'p.elf',\n"
	  "  map = { { 'a', at = 0x00007ffff01e0000 } } }",
		"overlaps the stack at" },
	{ "memory{ 'a', size = '2G' }\n"
	  "process{ 'p', program = 'p.elf',\n"
	  "  map = { { 'a', at = 0x1000 } } }",
		"overlaps the program p.elf at" },
	{ "memory{ 'a', size = '8K' }\nview{ 'ro', of = 'a', rights = 'r' }\n"
	  "process{ 'p', program = 'p.elf', map = {\n"
	  "  { 'ro', at = 0x10000000, rights = 'rw' } } }",
		"s.lua:3: process `p': map `ro' asks for `rw-', more than "
		"there is: view `ro' (line 2) has `r--'" },
	{ "endpoint{ 'e' }\n"
	  "process{ 'p', program = 'p.elf',\n"
	  "  caps = { { 'e', rights = 'sent' } } }",
		"s.lua:2: process `p': cap `e': `sent' is no right of an "
		"endpoint (send receive)" },
	{ "process{ 'p', program = 'p.elf',\n"
	  "  caps = { { 'console', right = 'write' } } }",
		"s.lua:1: process: caps: unknown key 'right'; did you mean "
		"'rights'?" },
	{ "process{ 'p', program = 'p.elf', caps = { self = 'console' } }",
		"s.lua:1: process `p': capability `self' is everybody's own" },
	{ "bank{ 'small', limit = 10 }\n"
	  "memory{ 'a', size = '64K', bank = 'small' }\n" OK_PROCESS,
		"s.lua:1: bank `small' has a limit of 10 frames, but what it "
		"is to pay for takes at least 18" },
	{ "bank{ 'b', limit = 10 }\n"
	  "bank{ 'c', parent = 'b', limit = 8 }\n"
	  "bank{ 'd', parent = 'b', limit = 8 }\n" OK_PROCESS,
		"s.lua:1: bank `b' has a limit of 10 frames, but may have to "
		"pay for 17" },
	{ "memory{ 'a', size = '1G' }\n" OK_PROCESS,
		"s.lua: the system needs at least 1041 MiB, the machine has "
		"64 MiB (--memory)" },
	{ "virtual{ 'v', size = 1 }\n" OK_PROCESS,
		"s.lua:1: virtual `v' has no keeper" },
	{ "virtual{ 'v', size = 1, keeper = 'console' }\n" OK_PROCESS,
		"s.lua:1: virtual `v': keeper must be an endpoint or an entry; "
		"`console' is the console, which is always there" },
	{ "entry{ 'e' }\n" OK_PROCESS, "s.lua:1: entry `e' has no endpoint" },
	{ "endpoint{ 'e' }\n"
	  "memory{ 'm', size = '8K', pages = { [2] = 'e' } }\n" OK_PROCESS,
		"s.lua:2: memory `m': there is no page 2 (they are 0 to 1)" },
	{ "endpoint{ 'e' }\nmemory{ 'm', size = '8K',\n"
	  "  pages = { [1] = { 'e', rights = 'nocall' } } }\n" OK_PROCESS,
		"s.lua:2: memory `m': page 1: rights must be some of r, w" },
	{ "local b = 'bank'\n"
	  "for i = 1, 16 do b = bank{ parent = b } end " OK_PROCESS,
		"s.lua:2: bank `bank17' is too deep: 15 banks below the root" },
	{ "for i = 1, 2000 do bank{} end", "s.lua:1: more than 1024 objects" },
	{ "while true do end", "s.lua:1: ran longer than" },
	{ "io.open('x')", "s.lua:1: unknown word 'io'" },
};

static void errors_name_file_and_line(void **state)
{
	struct system *system;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!describe(wrong[i].text, &system, &err)) {
			system_destroy(system);
			fail_msg("accepted: %s", wrong[i].text);
		}
		if (!strstr(err.text, wrong[i].want))
			fail_msg("%s\n  said: %s\n  want: %s", wrong[i].text,
				err.text, wrong[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_file_and_line),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
