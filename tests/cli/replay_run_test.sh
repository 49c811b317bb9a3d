#!/bin/sh
# SPDX-License-Identifier: MIT
# custos replay --run: the program once more, fed what was recorded. On one CPU
# with virtual time it is the same run, bit for bit.
# timeout: 600
. tests/support/script.sh
need_kvm
guest=$CUSTOS_BUILD/guest
counter=$guest/counter.elf
trace=$work/run.trace
pvm=no
"$CUSTOS" doctor 2>&1 | grep -q "kind: pvm" && pvm=yes
replays=100
[ "${CUSTOS_TEST_SCALE:-}" = slow ] && replays=4

# record ARGUMENTS...: into $trace, standard output into $work/live
record()
{
	timeout -k 5 60 "$CUSTOS" run -q -r "$trace" --virtual-time "$@" \
		>"$work/live" 2>"$work/live.err" </dev/null
}

# same_as_told WHAT PATTERN: standard output is the same, and a line says what
# else is
same_as_told()
{
	run replay --run "$trace"
	if [ $code = 0 ] && cmp -s "$work/live" "$work/out" &&
		grep -q "$2" "$work/err"; then
		pass "$1"
	else
		fail "$1" "$work/err" "$work/live" "$work/live.err" "$work/out"
	fi
}

# same WHAT: the recorded run comes out the same
same()
{
	same_as_told "$1" '^state .*, as recorded$'
}

# same_script WHAT [PROGRAM ARGUMENT...]: so it does with a script's answers,
# which is on standard input
same_script()
{
	what=$1
	shift
	cat >"$work/script.lua"
	[ $# = 0 ] && set -- "$counter" 9
	record -s "$work/script.lua" "$@"
	same "$what"
}

# ---- the same, every time ----

record --regs --stacks -k log "$guest/interleave.elf"
same "three processes, replayed"
for n in $(seq $replays); do
	timeout -k 5 60 "$CUSTOS" replay --run --json "$trace" 2>&1 >/dev/null |
		grep -o '"accesses":[0-9]*,"diverged":false.*"state":"[^"]*"' ||
		echo failed
done | sort | uniq -c >"$work/states"
if [ "$(wc -l <"$work/states")" = 1 ] &&
	grep -q "^ *$replays \"accesses\"" "$work/states"; then
	pass "registers and memory are the same $replays times"
else
	fail "registers and memory are the same $replays times" "$work/states"
fi
run replay --run --json "$trace"
expect "the hash is in JSON, with the recorded one" 0 '"diverged":false' \
	'"state":"' '"recorded_state":"'
run replay --run --who log "$trace"
expect "other keepers may look on" 0 "who: log" "as recorded"

# ---- what keepers answered is answered again ----

same_script "serve and absorb" <<'END'
keep("counter")
function load(a)
	if a.value == 2 then return serve(40) end
end
function store(a)
	if a.value == 42 then return serve(43) end
	if a.value == 45 then return absorb() end
end
END
same_script "deny" <<'END'
keep("counter")
n = 0
function store(a)
	n = n + 1
	if n == 4 then return deny("no more") end
end
END
same_script "step, and steps on" <<'END'
keep("counter")
n = 0
function load(a)
	n = n + 1
	if n % 3 == 0 then return step() end
end
function stepped(a, r)
	n = n + 1
	if n < 12 then return step() end
	return continue()
end
END
same_script "rollback" <<'END'
keep("counter")
n = 0
function store(a)
	n = n + 1
	if n == 2 then return step() end
end
function stepped(a, r) return rollback() end
END
same_script "grant to one, and revoke" <<'END'
k = keep("counter")
n = 0
function load(a)
	n = n + 1
	if n == 2 then return grant("process", "rw") end
end
function finish() assert(n == 2) end
END
same_script "grant to all" <<'END'
k = keep("counter")
n = 0
function load(a)
	n = n + 1
	if n == 2 then return grant("all", "rw") end
end
END
same_script "what a script writes, to kept and other memory" <<'END'
keep("counter")
n = 0
function load(a)
	n = n + 1
	if n == 3 then
		write(a.address, string.pack("<I8", 77))
		write(a.address + 64, "not kept")
		return serve(100)
	end
end
END
same_script "ranges that come and go" <<'END'
k = keep("counter")
n = 0
function store(a)
	n = n + 1
	if n == 2 then later = keep{"0x402000+64", name = "later"} end
	if n == 4 then k:release() end
end
END
same_script "a value for what an rmw computes on" \
	"$guest/hammer.elf" inc 20 <<'END'
keep("word")
n = 0
function rmw(a)
	n = n + 1
	if n % 5 == 0 then return serve(1000 * n) end
end
END
same_script "a keeper stopped it" <<'END'
keep("counter")
n = 0
function store(a)
	n = n + 1
	if n == 3 then return stop("here") end
end
END
cat >"$work/hold.lua" <<'END'
keep("counter")
n = 0
function store(a)
	n = n + 1
	if n == 3 then return hold(10) end
end
END
record -s "$work/hold.lua" "$counter" 9
run replay --run "$trace"
expect "a hold is told, as it cannot be repeated" 0 "access 6 was held"

# ---- other programs ----

for program in "copies" "steps code" "shared_counter 20 lock" "hammer vector 9" \
	"fault" "accounts message"; do
	set -- $program
	name=$1
	shift
	case $name in
	copies) keep="-k source -k destination" ;;
	steps) keep="-k 0x400000+4096" ;;
	shared_counter) keep="-k shared" ;;
	hammer) keep="-k word" ;;
	fault) keep="-k constant" ;;
	accounts) keep="-k balance -k guard -k flag" ;;
	esac
	record $keep "$guest/$name.elf" "$@"
	grep -q . "$work/live.err" && cat "$work/live.err" | head -3 |
		sed "s/^/# $name: /"
	same "$program"
