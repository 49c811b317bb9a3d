#!/bin/sh
# SPDX-License-Identifier: MIT
# custos emulate: JSON lines in and out.
set -u
CUSTOS=${CUSTOS:-build/custos}
number=0

# check WHAT EXPECTED-CODE EXPECTED-TEXT INPUT: a text that must be in the output.
check()
{
	number=$((number + 1))
	output=$(printf '%s\n' "$4" | "$CUSTOS" emulate 2>&1)
	got=$?
	case $output in
	*"$3"*) found=yes ;;
	*) found=no ;;
	esac
	if [ $got = "$2" ] && [ $found = yes ]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		echo "# exit code $got, expected $2; expected in the output: $3"
		echo "$output" | cut -c1-1000 | sed 's/^/# /'
	fi
}

eight='{"address":4096,"bytes":"2900000000000000"}'
check "add to memory" 0 \
	'"accesses":[{"kind":"rmw","address":"0x1000","size":8,"old":"2900000000000000","new":"2a00000000000000"}]' \
	'{"bytes":"480103","regs":{"rax":1,"rbx":"0x1000"},"memory":['"$eight"']}'
check "only what changed comes back" 0 '"memory":[{"address":"0x1000","bytes":"2a"}]' \
	'{"bytes":"480103","regs":{"rax":1,"rbx":4096},"memory":['"$eight"']}'
check "the id comes back" 0 '{"id":[1,"x"],"status":"ok"' \
	'{"id":[1,"x"],"bytes":"8b03","regs":{"rbx":4096},"memory":['"$eight"']}'
check "unmapped memory is a page fault" 0 \
	'"fault":{"name":"#PF","vector":14,"error_code":6,"address":"0x1008"}' \
	'{"bytes":"488903","regs":{"rbx":"0x1001"},"memory":['"$eight"']}'
check "read-only memory is another" 0 '"error_code":7' \
	'{"bytes":"8803","regs":{"rbx":4096},"memory":[{"address":4096,"bytes":"00","read_only":true}]}'
check "a division by zero" 0 '"fault":{"name":"#DE","vector":0,"error_code":0}' \
	'{"bytes":"f733","regs":{"rbx":4096},"memory":[{"address":4096,"bytes":"00000000"}]}'
check "a misaligned movaps" 0 '"name":"#GP"' \
	'{"bytes":"0f2803","regs":{"rbx":4097},"memory":['"$eight"']}'
if [ "${CUSTOS_TEST_SCALE:-}" = slow ]; then
	echo "# skipped: QEMU's CPU does not check alignment"
	number=$((number + 1))
	echo "ok $number - alignment is demanded on request # SKIP"
else
	check "alignment is demanded on request" 0 '"name":"#AC"' \
		'{"bytes":"8b03","alignment_check":true,"regs":{"rbx":4097,"rflags":"0x40202"},"memory":['"$eight"']}'
fi
check "and not without" 0 '"status":"ok"' \
	'{"bytes":"8b03","regs":{"rbx":4097,"rflags":"0x40202"},"memory":['"$eight"']}'
check "one element of a rep form" 0 '"rcx":"0x2"' \
	'{"bytes":"f3aa","regs":{"rcx":3,"rdi":4096},"memory":['"$eight"']}'
check "all of them with steps" 0 '"rip":"0x2"' \
	'{"bytes":"f3aa","steps":100,"regs":{"rcx":3,"rdi":4096},"memory":['"$eight"']}'
check "extended state goes in" 0 '"new":"00112233445566778899aabbccddeeff"' \
	'{"bytes":"0f1103","regs":{"rbx":4096},"xstate":"'"$(
		printf '7f03%044d801f0000%0264d00112233445566778899aabbccddeeff%0672d02%0126d' 0 0 0 0)"'","memory":[{"address":4096,"bytes":"'"$(printf '%032d' 0)"'"}]}'
check "what cannot be emulated says so" 0 '"status":"cannot","text":"syscall"' '{"bytes":"0f05"}'
check "the next line is read after an error" 125 '"status":"cannot"' 'nonsense
{"bytes":"0f05"}'
check "not JSON" 125 '"error":"line 1: not JSON: ' 'nonsense'
check "not an object" 125 'not a JSON object' '[]'
check "no bytes" 125 'bytes is not a string' '{}'
check "bad bytes" 125 'no complete user-mode instruction' '{"bytes":"06"}'
check "too many bytes" 125 'bytes has more than 15 bytes' \
	'{"bytes":"90909090909090909090909090909090"}'
check "not hex" 125 'something else than hex' '{"bytes":"zz"}'
check "no such register" 125 'no register `eax' '{"bytes":"90","regs":{"eax":1}}'
check "no such key" 125 'no key `register' '{"bytes":"90","register":{}}'
check "a register that is no number" 125 'rax is not a number' \
	'{"bytes":"90","regs":{"rax":"-1"}}'
check "empty memory" 125 'is empty or wraps' \
	'{"bytes":"90","memory":[{"address":1,"bytes":""}]}'
check "memory that wraps" 125 'is empty or wraps' \
	'{"bytes":"90","memory":[{"address":"0xffffffffffffffff","bytes":"0000"}]}'
check "a short xstate" 125 'at least 576' '{"bytes":"90","xstate":"00"}'
check "steps out of range" 125 'steps is not in' '{"bytes":"90","steps":0}'

number=$((number + 1))
if "$CUSTOS" emulate /nonexistent 2>&1 | grep -q 'cannot open /nonexistent: No such'; then
	echo "ok $number - a file that is not there"
else
	echo "not ok $number - a file that is not there"
fi
number=$((number + 1))
if echo '{"bytes":"90"}' | "$CUSTOS" emulate >/dev/full 2>/dev/null; then
	echo "not ok $number - a full disk is noticed"
else
	echo "ok $number - a full disk is noticed"
fi
echo "1..$number"
