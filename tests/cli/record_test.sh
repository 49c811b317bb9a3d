#!/bin/sh
# SPDX-License-Identifier: MIT
# custos run -r: what is recorded, and what happens when that fails.
. tests/support/script.sh
need_kvm
guest=$CUSTOS_BUILD/guest
trace=$work/run.trace

out=$("$CUSTOS" run -q -r "$trace" -k counter "$guest/counter.elf" 3 2>&1)
verdict "a recorded run prints no accesses" count mov 0
verdict "and is the same run" count '^counter = 3$' 1

out=$("$CUSTOS" trace check "$trace" 2>&1)
verdict "its trace is whole" [ $? = 0 ]

plain=$("$CUSTOS" run -q -k counter "$guest/counter.elf" 3 2>&1 >/dev/null |
	grep -c mov)
out=$("$CUSTOS" trace print "$trace" 2>&1)
verdict "it has every access that is printed without" count mov "$plain"
verdict "with place, line and instruction" count \
	'store.*0x2 -> 0x3.*main+0x.*(counter.c:.*mov' 1
verdict "and the process's start and end" count 'process [es]' 2

out=$("$CUSTOS" trace info "$trace" 2>&1)
verdict "info says the command line" count "run -q -r $trace -k counter" 1

out=$("$CUSTOS" run -q --print -r "$trace" -k counter \
	"$guest/counter.elf" 3 2>&1)
verdict "--print prints them, too" count mov "$plain"

# What the guest's kernel copies has the stack and registers of the call.
"$CUSTOS" run -q -r "$trace" --regs --stacks -k source -k destination+0+4 \
	"$guest/copies.elf" >/dev/null 2>&1
for kind in ipc_src ipc_dst syscall_load; do
	out=$("$CUSTOS" trace print --stacks --when $kind "$trace" 2>&1)
	verdict "a stack is recorded of $kind" count 'from.*main+0x.*\.[cd]' 1
done
out=$("$CUSTOS" trace sql "$trace" "select count(*) from accesses a
	join registers r on r.access = a.id where r.name = 'rip' and
	r.value = a.ip and a.kind in ('ipc_src', 'ipc_dst', 'syscall_load')" 2>&1)
verdict "and registers" count '^3$' 1

# Who shares memory is in the trace.
out=$("$CUSTOS" run -q -r "$trace" -k shared "$guest/shared_counter.elf" \
	50 2>&1)
out=$("$CUSTOS" trace sql "$trace" "select count(distinct pid) as processes,
	count(distinct frame) > 1 as copies from events where event = 'bind'
	and frame in (select frame from events where event = 'bind'
		group by frame having count(distinct pid) > 1)" 2>&1)
verdict "processes that share a page are known" count '^2	0$\|^3	0$' 1

# The reader that was written from docs/TRACE-FORMAT.md alone.
"$CUSTOS" run -q -r "$trace" --regs --stacks --cpus 2 -k shared \
	"$guest/shared_counter.elf" 50 >/dev/null 2>&1
own=$("$CUSTOS" trace print "$trace" 2>&1 | grep -c mov)
out=$(python3 tests/support/read_trace.py "$trace" 2>&1)
case $? in
77 | 127) ;; # no python3, or not the libraries that it wants
*) verdict "another reader says the same" count '^access.*	mov' "$own" ;;
esac

cat >"$work/mark.lua" <<'END'
keep("counter")
function store(a) mark("stored " .. a.new) return a.new == 2 and serve(9) or pass end
END
out=$("$CUSTOS" run -q -r "$trace" -s "$work/mark.lua" \
	"$guest/counter.elf" 3 2>&1)
out=$("$CUSTOS" trace print "$trace" 2>&1)
verdict "a script's markers are recorded" count 'stored [129]' 3
verdict "and its verdicts" count 'serve' 1

cat >"$work/read.lua" <<'END'
local n = 0
for r in trace:records() do
	if r.kind == "store" then n = n + 1 end
	if r.kind == "marker" then print(r.message, r.time > 0) end
end
print("stores", n, trace:info().ranges[1].name, arg[1])
local last = trace:last_store("counter", 0)
print("last", last.new, last.symbol, last.process)
print("then", string.unpack("<i8", trace:memory("counter", 0, 8, last.seq - 1)))
print(pcall(trace.memory, trace, "none", 0, 1))
END
out=$("$CUSTOS" trace lua "$work/read.lua" "$trace" word 2>&1)
verdict "a Lua program reads it" count '^stores.*3.*counter.*word$' 1
verdict "sees markers" count '^stored [129]*.*true$' 3
verdict "asks who was last" count '^last.*10.*main+.*counter.elf$' 1
verdict "and what memory was" count '^then.*9' 1
verdict "and is told what is not there" count 'has no range .none' 1
out=$("$CUSTOS" trace lua /dev/null "$work/none" 2>&1)
verdict "a trace that is not there is told" count 'none.*No such file' 1

phases=$guest/phases.elf
out=$("$CUSTOS" run -k total -k last_word "$phases" 2 2>&1)
verdict "a program's markers are printed with who says them" count \
	'^-- marker: phases.elf #1: round [12] of 2$' 2
verdict "their text is read like any other" count 'syscall_load.*last_word' 1
out=$("$CUSTOS" run -q -r "$trace" -k total "$phases" 2 2>&1)
out=$("$CUSTOS" trace print "$trace" 2>&1 | grep -A1 '^-- marker')
verdict "and recorded among its accesses" count '^-- marker: phases.elf #1: ' 3
verdict "each where it was said" count 'phases.elf#1.* total+0' 3
out=$("$CUSTOS" trace sql "$trace" \
	"select pid, text from events where event = 'marker'" 2>&1)
verdict "exports know who said them" count '^1	round [12] of 2$' 2
cat >"$work/marks.lua" <<'END'
for r in trace:records() do
	if r.kind == "marker" then print(r.pid, r.process, r.message) end
end
END
out=$("$CUSTOS" trace lua "$work/marks.lua" "$trace" 2>&1)
verdict "Lua programs, too" count '^1	phases.elf	round 2 of 2$' 1

out=$("$CUSTOS" run -q --regs -k counter "$guest/counter.elf" 3 2>&1)
verdict "--regs alone is refused" [ $? = 125 ]
verdict "and it is said why" count 'needs -r' 1

out=$("$CUSTOS" run -q -r /dev/full -k counter "$guest/counter.elf" 2>&1)
verdict "a full disk is told" count 'No space left' 1
out=$("$CUSTOS" run -q -r "$work/none/x" -k counter \
	"$guest/counter.elf" 2>&1)
verdict "so is a folder that is not there" count 'none/x.*No such file' 1

# Killed in the middle: what was recorded by then is read.
"$CUSTOS" run -q -r "$trace" -k word "$guest/hammer.elf" load 100000000 \
	>/dev/null 2>&1 &
pid=$!
sleep 2
kill -KILL $pid
wait $pid 2>/dev/null
out=$("$CUSTOS" trace check "$trace" 2>&1)
verdict "a killed run's trace is told to be cut off" count 'cut off' 1
seen=$("$CUSTOS" trace print "$trace" 2>/dev/null | grep -c word)
out="$seen accesses"
verdict "and has accesses" [ "$seen" -gt 0 ]

finish
