#!/bin/sh
# SPDX-License-Identifier: MIT
# custos run as users meet it: exit codes, what goes where, reports. What is
# refused is wrong_input_test.sh's.
# timeout: 300
. tests/support/script.sh
guest=$CUSTOS_BUILD/guest
counter=$guest/counter.elf

# ---- what needs no machine ----
for command in run decode doctor help; do
	run $command --help
	expect "$command --help" 0 "Usage: custos"
	[ -s "$work/err" ] && fail "$command --help on stderr" "$work/err"
done
run --version
expect "--version" 0 "custos "
run
expect "no arguments" 125 "Usage: custos COMMAND"
if [ -s "$work/out" ]; then
	fail "no arguments: a mistake, so told on stderr" "$work/out"
fi
run --json
expect "an option where a command should be" 125 "unknown option \`--json'"

export CUSTOS_KVM="$work/none"
run run "$counter"
expect "no /dev/kvm" 125 "$work/none is not there: this machine offers no KVM"
run doctor
expect "doctor without /dev/kvm" 1 "cannot run programs on this machine"
CUSTOS_KVM=/dev/null
run run "$counter"
expect "a file that is no KVM" 125 "/dev/null is not a KVM"
unset CUSTOS_KVM

if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	skip "the rest" "no /dev/kvm"
	finish
	exit 0
fi

nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
if ! [ "$($nobody id -u 2>/dev/null)" ]; then
	skip "no permission" "cannot become nobody here"
elif $nobody test -w /dev/kvm || ! $nobody test -x "$CUSTOS"; then
	skip "no permission" "nobody may use /dev/kvm"
else
	$nobody "$CUSTOS" run "$counter" >"$work/out" 2>"$work/err"
	code=$?
	expect "no permission" 125 "no permission to open /dev/kvm"
fi

# ---- the program's own exit code, arguments, output ----
run run "$guest/hello.elf" one "two three" ""
expect "arguments are passed" 0 "argument 1: one" "argument 2: two three" \
	"argument 3: " "nothing was kept"
run run -k counter "$counter" 2
expect "accesses and summary" 0 "-- process start: counter.elf" "store counter+0 8" "0x1 -> 0x2" \
	"custos: exited with code 0" "(4 load, 2 store)" "missed 0" \
	"(counter.c:19)"
if [ "$(cat "$work/out")" = "counter = 2" ]; then
	pass "standard output is the program's alone"
else
	fail "standard output is the program's alone" "$work/out"
fi
run run -q -o "$work/trace" -k counter "$counter" 2
expect "-q -o" 0
if [ -s "$work/err" ] || ! grep -q 'store *counter+0' "$work/trace" ||
	grep -q '^custos:' "$work/trace"; then
	fail "-o takes the accesses, -q the summary away" "$work/err" \
		"$work/trace"
else
	pass "-o takes the accesses, -q the summary away"
fi
run run "$CUSTOS_BUILD/examples/ring-overflow/ring.elf"
expect "the program's exit code" 1 "exited with code 1"

# ---- JSON ----
run run --json -k counter "$counter" 2
expect "--json" 0
if grep -qv '^{"event":"[a-z_]*",.*}$' "$work/err"; then
	fail "each line is an object that names its event" "$work/err"
else
	pass "each line is an object that names its event"
fi
for key in seq kind atomic address size range offset old new final outcome \
	process pid cpu ip symbol line insn text lanes; do
	grep '"event":"access"' "$work/err" | grep -qv "\"$key\":" &&
		fail "an access without $key" "$work/err"
done
expect "how it ended" 0 '"event":"end","end":"exited","code":0' \
	'"event":"summary","accesses":6' '"missed":0'
if command -v python3 >/dev/null; then
	if python3 -c 'import json,sys
for line in sys.stdin: json.loads(line)' <"$work/err" 2>"$work/why"; then
		pass "a JSON reader reads it"
	else
		fail "a JSON reader reads it" "$work/why" "$work/err"
	fi
else
	skip "a JSON reader reads it" "no python3"
fi

run run -k 0x700000+8 "$counter" 1
expect "a range that nothing ever mapped" 0 \
	"\`0x700000+8' was never mapped by a process of counter.elf"
run run --json -k 0x700000+8 "$counter" 1
expect "the same in JSON" 0 '{"event":"never_mapped","text":"0x700000+8"}'

