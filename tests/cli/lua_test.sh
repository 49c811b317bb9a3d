#!/bin/sh
# SPDX-License-Identifier: MIT
# Scripts that keep, release, hold and grant while the program runs.
. tests/support/script.sh
need_kvm

# go SCRIPT PROGRAM ARGUMENT...
go()
{
	file=$1 program=$2
	shift 2
	timeout 120 "$CUSTOS" run --cpus 2 -s "$file" \
		"$CUSTOS_BUILD/guest/$program.elf" "$@" >"$work/out" 2>&1
	code=$?
}

# check WHAT PATTERN...: the run ended with 0, each pattern is in its output
check()
{
	what=$1
	shift
	[ "$code" = 0 ] || { fail "$what: exit code $code" "$work/out"; return; }
	for pattern in "$@"; do
		grep -q -- "$pattern" "$work/out" ||
			{ fail "$what: no '$pattern'" "$work/out"; return; }
	done
	pass "$what"
}

cat >"$work/release.lua" <<'END'
local k
k = keep{ "counter", name = "c", store = function(a)
	if a.new == 3 then
		local first, second = k:release(), k:release()
		print("released", k.name, k.length, k.asked, first, second,
			k.kept, tostring(k))
	end
end }
print("before", k.name, k.length, k.kept)
function finish(s) print("seen", s.accesses, k.asked) end
END
go "$work/release.lua" counter 10
check "a released range is not asked about again" \
	'^before	c	nil	true$' \
	'^released	c	8	6	true	false	false	c (released)$' \
	'^seen	6	6$' 'counter = 10'

cat >"$work/later.lua" <<'END'
local later
keep{ "ready+0+8", rmw = function(a)
	if later then return end
	later = keep{ "shared+0+8", name = "later", rmw = function(a) end }
	print("kept", later.name, later.length, later.kept)
end }
function finish() print("asked", later.asked) end
END
go "$work/later.lua" shared_counter 50 lock
check "a range kept in a callback is kept in every process" \
	'^kept	later	8	true$' '^asked	10[1-9]$' 'lost 0'

cat >"$work/again.lua" <<'END'
local k, rounds = nil, 0
local function keep_it()
	k = keep{ "counter", store = function(a)
		k:release()
		rounds = rounds + 1
		keep_it()
	end }
end
function start() keep_it() end
function finish() print("rounds", rounds) end
END
go "$work/again.lua" counter 100
check "a range may be released and kept again, from start() on" \
	'^rounds	100$' 'counter = 100'

cat >"$work/wrong.lua" <<'END'
keep{ "counter", store = function(a)
	if a.new == 1 then
		print(pcall(keep, "cuonter"))
		print(pcall(keep, "counter+4+8"))
		print(pcall(keep, "counter"))
		print(pcall(keep, "device:x+8"))
		print(pcall(keep, { "counter+8+8", "counter+12+8" }))
		print("half", pcall(keep, "counter+8+8"))
	end
end }
function finish() print(pcall(keep, "counter")) end
END
go "$work/wrong.lua" counter 3
check "what cannot be kept is told, and nothing half-kept" \
	"no symbol 'cuonter'" "range 'counter+4+8'.* overlaps range 'counter'" \
	"range 'counter' is given twice" "there is no such device" \
	"range 'counter+12+8'.* overlaps" '^half	true' "the run is over" \
	'counter = 3'

cat >"$work/hold.lua" <<'END'
local held, resumed = nil, 0
keep{ "shared+0+8", rmw = function(a)
	if held and held.pid ~= a.pid then
		if resume(held.seq) then resumed = resumed + 1 end
		held = nil
	elseif not held then
		held = { seq = a.seq, pid = a.pid }
		return hold(50)
	end
end }
function finish()
	print(resumed > 0 and "some were resumed" or "none was")
	print("unknown", resume(1 << 40))
end
END
go "$work/hold.lua" shared_counter 20 lock
check "held accesses are resumed by others, or by time" \
	'some were resumed' '^unknown	false$' 'lost 0'

cat >"$work/grant.lua" <<'END'
local k = keep{ "counter", load = function() return grant("all", "r") end,
	store = function(a) if a.new == 5 then return grant("all") end end }
function finish(s) print("asked", k.asked) end
END
go "$work/grant.lua" counter 100
# one load, stores 1 to 5; then the page is open
check "what is granted is not asked about" '^asked	6$' 'counter = 100' \
	'^missed  *0$'

cat >"$work/when.lua" <<'END'
local a = keep{ "counter", when = { kind = "store", value = { ">", 5 },
	every = 2 } }
function store(a) print("stored", a.new) end
function finish(s) print("asked", a.asked, a.filtered) end
END
go "$work/when.lua" counter 10
check "conditions leave accesses out" '^stored	7$' '^stored	9$' \
	'^asked	2	'

for fault in start finish store; do
	echo "keep 'counter' function $fault() error('broken') end" \
		>"$work/$fault.lua"
	go "$work/$fault.lua" counter 10
	check "an error in $fault() does not end the run" 'broken' \
		"in callback $fault" 'counter = 10'
	echo "keep 'counter' function $fault() while true do end end" \
		>"$work/$fault.lua"
	go "$work/$fault.lua" counter 1
	check "an endless $fault() does not end the run" 'ran longer' \
		"in callback $fault" 'counter = 1'
done
finish
