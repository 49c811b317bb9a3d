#!/bin/sh
# SPDX-License-Identifier: MIT
# custos replay: keepers see in a recorded run what they would have seen in the
# run itself.
# timeout: 300
. tests/support/script.sh
need_kvm
guest=$CUSTOS_BUILD/guest
counter=$guest/counter.elf
accounts=$guest/accounts.elf
trace=$work/run.trace

# record ARGUMENTS...: what the keepers say live is in $work/live
record()
{
	timeout -k 5 60 "$CUSTOS" run -q -r "$trace" "$@" \
		>"$work/out" 2>"$work/live" </dev/null
}

# same_words WHAT REPLAY-ARGUMENTS...: the keepers say the same again
same_words()
{
	what=$1
	shift
	run replay -q "$@" "$trace"
	if [ $code = 0 ] && [ -s "$work/live" ] &&
		cmp -s "$work/live" "$work/err"; then
		pass "$what"
	else
		diff "$work/live" "$work/err" >"$work/why"
		fail "$what" "$work/why" "$work/out"
	fi
}

# ---- the accesses themselves ----

record --print -k counter "$counter" 5
grep -c . "$work/live" >"$work/count"
run replay "$trace"
grep '0x.*main' "$work/err" | grep -v ' first\|elf:' >"$work/again"
if [ -s "$work/again" ] && grep -vxF -f "$work/live" "$work/again" >"$work/why"
then
	fail "replay prints each access as the run did" "$work/why"
else
	pass "replay prints each access as the run did"
fi
expect "and a summary" 0 "replayed" "outcomes" "pass"
run replay --json "$trace"
expect "and JSON" 0 '"event":"replayed"' '"different":0' '"complete":true'

# ---- built-in keepers, with stacks ----

record --stacks --watch counter --who counter "$counter" 3
same_words "watch and who say what they said live" \
	--watch counter --who counter

race=balance+0+16,sync=guard+0+8
record --stacks --cpus 2 --race $race "$accounts" forgets 4
same_words "race finds the same races" --race $race
record --stacks --cpus 2 --race $race "$accounts" message
echo >"$work/live"
run replay -q --race $race "$trace"
if [ $code = 0 ] && [ ! -s "$work/err" ]; then
	pass "race knows from the trace that messages order"
else
	fail "race knows from the trace that messages order" "$work/err"
fi
record --stacks --lockcheck guard+0+8:balance+0+16 "$accounts" forgets 4
same_words "lockcheck" --lockcheck guard+0+8:balance+0+16

# A keeper that nobody thought of when the run was recorded.
record -k balance -k guard "$accounts" forgets 4
run replay -q --lockcheck guard+0+8:balance+0+16 "$trace"
expect "a question asked afterwards" 0 "without holding"
run replay -q --uninit balance+0+8 "$trace"
expect "of a part of what was recorded" 0
run replay -q --watch nothing "$trace"
expect "a name that is not there" 125 "nothing"
run replay -q -k counter "$trace"
expect "a range of another program" 125 "counter"

# ---- scripts ----

record -k counter "$counter" 3
cat >"$work/serve.lua" <<'END'
keep("counter")
function load(a)
	if a.value == 2 then return serve(40) end
end
function store(a)
	if a.value == 3 then return absorb() end
end
END
run replay -s "$work/serve.lua" "$trace"
expect "what a script answers otherwise is told" 1 \
	"answered serve 0x28, recorded pass 0x2" \
	"answered absorb 0x2, recorded pass 0x3" \
	"answered otherwise than then"
run replay --json -s "$work/serve.lua" "$trace"
expect "in JSON, too" 1 '"event":"differs"'
"$CUSTOS" run -q -r "$trace" -s "$work/serve.lua" "$counter" 3 >/dev/null 2>&1
run replay -q -s "$work/serve.lua" "$trace"
expect "what it answered live is the same" 0
run replay -q "$trace"
expect "who only looks has nothing to compare" 0 "0x2 => 0x28 serve"

cat >"$work/look.lua" <<'END'
keep("counter")
function store(a)
	local now = string.unpack("<I8", read(a.address, 8))
	assert(now == a.old, "read tells another value")
end
function finish(s)
	print("stores seen:", s.stores or s.kinds and s.kinds.store)
end
END
record -k counter "$counter" 3
run replay -q -s "$work/look.lua" "$trace"
if [ $code = 0 ] && ! grep -q "keeper of" "$work/err"; then
	pass "a script reads memory as it was then"
else
	fail "a script reads memory as it was then" "$work/err"
fi
cat >"$work/write.lua" <<'END'
keep("counter")
function store(a) write(a.address, "x") end
END
run replay -q -s "$work/write.lua" "$trace"
expect "and cannot change it" 0 "write is not possible here"
cat >"$work/stop.lua" <<'END'
keep("counter")
function store(a) return stop("enough") end
END
run replay -s "$work/stop.lua" "$trace"
expect "a keeper stops it" 124 "answered stop" "replayed"

# ---- programs ----

run replay -q -k counter+0+16 "$trace"
expect "bytes that were not recorded are named" 0 "nothing is known"
cp "$counter" "$work/counter.elf"
printf 'x' >>"$work/counter.elf"
run replay -q "$trace" "$work/counter.elf"
expect "another program is refused" 126 "is not the program" "--changed"
run replay -q --changed "$trace" "$work/counter.elf"
expect "unless that is wanted" 0
run replay -q "$trace" "$accounts"
expect "a file that is no program of the trace" 125 "is none of the programs"
cp "$counter" "$work/moved.elf"
"$CUSTOS" run -q -r "$work/moved.trace" -k counter "$work/moved.elf" 3 \
	>/dev/null 2>&1
rm "$work/moved.elf"
run replay -q "$work/moved.trace"
expect "a program that is gone" 127 "moved.elf"
run replay -q "$work/moved.trace" "$counter"
expect "and where it is now" 0
run replay -q "$work/none"
expect "no such trace" 125 "none"
run replay
expect "no trace at all" 125 "no trace was named"
finish
