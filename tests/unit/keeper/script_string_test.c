/* SPDX-License-Identifier: MIT */
/*
 * Our find, match, gmatch and gsub against Lua's own: a trusted script has
 * the library's. Both run the same script with the same random numbers and
 * must print the same.
 */
#include "tests/unit/keeper/script_support.h"

static void run(const char *script, bool trusted)
{
	struct script_options options = { .trusted = trusted,
		.budget_ms = 20000 };
	struct keeper *keeper;
	struct error err = { 0 };

	buf_reset(&printed);
	if (script_from(script, options, &keeper, &err))
		fail_msg("%s", err.text);
	keeper_destroy(keeper);
}

static void compare(const char *script)
{
	struct buf theirs;
	size_t same = 0, line = 0;

	run(script, true);
	theirs = printed;
	printed = BUF_INIT;
	run(script, false);
	/* Both end in a NUL, which ends the comparison at the latest. */
	while (same < theirs.len && printed.data[same] == theirs.data[same])
		if (printed.data[same++] == '\n')
			line = same;
	if (same != theirs.len || same != printed.len)
		fail_msg("ours: %.200s\nLua's: %.200s", printed.data + line,
			theirs.data + line);
	assert_true(theirs.len > 100);
	buf_fini(&theirs);
}

static void known_cases_give_what_lua_gives(void **state)
{
	(void)state;
	compare("local function p(...) print(...) end\n"
		"p(('hello world'):find('o w'))\n"
		"p(('hello world'):find('l+'))\n"
		"p(('hello'):find('l', -2)) p(('hello'):find('', 10))\n"
		"p(('hello'):find('', 6)) p(('a.b'):find('.', 2, true))\n"
		"p(('key = value'):match('^(%w+)%s*=%s*(%w+)$'))\n"
		"p(('  x  '):match('^%s*(.-)%s*$'))\n"
		"p(('f(a(b)c)d'):match('%b()'))\n"
		"p(('THE (quick) fox'):find('%f[%a]%a+%f[%A]'))\n"
		"p(('\"it\\'s\"'):match('([\"\\'])(.-)%1'))\n"
		"p(('abc'):match('()b()')) p(('x'):match('y'))\n"
		"p(('abc'):gsub('%w', '%0%0')) p(('abc'):gsub('', '-'))\n"
		"p(('hello world'):gsub('o', {o = '0'}))\n"
		"p(('hello'):gsub('l', function(c) return nil end))\n"
		"p(('abc'):gsub('(a)(b)', '%2%1', 1))\n"
		"p(('abc'):gsub('^a', 'x')) p(('aaa'):gsub('^a', 'x'))\n"
		"p((' a b '):gsub(' *', '.')) p(('x'):gsub('x', 7))\n"
		"p(('$HOME'):gsub('%$(%w+)', {HOME = '/root'}))\n"
		"for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do "
		"p(k, v) end\n"
		"for w in ('one two'):gmatch('%a*') do p('<' .. w .. '>') "
		"end\n"
		"for q in ('abc'):gmatch('()') do p(q) end\n"
		"for w in ('abc def'):gmatch('%a+', 3) do p(w) end\n"
		"p(('a]b'):find('[]]')) p(('a^b'):find('[%^x]'))\n"
		"p(('a-b'):find('[a%-]', 2)) p(('z'):find('[^a-y]'))\n"
		"p(('\\0a\\0'):find('%z')) p(('a\\0b'):find('\\0'))\n"
		"p(('aXb'):gsub('%u', '%%')) p(('abc'):find('b', nil))\n"
		"p(('x'):rep(3, ',')) p((''):rep(1 << 20)) p(('x'):rep(-1))\n"
		"p(('5'):find(5))\n");
}

static void wrong_patterns_are_errors_as_in_lua(void **state)
{
	(void)state;
	compare("for _, p in ipairs{ '%', '[', '[a', '[]', '[^]', '[%', "
		"'(', ')', '(()', 'a)', '%b', '%bx', '%f', '%fa', '%1', "
		"'(%1)', '%0', '((a)', '(a', 'x(', '[a-', '[a-%]' } do\n"
		"local ok = pcall(string.find, 'ax', p)\n"
		"print(p, ok)\n"
		"end\n"
		"print(pcall(string.rep)) print((pcall(string.find, 'x')))\n"
		"print((pcall(string.gsub, 'x', 'x', '%2')))\n"
		"print((pcall(string.gsub, 'x', 'x', '%')))\n"
		"print((pcall(string.gsub, 'x', 'x', '%q')))\n"
		"print((pcall(string.gsub, 'x', 'x')))\n"
		"print((pcall(string.gsub, 'x', 'x', print)))\n"
		"print((pcall(string.gsub, 'x', '.', {x = {}})))\n"
		"print((pcall(string.find, 'x', ('(x'):rep(33))))\n"
		"print((pcall(string.find, ('x'):rep(300), "
		"('x?'):rep(300))))\n");
}

static void random_patterns_give_what_lua_gives(void **state)
{
	(void)state;
	compare("math.randomseed(42)\n"
		"local items = {'a', 'b', '.', '%a', '%d', '%s', '%w', '%A',"
		" '[ab]', '[^a]', '[a-c]', '[%a1]', '%b()', '%f[%w]', '()',"
		" '(', ')', '%1', '$', '^', '1', ' ', '%%', '%.', '(', ')' }\n"
		"local times = {'', '', '', '*', '+', '-', '?'}\n"
		"local chars = {'a', 'b', 'c', '1', '2', ' ', '(', ')', '.',"
		" 'A', '%', '\\0'}\n"
		"local function make(from, n, more) local t = {}\n"
		"for i = 1, math.random(0, n) do\n"
		"t[#t + 1] = from[math.random(#from)] .. (more and "
		"more[math.random(#more)] or '') end\n"
		"return table.concat(t) end\n"
		"local function say(what, ...)\n"
		"what = string.format('%q', what)\n"
		"local t = table.pack(...)\n"
		"if not t[1] then print(what, 'error') return end\n"
		"for i = 1, t.n do t[i] = string.format('%q', tostring(t[i])) end\n"
		"print(what, table.concat(t, '|')) end\n"
		"for i = 1, 20000 do\n"
		"local s, p = make(chars, 9), make(items, 5, times)\n"
		"local init = math.random(-3, 6)\n"
		"local what = s .. ' ~ ' .. p .. ' ' .. init\n"
		"say(what, pcall(string.find, s, p, init))\n"
		"say(what, pcall(string.match, s, p, init))\n"
		"say(what, pcall(string.gsub, s, p, "
		"function(a) return '<' .. tostring(a) .. '>' end))\n"
		"say(what, pcall(string.gsub, s, p, "
		"function(a, b) return a and b end))\n"
		"say(what, pcall(function() local t = {}\n"
		"for a, b in s:gmatch(p, init) do\n"
		"t[#t + 1] = tostring(a) .. tostring(b) end\n"
		"return table.concat(t, ',') end))\n"
		"end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_cases_give_what_lua_gives),
		cmocka_unit_test(wrong_patterns_are_errors_as_in_lua),
		cmocka_unit_test(random_patterns_give_what_lua_gives),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_fini(&printed);
	return failed;
}
