#!/bin/sh
# SPDX-License-Identifier: MIT
# Verbs that take their time say how far they are, on a terminal, and ^C ends
# them in order: what they write is whole. A machine that is done before there
# is anything to say proves nothing, and fails nothing.
# timeout: 400
. tests/support/script.sh

if ! command -v python3 >/dev/null; then
	skip "^C" "no python3"
	finish
	exit 0
fi
if [ "${CUSTOS_TEST_SCALE:-}" = slow ]; then
	skip "^C" "takes hours here"
	finish
	exit 0
fi
awk 'BEGIN {
	srand(7)
	for (i = 0; i < 3000000; i++)
		printf "I  %08x,3\n %s %08x,8\n", 4198400 + i % 97 * 4,
			i % 3 ? "L" : "S", 5242880 + int(rand() * 20000) * 8
}' >"$work/lackey"
t=$work/t
cuts=0

# on_terminal CUSTOS-ARGUMENTS...: as run, on a terminal, with ^C in between
on_terminal()
{
	timeout -k 5 150 python3 tests/support/on_terminal.py "$CUSTOS" "$@" \
		>"$work/out" 2>"$work/err" </dev/null
	code=$?
}

# interrupted WHAT [TEXT]: it was, and said so; else it was too quick
interrupted()
{
	if ! grep -q '^pressed' "$work/out" && [ $code = 0 ]; then
		pass "$1 (was quick)"
		return
	fi
	cuts=$((cuts + 1))
	expect "$1 is interrupted in order" 130 interrupted
}

on_terminal trace import lackey "$work/lackey" -o "$t"
interrupted import
if [ ! -e "$t" ]; then
	pass "and leaves no half a trace"
else
	run trace check "$t"
	expect "and leaves no half a trace" 0
fi
limit=150 run trace import lackey "$work/lackey" -o "$t"
expect "a long trace" 0
cp "$t" "$work/before"

# What is written to files
on_terminal trace export csv "$t" -o "$work/csv"
interrupted "export csv"
if [ "$(tail -c 1 "$work/csv" | od -An -c | tr -d ' ')" = '\n' ] &&
	awk -F, 'NF < 20 { exit 1 }' "$work/csv"; then
	pass "and its lines are whole"
else
	tail -n 2 "$work/csv" >"$work/why"
	fail "and its lines are whole" "$work/why"
fi
on_terminal trace export jsonl "$t" -o "$work/jsonl"
interrupted "export jsonl"
tail -n 1 "$work/jsonl" >"$work/why"
if python3 -c 'import json, sys; json.loads(sys.stdin.read())' \
	<"$work/why" 2>/dev/null; then
	pass "and its last line is whole"
else
	fail "and its last line is whole" "$work/why"
fi
on_terminal trace export chrome "$t" -o "$work/chrome"
interrupted "export chrome"
if python3 -c 'import json, sys
assert json.load(open(sys.argv[1]))["traceEvents"]' \
	"$work/chrome" 2>"$work/why"; then
	pass "and it is one JSON object"
else
	fail "and it is one JSON object" "$work/why"
fi
on_terminal trace export sqlite "$t" -o "$work/db"
interrupted "export sqlite"
if ! command -v sqlite3 >/dev/null; then
	skip "and it is a database" "no sqlite3"
else
	sqlite3 "$work/db" 'pragma integrity_check;
		select count(*) > 0 from accesses' >"$work/out" 2>&1
	code=$?
	expect "and it is a database" 0 ok 1
fi
on_terminal trace export ctf "$t" -o "$work/ctf"
interrupted "export ctf"
if ! command -v babeltrace2 >/dev/null; then
	skip "and babeltrace2 reads it" "no babeltrace2"
else
	timeout 100 babeltrace2 "$work/ctf" 2>&1 | tail -n 1 >"$work/out"
	code=0
	expect "and babeltrace2 reads it" 0 'access'
fi
on_terminal trace plot "$t" -o "$work/t.svg"
interrupted plot
tail -n 1 "$work/t.svg" >"$work/out" 2>&1
code=0
expect "and the picture is one" 0 '</svg>'
on_terminal trace cut --from 10 "$t" "$work/cut"
interrupted cut
run trace check "$work/cut"
expect "and the part is a whole trace" 0 whole
on_terminal trace merge "$work/merged" "$t" "$work/cut"
interrupted merge
run trace check "$work/merged"
expect "and so is what was merged" 0 whole

# What is said
for verb in print report "diff $t"; do
	# shellcheck disable=SC2086 # words
	on_terminal trace $verb "$t"
	interrupted "${verb%% *}"
done
on_terminal trace history 0x500000+4096 "$t"
interrupted history
on_terminal trace sql "$t" 'select count(*) from accesses'
interrupted sql
cat >"$work/read.lua" <<'END'
print("begins")
while true do
	pcall(function() for r in trace:records() do end end)
end
END
on_terminal trace lua "$work/read.lua" "$t"
interrupted lua
expect "what it printed is there" 130 begins

if [ $cuts -gt 3 ]; then
	pass "$cuts of them were interrupted"
else
	skip "several were interrupted" "this machine is too quick: $cuts"
fi
if cmp -s "$t" "$work/before"; then
	pass "the trace is what it was"
else
	fail "the trace is what it was"
fi
finish