# ---- several programs ----
run run -m "$guest/hello.elf" -k hello.elf!main+0+1 "$counter" 1
expect "-m names another program, whose bytes can be kept" 0 "counter = 1"
run run --cpus 2 "$guest/shared_counter.elf" 100 lock
expect "a program that starts others" 0 "lost 0"

# ---- scripts ----
cat >"$work/stop.lua" <<'LUA'
keep "counter"
function store(a) if a.new == 2 then return stop("two is enough") end end
LUA
run run -s "$work/stop.lua" "$counter" 5
expect "a script stops the program" 124 \
	"stopped by the keeper of \`counter': two is enough" \
	"custos: stopped with code 124"
cat >"$work/deny.lua" <<'LUA'
keep{ "counter", store = function(a) return deny("hands off") end }
LUA
run run -s "$work/deny.lua" "$counter" 5
expect "a script denies" 139 \
	"access 2 denied by the keeper of \`counter': hands off" \
	"counter.elf: page fault" "main+0x" "counter.c:19"
cat >"$work/throw.lua" <<'LUA'
keep "counter"
function load(a) error("oops") end
LUA
run run --default deny -s "$work/throw.lua" "$counter"
expect "--default is for ranges of the script, too" 139 "oops" \
	"its default \`deny' applies"
cat >"$work/finish.lua" <<'LUA'
keep "counter"
function start() print("it starts") end
function finish(s)
	print("it saw", s.load, s.store, s.missed, s.instructions[1].line)
end
LUA
run run -s "$work/finish.lua" "$counter" 2
expect "start and finish" 0 "it starts" "it saw	4	2	0	counter.c:19"

run run -k counter+0+4 -s "$work/finish.lua" "$counter" 2
expect "a range of -k that a script keeps, too" 125 "overlaps range"

# ---- a program breaks ----
run run "$guest/fault.elf" null
expect "a program's fault is reported" 139 "fault.elf: page fault" \
	"null" "fault.c:" "store to 0x0" " registers:" " code:" \
	" backtrace:" "#1 main+0x" "exited with code 139"
for pair in divide:136 undefined:132 breakpoint:133 jump:139 privileged:139
do
	run run "$guest/fault.elf" "${pair%:*}"
	expect "fault: ${pair%:*}" "${pair#*:}" "exited with code ${pair#*:}"
done

# ---- the kernel breaks ----
run run --kernel "$guest/broken_kernel.elf" "$guest/hello.elf"
expect "a kernel's panic is reported, from where it happened" 134 \
	"guest kernel panic on CPU 0: exception 14 in the kernel" \
	" registers:" " code:" "#5 broken_follow (" \
	"#6 __wrap_console_call_write+0x" "crashed with code 134"
# or ecx, [rbx] all over its first page
head -c 4096 /dev/zero | tr '\0' '\013' >"$work/page"
cp "$guest/kernel.elf" "$work/kernel.elf"
dd if="$work/page" of="$work/kernel.elf" bs=4096 seek=1 conv=notrunc \
	2>/dev/null
run run --kernel "$work/kernel.elf" "$guest/hello.elf"
culprit="or ecx, dword ptr [rbx]"
grep -q "KVM has reset it" "$work/err" && culprit="rip 000000000000fff0"
expect "a triple fault is reported" 134 "triple fault on CPU 0" " registers:" \
	"$culprit"

# ---- an end from outside ----
interrupted() # SIGNAL
{
	"$CUSTOS" run "$guest/hammer.elf" spin 1000000000000 \
		>"$work/out" 2>"$work/err" &
	pid=$!
	sleep 2
	kill -"$1" $pid
	wait $pid
	code=$?
}
interrupted INT
expect "^C ends the run in order" 130 "custos: interrupted with code 130"
interrupted TERM
expect "SIGTERM does the same" 130 "custos: interrupted with code 130"

{
	sleep 1
	timeout 60 "$CUSTOS" run -k counter "$counter" 1000 >/dev/null
	echo $? >"$work/code"
} 2>&1 | :
code=$(cat "$work/code")
if [ "$code" = 125 ]; then
	pass "closed pipe on stderr"
else
	fail "closed pipe on stderr: exit code $code"
fi
finish
