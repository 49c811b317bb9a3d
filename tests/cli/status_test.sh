#!/bin/sh
# SPDX-License-Identifier: MIT
# What a run tells about itself: cost, counts of keepers, the summary so far,
# the line on a terminal.
. tests/support/script.sh
need_kvm
passer=$CUSTOS_BUILD/tests/plugins/passer.so
counter=$CUSTOS_BUILD/guest/counter.elf
hammer=$CUSTOS_BUILD/guest/hammer.elf

run run --watch counter --plugin "$passer:counter" --when store "$counter" 3
expect "keepers are counted, per range and in all" 0 \
	" counter: 8 (5 load, 3 store)" " watch: asked 8" \
	" passer: asked 3, left out 5"
if grep -q "ns each" "$work/err"; then
	fail "nothing is measured unless asked for" "$work/err"
else
	pass "nothing is measured unless asked for"
fi
run run -k counter --cost "$counter" 3
expect "--cost: keepers and traps, nanoseconds and shares" 0 \
	" pass: asked 8; " " useful: 8; " " page_mate: " " ns each, " \
	"% of the run"
run run --json --cost -k counter "$counter" 3
expect "and in JSON" 0 '"keepers":[{"keeper":"pass","asked":8,"failed":0,"ns":' \
	'"traps":{"useful":{"count":8,"ns":' '"running":false' \
	'"keepers":[{"keeper":"pass","asked":8,"filtered":0}]'
run run --json -k counter "$counter" 3
expect "null when not measured" 0 '"failed":0,"ns":null}'
printf 'keep "counter"\nfunction store(a) return step end\n' >"$work/step.lua"
run run -s "$work/step.lua" "$counter" 3
expect "steps are counted" 0 "steps 3" "script: asked "
printf 'keep "counter"\nfunction store(a) return hold(5) end\n' \
	>"$work/hold.lua"
run run -s "$work/hold.lua" "$counter" 3
expect "and what was held" 0 "held 3"

# wait_for TEXT FILE: until it is there; false after a while
wait_for()
{
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		grep -q -e "$1" "$2" && return
		sleep 0.5
	done
	return 1
}

# summary_so_far WHAT TEXT OPTION...: SIGUSR1 makes a summary, twice
summary_so_far()
{
	what=$1 text=$2
	shift 2
	: >"$work/err"
	"$CUSTOS" run --plugin "$passer:word" "$@" "$hammer" load 100000000 \
		2>"$work/err" >"$work/out" &
	pid=$!
	sleep 1
	kill -USR1 $pid
	wait_for "$text" "$work/err"
	kill -USR1 $pid
	sleep 1
	kill -TERM $pid
	wait $pid
	code=$?
	if [ $code = 130 ] && [ "$(grep -c "$text" "$work/err")" = 2 ]; then
		pass "$what"
	else
		fail "$what: code $code" "$work/err"
	fi
}
summary_so_far "SIGUSR1: the summary so far" "^custos: running for "
expect "memory is checked then, too" 130 "missed 0"
summary_so_far "and as JSON" '"running":true.*"missed":0' --json --when store

# ---- the line on a terminal ----
on_terminal() # SHELL-COMMAND
{
	script -qec "$1" "$work/typescript" >/dev/null 2>&1 </dev/null
	tr '\r' '\n' <"$work/typescript" >"$work/seen"
}
# Long enough for some lines, on the slow KVM, too.
long="timeout -s TERM 4 $CUSTOS run --plugin $passer:word $hammer load 100000000"
if script -qec true /dev/null >/dev/null 2>&1; then
	TERM=xterm
	export TERM
	NO_COLOR='' on_terminal "$long"
	if grep -q "custos: [0-9.]* s, [0-9]* accesses, [0-9]*/s, 0 missed" \
		"$work/seen" && grep -q '\[2m' "$work/seen"; then
		pass "a line tells how far it is"
	else
		fail "a line tells how far it is" "$work/seen"
	fi
	NO_COLOR=1 on_terminal "$long"
	if grep -q "0 missed" "$work/seen" && ! grep -q '\[2m' "$work/seen"
	then
		pass "without colour if so wished"
	else
		fail "without colour if so wished" "$work/seen"
	fi
	on_terminal "timeout -s TERM 4 $CUSTOS run -q --plugin $passer:word \
		$hammer load 100000000"
	if grep -q "0 missed" "$work/seen"; then
		fail "not with -q" "$work/seen"
	else
		pass "not with -q"
	fi
else
	skip "a line tells how far it is" "no script(1) here"
fi
limit=4 run run --plugin "$passer:word" "$hammer" load 100000000
if grep -q "$(printf '\r')" "$work/err" || grep -q "/s, " "$work/err"; then
	fail "never in a pipe or a file" "$work/err"
else
	pass "never in a pipe or a file"
fi
finish
