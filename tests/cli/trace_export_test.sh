#!/bin/sh
# SPDX-License-Identifier: MIT
# custos trace export, import and sql, as typed.
. tests/support/script.sh
trace=$work/trace

cat >"$work/lackey" <<'END'
I  00401000,3
 S 00500000,4
I  00401003,4
 L 00500000,4
I  00401000,3
 S 00500008,4
 M 00600000,8
END

run trace import lackey "$work/lackey" -o "$trace"
expect "import" 0
run trace check "$trace"
expect "what is imported is a whole trace" 0 "4 accesses"
run trace export lackey "$trace"
expect "a stream goes to standard output" 0
grep -v '^I' "$work/lackey" >"$work/in"
if cmp -s "$work/in" "$work/out"; then
	pass "and is what was imported"
else
	fail "and is what was imported" "$work/out"
fi
timeout 60 "$CUSTOS" trace import lackey - -o "$work/piped" <"$work/lackey"
run trace sql "$work/piped" 'select count(*) from accesses'
expect "import from a pipe" 0 4

run trace sql "$trace" "select printf('%x', ip) as ip, count(*) as n
	from accesses group by ip order by n"
expect "a question" 0 "ip	n" "401003	1" "401000	3"
run trace sql --json "$trace" 'select seq, kind from accesses where seq = 4'
expect "in JSON" 0 '{"seq":4,"kind":"rmw"}'
run trace sql --csv "$trace" "select 'a,b' as text, 1 as n, null as x"
expect "in CSV" 0 'text,n,x' '"a,b",1,'
run trace sql "$trace" 'select 1; -- and nothing'
expect "a comment is no question" 0 1
run trace sql "$trace" 'select x from nowhere'
expect "a wrong one" 125 "no such table: nowhere"
for statement in 'delete from meta' 'drop table meta' \
	"attach '$work/other' as other" "select load_extension('x')" \
	'pragma query_only = off' 'create table t (x)' \
	"vacuum into '$work/other'"; do
	run trace sql "$trace" "$statement"
	expect "refused: ${statement%% *}" 125
done
if [ -e "$work/other" ]; then
	fail "and no file was made"
else
	pass "and no file was made"
fi
run trace sql "$trace" 'with recursive n(i) as
	(select 1 union all select i + 1 from n limit 5) select max(i) from n'
expect "recursion" 0 5

# The selections of the other verbs.
run trace export lackey --when store "$trace"
expect "a condition" 0 ' S 00500000,4' ' S 00500008,4'
run trace export jsonl --range 0x500008 "$trace"
expect "a place" 0 '"seq":3'
if [ "$(wc -l <"$work/out")" = 1 ]; then
	pass "and nothing but its accesses"
else
	fail "and nothing but its accesses" "$work/out"
fi
run trace export csv --from 2 --to 3 "$trace"
expect "a time" 0 "2,"
if [ "$(wc -l <"$work/out")" = 3 ]; then
	pass "and nothing before or behind it"
else
	fail "and nothing before or behind it" "$work/out"
fi
run trace export csv --process nobody "$trace"
expect "a process that is not there" 125 nobody
run trace sql --when 'rmw' "$trace" 'select count(*) as n, seq from accesses'
expect "a question about selected accesses" 0 '1	4'
run trace export csv "$trace" -o "$trace"
expect "a trace is not written over itself" 125 'written over itself'
run trace plot --text "$trace" -o "$trace"
expect "by a picture neither" 125 'written over itself'
run trace check "$trace"
expect "and is what it was" 0

run trace export sqlite "$trace"
expect "a database is no stream" 125 "sqlite needs -o"
run trace export sqlite "$trace" -o "$work/db"
expect "a database" 0
if ! command -v sqlite3 >/dev/null; then
	skip "sqlite3 opens it" "no sqlite3"
else
	sqlite3 "$work/db" 'select count(*) from accesses' >"$work/out" 2>&1
	code=$?
	expect "sqlite3 opens it" 0 4
fi
run trace export ctf "$trace" -o "$work/ctf"
expect "CTF" 0
if ! command -v babeltrace2 >/dev/null; then
	skip "babeltrace2 opens it" "no babeltrace2"
else
	babeltrace2 "$work/ctf" >"$work/out" 2>&1
	code=$?
	expect "babeltrace2 opens it" 0 'address = 0x600000' '"rmw"'
fi
run trace export
expect "no format" 125 "name a format and a trace"
run trace export csv "$work/lackey"
expect "not a trace" 125 "is not a trace"
run trace import pin "$work/lackey" -o "$trace"
expect "an unknown format" 125 "there is no format"
run trace import lackey "$work/lackey"
expect "nowhere to write to" 125 "-o is needed"

# A question without end is ended by ^C.
"$CUSTOS" trace sql "$trace" 'with recursive n(i) as
	(select 1 union all select i + 1 from n) select max(i) from n' \
	>"$work/out" 2>"$work/err" &
pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	sleep 1
	kill -INT $pid 2>/dev/null || break
done
wait $pid
code=$?
expect "^C ends a long question" 130 interrupted

if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	skip "a recorded run" "no /dev/kvm"
	finish
	exit 0
fi
run run -r "$work/run" -k counter "$CUSTOS_BUILD/guest/counter.elf" 3
expect "a run is recorded" 0
run trace export tsv "$work/run"
expect "and exported" 0 "counter"
run trace sql "$work/run" 'select kind, count(*) from accesses group by kind'
expect "and asked" 0 "load	5" "store	3"
finish