done
record -k log "$guest/interleave.elf" tsc
if [ $pvm = yes ]; then
	run replay --run "$trace"
	expect "who reads the TSC itself is named" $code "note: interleave.elf" \
		"rdtsc" "the TSC" "is not replayed"
else
	same "RDTSC is answered with virtual time, again"
fi

# ---- several CPUs: what happened in which order ----

# same_order WHAT: standard output, which tells the order, is the same
same_order()
{
	same_as_told "$1" 'accesses as recorded$'
}

for n in 1 2 3 4 5; do
	record --cpus 2 -k shared -k ready "$guest/shared_counter.elf" 50 plain
	same_order "two CPUs lose the same increments, $n"
done
record --cpus 4 -k alias_a+0xff8+8 -k alias_a+0x1000+8 \
	"$guest/contend.elf" 40
same_order "four CPUs, two words on two pages"
record --cpus 2 -k balance -k guard -k flag "$guest/accounts.elf" forgets 20
same_order "a lock that one of them forgets"
record --cpus 2 -k source -k destination "$guest/copies.elf"
same_order "messages between CPUs"
timeout 60 "$CUSTOS" run -q -r "$trace" --cpus 2 -k shared -k ready \
	"$guest/shared_counter.elf" 20 plain >"$work/live" 2>&1
same_order "without virtual time, too"
expect "though clocks are told of" 0 "without --virtual-time"
# Whether process 3 sees `ready' at its first look is not recorded.
record --cpus 2 -k shared "$guest/shared_counter.elf" 20 plain
run replay --run "$trace"
if [ $code = 0 ] || { [ $code = 1 ] && grep -q "keep that, too" "$work/err"; }
then
	pass "what cannot be kept to is told"
else
	fail "what cannot be kept to is told" "$work/err"
fi

# ---- not the same ----

record -k counter "$counter" 5
cat >"$work/other.lua" <<'END'
keep("counter")
function load(a)
	if a.value == 3 then return serve(30) end
end
END
run replay --run -s "$work/other.lua" "$trace"
expect "another answer diverges" 1 "diverged at access 7: another answer" \
	"recorded" "now" "stack now"
run replay --run --json -s "$work/other.lua" "$trace"
expect "in JSON" 1 '"event":"diverged","seq":7' '"why":"another answer"' \
	'"final":"0x1e"'
record -k counter --memory 128M "$counter" 5
same "as much memory as then"

# The same source with another constant: the run goes another way.
cp "$guest/shared_counter.elf" "$work/counter.elf"
run replay --run "$trace" "$work/counter.elf"
expect "another program is refused" 126 "is not the program" "--changed"
run replay --run --changed "$trace" "$work/counter.elf"
expect "or diverges" 1 "diverged"
"$CUSTOS" trace cut -t 4 "$trace" "$work/cut.trace" >/dev/null 2>&1
run replay --run "$work/cut.trace"
expect "a part of a trace cannot be run" 125 "does not say how"
"$CUSTOS" run -q -r "$work/long.trace" --virtual-time -k word \
	"$guest/hammer.elf" inc 9000 >/dev/null 2>&1
head -c "$(($(wc -c <"$work/long.trace") / 2))" "$work/long.trace" \
	>"$work/torn.trace"
run replay --run "$work/torn.trace"
expect "a torn one is, as far as it goes" 0 "nothing more is recorded"
"$CUSTOS" run -q -r "$trace" -k counter "$counter" 5 >/dev/null 2>&1
run replay --run "$trace"
expect "without virtual time that is said" 0 "without --virtual-time"
cd "$work" || exit 1
CUSTOS=$OLDPWD/$CUSTOS
[ -x "$CUSTOS" ] || CUSTOS=${CUSTOS#"$OLDPWD"/}
run replay --run -q "$trace"
expect "from another directory" 0
finish
